//! The sample upstream, as its callers meet it.

use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_testkit::upstream::Upstream;

async fn get(upstream: &Upstream, target: &str) -> reqwest::Response {
    reqwest::get(format!("{}{target}", upstream.url())).await.expect("the upstream answers")
}

#[tokio::test]
async fn it_tells_what_reached_it_and_counts() {
    let upstream = Upstream::start_named("orders").unwrap();
    let request = reqwest::Client::new().post(format!("{}/orders/1?full=yes", upstream.url()));
    let answer = request.header("x-tag", "a").header("x-tag", "b").body("12345").send().await.unwrap();
    assert_eq!(answer.headers()["x-upstream-name"], "orders");
    let told: Value = answer.json().await.unwrap();
    assert_eq!(told["method"], "POST");
    assert_eq!(told["path"], "/orders/1");
    assert_eq!(told["query"], "full=yes");
    assert_eq!(told["headers"]["x-tag"], "a, b");
    assert_eq!(told["body_bytes"], 5);
    assert_eq!(told["request"], 1);
    assert_eq!(upstream.requests(), 1);
    assert_eq!(upstream.last().unwrap().target, "/orders/1?full=yes");

    let count: Value = get(&upstream, "/requests/0").await.json().await.unwrap();
    assert_eq!(count["requests"], 1, "asking for the count does not count");
}

#[tokio::test]
async fn status_and_delay_are_as_asked() {
    let upstream = Upstream::start().unwrap();
    let start = Instant::now();
    assert_eq!(get(&upstream, "/x/delay/60ms/status/503").await.status(), 503);
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn bodies_come_whole_chunked_or_cut() {
    let upstream = Upstream::start().unwrap();
    let whole = get(&upstream, "/bytes/200000").await;
    assert_eq!(whole.content_length(), Some(200_000));
    assert_eq!(whole.bytes().await.unwrap().len(), 200_000);

    let chunked = get(&upstream, "/chunks/3").await;
    assert_eq!(chunked.headers()["transfer-encoding"], "chunked");
    assert_eq!(chunked.text().await.unwrap(), "chunk 0\nchunk 1\nchunk 2\n");

    let mut cut = get(&upstream, "/cut/1000").await;
    assert_eq!(cut.content_length(), Some(2_000));
    assert_eq!(cut.chunk().await.unwrap().map(|piece| piece.len()), Some(1_000));
    assert!(cut.chunk().await.is_err());
}

#[tokio::test]
async fn events_tick() {
    let upstream = Upstream::start().unwrap();
    let events = get(&upstream, "/sse/3").await;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    assert_eq!(events.text().await.unwrap().matches("data: tick").count(), 3);
}

#[tokio::test]
async fn it_can_go_away_and_come_back_where_it_was() {
    let mut upstream = Upstream::start().unwrap();
    let address = upstream.address();
    assert_eq!(get(&upstream, "/").await.status(), 200);
    upstream.stop();
    assert!(reqwest::get(upstream.url()).await.is_err());
    upstream.start_again().unwrap();
    assert_eq!(upstream.address(), address);
    assert_eq!(get(&upstream, "/").await.status(), 200);
    assert_eq!(upstream.requests(), 2);
}
