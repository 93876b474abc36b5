use http::{HeaderMap, HeaderName, StatusCode};
use tidegate_model::{Id, Sha256};
use tidegate_policy::{CacheKey, Purge, PurgeWhat, ResponseStore, StoredAnswer, Turn, Waited};

use super::Responses;
use crate::limits::Limits;

fn key(n: u64) -> CacheKey {
    CacheKey { target: Sha256::of(&n.to_le_bytes()), part: Sha256::of(b"") }
}

fn answer(body: usize) -> StoredAnswer {
    let id = |n| Id::new(uuid::Uuid::from_u128(n));
    StoredAnswer {
        policy: id(1),
        route: id(2),
        service: Some(id(3)),
        url: "a/x?y=1".into(),
        tags: ["one".into(), "two".into()].into(),
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: vec![7; body].into(),
        vary: Box::default(),
        received_ms: 0,
        initial_age_ms: 0,
        fresh_ms: 1000,
        must_revalidate: false,
        stale_while_revalidate_ms: 0,
        stale_if_error_ms: 0,
    }
}

fn varied(body: usize, said: &str) -> StoredAnswer {
    let vary = Box::new([(HeaderName::from_static("x-kind"), said.as_bytes().into())]);
    StoredAnswer { vary, ..answer(body) }
}

#[test]
fn it_stays_within_its_bytes_and_its_entries_under_many_keys() {
    for (bytes_max, entries_max, body) in [(1 << 20, 1_000_000, 3000), (64 << 20, 500, 10)] {
        let limits = Limits { cache_bytes_max: bytes_max, cache_entries_max: entries_max, ..Limits::default() };
        let responses = Responses::new(&limits);
        for n in 0..5000 {
            responses.keep(key(n), answer(body), 0);
            let status = responses.status();
            assert!(status.bytes <= bytes_max as u64 && status.entries <= entries_max, "{status:?}");
        }
        let status = responses.status();
        assert_eq!(status.evicted as usize, 5000 - status.entries);
        assert!(status.entries > 200, "it keeps what it may: {status:?}");
        assert!(!responses.find(&key(4999)).is_empty(), "the newest is there");
        assert_eq!(responses.purge(&Purge::ALL) as usize, status.entries);
        assert_eq!((responses.status().bytes, responses.status().entries), (0, 0), "all is given back");
    }
}

#[test]
fn variants_are_bounded_and_the_oldest_goes() {
    let responses = Responses::new(&Limits { cache_variants_max: 3, ..Limits::default() });
    for n in 0..1000 {
        responses.keep(key(1), varied(100, &n.to_string()), 0);
    }
    let found = responses.find(&key(1));
    let kept: Vec<_> = found.iter().map(|answer| String::from_utf8_lossy(&answer.vary[0].1).into_owned()).collect();
    assert_eq!(kept, ["997", "998", "999"]);
    responses.keep(key(1), varied(5, "998"), 0);
    assert_eq!(responses.find(&key(1)).len(), 3, "the same requests are one variant");
    let weight: u64 = responses.find(&key(1)).iter().map(|answer| answer.weight()).sum();
    assert_eq!(responses.status().bytes, weight);
}

#[test]
fn what_was_asked_for_lately_stays() {
    let responses = Responses::new(&Limits { cache_entries_max: 64, ..Limits::default() });
    for n in 0..2000 {
        responses.keep(key(n), answer(1), 0);
        assert!(n < 1 || !responses.find(&key(0)).is_empty() || n > 64, "{n}");
        let _ = responses.find(&key(0));
    }
    assert_eq!(responses.status().entries, 64);
}

#[test]
fn a_purge_lets_go_of_what_it_means_and_of_nothing_else() {
    let id = |n| Some(Id::new(uuid::Uuid::from_u128(n)));
    let none = Purge { policy: None, route: None, service: None, what: PurgeWhat::All };
    for (purge, gone) in [
        (none.clone(), 1),
        (Purge { policy: id(1), ..none.clone() }, 1),
        (Purge { policy: id(9), ..none.clone() }, 0),
        (Purge { route: id(2), service: id(3), ..none.clone() }, 1),
        (Purge { route: id(2), service: id(9), ..none.clone() }, 0),
        (Purge { what: PurgeWhat::Url("a/x?y=1".into()), ..none.clone() }, 1),
        (Purge { what: PurgeWhat::Url("a/x".into()), ..none.clone() }, 0),
        (Purge { what: PurgeWhat::Prefix("a/".into()), ..none.clone() }, 1),
        (Purge { what: PurgeWhat::Prefix("b/".into()), ..none.clone() }, 0),
        (Purge { what: PurgeWhat::Tag("two".into()), ..none.clone() }, 1),
        (Purge { what: PurgeWhat::Tag("t".into()), ..none.clone() }, 0),
        (Purge { policy: id(9), what: PurgeWhat::Tag("two".into()), ..none.clone() }, 0),
    ] {
        let responses = Responses::new(&Limits::default());
        responses.keep(key(1), answer(1), responses.epoch(&key(1)));
        assert_eq!(responses.purge(&purge), gone, "{purge:?}");
        assert_eq!(responses.find(&key(1)).is_empty(), gone == 1, "{purge:?}");
    }
}

#[test]
fn what_was_fetched_before_a_purge_is_not_kept_after_it() {
    let responses = Responses::new(&Limits::default());
    let before = responses.epoch(&key(1));
    responses.purge(&Purge::ALL);
    responses.keep(key(1), answer(1), before);
    assert!(responses.find(&key(1)).is_empty());
    let before = responses.epoch(&key(1));
    responses.forget(&key(1).target);
    responses.keep(key(1), answer(1), before);
    assert!(responses.find(&key(1)).is_empty());
    responses.keep(key(1), answer(1), responses.epoch(&key(1)));
    assert!(!responses.find(&key(1)).is_empty());
}

#[test]
fn bodies_under_way_are_bounded() {
    let responses = Responses::new(&Limits { cache_held_bytes_max: 100, ..Limits::default() });
    assert!(responses.hold(60));
    assert!(!responses.hold(60));
    assert!(responses.hold(40));
    responses.let_go(60);
    assert!(responses.hold(60));
}

#[tokio::test(start_paused = true)]
async fn one_fetches_and_the_others_hear_how_it_ended() {
    let limits = Limits { cache_turns_max: 1, ..Limits::default() };
    let responses = Responses::new(&limits);
    let lead = |n| match responses.turn(&key(n)) {
        Turn::Lead(lead) => lead,
        _ => panic!("it is its turn"),
    };
    let wait = || match responses.turn(&key(1)) {
        Turn::Wait(wait) => wait,
        _ => panic!("another one fetches"),
    };
    let (leading, waiting) = (lead(1), wait());
    assert!(matches!(responses.turn(&key(2)), Turn::Alone), "no more than there may be");
    leading.settle(Waited::Kept);
    assert_eq!(waiting.await, Waited::Kept);
    let (leading, waiting) = (lead(1), wait());
    drop(leading);
    assert_eq!(waiting.await, Waited::Left);
    let (leading, waiting) = (lead(1), wait());
    assert_eq!(waiting.await, Waited::Failed, "it waits no longer than it may");
    leading.settle(Waited::NotShared);
    assert!(matches!(responses.turn(&key(1)), Turn::Alone), "nobody waits for what is not for others");
    tokio::time::advance(limits.cache_unshared).await;
    drop(lead(1));
}
