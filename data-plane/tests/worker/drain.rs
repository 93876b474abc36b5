//! A worker that is told to end: what is under way ends first.

use std::time::Duration;

use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::task::spawn_local;

use crate::support::frames::{self, Raw, frame};
use crate::support::upstream::read_head;
use crate::support::{Gateway, run, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn slow(gateway: &Gateway) {
    gateway.net.serve("up:80", |mut stream: DuplexStream| async move {
        read_head(&mut stream, &mut Vec::new()).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl").await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        stream.write_all(b"ow").await.unwrap();
    });
}

#[test]
fn what_is_under_way_ends_and_what_is_idle_is_closed() {
    run(async {
        let (gateway, _) = Gateway::plain();
        slow(&gateway);
        let mut busy = gateway.connect();
        busy.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let upstream = gateway.net.upstream("up:80");
        let mut idle = gateway.connect();
        idle.ask(GET).await;
        let worker = gateway.worker.clone();
        let drained = spawn_local(async move { worker.drain().await });
        assert!(idle.maybe_reply().await.is_none(), "the idle one is closed");
        until("connections to targets are closed", || upstream.open() == 0).await;
        assert!(!drained.is_finished());
        let reply = busy.reply().await;
        assert_eq!((reply.text(), reply.whole, reply.header("connection")), ("slow", true, Some("close")));
        assert!(busy.rest().await.is_empty());
        drained.await.unwrap();
    });
}

#[test]
fn a_connection_that_came_last_is_served_once() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let mut silent = gateway.connect();
        let worker = gateway.worker.clone();
        let drained = spawn_local(async move { worker.drain().await });
        let mut client = gateway.connect();
        client.send(GET).await;
        let reply = client.reply().await;
        assert_eq!((reply.status(), reply.header("connection")), (200, Some("close")));
        assert!(client.rest().await.is_empty());
        assert!(silent.rest().await.is_empty());
        drained.await.unwrap();
    });
}

#[test]
fn what_does_not_end_is_ended() {
    run(async {
        let (gateway, _) = Gateway::plain();
        slow(&gateway);
        let mut busy = gateway.connect();
        busy.send(GET).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        gateway.worker.end();
        assert!(busy.maybe_reply().await.is_none());
        until("it is gone", || gateway.worker.connections() == 0).await;
    });
}

#[test]
fn a_request_on_its_way_to_an_idle_connection_is_served_and_told_that_it_is_the_last() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let mut kept = gateway.connect();
        let mut asleep = gateway.connect();
        for client in [&mut kept, &mut asleep] {
            assert_eq!(client.ask(GET).await.header("connection"), None);
        }
        let worker = gateway.worker.clone();
        let drained = spawn_local(async move { worker.drain().await });
        tokio::time::sleep(Duration::from_millis(700)).await;
        let reply = kept.ask(GET).await;
        assert_eq!((reply.status(), reply.header("connection")), (200, Some("close")));
        assert!(kept.rest().await.is_empty());
        let begun = tokio::time::Instant::now();
        assert!(asleep.rest().await.is_empty());
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        drained.await.unwrap();
    });
}

#[test]
fn a_stream_that_begins_after_the_first_goodbye_is_served() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let mut raw = Raw::connect(&gateway, &[]).await;
        let request = |stream| frame(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, stream, frames::GET);
        assert!(raw.send(&request(1)).await);
        until("it is answered", || raw.has(frames::HEADERS, 1)).await;
        let worker = gateway.worker.clone();
        let drained = spawn_local(async move { worker.drain().await });
        until("goodbye is said", || raw.has(frames::GOAWAY, 0)).await;
        // the caller has not heard it yet: its acknowledgement is still to come
        let came = raw.came();
        let last = came.iter().find(|came| came.kind == frames::GOAWAY).unwrap();
        assert_eq!(last.payload[..4], [0x7f, 0xff, 0xff, 0xff], "any stream may still come");
        assert!(raw.send(&request(3)).await);
        until("it is answered too", || raw.has(frames::DATA, 3)).await;
        let ping = came.iter().find(|came| came.kind == frames::PING).expect("it asks whether it was heard");
        assert!(raw.send(&frame(frames::PING, 1, 0, &ping.payload)).await);
        until("the connection is over", || raw.is_over()).await;
        drained.await.unwrap();
    });
}
