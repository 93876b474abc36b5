//! Each phase has its time-out: none fires early, none much later than it says.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use tidegate_data_plane::telemetry::Guard;

use crate::support::frames::{self, Raw, frame};
use crate::support::upstream::read_head;
use crate::support::{Gateway, route, run, service, service_of, until, upstream_of};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What a time-out may be late by.
const LATE: Duration = Duration::from_millis(250);

fn patient(timeouts: Value) -> Gateway {
    Gateway::new(&[service("api", json!({ "url": "http://up", "timeouts": timeouts })), route("all", "api", json!({}))])
}

/// A target that says these things after these times, then nothing.
fn says(gateway: &Gateway, lines: &'static [(u64, &'static str)]) {
    gateway.net.serve("up:80", move |mut stream: DuplexStream| async move {
        read_head(&mut stream, &mut Vec::new()).await;
        for (after, text) in lines {
            tokio::time::sleep(Duration::from_millis(*after)).await;
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
}

fn assert_took(since: Instant, seconds: f64) {
    let (took, due) = (since.elapsed(), Duration::from_secs_f64(seconds));
    assert!((due..due + LATE).contains(&took), "it took {took:?}, not {due:?}");
}

#[test]
fn connecting() {
    run(async {
        for (timeouts, seconds) in [(json!({}), 5.0), (json!({ "connect": "300ms" }), 0.3)] {
            let gateway = Gateway::new(&[
                service("api", json!({ "url": "http://hang", "timeouts": timeouts })),
                route("all", "api", json!({})),
            ]);
            let begun = Instant::now();
            let reply = gateway.ask(GET).await;
            assert_eq!((reply.status(), &*reply.code()), (504, "upstream_timeout_connect"));
            assert_took(begun, seconds);
        }
    });
}

#[test]
fn the_first_byte() {
    run(async {
        for (timeouts, seconds) in [(json!({}), 60.0), (json!({ "first_byte": "2s" }), 2.0)] {
            let gateway = patient(timeouts);
            // interim answers do not count as one
            says(&gateway, &[(500, "HTTP/1.1 103 Early Hints\r\n\r\n"), (500, "HTTP/1.1 200")]);
            let begun = Instant::now();
            let reply = gateway.ask(GET).await;
            assert_eq!((reply.status(), &*reply.code()), (504, "upstream_timeout_first_byte"));
            assert_took(begun, seconds);
        }
        let gateway = patient(json!({ "first_byte": "2s" }));
        says(&gateway, &[(1900, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]);
        assert_eq!(gateway.ask(GET).await.status(), 200, "in time is in time");
    });
}

#[test]
fn a_pause_within_the_answer() {
    run(async {
        let gateway = patient(json!({ "idle": "2s" }));
        says(&gateway, &[(0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"), (1900, "c"), (1900, "d")]);
        let begun = Instant::now();
        let mut client = gateway.connect();
        let reply = client.ask(GET).await;
        assert_eq!((reply.status(), reply.text(), reply.whole), (200, "abcd", false));
        assert_took(begun, 1.9 + 1.9 + 2.0);
        until("the connection is over", || client.is_over()).await;
    });
}

#[test]
fn the_whole_exchange() {
    run(async {
        let gateway = patient(json!({ "request": "3s" }));
        says(&gateway, &[]);
        let begun = Instant::now();
        let reply = gateway.ask(GET).await;
        assert_eq!((reply.status(), &*reply.code()), (504, "upstream_timeout_request"));
        assert_took(begun, 3.0);
        // however lively it is
        says(
            &gateway,
            &[(0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), (1000, "a"), (1000, "b"), (900, "c"), (900, "d")],
        );
        let begun = Instant::now();
        let reply = gateway.ask(GET).await;
        assert_eq!((reply.text(), reply.whole), ("abc", false));
        assert_took(begun, 3.0);
    });
}

#[test]
fn a_caller_that_pauses_within_its_body() {
    run(async {
        for (timeouts, seconds) in [(json!({}), 30.0), (json!({ "idle": "2s" }), 2.0)] {
            let gateway = patient(timeouts);
            let upstream = gateway.net.upstream("up:80");
            let mut client = gateway.connect();
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").await;
            tokio::time::sleep(Duration::from_secs_f64(seconds * 0.9)).await;
            client.send("a").await;
            let begun = Instant::now();
            let reply = client.reply().await;
            assert_eq!((reply.status(), &*reply.code()), (408, "client_body_timeout"));
            assert_took(begun, seconds);
            until("the target's connection is closed", || upstream.open() == 0).await;
            assert_eq!(upstream.count(), 0);
        }
    });
}

#[test]
fn a_body_that_flows_is_not_cut_however_long_it_takes() {
    run(async {
        let gateway = patient(json!({ "idle": "2s", "first_byte": "2s" }));
        let upstream = gateway.net.upstream("up:80");
        let mut client = gateway.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n").await;
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            client.send("a").await;
        }
        assert_eq!(client.reply().await.status(), 200);
        assert_eq!(upstream.last().body.len(), 20);
    });
}

#[test]
fn a_target_that_takes_nothing() {
    run(async {
        let gateway = patient(json!({ "idle": "2s" }));
        gateway.net.serve("up:80", |mut stream: DuplexStream| async move {
            read_head(&mut stream, &mut Vec::new()).await;
            std::future::pending::<()>().await;
        });
        let mut client = gateway.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 10 << 20)).await;
        // more than is held on the way
        client.stream.write_all(&vec![0; 400 << 10]).await.unwrap();
        let begun = Instant::now();
        let reply = client.reply().await;
        assert_eq!((reply.status(), &*reply.code()), (504, "upstream_timeout_idle"));
        assert_took(begun, 2.0);
    });
}

#[test]
fn a_new_connection_that_says_nothing_and_a_head_that_drips() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let begun = Instant::now();
        let mut silent = gateway.connect();
        assert!(silent.rest().await.is_empty());
        assert_took(begun, 30.0);

        let begun = Instant::now();
        let mut client = gateway.connect();
        for byte in GET.bytes().cycle() {
            if client.stream.write_all(&[byte.to_ascii_lowercase().max(b'a')]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(begun.elapsed() < Duration::from_secs(40), "it drips on");
        }
    });
}

#[test]
fn a_kept_connection_that_says_nothing() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let mut client = gateway.connect();
        client.ask(GET).await;
        let begun = Instant::now();
        assert!(client.rest().await.is_empty());
        assert_took(begun, 75.0);

        // a next head that drips is cut by its own bound
        let mut client = gateway.connect();
        client.ask(GET).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        client.send("GET / HT").await;
        let begun = Instant::now();
        assert!(client.rest().await.is_empty());
        assert_took(begun, 30.0);
    });
}

#[test]
fn a_caller_that_takes_nothing() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        upstream.answers(format!("HTTP/1.1 200 OK\r\nContent-Length: {0}\r\n\r\n{1}", 4 << 20, "x".repeat(4 << 20)));
        let mut client = gateway.connect_with(16 << 10);
        client.send(GET).await;
        let begun = Instant::now();
        until("the connection is ended", || client.is_over()).await;
        assert_took(begun, 30.0);
        until("the target's connection too", || upstream.open() == 0).await;
    });
}

#[test]
fn an_http2_connection_that_says_nothing_after_its_preface() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let begun = Instant::now();
        let raw = Raw::connect(&gateway, &[]).await;
        until("it is ended", || raw.is_over()).await;
        assert_took(begun, 30.0);
        assert_eq!(gateway.cells.guards[Guard::Head as usize].get(), 1);
    });
}

#[test]
fn an_http2_connection_whose_head_drips() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let begun = Instant::now();
        let mut raw = Raw::connect(&gateway, &[]).await;
        let head = frame(frames::HEADERS, 0, 1, frames::GET);
        for byte in head.iter().chain(frame(frames::CONTINUATION, 0, 1, &[b'x'; 200]).iter()) {
            if raw.is_over() || !raw.send(&[*byte]).await {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(raw.is_over());
        assert!(begun.elapsed() < Duration::from_secs(33), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_kept_http2_connection_that_asks_for_nothing() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let mut raw = Raw::connect(&gateway, &[]).await;
        let flags = frames::END_HEADERS | frames::END_STREAM;
        assert!(raw.send(&frame(frames::HEADERS, flags, 1, frames::GET)).await);
        until("it is answered", || raw.has(frames::HEADERS, 1)).await;
        let begun = Instant::now();
        // signs of life are no requests
        while !raw.is_over() && raw.send(&frame(frames::PING, 0, 0, &[0; 8])).await {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let took = begun.elapsed();
        assert!((Duration::from_secs(75)..Duration::from_secs(79)).contains(&took), "{took:?}");
        assert!(raw.has(frames::GOAWAY, 0), "it was told");
    });
}

#[test]
fn a_body_that_comes_drop_by_drop() {
    run(async {
        let gateway = patient(json!({}));
        let upstream = gateway.net.upstream("up:80");
        let mut client = gateway.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").await;
        let begun = Instant::now();
        let reply = loop {
            client.send("a").await;
            tokio::select! {
                reply = client.reply() => break reply,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
            assert!(begun.elapsed() < Duration::from_secs(200), "it drips on");
        };
        assert_eq!((reply.status(), &*reply.code()), (408, "client_body_timeout"));
        assert!((60..62).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        assert_eq!(gateway.cells.guards[Guard::BodyRate as usize].get(), 1);
        until("the target's connection is closed", || upstream.open() == 0).await;
    });
}

#[test]
fn a_slow_body_whose_answer_has_begun_may_take_its_time() {
    run(async {
        let gateway = patient(json!({}));
        gateway.net.serve("up:80", |mut stream: DuplexStream| async move {
            let mut early = Vec::new();
            read_head(&mut stream, &mut early).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
            for _ in early {
                stream.write_all(b"1\r\nx\r\n").await.unwrap();
            }
            let mut byte = [0];
            while stream.read_exact(&mut byte).await.is_ok() {
                if byte[0] == b'z' {
                    break;
                }
                if stream.write_all(b"1\r\nx\r\n").await.is_err() {
                    return;
                }
            }
            stream.write_all(b"0\r\n\r\n").await.unwrap();
        });
        let mut client = gateway.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\n").await;
        for _ in 0..20 {
            client.send("a").await;
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        client.send("z").await;
        let reply = client.reply().await;
        assert_eq!((reply.status(), reply.whole, reply.text()), (200, true, "x".repeat(20).as_str()));
    });
}

#[test]
fn a_target_that_takes_no_connection_in_time_gives_the_next_its_turn() {
    run(async {
        for protocol in ["http1", "h2c"] {
            let gateway = Gateway::new(&[
                upstream_of("pool", &[("hang:1", 1), ("up:1", 1)]),
                service_of(
                    "api",
                    "pool",
                    json!({ "protocol": protocol, "timeouts": { "connect": "1s", "request": "10s" } }),
                ),
                route("all", "api", json!({})),
            ]);
            if protocol == "h2c" {
                gateway.net.h2_upstream("up:1");
            } else {
                gateway.net.upstream("up:1");
            }
            for seconds in [1.0, 0.0, 1.0] {
                let begun = Instant::now();
                let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy";
                let reply = gateway.ask(post).await;
                assert_eq!((reply.status(), reply.text()), (200, "ok"), "{protocol}");
                assert_took(begun, seconds);
            }
        }
    });
}

#[test]
fn and_the_time_of_the_whole_request_bounds_all_tries() {
    run(async {
        let gateway = Gateway::new(&[
            upstream_of("pool", &[("hang:1", 1), ("hang:2", 1), ("hang:3", 1), ("hang:4", 1)]),
            service_of("api", "pool", json!({ "timeouts": { "connect": "2s" } })),
            service_of("short", "pool", json!({ "timeouts": { "connect": "2s", "request": "3s" } })),
            route("all", "api", json!({})),
            route("short", "short", json!({ "match": { "path": "/short" } })),
        ]);
        for (path, seconds, code) in
            [("/", 6.0, "upstream_timeout_connect"), ("/short", 3.0, "upstream_timeout_request")]
        {
            let begun = Instant::now();
            let reply = gateway.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            assert_eq!((reply.status(), &*reply.code()), (504, code));
            let took = begun.elapsed().as_secs_f64();
            assert!((seconds..seconds + 0.75).contains(&took), "{took}");
        }
    });
}
