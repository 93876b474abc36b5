//! Bodies: streamed both ways with backpressure, held whole where a policy wants it, cut where they were cut.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::support::upstream::{Upstream, read_head};
use crate::support::{Gateway, policy, route, run, service, until};

const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

fn bounded(config: serde_json::Value) -> (Gateway, Upstream) {
    let gateway = Gateway::new(&[
        service("api", json!({ "url": "http://up" })),
        route("all", "api", json!({})),
        policy("size", "all", "request-size", config),
    ]);
    let upstream = gateway.net.upstream("up:80");
    (gateway, upstream)
}

#[test]
fn pieces_go_on_as_they_come_both_ways() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let got = Rc::new(RefCell::new(Vec::new()));
        let collects = got.clone();
        // answers each piece of the request with a piece, before the request is over
        gateway.net.serve("up:80", move |mut stream: DuplexStream| {
            let got = collects.clone();
            async move {
                let mut came = Vec::new();
                read_head(&mut stream, &mut came).await;
                got.borrow_mut().append(&mut came);
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
                let mut buffer = [0; 1024];
                loop {
                    let n = stream.read(&mut buffer).await.unwrap_or(0);
                    if n == 0 {
                        return;
                    }
                    got.borrow_mut().extend_from_slice(&buffer[..n]);
                    stream.write_all(b"2\r\nok\r\n").await.unwrap();
                    if got.borrow().ends_with(b"0\r\n\r\n") {
                        stream.write_all(b"0\r\n\r\n").await.unwrap();
                    }
                }
            }
        });
        let mut client = gateway.connect();
        client.send(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n")).await;
        client.send("3\r\nabc\r\n").await;
        until("the first piece arrives while the request goes on", || got.borrow().starts_with(b"3\r\nabc\r\n")).await;
        let mut early = [0; 512];
        let n = client.stream.read(&mut early).await.unwrap();
        assert!(early[..n].starts_with(b"HTTP/1.1 200"), "the answer is under way too");
        client.send("1\r\nd\r\n0\r\n\r\n").await;
        until("all pieces arrive", || &*got.borrow() == b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n").await;
    });
}

#[test]
fn who_does_not_read_stops_who_writes() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let written = Rc::new(Cell::new(0usize));
        let counts = written.clone();
        gateway.net.serve("up:80", move |mut stream: DuplexStream| {
            let written = counts.clone();
            async move {
                read_head(&mut stream, &mut Vec::new()).await;
                let total = 64 << 20;
                stream
                    .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n").as_bytes())
                    .await
                    .unwrap();
                let piece = vec![7; 16 << 10];
                while written.get() < total && stream.write_all(&piece).await.is_ok() {
                    written.set(written.get() + piece.len());
                }
            }
        });
        let mut client = gateway.connect_with(16 << 10);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        let held = written.get();
        assert!(held < 1 << 20, "{held} bytes are held for a caller that reads none");
        let reply = client.reply().await;
        assert_eq!((reply.body.len(), reply.whole), (64 << 20, true));
    });
}

#[test]
fn a_target_that_does_not_read_stops_the_caller() {
    run(async {
        let (gateway, _) = Gateway::plain();
        gateway.net.serve("up:80", |mut stream: DuplexStream| async move {
            read_head(&mut stream, &mut Vec::new()).await;
            std::future::pending::<()>().await;
        });
        let mut client = gateway.connect_with(16 << 10);
        client.send(format!("{HEAD}Content-Length: {}\r\n\r\n", 64 << 20)).await;
        let piece = vec![7; 16 << 10];
        let mut written = 0;
        while let Ok(done) =
            tokio::time::timeout(std::time::Duration::from_secs(5), client.stream.write_all(&piece)).await
        {
            done.unwrap();
            written += piece.len();
            assert!(written < 1 << 20, "{written} bytes are held for a target that reads none");
        }
    });
}

#[test]
fn a_cut_answer_reaches_the_caller_as_cut() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        upstream.closes();
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n5\r\nx",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
        ] {
            upstream.answers(answer);
            let mut client = gateway.connect();
            let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert!(!reply.whole, "{answer:?}: {reply:?}");
            assert!(client.maybe_reply().await.is_none(), "the connection is over");
        }
        upstream.answers("HTTP/1.1 200 OK\r\n\r\nuntil the end");
        let reply = gateway.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!((reply.text(), reply.whole), ("until the end", true));
        until("four were counted as cut", || gateway.cells.cut.get() == 4).await;
    });
}

#[test]
fn answers_that_could_be_read_in_two_ways_are_none() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        upstream.closes();
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
            "nonsense\r\n\r\n",
        ] {
            upstream.answers(answer);
            let reply = gateway.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!((reply.status(), &*reply.code()), (502, "upstream_invalid"), "{answer:?}");
        }
        upstream.answers(format!("HTTP/1.1 200 OK\r\na: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(2 << 20)));
        let reply = gateway.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!((reply.status(), &*reply.code()), (502, "upstream_invalid"));
    });
}

#[test]
fn a_body_that_says_it_is_too_large_never_starts() {
    run(async {
        for config in [json!({ "max": "10B" }), json!({ "max": "10B", "check": "buffer" })] {
            let (gateway, upstream) = bounded(config);
            let mut client = gateway.connect();
            client.send(format!("{HEAD}Content-Length: 11\r\n\r\n")).await;
            let reply = client.reply().await;
            assert_eq!((reply.status(), &*reply.code()), (413, "body_too_large"));
            assert_eq!((upstream.count(), upstream.connections()), (0, 0));
            let fits = gateway.ask(&format!("{HEAD}Content-Length: 10\r\n\r\n0123456789")).await;
            assert_eq!((fits.status(), upstream.last().text()), (200, "0123456789"));
        }
    });
}

#[test]
fn a_body_that_turns_out_too_large_is_refused_whole_or_midway() {
    run(async {
        let chunks = |n| format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", "4\r\nabcd\r\n".repeat(n));
        for (config, starts) in [(json!({ "max": "10B" }), true), (json!({ "max": "10B", "check": "buffer" }), false)] {
            let (gateway, upstream) = bounded(config);
            let reply = gateway.ask(&chunks(3)).await;
            assert_eq!((reply.status(), &*reply.code()), (413, "body_too_large"));
            assert_eq!(upstream.count(), 0, "no whole request reached the target");
            assert_eq!(upstream.connections(), usize::from(starts));
            until("the target's connection is closed", || upstream.open() == 0).await;
            let fits = gateway.ask(&chunks(2)).await;
            assert_eq!((fits.status(), upstream.last().text()), (200, "abcdabcd"));
            assert_eq!(upstream.last().header("content-length"), (!starts).then_some("8"));
        }
    });
}

#[test]
fn a_reply_to_a_body_that_nobody_read_arrives() {
    run(async {
        let (gateway, _) = bounded(json!({ "max": "10B" }));
        let mut client = gateway.connect_with(4 << 10);
        client.send(format!("{HEAD}Content-Length: 1000000\r\n\r\n")).await;
        // the caller writes on and on, as most do, before it reads
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), client.stream.write_all(&[0; 1_000_000])).await;
        let reply = client.reply().await;
        assert_eq!((reply.status(), &*reply.code()), (413, "body_too_large"));
        until("the connection is over", || client.is_over()).await;
    });
}

#[test]
fn a_caller_that_leaves_midway_leaves_nothing_behind() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let mut client = gateway.connect();
        client.send(format!("{HEAD}Content-Length: 10\r\n\r\nhalf")).await;
        until("the target is reached", || upstream.open() == 1).await;
        drop(client);
        until("its connection is closed", || upstream.open() == 0).await;
        assert_eq!(upstream.count(), 0, "half a body never looks like a whole one");
        until("nothing is under way", || gateway.worker.connections() == 0).await;
    });
}

#[test]
fn a_body_with_broken_framing_is_the_callers_fault() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let mut client = gateway.connect();
        client.send(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\nzz\r\n")).await;
        let reply = client.reply().await;
        assert_eq!((reply.status(), &*reply.code()), (400, "body_broken"));
        assert_eq!(upstream.count(), 0);
    });
}

#[test]
fn an_answer_before_the_body_is_over_is_passed_on() {
    run(async {
        let (gateway, _) = Gateway::plain();
        gateway.net.serve("up:80", |mut stream: DuplexStream| async move {
            read_head(&mut stream, &mut Vec::new()).await;
            stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
            std::future::pending::<()>().await;
        });
        let mut client = gateway.connect();
        client.send(format!("{HEAD}Content-Length: 100\r\n\r\nhalf")).await;
        let reply = client.reply().await;
        assert_eq!((reply.status(), reply.text()), (401, "no"));
        assert!(client.maybe_reply().await.is_none(), "the rest of the body can't be told from a request");
    });
}
