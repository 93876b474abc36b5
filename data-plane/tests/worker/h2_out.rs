//! HTTP/2 towards targets: many requests on a connection, further connections when streams run out, and what is sent again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::Request;
use serde_json::json;
use tidegate_data_plane::limits::Limits;
use tidegate_model::Change;
use tokio::io::DuplexStream;
use tokio::task::spawn_local;

use crate::support::h2::{ask, connect, ok, whole};
use crate::support::{Gateway, policy, route, run, service, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy";

fn h2c() -> [Change; 2] {
    [service("api", json!({ "url": "http://up:90/base", "protocol": "h2c" })), route("all", "api", json!({}))]
}

#[test]
fn a_request_of_http_1_becomes_one_of_http_2() {
    run(async {
        let gateway = Gateway::new(&h2c());
        let bodies = Rc::new(RefCell::new(Vec::new()));
        let got = bodies.clone();
        let seen = gateway.net.serve_h2("up:90", 100, move |mut body, mut sender| {
            let got = got.clone();
            async move {
                let (text, _) = whole(&mut body).await.unwrap();
                got.borrow_mut().push(text);
                let mut head = ok();
                head.headers_mut().insert("x-own", "1".parse().unwrap());
                let mut stream = sender.send_response(head, false).unwrap();
                stream.send_data("hel".into(), false).unwrap();
                stream.send_data("lo".into(), true).unwrap();
            }
        });
        let mut client = gateway.connect();
        for framing in ["Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"] {
            let reply = client
                .ask(&format!(
                    "POST /a//b?q=%2f HTTP/1.1\r\nHost: Shop.example\r\nConnection: keep-alive, x\r\nX: 1\r\n{framing}"
                ))
                .await;
            assert_eq!((reply.status(), reply.text(), reply.header("x-own")), (200, "hello", Some("1")));
            assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
        }
        assert_eq!(*bodies.borrow(), ["abc", "abc"]);
        for head in &*seen.requests.borrow() {
            assert_eq!((head.method.as_str(), head.uri.to_string().as_str()), ("POST", "http://up:90/base/a/b?q=%2f"));
            for gone in ["host", "connection", "x", "transfer-encoding", "te"] {
                assert_eq!(head.headers.get(gone), None, "{gone}");
            }
            assert_eq!(head.headers["x-forwarded-host"], "Shop.example");
        }
        assert_eq!(seen.connections.get(), 1);
    });
}

#[test]
fn what_has_no_body_has_none() {
    run(async {
        let gateway = Gateway::new(&h2c());
        gateway.net.serve_h2("up:90", 100, |_, mut sender| async move {
            let mut head = ok();
            head.headers_mut().insert("content-length", "5".parse().unwrap());
            sender.send_response(head, true).unwrap();
        });
        let mut client = gateway.connect();
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let reply = client.reply_head().await;
        assert_eq!((reply.status(), reply.header("content-length")), (200, Some("5")));
        gateway.net.serve_h2("up:90", 100, |_, mut sender| async move {
            let mut head = ok();
            *head.status_mut() = http::StatusCode::NO_CONTENT;
            let mut stream = sender.send_response(head, false).unwrap();
            let _ = stream.send_data("body".into(), true);
        });
        gateway.worker.drain().await;
        let reply = gateway.ask(GET).await;
        assert_eq!(
            (reply.status(), reply.header("content-length"), reply.header("transfer-encoding")),
            (204, None, None)
        );
    });
}

#[test]
fn further_connections_are_made_when_streams_run_out() {
    run(async {
        let gateway = Gateway::new(&h2c());
        let (go, release) = tokio::sync::watch::channel(false);
        let seen = gateway.net.serve_h2("up:90", 3, move |_, mut sender| {
            let mut release = release.clone();
            async move {
                release.wait_for(|go| *go).await.unwrap();
                sender.send_response(ok(), true).unwrap();
            }
        });
        let mut clients: Vec<_> = (0..10).map(|_| gateway.connect()).collect();
        for client in &mut clients {
            client.send(GET).await;
        }
        until("all have reached the target", || seen.count() == 10).await;
        assert_eq!((seen.connections.get(), seen.peak.get()), (4, 3), "the target's own limit holds");
        go.send(true).unwrap();
        for client in &mut clients {
            assert_eq!(client.reply().await.status(), 200);
        }
        for _ in 0..20 {
            assert_eq!(gateway.ask(GET).await.status(), 200);
        }
        assert_eq!(seen.connections.get(), 4, "what stands is used again");
        until("idle connections are closed", || seen.open.get() == 0).await;
    });
}

#[test]
fn who_finds_no_stream_waits_for_one_and_not_without_end() {
    run(async {
        let limits = Limits { upstream_h2_connections_max: 1, upstream_h2_streams_max: 2, ..Limits::default() };
        let gateway = Gateway::with_limits(&h2c(), limits);
        let seen = gateway.net.serve_h2("up:90", 100, |_, mut sender| async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let _ = sender.send_response(ok(), true);
        });
        let mut clients: Vec<_> = (0..6).map(|_| gateway.connect()).collect();
        for client in &mut clients {
            client.send(GET).await;
        }
        let mut statuses = Vec::new();
        for client in &mut clients {
            let reply = client.reply().await;
            if reply.status() == 504 {
                assert_eq!(reply.code(), "upstream_timeout_connect");
            }
            statuses.push(reply.status());
        }
        // two at once, two after 3 s, and the last would have to wait for 6 s
        assert_eq!(statuses, [200, 200, 200, 200, 504, 504]);
        assert_eq!((seen.connections.get(), seen.peak.get()), (1, 2));
    });
}

#[test]
fn a_burst_waits_for_the_connection_that_is_being_made() {
    run(async {
        let gateway = Gateway::new(&h2c());
        let seen = gateway.net.h2_upstream("up:90");
        let (mut sender, _task) = connect(&gateway).await;
        let asked: Vec<_> = (0..50)
            .map(|_| sender.send_request(Request::get("http://a/").body(()).unwrap(), true).unwrap().0)
            .collect();
        for response in asked {
            assert_eq!(response.await.unwrap().status(), 200);
        }
        assert_eq!((seen.count(), seen.connections.get()), (50, 1));
    });
}

/// A target that refuses the first requests it sees, before or after it read their bodies.
fn refusing(gateway: &Gateway, refused: usize, reads: bool, reason: Reason) -> Rc<crate::support::h2::Seen> {
    let left = Rc::new(Cell::new(refused));
    gateway.net.serve_h2("up:90", 100, move |mut body, mut sender| {
        let left = left.clone();
        async move {
            if left.get() > 0 {
                left.set(left.get() - 1);
                if reads {
                    let _ = whole(&mut body).await;
                }
                sender.send_reset(reason);
                return;
            }
            let _ = whole(&mut body).await;
            sender.send_response(ok(), true).unwrap();
        }
    })
}

#[test]
fn what_was_surely_not_looked_at_is_sent_again_but_no_body_twice() {
    run(async {
        for (request, refused, reason, status, sent) in [
            (GET, 1, Reason::REFUSED_STREAM, 200, 2),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 2, Reason::REFUSED_STREAM, 200, 3),
            (GET, 9, Reason::REFUSED_STREAM, 502, 4),
            (POST, 1, Reason::REFUSED_STREAM, 502, 1),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 1, Reason::INTERNAL_ERROR, 502, 1),
            (GET, 1, Reason::INTERNAL_ERROR, 502, 1),
        ] {
            let gateway = Gateway::new(&h2c());
            let seen = refusing(&gateway, refused, true, reason);
            let reply = gateway.ask(request).await;
            assert_eq!((reply.status(), seen.count()), (status, sent), "{request} {reason:?}");
            if status == 502 {
                assert_eq!(reply.code(), "upstream_reset");
            }
        }
    });
}

#[test]
fn a_connection_that_says_goodbye_gets_nothing_new_and_loses_nothing() {
    run(async {
        let gateway = Gateway::new(&h2c());
        let connections = Rc::new(Cell::new(0));
        let count = connections.clone();
        // each connection serves one request, slowly, and says goodbye at once
        gateway.net.serve("up:90", move |stream: DuplexStream| {
            count.set(count.get() + 1);
            async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let Some(Ok((_, mut sender))) = connection.accept().await else { return };
                connection.graceful_shutdown();
                spawn_local(async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    let mut stream = sender.send_response(ok(), false).unwrap();
                    stream.send_data(Bytes::from("late"), true).unwrap();
                });
                while connection.accept().await.is_some() {}
            }
        });
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = gateway.connect();
            client.send(POST).await;
            clients.push(client);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        for client in &mut clients {
            let reply = client.reply().await;
            assert_eq!((reply.status(), reply.text()), (200, "late"));
        }
        assert_eq!(connections.get(), 3);
    });
}

#[test]
fn a_caller_that_leaves_resets_its_stream_and_no_other() {
    run(async {
        let gateway = Gateway::new(&h2c());
        let resets = Rc::new(RefCell::new(Vec::new()));
        let notes = resets.clone();
        let seen = gateway.net.serve_h2("up:90", 100, move |_, mut sender| {
            let resets = notes.clone();
            async move {
                let mut stream = sender.send_response(ok(), false).unwrap();
                stream.send_data("x".into(), false).unwrap();
                let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
                resets.borrow_mut().extend(reason);
            }
        });
        let mut stays = gateway.connect();
        stays.send(GET).await;
        let mut leaves = gateway.connect();
        leaves.send(GET).await;
        until("both are under way", || seen.count() == 2).await;
        drop(leaves);
        until("its stream is reset", || !resets.borrow().is_empty()).await;
        assert_eq!(*resets.borrow(), [Reason::CANCEL]);
        assert_eq!((seen.connections.get(), seen.open.get()), (1, 1));
        gateway.net.h2_upstream("up:90");
        drop(stays);
    });
}

#[test]
fn a_cut_answer_reaches_the_caller_as_cut() {
    run(async {
        for reason in [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR] {
            let gateway = Gateway::new(&h2c());
            gateway.net.serve_h2("up:90", 100, move |_, mut sender| async move {
                let mut stream = sender.send_response(ok(), false).unwrap();
                stream.send_data("half".into(), false).unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
                stream.send_reset(reason);
            });
            let reply = gateway.ask(GET).await;
            assert_eq!((reply.status(), reply.whole), (200, false), "{reason:?}");
            let (mut sender, _task) = connect(&gateway).await;
            let request = Request::get("http://a/").body(()).unwrap();
            let mut body = sender.send_request(request, true).unwrap().0.await.unwrap().into_body();
            assert!(whole(&mut body).await.is_err(), "{reason:?}");
        }
    });
}

#[test]
fn a_request_that_its_caller_resets_is_never_whole_upstream() {
    run(async {
        for reason in [Reason::NO_ERROR, Reason::CANCEL] {
            for resources in [[service("api", json!({ "url": "http://up:90" })), route("all", "api", json!({}))], h2c()]
            {
                let gateway = Gateway::new(&resources);
                let plain = gateway.net.upstream("up:90");
                let completed = Rc::new(Cell::new(0));
                let count = completed.clone();
                if resources[0].after.as_ref().is_some_and(|s| s.document.contains("h2c")) {
                    gateway.net.serve_h2("up:90", 100, move |mut body, _| {
                        let completed = count.clone();
                        async move {
                            if whole(&mut body).await.is_ok() {
                                completed.set(completed.get() + 1);
                            }
                        }
                    });
                }
                let (mut sender, _task) = connect(&gateway).await;
                let request = Request::post("http://a/").body(()).unwrap();
                let (_response, mut stream) = sender.send_request(request, false).unwrap();
                stream.send_data("half".into(), false).unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
                stream.send_reset(reason);
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert_eq!((plain.count(), completed.get()), (0, 0), "{reason:?}");
            }
        }
    });
}

#[test]
fn windows_hold_back_a_target_whose_caller_does_not_read() {
    run(async {
        let gateway = Gateway::new(&h2c());
        let sent = Rc::new(Cell::new(0usize));
        let count = sent.clone();
        gateway.net.serve_h2("up:90", 100, move |_, mut sender| {
            let sent = count.clone();
            async move {
                let mut stream = sender.send_response(ok(), false).unwrap();
                while sent.get() < 64 << 20 {
                    stream.reserve_capacity(64 << 10);
                    let Some(Ok(n)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
                    stream.send_data(Bytes::from(vec![0; n]), false).unwrap();
                    sent.set(sent.get() + n);
                }
            }
        });
        let mut client = gateway.connect();
        client.send(GET).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(sent.get() < 2 << 20, "{} bytes were taken", sent.get());
        until("the exchange is cut", || client.is_over()).await;
    });
}

#[test]
fn an_answer_that_breaks_the_rules_is_none() {
    run(async {
        let gateway = Gateway::new(&h2c());
        for (name, values) in [("content-length", &["1", "1"][..]), ("content-length", &["+1"]), ("connection", &["x"])]
        {
            gateway.net.serve_h2("up:90", 100, move |_, mut sender| async move {
                let mut head = ok();
                for value in values {
                    head.headers_mut().append(name, value.parse().unwrap());
                }
                if let Ok(mut stream) = sender.send_response(head, false) {
                    let _ = stream.send_data("x".into(), true);
                }
            });
            gateway.worker.drain().await;
            let reply = gateway.ask(GET).await;
            assert_eq!((reply.status(), reply.whole), (502, true), "{name} {values:?}");
        }
    });
}

#[test]
fn who_speaks_http_1_where_http_2_is_expected_is_not_reached() {
    run(async {
        let gateway = Gateway::new(&h2c());
        gateway.net.upstream("up:90");
        let reply = gateway.ask(GET).await;
        assert_eq!((reply.status(), &*reply.code()), (502, "upstream_connect_failed"));
    });
}

#[test]
fn a_policy_that_wants_whole_bodies_has_them() {
    run(async {
        let [api, all] = h2c();
        let gateway = Gateway::new(&[api, all, policy("size", "all", "request-size", json!({ "max": "3B" }))]);
        let seen = gateway.net.h2_upstream("up:90");
        assert_eq!(gateway.ask(POST).await.text(), "ok");
        let large = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n";
        assert_eq!(gateway.ask(large).await.status(), 413);
        let (mut sender, _task) = connect(&gateway).await;
        let (head, text) = ask(&mut sender, Request::get("http://a/").body(()).unwrap()).await;
        assert_eq!((head.status().as_u16(), &*text), (200, "ok"));
        assert!(seen.connections.get() == 1);
    });
}
