//! More than a worker can do: what is too much is told so at once, and the rest goes on.

use std::time::Duration;

use serde_json::json;
use tidegate_data_plane::limits::Limits;
use tidegate_data_plane::telemetry::Guard;
use tokio::io::DuplexStream;
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::support::client::{Client, Reply};
use crate::support::frames::{self, Raw, frame};
use crate::support::{Gateway, route, run, service, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn gateway(limits: Limits) -> Gateway {
    let gateway =
        Gateway::with_limits(&[service("api", json!({ "url": "http://up" })), route("all", "api", json!({}))], limits);
    gateway.net.upstream("up:80");
    gateway
}

fn acted(gateway: &Gateway, guard: Guard) -> u64 {
    gateway.cells.guards[guard as usize].get()
}

fn assert_overloaded(reply: &Reply) {
    assert_eq!((reply.status(), &*reply.code()), (503, "overloaded"));
    assert_eq!((reply.header("retry-after"), reply.header("connection")), (Some("1"), Some("close")));
}

#[test]
fn while_memory_is_short_requests_are_refused_at_once_and_idle_connections_are_closed() {
    run(async {
        let gateway = gateway(Limits::default());
        let mut idle = gateway.connect();
        assert_eq!(idle.ask(GET).await.status(), 200);
        gateway.pressure.measured(950);
        let begun = Instant::now();
        let mut client = gateway.connect();
        assert_overloaded(&client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").await);
        assert!(begun.elapsed() < Duration::from_millis(10), "nothing is waited for");
        assert!(idle.maybe_reply().await.is_none(), "the idle one is closed");
        assert_eq!(acted(&gateway, Guard::Memory), 1);
        // one that says nothing is not waited for as usual
        let mut silent = gateway.connect();
        assert!(silent.rest().await.is_empty());
        assert!(begun.elapsed() < Duration::from_secs(10));
        gateway.pressure.measured(890);
        assert_overloaded(&gateway.ask(GET).await);
        gateway.pressure.measured(870);
        assert_eq!(gateway.ask(GET).await.status(), 200);
    });
}

#[test]
fn what_is_under_way_when_memory_becomes_short_ends_well() {
    run(async {
        let gateway = gateway(Limits::default());
        gateway.net.serve("up:80", |mut stream: DuplexStream| async move {
            crate::support::upstream::read_head(&mut stream, &mut Vec::new()).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        });
        let mut client = gateway.connect();
        client.send(GET).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        gateway.pressure.measured(1000);
        let reply = client.reply().await;
        assert_eq!((reply.status(), reply.text()), (200, "ok"));
    });
}

#[test]
fn a_connection_too_many_is_told_so_and_closed() {
    run(async {
        let gateway = gateway(Limits::default());
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let served = spawn_local(gateway.worker.clone().shed(theirs, [192, 0, 2, 7].into()));
        let mut client = Client::new(ours, served);
        assert_overloaded(&client.ask(GET).await);
        assert!(client.rest().await.is_empty());
    });
}

#[test]
fn requests_beyond_what_a_worker_may_have_under_way_are_refused() {
    run(async {
        let gateway = gateway(Limits { exchanges_max: 2, ..Limits::default() });
        gateway.net.serve("up:80", |stream: DuplexStream| async move {
            let _held = stream;
            std::future::pending::<()>().await;
        });
        let mut held = [gateway.connect(), gateway.connect()];
        for client in &mut held {
            client.send(GET).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_overloaded(&gateway.ask(GET).await);
        assert_eq!(acted(&gateway, Guard::Exchanges), 1);
        drop(held);
        until("there is room again", || gateway.worker.connections() == 0).await;
        gateway.net.upstream("up:80");
        assert_eq!(gateway.ask(GET).await.status(), 200);
    });
}

#[test]
fn a_connection_carries_so_many_requests_and_the_last_reply_says_so() {
    run(async {
        let gateway = gateway(Limits { client_requests_max: 3, ..Limits::default() });
        let mut client = gateway.connect();
        for number in 1..=3 {
            let reply = client.ask(GET).await;
            let last = (number == 3).then_some("close");
            assert_eq!((reply.status(), reply.header("connection")), (200, last), "request {number}");
        }
        assert!(client.rest().await.is_empty());

        let mut raw = Raw::connect(&gateway, &[]).await;
        for number in 0..3 {
            let flags = frames::END_HEADERS | frames::END_STREAM;
            assert!(raw.send(&frame(frames::HEADERS, flags, 2 * number + 1, frames::GET)).await);
            until("it is answered", || raw.has(frames::HEADERS, 2 * number + 1)).await;
        }
        until("it is told to go", || raw.has(frames::GOAWAY, 0)).await;
        until("it is over", || raw.is_over()).await;
        assert_eq!(acted(&gateway, Guard::Requests), 2);
    });
}

#[test]
fn a_connection_that_is_old_enough_ends_with_its_next_reply() {
    run(async {
        let gateway = gateway(Limits { client_age_max: Duration::from_secs(10), ..Limits::default() });
        let mut client = gateway.connect();
        for _ in 0..3 {
            assert_eq!(client.ask(GET).await.header("connection"), None);
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        tokio::time::sleep(Duration::from_millis(1300)).await;
        assert_eq!(client.ask(GET).await.header("connection"), Some("close"));
        assert!(client.rest().await.is_empty());
        assert_eq!(acted(&gateway, Guard::Age), 1);
    });
}
