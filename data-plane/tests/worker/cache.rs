//! Answers that are kept: what callers get and what reaches the API. The rules, section by section, are tested in
//! engine/policy/src/cache.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_data_plane::limits::Limits;
use tidegate_data_plane::ports::Responses;
use tidegate_model::{Change, Instant};
use tidegate_policy::{Clock, Purge};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;

use crate::support::client::{Message, Reply};
use crate::support::upstream::{Upstream, read_head};
use crate::support::{Gateway, policy, route, run, service, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A clock that is turned by hand.
#[derive(Default)]
struct Hand(AtomicI64);

impl Hand {
    fn turn(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Instant {
        Instant::from_millis(1_800_000_000_000 + self.0.load(Ordering::Relaxed))
    }
}

struct Kept {
    gateway: Gateway,
    upstream: Upstream,
    clock: Arc<Hand>,
    responses: Arc<Responses>,
}

fn resources(config: Value, others: &[Change]) -> Vec<Change> {
    let mut all = vec![
        service("api", json!({ "url": "http://up" })),
        route("all", "api", json!({})),
        policy("kept", "all", "cache", config),
    ];
    all.extend_from_slice(others);
    all
}

impl Kept {
    fn new(config: Value) -> Self {
        Kept::with(config, &[], Limits::default())
    }

    fn with(config: Value, others: &[Change], limits: Limits) -> Self {
        let clock = Arc::<Hand>::default();
        let responses = Arc::new(Responses::new(&limits));
        let gateway = Gateway::with_parts(&resources(config, others), |parts| {
            parts.clock = clock.clone();
            parts.responses = responses.clone();
            parts.limits = limits;
        });
        let upstream = gateway.net.upstream("up:80");
        Kept { gateway, upstream, clock, responses }
    }

    fn says(&self, cache_control: &str, body: &str) {
        let length = body.len();
        self.upstream.answers(format!(
            "HTTP/1.1 200 OK\r\nCache-Control: {cache_control}\r\nContent-Length: {length}\r\nETag: \"{body}\"\r\nX-A: 1\r\nX-A: 2\r\n\r\n{body}"
        ));
    }

    async fn get(&self) -> Reply {
        self.gateway.ask(GET).await
    }

    fn outcomes(&self) -> [u64; 5] {
        std::array::from_fn(|at| self.gateway.cells.cached[at].get())
    }
}

#[test]
fn the_second_caller_gets_what_the_first_one_got_and_the_api_hears_of_one() {
    run(async {
        let kept = Kept::new(json!({}));
        kept.says("max-age=60", "one");
        let first = kept.get().await;
        let second = kept.get().await;
        assert_eq!((first.text(), second.text(), kept.upstream.count()), ("one", "one", 1));
        assert_eq!((second.all("x-a"), second.header("age")), (vec!["1", "2"], Some("0")));
        assert_eq!(second.header("cache-status"), Some("tidegate; hit; ttl=60"));
        assert_ne!(first.header("x-request-id"), second.header("x-request-id"), "each has an id of its own");
        assert_eq!(second.all("x-request-id").len(), 1);
        let mut client = kept.gateway.connect();
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let head = client.reply_head().await;
        assert_eq!((head.status(), head.header("content-length"), kept.upstream.count()), (200, Some("3"), 1));
        assert_eq!(client.ask(GET).await.text(), "one", "the connection goes on");
        let same = client.ask("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"one\"\r\n\r\n").await;
        assert_eq!((same.status(), same.header("content-length")), (304, None));
        assert_eq!(kept.outcomes(), [4, 0, 0, 1, 0]);
        assert_eq!(
            kept.gateway.metrics().sum("tidegate_gateway_replies_total"),
            0.0,
            "a kept answer is no reply of the gateway's own"
        );
    });
}

#[test]
fn bodies_in_chunks_are_kept_whole_and_large_ones_pass() {
    run(async {
        let kept = Kept::new(json!({ "max_object": "8B" }));
        let chunked = |chunks: &str| {
            format!(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
            )
        };
        kept.upstream.answers(chunked("3\r\nabc\r\n5\r\ndefgh\r\n"));
        kept.get().await;
        let second = kept.get().await;
        assert_eq!((second.text(), second.header("content-length"), kept.upstream.count()), ("abcdefgh", Some("8"), 1));
        kept.upstream.answers(chunked("5\r\nabcde\r\n4\r\nfghi\r\n"));
        for _ in 0..2 {
            assert_eq!(kept.gateway.ask("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.text(), "abcdefghi");
        }
        assert_eq!(kept.upstream.count(), 3);
    });
}

#[test]
fn what_is_cut_is_not_kept() {
    run(async {
        let kept = Kept::new(json!({}));
        kept.upstream.answers("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 9\r\n\r\nabc");
        kept.upstream.closes();
        assert!(!kept.get().await.whole);
        assert_eq!(kept.responses.status().entries, 0);
        kept.says("max-age=60", "one");
        assert_eq!(kept.get().await.text(), "one");
    });
}

/// A target that answers once it is told to.
fn slow(gateway: &Gateway, head: &'static str) -> (Rc<Cell<usize>>, Rc<Notify>) {
    let (count, go) = (Rc::new(Cell::new(0)), Rc::new(Notify::new()));
    let (counts, waits) = (count.clone(), go.clone());
    gateway.net.serve("up:80", move |mut stream: DuplexStream| {
        let (count, go) = (counts.clone(), waits.clone());
        async move {
            while !read_head(&mut stream, &mut Vec::new()).await.is_empty() {
                count.set(count.get() + 1);
                go.notified().await;
                let answer = format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 3\r\n\r\none");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    });
    (count, go)
}

/// So many callers ask at once.
fn callers(gateway: &Gateway, n: usize) -> Rc<RefCell<Vec<Message>>> {
    let replies = Rc::new(RefCell::new(Vec::new()));
    for _ in 0..n {
        let (mut client, replies) = (gateway.connect(), replies.clone());
        tokio::task::spawn_local(async move {
            let reply = client.ask(GET).await;
            replies.borrow_mut().push(reply);
        });
    }
    replies
}

#[test]
fn of_many_that_ask_at_once_one_reaches_the_api() {
    run(async {
        let kept = Kept::new(json!({}));
        let (count, go) = slow(&kept.gateway, "Cache-Control: max-age=60\r\n");
        let replies = callers(&kept.gateway, 50);
        until("all but one wait", || kept.responses.status().waited == 49).await;
        assert_eq!(count.get(), 1);
        go.notify_one();
        until("all have it", || replies.borrow().len() == 50).await;
        assert!(replies.borrow().iter().all(|reply| reply.text() == "one"));
        assert_eq!(count.get(), 1);
        let collapsed = |reply: &&Message| reply.header("cache-status").is_some_and(|s| s.contains("collapsed"));
        assert_eq!(replies.borrow().iter().filter(collapsed).count(), 49);
    });
}

#[test]
fn when_it_turns_out_to_be_for_one_alone_the_others_ask_for_themselves() {
    run(async {
        let kept = Kept::new(json!({}));
        let (count, go) = slow(&kept.gateway, "Cache-Control: private\r\n");
        let replies = callers(&kept.gateway, 10);
        until("all but one wait", || kept.responses.status().waited == 9).await;
        go.notify_one();
        until("the others ask", || count.get() == 10).await;
        for _ in 0..9 {
            go.notify_one();
            tokio::task::yield_now().await;
        }
        until("all have it", || {
            go.notify_waiters();
            replies.borrow().len() == 10
        })
        .await;
    });
}

#[test]
fn who_fetches_for_others_may_leave() {
    run(async {
        let kept = Kept::new(json!({}));
        let (count, go) = slow(&kept.gateway, "Cache-Control: max-age=60\r\n");
        let mut leader = kept.gateway.connect();
        leader.send(GET).await;
        until("it asks", || count.get() == 1).await;
        let replies = callers(&kept.gateway, 5);
        until("the others wait", || kept.responses.status().waited == 5).await;
        drop(leader);
        until("another asks", || count.get() == 2).await;
        // the one that left waits for its turn too
        go.notify_waiters();
        until("all have it", || {
            go.notify_waiters();
            replies.borrow().len() == 5
        })
        .await;
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn nobody_waits_for_another_for_longer_than_it_may() {
    run(async {
        let limits = Limits { cache_wait: Duration::from_secs(2), ..Limits::default() };
        let kept = Kept::with(json!({}), &[], limits);
        let (count, _go) = slow(&kept.gateway, "Cache-Control: max-age=60\r\n");
        let _replies = callers(&kept.gateway, 3);
        until("all ask", || count.get() == 3).await;
    });
}

#[test]
fn a_stale_answer_goes_out_at_once_and_is_fetched_anew_once() {
    run(async {
        let kept = Kept::new(json!({}));
        kept.says("max-age=60, stale-while-revalidate=60", "one");
        kept.get().await;
        let (count, go) = slow(&kept.gateway, "Cache-Control: max-age=60\r\n");
        // the connection that is kept leads to the first target still: it says so
        kept.upstream
            .answers("HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60, stale-while-revalidate=60\r\n\r\n");
        kept.clock.turn(70);
        for _ in 0..5 {
            let reply = kept.get().await;
            assert_eq!((reply.text(), reply.status()), ("one", 200));
        }
        until("it was asked whether that still holds", || kept.upstream.count() == 2).await;
        until("and it is fresh again", || kept.gateway.cells.cache_refreshes.get() == 1).await;
        let last = kept.upstream.last();
        assert_eq!(last.header("if-none-match"), Some("\"one\""));
        assert!(last.header("x-forwarded-for").is_some() && last.header("via").is_some(), "{last:?}");
        until("a caller gets a fresh one", || true).await;
        assert_eq!(kept.get().await.header("cache-status"), Some("tidegate; hit; ttl=60"));
        assert_eq!((count.get(), kept.upstream.count()), (0, 2));
        go.notify_one();
        assert_eq!(kept.gateway.cells.requests.iter().map(|c| c.get()).sum::<u64>(), 7, "it is nobody's request");
    });
}

#[test]
fn another_body_fetched_in_the_background_is_what_the_next_caller_gets() {
    run(async {
        let kept = Kept::new(json!({ "stale_while_revalidate": "1m" }));
        kept.says("max-age=60", "one");
        kept.get().await;
        kept.says("max-age=60", "two");
        kept.clock.turn(70);
        assert_eq!(kept.get().await.text(), "one");
        until("the new one is kept", || kept.responses.status().stored == 2).await;
        assert_eq!(kept.get().await.text(), "two");
        assert_eq!(kept.upstream.count(), 2);
        until("nothing of it is left", || kept.gateway.worker.connections() == 0).await;
    });
}

#[test]
fn background_requests_are_bounded() {
    run(async {
        let limits = Limits { cache_refreshes_max: 0, ..Limits::default() };
        let kept = Kept::with(json!({ "stale_while_revalidate": "1m" }), &[], limits);
        kept.says("max-age=60", "one");
        kept.get().await;
        kept.clock.turn(70);
        assert_eq!((kept.get().await.text(), kept.get().await.text()), ("one", "one"));
        let cells = &kept.gateway.cells;
        assert_eq!(
            (cells.cache_refreshes_crowded.get(), cells.cache_refreshes.get(), kept.upstream.count()),
            (2, 0, 1)
        );
    });
}

#[test]
fn a_dead_api_is_answered_for_where_that_is_said() {
    run(async {
        for (config, status) in [(json!({ "stale_if_error": "1h" }), 200), (json!({}), 502)] {
            let kept = Kept::new(config);
            kept.says("max-age=60", "one");
            kept.upstream.closes();
            kept.get().await;
            kept.gateway.net.remove("up:80");
            kept.clock.turn(70);
            let reply = kept.get().await;
            assert_eq!(reply.status(), status);
            if status == 200 {
                assert_eq!((reply.text(), reply.header("age"), reply.all("x-a")), ("one", Some("70"), vec!["1", "2"]));
                assert_eq!(reply.header("content-type"), None, "no trace of the problem");
                assert_eq!(kept.gateway.metrics().sum("tidegate_gateway_replies_total"), 0.0);
            } else {
                assert_eq!(reply.code(), "upstream_connect_failed");
            }
        }
        let kept = Kept::new(json!({ "stale_if_error": "1h" }));
        kept.says("max-age=60", "one");
        kept.get().await;
        kept.upstream.answers("HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nerror");
        kept.clock.turn(70);
        let mut client = kept.gateway.connect();
        for _ in 0..3 {
            let reply = client.ask(GET).await;
            assert_eq!((reply.status(), reply.text()), (200, "one"));
        }
    });
}

#[test]
fn a_time_out_is_answered_for_too() {
    run(async {
        let kept = Kept::new(json!({ "stale_if_error": "1h" }));
        kept.says("max-age=60", "one");
        kept.upstream.closes();
        kept.get().await;
        kept.clock.turn(70);
        let (count, _go) = slow(&kept.gateway, "");
        let reply = kept.get().await;
        assert_eq!((reply.status(), reply.text(), count.get()), (200, "one", 1));
    });
}

#[test]
fn a_kept_answer_is_compressed_for_who_takes_it_and_others_act_on_it_too() {
    run(async {
        let body = "a text that is worth it ".repeat(4000);
        let squeeze = policy("small", "all", "compression", json!({}));
        let kept = Kept::with(json!({}), &[squeeze], Limits::default());
        kept.upstream.answers(format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/plain\r\nETag: \"x\"\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let ask = |accept: &str| format!("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accept}\r\n\r\n");
        for accept in ["gzip", "br", "identity", "zstd", "gzip"] {
            let reply = kept.gateway.ask(&ask(accept)).await;
            let coding = (accept != "identity").then_some(accept);
            assert_eq!((reply.status(), reply.header("content-encoding")), (200, coding), "{accept}");
            assert_eq!(reply.header("vary"), Some("accept-encoding"));
            assert!(reply.whole, "{accept}");
            match coding {
                None => assert!(reply.text() == body && reply.header("etag") == Some("\"x\"")),
                Some(_) => {
                    assert!(reply.body.len() < 1000 && reply.header("etag") == Some("W/\"x\""), "{accept}");
                    assert_eq!(reply.header("content-length"), None, "{accept}");
                }
            }
        }
        assert_eq!(kept.upstream.count(), 1, "what is kept is what the API said, for all of them");
        let stored = kept.responses.status();
        assert!(stored.bytes > body.len() as u64, "{stored:?}");
    });
}

#[test]
fn callers_with_keys_are_kept_apart() {
    run(async {
        for (authorized, said, asked) in [
            ("public-only", "max-age=60", 4),
            ("public-only", "public, max-age=60", 1),
            ("never", "public, max-age=60", 4),
            ("by-consumer", "max-age=60", 2),
        ] {
            let kept = Kept::new(json!({ "authorized": authorized }));
            kept.says(said, "one");
            for token in ["a", "b", "a", "b"] {
                let request = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
                kept.gateway.ask(&request).await;
            }
            assert_eq!(kept.upstream.count(), asked, "{authorized} {said}");
        }
    });
}

#[test]
fn a_get_with_a_body_and_a_range_pass_by() {
    run(async {
        let kept = Kept::new(json!({}));
        kept.says("max-age=60", "evil");
        for fat in [
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n",
        ] {
            assert_eq!(kept.gateway.ask(fat).await.header("cache-status"), Some("tidegate; fwd=bypass"));
        }
        kept.says("max-age=60", "one");
        assert_eq!(kept.get().await.text(), "one");
    });
}

#[test]
fn a_change_by_another_method_and_a_changed_route_or_config_find_nothing() {
    run(async {
        let kept = Kept::new(json!({}));
        kept.says("max-age=60", "one");
        kept.get().await;
        kept.says("max-age=60", "two");
        assert_eq!(kept.get().await.text(), "one");
        kept.gateway.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(kept.get().await.text(), "two");
        kept.says("max-age=60", "three");
        kept.gateway.publish(&resources(json!({ "default_ttl": "1m" }), &[]));
        assert_eq!(kept.get().await.text(), "three", "another config");
        kept.says("max-age=60", "four");
        assert_eq!(kept.get().await.text(), "three");
        assert_eq!(kept.responses.purge(&Purge::ALL), 2);
        assert_eq!(kept.get().await.text(), "four", "purged");
    });
}

#[test]
fn metrics_tell_of_it() {
    run(async {
        let kept = Kept::new(json!({}));
        kept.says("max-age=60", "one");
        kept.get().await;
        kept.get().await;
        let metrics = kept.gateway.metrics();
        for (outcome, count) in [("hit", 1.0), ("miss", 1.0), ("stale", 0.0)] {
            let series = format!("tidegate_cache_requests_total{{outcome=\"{outcome}\"}}");
            assert_eq!(metrics.value(&series), Some(count), "{outcome}");
        }
    });
}
