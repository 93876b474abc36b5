//! HTTP/2 callers that make work and bring nothing: each is ended after a bounded number of bytes, and others are served.

use serde_json::json;
use tidegate_data_plane::limits::Limits;
use tidegate_data_plane::telemetry::Guard;
use tokio::io::DuplexStream;

use crate::support::frames::*;
use crate::support::{Gateway, route, run, service, until};

/// What the node may have taken of a flood by the time it ends it.
const TAKEN_MAX: usize = 2 << 20;

/// Everything hangs, but `/ok`.
fn gateway() -> Gateway {
    let gateway = Gateway::new(&[
        service("hangs", json!({ "url": "http://hangs" })),
        service("api", json!({ "url": "http://up" })),
        route("all", "hangs", json!({})),
        route("ok", "api", json!({ "match": { "path": "/ok" } })),
    ]);
    gateway.net.upstream("up:80");
    gateway.net.serve("hangs:80", |stream: DuplexStream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    });
    gateway
}

fn acted(gateway: &Gateway, guard: Guard) -> u64 {
    gateway.cells.guards[guard as usize].get()
}

/// Sends `first`, then what `next` makes, until the node ends the connection.
async fn flood(what: &str, first: Vec<u8>, mut next: impl FnMut(u32) -> Vec<u8>) {
    let gateway = gateway();
    let mut raw = Raw::connect(&gateway, &[]).await;
    assert!(raw.send(&first).await, "{what}");
    let mut sent = 0;
    for number in 0.. {
        let bytes = next(number);
        sent += bytes.len();
        if !raw.send(&bytes).await {
            break;
        }
        assert!(sent < TAKEN_MAX, "{what}: {sent} bytes were taken");
        // the other side has its turn
        tokio::task::yield_now().await;
    }
    until(&format!("{what}: the connection is over"), || raw.is_over()).await;
    let told = raw.came().iter().any(|came| came.kind == GOAWAY && came.payload[4..8] != [0; 4]);
    assert!(told || what.contains("reset"), "{what}: {:?}", raw.came().last());
    let guards = acted(&gateway, Guard::H2Frames) + acted(&gateway, Guard::H2Flood);
    // a head that is far too large is a mistake to the codec, not a flood
    assert_eq!(guards, u64::from(what != "large continuation"), "{what}");
    until(&format!("{what}: nothing is left"), || gateway.worker.connections() == 0).await;
    assert_eq!(gateway.ask("GET /ok HTTP/1.1\r\nHost: a\r\n\r\n").await.status(), 200, "{what}");
}

fn stream(number: u32) -> u32 {
    2 * number + 1
}

#[test]
fn frames_that_bring_nothing() {
    run(async {
        let post = frame(HEADERS, END_HEADERS, 1, POST);
        flood("ping", vec![], |_| frame(PING, 0, 0, &[0; 8])).await;
        flood("settings", vec![], |_| frame(SETTINGS, 0, 0, &[])).await;
        flood("settings with values", vec![], |n| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, (n % 256) as u8, 1])).await;
        flood("priority", vec![], |n| frame(PRIORITY, 0, stream(n), &[0, 0, 0, 0, 1])).await;
        flood("unknown frames", vec![], |_| frame(0xfe, 0, 0, b"x")).await;
        flood("windows of the connection", vec![], |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])).await;
        flood("windows of a stream", post.clone(), |_| frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])).await;
        flood("empty data", post.clone(), |_| frame(DATA, 0, 1, &[])).await;
        flood("data that is padding", post, |_| frame(DATA, 8, 1, &[10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])).await;
    });
}

#[test]
fn heads_without_end() {
    run(async {
        let open = frame(HEADERS, 0, 1, GET);
        flood("empty continuation", open.clone(), |_| frame(CONTINUATION, 0, 1, &[])).await;
        // each a header line of its own
        flood("continuation", open.clone(), |_| frame(CONTINUATION, 0, 1, &[0x40, 1, b'a', 1, b'b'])).await;
        flood("large continuation", open, |_| {
            let mut line = vec![0x40, 1, b'a', 0x7f, 0x81, 0x7f];
            line.resize(line.len() + 16_000, b'b');
            frame(CONTINUATION, 0, 1, &line)
        })
        .await;
    });
}

#[test]
fn requests_given_up_at_once() {
    run(async {
        flood("rapid reset", vec![], |n| {
            let mut both = frame(HEADERS, END_HEADERS | END_STREAM, stream(n), GET);
            both.extend(frame(RST_STREAM, 0, stream(n), &[0, 0, 0, 8]));
            both
        })
        .await;
        // as before, but the node itself has to reset: a window may not grow that far
        flood("made you reset", vec![], |n| {
            let mut both = frame(HEADERS, END_HEADERS | END_STREAM, stream(n), GET);
            both.extend(frame(WINDOW_UPDATE, 0, stream(n), &[0x7f, 0xff, 0xff, 0xff]));
            both
        })
        .await;
        // as before, once the request is on its way
        flood("reset for a body that is longer than it said", vec![], |n| {
            let mut all = frame(HEADERS, END_HEADERS, stream(n), &[POST, &[0x0f, 13, 1, b'1']].concat());
            all.extend(frame(DATA, END_STREAM, stream(n), b"22"));
            all
        })
        .await;
    });
}

/// A head of few bytes that is large once it is unpacked: it is refused, and so are the next ones.
async fn bomb(what: &str, entry: &[u8], times: usize) {
    let gateway = gateway();
    let mut raw = Raw::connect(&gateway, &[]).await;
    let mut head = GET.to_vec();
    head.extend(entry);
    // what was just put into the table, again and again
    head.resize(head.len() + times, 0xbe);
    assert!(head.len() < 16 << 10, "{what}");
    for number in 0..8 {
        if !raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &head)).await {
            break;
        }
    }
    let refused = |came: &Came| came.kind == GOAWAY || came.kind == RST_STREAM || came.kind == HEADERS;
    until(&format!("{what}: it is refused"), || raw.is_over() || raw.came().iter().any(refused)).await;
    assert_eq!(gateway.cells.requests[2].get(), 0, "{what}: none was served");
    assert_eq!(gateway.ask("GET /ok HTTP/1.1\r\nHost: a\r\n\r\n").await.status(), 200, "{what}");
}

#[test]
fn heads_that_unpack_to_more_than_they_are() {
    run(async {
        let mut large = vec![0x40, 1, b'a', 0x7f, 0x81, 0x1e];
        large.resize(large.len() + 4000, b'x');
        bomb("one large line many times", &large, 10_000).await;
        bomb("many lines with next to nothing", &[0x40, 1, b'a', 0], 16_000).await;
        bomb("a few too many lines", &[0x40, 1, b'a', 0], 120).await;
        bomb("cookie crumbs", &[0x60, 1, b'a'], 2000).await;
    });
}

#[test]
fn a_reply_held_by_a_window_of_nothing_ends() {
    run(async {
        let gateway = gateway();
        let mut raw = Raw::connect(&gateway, &[(4, 0)]).await;
        // one is answered by the gateway, one by its target
        let refused = [0x82, 0x86, 0x44, 7, b'/', b'%', b'2', b'f', b'/', b'a', b'b', 0x41, 1, b'a'];
        let ok = [0x82, 0x86, 0x44, 3, b'/', b'o', b'k', 0x41, 1, b'a'];
        assert!(raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &refused)).await);
        assert!(raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &ok)).await);
        until("both heads came", || raw.has(HEADERS, 1) && raw.has(HEADERS, 3)).await;
        let begun = tokio::time::Instant::now();
        until("both are reset", || raw.has(RST_STREAM, 1) && raw.has(RST_STREAM, 3)).await;
        let (took, due) = (begun.elapsed(), Limits::default().client_write);
        assert!((due..due + due / 10).contains(&took), "{took:?}");
        assert_eq!(acted(&gateway, Guard::Write), 2);
        assert!(!raw.is_over(), "the connection itself goes on");
    });
}

#[test]
fn lively_callers_may_send_as_many_frames_as_they_like() {
    run(async {
        let gateway = gateway();
        let mut raw = Raw::connect(&gateway, &[]).await;
        let ok = [0x82, 0x86, 0x44, 3, b'/', b'o', b'k', 0x41, 1, b'a'];
        for number in 0..2000 {
            for _ in 0..4 {
                assert!(raw.send(&frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])).await, "request {number}");
            }
            assert!(raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &ok)).await);
            until("it is answered", || raw.has(HEADERS, stream(number))).await;
        }
        // and a ping every now and then, for an hour
        for _ in 0..70 {
            assert!(raw.send(&frame(PING, 0, 0, &[0; 8])).await);
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        assert_eq!(acted(&gateway, Guard::H2Frames), 0);
    });
}
