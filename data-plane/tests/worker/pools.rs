//! Connections to targets: kept, bounded, replaced when they are gone; and which target has its turn.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use tidegate_data_plane::limits::Limits;
use tokio::io::{AsyncWriteExt, DuplexStream};

use crate::support::upstream::read_head;
use crate::support::{Gateway, route, run, service, service_of, until, upstream_of};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn balanced(targets: &[(&str, u16)]) -> Vec<tidegate_model::Change> {
    vec![upstream_of("pool", targets), service_of("api", "pool", json!({})), route("all", "api", json!({}))]
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        for request in [GET, POST, GET] {
            assert_eq!(gateway.ask(request).await.status(), 200);
        }
        assert_eq!((upstream.count(), upstream.connections()), (3, 1));
    });
}

#[test]
fn kept_connections_are_bounded_in_number_and_time() {
    run(async {
        let limits = Limits { upstream_kept_max: 2, upstream_kept: Duration::from_secs(10), ..Limits::default() };
        let gateway = Gateway::with_limits(
            &[service("api", json!({ "url": "http://up" })), route("all", "api", json!({}))],
            limits,
        );
        let upstream = gateway.net.upstream("up:80");
        let mut clients: Vec<_> = (0..5).map(|_| gateway.connect()).collect();
        for client in &mut clients {
            client.send(GET).await;
        }
        for client in &mut clients {
            assert_eq!(client.reply().await.status(), 200);
        }
        until("two are left", || upstream.open() == 2).await;
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(upstream.open(), 2);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(upstream.open(), 0);
    });
}

#[test]
fn connections_outlive_the_configuration_that_led_to_them() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        gateway.ask(GET).await;
        gateway.publish(&[
            service("api", json!({ "url": "http://up", "timeouts": { "idle": "1s" } })),
            route("other", "api", json!({})),
        ]);
        gateway.ask(GET).await;
        assert_eq!((upstream.count(), upstream.connections()), (2, 1));
    });
}

#[test]
fn an_answer_that_ends_its_connection_is_not_followed_by_another() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        upstream.answers("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        for _ in 0..3 {
            assert_eq!(gateway.ask(POST).await.status(), 200);
        }
        assert_eq!((upstream.count(), upstream.connections()), (3, 3));
    });
}

#[test]
fn bytes_after_an_answer_are_nobodys() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        upstream
            .answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        for _ in 0..3 {
            let reply = gateway.ask(GET).await;
            assert_eq!((reply.status(), reply.text()), (200, "ok"));
        }
        assert_eq!(upstream.connections(), 3);
    });
}

/// A target that closes its first connection on the second request, at a moment; all others answer.
fn stale(gateway: &Gateway, first_bytes: &'static [u8], reads: bool) -> (Rc<Cell<usize>>, Rc<Cell<usize>>) {
    let (connections, requests) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let counts = (connections.clone(), requests.clone());
    gateway.net.serve("up:80", move |mut stream: DuplexStream| {
        let (connections, requests) = counts.clone();
        async move {
            let first = connections.get() == 0;
            connections.set(connections.get() + 1);
            let mut buffer = Vec::new();
            let mut served = 0;
            while !(first && served == 1 && !reads) {
                if read_head(&mut stream, &mut buffer).await.is_empty() {
                    return;
                }
                buffer.clear();
                requests.set(requests.get() + 1);
                if first && served == 1 {
                    stream.write_all(first_bytes).await.unwrap();
                    return;
                }
                stream.write_all(OK).await.unwrap();
                served += 1;
            }
        }
    });
    (connections, requests)
}

#[test]
fn a_kept_connection_that_is_gone_is_replaced_for_any_request() {
    run(async {
        for request in [GET, POST] {
            let (gateway, _) = Gateway::plain();
            let (connections, requests) = stale(&gateway, b"", false);
            assert_eq!(gateway.ask(GET).await.status(), 200);
            assert_eq!(gateway.ask(request).await.status(), 200, "{request}");
            assert_eq!((connections.get(), requests.get()), (2, 2));
        }
    });
}

#[test]
fn a_request_that_reached_a_kept_connection_is_repeated_if_that_is_safe() {
    run(async {
        for (request, status, sent) in [
            (GET, 200, 3),
            ("DELETE /1 HTTP/1.1\r\nHost: a\r\n\r\n", 200, 3),
            ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, 3),
            (POST, 502, 2),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 502, 2),
            ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 502, 2),
            ("PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", 502, 2),
        ] {
            let (gateway, _) = Gateway::plain();
            let (_, requests) = stale(&gateway, b"", true);
            assert_eq!(gateway.ask(GET).await.status(), 200);
            let reply = gateway.ask(request).await;
            assert_eq!(reply.status(), status, "{request}");
            if status == 502 {
                assert_eq!(reply.code(), "upstream_reset");
            }
            assert_eq!(requests.get(), sent, "{request}");
        }
    });
}

#[test]
fn nothing_is_repeated_once_an_answer_began() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let (_, requests) = stale(&gateway, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", true);
        assert_eq!(gateway.ask(GET).await.status(), 200);
        assert!(!gateway.ask(GET).await.whole);
        assert_eq!(requests.get(), 2);
    });
}

#[test]
fn a_new_connection_that_ends_without_an_answer_is_not_tried_again() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let tries = Rc::new(Cell::new(0));
        let counts = tries.clone();
        gateway.net.serve("up:80", move |mut stream: DuplexStream| {
            counts.set(counts.get() + 1);
            async move {
                read_head(&mut stream, &mut Vec::new()).await;
            }
        });
        let reply = gateway.ask(GET).await;
        assert_eq!((reply.status(), &*reply.code(), tries.get()), (502, "upstream_reset", 1));
    });
}

#[test]
fn each_target_has_its_share_and_weight_nought_has_none() {
    run(async {
        let gateway = Gateway::new(&balanced(&[("a:1", 5), ("b:1", 3), ("c:1", 0), ("d:1", 2)]));
        let all: Vec<_> = ["a:1", "b:1", "c:1", "d:1"].map(|address| gateway.net.upstream(address)).into();
        for _ in 0..20 {
            assert_eq!(gateway.ask(GET).await.status(), 200);
        }
        let counts: Vec<usize> = all.iter().map(|upstream| upstream.count()).collect();
        assert_eq!(counts, [10, 6, 0, 4]);
    });
}

#[test]
fn turns_go_on_through_a_change_of_configuration() {
    run(async {
        let gateway = Gateway::new(&balanced(&[("a:1", 1), ("b:1", 1)]));
        let (a, b) = (gateway.net.upstream("a:1"), gateway.net.upstream("b:1"));
        for _ in 0..10 {
            assert_eq!(gateway.ask(GET).await.status(), 200);
            gateway.publish(&balanced(&[("a:1", 1), ("b:1", 1)]));
        }
        assert_eq!((a.count(), b.count()), (5, 5));
    });
}

#[test]
fn a_target_that_refuses_is_passed_over_also_with_a_body() {
    run(async {
        let gateway = Gateway::new(&balanced(&[("gone:1", 1), ("up:1", 1)]));
        let upstream = gateway.net.upstream("up:1");
        for request in [GET, POST, GET, POST] {
            assert_eq!(gateway.ask(request).await.status(), 200);
        }
        assert_eq!(upstream.count(), 4);
        assert_eq!(upstream.last().text(), "xy");
        gateway.net.remove("up:1");
        upstream.closes();
        gateway.ask(GET).await;
        let reply = gateway.ask(POST).await;
        assert_eq!((reply.status(), &*reply.code()), (502, "upstream_connect_failed"));
    });
}

#[test]
fn an_upstream_without_targets_says_so() {
    run(async {
        for targets in [&[][..], &[("a:1", 0)]] {
            let gateway = Gateway::new(&balanced(targets));
            let reply = gateway.ask(GET).await;
            assert_eq!((reply.status(), &*reply.code()), (503, "no_target"));
            assert_eq!(reply.header("retry-after"), Some("1"));
        }
    });
}

#[test]
fn who_leaves_before_the_reply_has_been_here_all_the_same() {
    run(async {
        let gateway = Gateway::new(&[service("api", json!({ "url": "http://hang" })), route("all", "api", json!({}))]);
        let mut client = gateway.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(gateway.cells.requests[0].get(), 0);
        drop(client);
        until("it is counted", || gateway.cells.requests[0].get() == 1).await;
        let all: u64 = gateway.cells.requests.iter().map(|count| count.get()).sum();
        assert_eq!(all, 1);
    });
}
