//! Tokens of an issuer that publishes its keys: real workers, a real issuer, real sockets.

#![expect(clippy::unwrap_used, reason = "a test that can not go on says where it stopped")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tidegate_data_plane::limits::Limits;
use tidegate_testkit::issuer::{Issuer, Says};
use tidegate_testkit::wait::wait_for;

use support::{DEADLINE, Gateway, Signer, quick, set};

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let holds = async || if holds().await { Ok(()) } else { anyhow::bail!("not yet") };
    wait_for(what, DEADLINE, holds).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_a_token_is_let_in_as_its_consumer_and_no_header_says_otherwise() {
    let key = Signer::new("a");
    let issuer = Issuer::start(set(&[&key])).await.unwrap();
    let gateway = Gateway::start(json!({ "jwks_url": issuer.url(), "issuers": ["https://issuer"] }), quick()).await;
    let bearer = format!("Bearer {}", key.token(1));
    let spoofed = [("Authorization", bearer.as_str()), ("X-Consumer-Id", "boss"), ("X-Consumer-Custom-Id", "boss")];
    let (status, reply) = gateway.ask(&spoofed).await;
    assert_eq!(status, 200, "{reply}");
    assert!(reply.contains("c-1") && !reply.contains("boss"), "{reply}");
    assert!(!reply.contains("Bearer") && !reply.to_ascii_lowercase().contains("\"authorization\""), "{reply}");
    assert_eq!(gateway.ask(&[]).await.0, 401);
    let twice = [("Authorization", bearer.as_str()), ("Authorization", bearer.as_str())];
    assert_eq!(gateway.ask(&twice).await.0, 401, "two tokens");
    for number in 0..50 {
        assert_eq!(gateway.show(&key.token(number)).await, 200);
    }
    assert_eq!(issuer.asked(), 1, "one fetch for two workers and all requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_under_load_without_a_failed_request() {
    let first = Signer::new("k0");
    let issuer = Issuer::start(set(&[&first])).await.unwrap();
    let gateway = Arc::new(Gateway::start(json!({ "jwks_url": issuer.url() }), quick()).await);
    let signing = Arc::new(parking_lot::Mutex::new(Arc::new(first)));
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let (gateway, signing, stop, done) = (gateway.clone(), signing.clone(), stop.clone(), done.clone());
            tokio::spawn(async move {
                let mut number = caller * 1_000_000;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let token = signing.lock().token(number / 3);
                    assert_eq!(gateway.show(&token).await, 200);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for rotation in 1..=6 {
        let before = done.load(Ordering::Relaxed);
        until("callers went on", async || done.load(Ordering::Relaxed) > before + 40).await;
        // the former key is still published, as tokens by it are on their way; the next signs at once
        let (former, next) = (signing.lock().clone(), Arc::new(Signer::new(&format!("k{rotation}"))));
        issuer.say(set(&[&former, &next]));
        *signing.lock() = next;
    }
    let before = done.load(Ordering::Relaxed);
    until("callers went on", async || done.load(Ordering::Relaxed) > before + 40).await;
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(issuer.asked(), 7, "one fetch for each rotation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_withdrawn_takes_its_tokens_along() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let issuer = Issuer::start(set(&[&old])).await.unwrap();
    let gateway = Gateway::start(json!({ "jwks_url": issuer.url() }), quick()).await;
    let token = old.token(1);
    for _ in 0..4 {
        assert_eq!(gateway.show(&token).await, 200);
    }
    issuer.say(set(&[&new]));
    assert_eq!(gateway.show(&new.token(1)).await, 200);
    for _ in 0..4 {
        assert_eq!(gateway.show(&token).await, 401, "it was remembered for a set that is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_nobody_is_let_in_until_there_are_some() {
    let key = Signer::new("a");
    let gone = Issuer::start(set(&[&key])).await.unwrap();
    let (at, url) = (gone.at(), gone.url());
    drop(gone);
    let limits = Limits { jwks_wait: Duration::from_millis(300), ..quick() };
    let gateway = Gateway::start(json!({ "jwks_url": url }), limits).await;
    for _ in 0..3 {
        let (status, reply) = gateway.ask(&[("Authorization", &format!("Bearer {}", key.token(1)))]).await;
        assert!(status == 503 && reply.contains("policy_failed"), "{reply}");
        assert_eq!(gateway.show("rubbish").await, 401, "what is no token needs no key");
    }
    assert!(gateway.keys.status().issuers[0].trouble.is_some());
    let issuer = Issuer::start_at(at, set(&[&key])).await.unwrap();
    until("it recovers", async || gateway.show(&key.token(2)).await == 200).await;
    // and goes on when the issuer is gone again
    drop(issuer);
    let misses = gateway.keys.status().misses;
    assert_eq!(gateway.show(&Signer::new("b").token(1)).await, 503, "nothing can be said of a key that may be new");
    until("a fetch failed", async || gateway.keys.status().issuers[0].trouble.is_some()).await;
    assert!(gateway.keys.status().misses > misses);
    for number in 0..20 {
        assert_eq!(gateway.show(&key.token(number)).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_set_changes_nothing() {
    let (key, next) = (Signer::new("a"), Signer::new("b"));
    let issuer = Issuer::start(set(&[&key])).await.unwrap();
    let limits = Limits { jwks_wait: Duration::from_millis(400), jwks_fetch: Duration::from_millis(300), ..quick() };
    let gateway = Gateway::start(json!({ "jwks_url": issuer.url() }), limits).await;
    assert_eq!(gateway.show(&key.token(1)).await, 200);
    let slow = Says { after: Duration::from_secs(30), ..set(&[&next]) };
    let mut moved = set(&[&next]);
    moved.status = http::StatusCode::FOUND;
    moved.headers.insert("location", issuer.url().parse().unwrap());
    for (what, says) in [
        ("garbage", Says::document("<html>")),
        ("nothing", Says::document("")),
        ("no keys", Says::document(r#"{"keys":[]}"#)),
        ("too large", Says::document(vec![b' '; 300 << 10])),
        ("an error", Says { status: http::StatusCode::INTERNAL_SERVER_ERROR, ..set(&[&next]) }),
        ("a redirect", moved),
        ("slow", slow),
    ] {
        issuer.say(says);
        let asked = issuer.asked();
        until("it is asked", async || {
            assert_ne!(gateway.show(&next.token(1)).await, 200, "{what}");
            issuer.asked() > asked && gateway.keys.status().issuers[0].trouble.is_some()
        })
        .await;
        assert_eq!(gateway.show(&key.token(2)).await, 200, "{what}");
    }
    issuer.say(set(&[&next]));
    until("it recovers", async || gateway.show(&next.token(2)).await == 200).await;
    assert!(gateway.keys.status().issuers[0].trouble.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_nobody_has_make_no_more_fetches_than_the_pause_allows() {
    let key = Signer::new("a");
    let issuer = Issuer::start(set(&[&key])).await.unwrap();
    let limits = Limits { jwks_miss_pause: Duration::from_secs(3600), jwks_waiting_max: 4, ..quick() };
    let gateway = Arc::new(Gateway::start(json!({ "jwks_url": issuer.url() }), limits).await);
    assert_eq!(gateway.show(&key.token(0)).await, 200);
    let attacks: Vec<_> = (0..8)
        .map(|caller| {
            let gateway = gateway.clone();
            tokio::spawn(async move {
                for number in 0..25 {
                    let token = Signer::new(&format!("{caller}-{number}")).token(number);
                    assert_eq!(gateway.show(&token).await, 401);
                }
            })
        })
        .collect();
    for attack in attacks {
        attack.await.unwrap();
    }
    // and the one that came before there were any keys
    assert_eq!((issuer.asked(), gateway.keys.status().misses), (1, 201));
    assert_eq!(gateway.show(&key.token(1)).await, 200);
    assert_eq!(gateway.keys.status().waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_fetched_again_before_they_are_old_and_not_sent_again_if_they_are_the_same() {
    let key = Signer::new("a");
    let mut says = set(&[&key]);
    says.headers.insert("cache-control", "max-age=0".parse().unwrap());
    says.headers.insert("etag", "\"1\"".parse().unwrap());
    let issuer = Issuer::start(says).await.unwrap();
    let gateway = Gateway::start(json!({ "jwks_url": issuer.url() }), quick()).await;
    assert_eq!(gateway.show(&key.token(1)).await, 200);
    until("it is asked again, unasked", async || issuer.asked() > 3).await;
    until("the same came", async || gateway.keys.status().unchanged > 1).await;
    let status = gateway.keys.status();
    assert_eq!((status.changed, status.failed, status.invalid), (1, 0, 0), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_can_not_be_had_for_too_long_are_not_used_any_more() {
    let key = Signer::new("a");
    let mut says = set(&[&key]);
    says.headers.insert("cache-control", "max-age=0".parse().unwrap());
    let issuer = Issuer::start(says).await.unwrap();
    let limits = Limits { jwks_stale: Duration::from_secs(1), ..quick() };
    let gateway = Gateway::start(json!({ "jwks_url": issuer.url() }), limits).await;
    let token = key.token(1);
    assert_eq!(gateway.show(&token).await, 200);
    drop(issuer);
    until("it is given up", async || gateway.show(&token).await == 503).await;
}
