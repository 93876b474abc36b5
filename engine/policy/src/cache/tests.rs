//! RFC 9111 section by section, as tables: what the API says, when somebody asks again and how, and who answers then.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::HeaderValue;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::world::{BEGIN_DATE, Headers, LATER_DATE, World, headers};
use crate::testing::{id, problems};
use crate::{CacheOutcome, ConsumerFacts, Origin, Principal, ResponseHead, Subject};

/// The API says this; then, so many seconds later, it is asked again. Whether it hears of it.
fn again(config: &Value, answer: Headers<'_>, seconds: i64, request: Headers<'_>) -> bool {
    let mut world = World::new(config.clone());
    world.get(&[], 200, answer, "one");
    let got = world.at(seconds).get(request, 200, answer, "two");
    assert_eq!(got.body, if got.asked.is_some() { "two" } else { "one" });
    got.asked.is_some()
}

const KEPT: bool = false;
const FETCHED: bool = true;

#[test]
fn what_may_be_kept_by_section_3() {
    for (status, answer, config, kept) in [
        (200, &[("cache-control", "max-age=60")][..], json!({}), 1),
        (200, &[], json!({}), 0),
        (200, &[], json!({ "default_ttl": "1m" }), 1),
        (200, &[("etag", "\"a\"")], json!({}), 0),
        (200, &[("etag", "\"a\""), ("cache-control", "no-cache")], json!({}), 1),
        (200, &[("cache-control", "no-cache")], json!({}), 0),
        (200, &[("cache-control", "no-store, max-age=60")], json!({ "default_ttl": "1m" }), 0),
        (200, &[("cache-control", "No-Store")], json!({ "default_ttl": "1m" }), 0),
        (200, &[("cache-control", "private, max-age=60")], json!({}), 0),
        (200, &[("cache-control", "private=\"x-a, max-age\", max-age=60")], json!({}), 0),
        (200, &[("cache-control", "max-age=60"), ("cache-control", "private")], json!({}), 0),
        (200, &[("cache-control", "ext=\"a, no-store\", max-age=60")], json!({}), 1),
        (200, &[("cache-control", "max-age=0")], json!({}), 0),
        (200, &[("cache-control", "max-age=0"), ("last-modified", BEGIN_DATE)], json!({}), 1),
        (200, &[("cache-control", "max-age=60"), ("set-cookie", "a=b")], json!({}), 0),
        (200, &[("cache-control", "max-age=60"), ("set-cookie", "a=b")], json!({ "drop_set_cookie": true }), 1),
        (200, &[("cache-control", "max-age=60"), ("vary", "*")], json!({}), 0),
        (200, &[("cache-control", "max-age=60"), ("vary", "a, *")], json!({}), 0),
        (200, &[("cache-control", "max-age=60"), ("vary", "x-forwarded-for")], json!({}), 0),
        (200, &[("cache-control", "max-age=60"), ("vary", "X-Consumer-Id")], json!({}), 0),
        (200, &[("cache-control", "max-age=60"), ("vary", "no header")], json!({}), 0),
        (206, &[("cache-control", "max-age=60")], json!({}), 0),
        (301, &[("cache-control", "max-age=60")], json!({}), 1),
        (302, &[("cache-control", "max-age=60")], json!({}), 0),
        (302, &[("cache-control", "max-age=60")], json!({ "statuses": [302] }), 1),
        (404, &[("cache-control", "max-age=60")], json!({}), 1),
        (500, &[("cache-control", "max-age=60")], json!({}), 0),
        // it says that others may have it whatever it says of its age
        (
            200,
            &[("cache-control", "private, max-age=60")],
            json!({ "default_ttl": "1m", "respect_cache_control": false }),
            0,
        ),
        (200, &[("cache-control", "max-age=0")], json!({ "default_ttl": "1m", "respect_cache_control": false }), 1),
        (200, &[("cache-control", "max-age=60")], json!({ "max_object": "2B" }), 0),
    ] {
        let mut world = World::new(config.clone());
        world.get(&[], status, answer, "one");
        assert_eq!(world.kept(), kept, "{status} {answer:?} {config}");
    }
}

#[test]
fn methods_and_requests_that_are_not_for_a_cache_pass() {
    let fresh = &[("cache-control", "max-age=60")][..];
    for (method, request) in [
        (Method::POST, &[][..]),
        (Method::OPTIONS, &[]),
        (Method::GET, &[("range", "bytes=0-1")]),
        (Method::GET, &[("if-match", "\"a\"")]),
        (Method::GET, &[("if-unmodified-since", BEGIN_DATE)]),
        (Method::GET, &[("cache-control", "no-store")]),
        (Method::HEAD, &[]),
    ] {
        let mut world = World::new(json!({}));
        world.ask(method.clone(), "/", request, (200, fresh, "one"), Origin::Upstream);
        assert_eq!(world.kept(), 0, "{method} {request:?}");
    }
    let mut world = World::new(json!({}));
    world.bench.cx.seen.has_body = true;
    world.get(&[], 200, fresh, "one");
    assert_eq!(world.kept(), 0, "a GET with a body");
}

#[test]
fn answers_to_who_proved_something_are_shared_only_where_they_say_so_by_section_3_5() {
    let consumer = |n: u128| {
        let value = HeaderValue::from_static("c");
        Principal {
            subject: Subject::Consumer(Arc::new(ConsumerFacts {
                id: id(n),
                name: "c".into(),
                groups: [id(7)].into_iter().collect(),
                id_header: value.clone(),
                name_header: value,
                custom_id_header: None,
            })),
            ..Principal::default()
        }
    };
    let external = |issuer: &str| Principal {
        subject: Subject::External("alice".into()),
        claims: Some(Arc::new(json!({ "iss": issuer }))),
        ..Principal::default()
    };
    let nobody = Principal::default;
    let bearer = |token: &'static str| vec![("authorization", token)];
    type Who = (Principal, Vec<(&'static str, &'static str)>);
    let cases: Vec<(Value, &str, Who, Who, bool)> = vec![
        (json!({}), "max-age=60", (nobody(), vec![]), (nobody(), vec![]), KEPT),
        (json!({}), "max-age=60", (nobody(), bearer("Bearer a")), (nobody(), bearer("Bearer b")), FETCHED),
        (json!({}), "max-age=60", (nobody(), bearer("Bearer a")), (nobody(), vec![]), FETCHED),
        (json!({}), "max-age=60, public", (nobody(), bearer("Bearer a")), (nobody(), bearer("Bearer b")), KEPT),
        (json!({}), "s-maxage=60", (nobody(), bearer("Bearer a")), (nobody(), vec![]), KEPT),
        (json!({}), "max-age=60, must-revalidate", (nobody(), bearer("Bearer a")), (nobody(), vec![]), KEPT),
        (json!({}), "max-age=60", (nobody(), vec![("cookie", "s=1")]), (nobody(), vec![("cookie", "s=2")]), FETCHED),
        (json!({}), "max-age=60", (consumer(1), vec![]), (consumer(2), vec![]), FETCHED),
        (json!({}), "max-age=60", (consumer(1), vec![]), (consumer(1), vec![]), FETCHED),
        (json!({}), "max-age=60", (external("a"), vec![]), (nobody(), vec![]), FETCHED),
        (json!({}), "max-age=60, public", (consumer(1), vec![]), (consumer(2), vec![]), KEPT),
        (json!({ "authorized": "never" }), "max-age=60, public", (consumer(1), vec![]), (consumer(2), vec![]), FETCHED),
        (json!({ "authorized": "by-consumer" }), "max-age=60", (consumer(1), vec![]), (consumer(1), vec![]), KEPT),
        (json!({ "authorized": "by-consumer" }), "max-age=60", (consumer(1), vec![]), (consumer(2), vec![]), FETCHED),
        (
            json!({ "authorized": "by-consumer" }),
            "max-age=60, public",
            (consumer(1), vec![]),
            (nobody(), vec![]),
            FETCHED,
        ),
        (json!({ "authorized": "by-consumer" }), "private", (consumer(1), vec![]), (consumer(1), vec![]), FETCHED),
        (
            json!({ "authorized": "by-consumer" }),
            "max-age=60",
            (external("a"), vec![]),
            (external("b"), vec![]),
            FETCHED,
        ),
        (json!({ "authorized": "by-consumer" }), "max-age=60", (external("a"), vec![]), (external("a"), vec![]), KEPT),
        (
            json!({ "authorized": "by-consumer" }),
            "max-age=60",
            (nobody(), bearer("a")),
            (nobody(), bearer("b")),
            FETCHED,
        ),
        (json!({ "authorized": "by-group" }), "max-age=60", (consumer(1), vec![]), (consumer(2), vec![]), KEPT),
        (json!({ "authorized": "by-group" }), "max-age=60", (consumer(1), vec![]), (external("a"), vec![]), FETCHED),
    ];
    for (config, said, first, second, expected) in cases {
        let mut world = World::new(config.clone());
        let answer = [("cache-control", said)];
        let told = format!("{config} {said} {first:?} {second:?}");
        world.bench.cx.principal = first.0;
        world.get(&first.1, 200, &answer, "one");
        world.bench.cx.principal = second.0;
        let got = world.get(&second.1, 200, &answer, "two");
        assert_eq!(got.asked.is_some(), expected, "{told}");
    }
}

#[test]
fn what_varies_is_told_apart_by_section_4_1() {
    let config = json!({});
    for (vary, first, second, expected) in [
        ("x-a", &[("x-a", "1")][..], &[("x-a", "1")][..], KEPT),
        ("x-a", &[("x-a", "1")], &[("x-a", "2")], FETCHED),
        ("X-A", &[("x-a", "1")], &[("x-a", "2")], FETCHED),
        ("x-a", &[], &[("x-a", "")], FETCHED),
        ("x-a", &[("x-a", "1")], &[], FETCHED),
        ("x-a, x-b", &[("x-a", "1"), ("x-b", "2")], &[("x-b", "2"), ("x-a", "1")], KEPT),
        ("x-a, x-b", &[("x-a", "1"), ("x-b", "2")], &[("x-a", "12")], FETCHED),
        ("accept-encoding", &[("accept-encoding", "gzip, br")], &[("accept-encoding", "GZIP,br")], KEPT),
        ("accept-encoding", &[("accept-encoding", "gzip")], &[("accept-encoding", "br")], FETCHED),
        ("cookie", &[], &[("x-a", "2")], KEPT),
    ] {
        let mut world = World::new(config.clone());
        let answer = [("cache-control", "max-age=60, public"), ("vary", vary)];
        world.get(first, 200, &answer, "one");
        let got = world.get(second, 200, &answer, "two");
        assert_eq!(got.asked.is_some(), expected, "{vary} {first:?} {second:?}");
        let got = world.get(first, 200, &answer, "three");
        assert!(got.asked.is_none() && got.body == "one", "the first is there still: {vary}");
    }
    let long = "a".repeat(4000);
    let mut world = World::new(config);
    world.get(&[("x-a", &long)], 200, &[("cache-control", "max-age=60"), ("vary", "x-a")], "one");
    assert_eq!(world.kept(), 0, "what says too much to be told apart is not kept");
    let vary = "a,b,c,d,e,f,g,h,i";
    world.get(&[], 200, &[("cache-control", "max-age=60"), ("vary", vary)], "one");
    assert_eq!(world.kept(), 0, "nor what varies by too much");
}

#[test]
fn how_long_it_is_fresh_by_section_4_2() {
    let plain = json!({});
    for (config, answer, seconds, expected) in [
        (&plain, &[("cache-control", "max-age=60")][..], 59, KEPT),
        (&plain, &[("cache-control", "max-age=60")], 60, FETCHED),
        (&plain, &[("cache-control", "max-age=\"60\"")], 59, KEPT),
        (&plain, &[("cache-control", "max-age=60, s-maxage=10")], 10, FETCHED),
        (&plain, &[("cache-control", "s-maxage=60, max-age=0")], 59, KEPT),
        (&plain, &[("cache-control", "max-age=5, max-age=60")], 5, FETCHED),
        (&plain, &[("cache-control", "max-age=99999999999999999999")], 100_000, KEPT),
        (&plain, &[("cache-control", "max-age=-1")], 0, FETCHED),
        (&plain, &[("cache-control", "max-age=1.5")], 0, FETCHED),
        (&plain, &[("cache-control", "max-age")], 0, FETCHED),
        (&plain, &[("date", BEGIN_DATE), ("expires", LATER_DATE)], 59, KEPT),
        (&plain, &[("date", BEGIN_DATE), ("expires", LATER_DATE)], 60, FETCHED),
        (&plain, &[("expires", LATER_DATE)], 59, KEPT),
        (&plain, &[("expires", "0"), ("etag", "\"a\"")], 0, FETCHED),
        (&plain, &[("date", BEGIN_DATE), ("expires", LATER_DATE), ("cache-control", "max-age=5")], 5, FETCHED),
        // how old it was (§4.2.3)
        (&plain, &[("cache-control", "max-age=60"), ("age", "50")], 9, KEPT),
        (&plain, &[("cache-control", "max-age=60"), ("age", "50")], 10, FETCHED),
        (&plain, &[("cache-control", "max-age=60"), ("age", "60")], 0, FETCHED),
        (&plain, &[("cache-control", "max-age=90"), ("date", "Wed, 31 Dec 2025 23:59:00 GMT")], 29, KEPT),
        (&plain, &[("cache-control", "max-age=90"), ("date", "Wed, 31 Dec 2025 23:59:00 GMT")], 30, FETCHED),
        (&plain, &[("cache-control", "max-age=60"), ("date", "Thu, 01 Jan 2026 01:00:00 GMT")], 59, KEPT),
        // what the config says
        (&json!({ "default_ttl": "10s" }), &[], 9, KEPT),
        (&json!({ "default_ttl": "10s" }), &[], 10, FETCHED),
        (&json!({ "default_ttl": "10s" }), &[("cache-control", "max-age=60")], 59, KEPT),
        (&json!({ "max_ttl": "10s" }), &[("cache-control", "max-age=60")], 10, FETCHED),
        (&json!({ "min_ttl": "10s" }), &[("cache-control", "max-age=1")], 9, KEPT),
        (&json!({ "min_ttl": "10s" }), &[("cache-control", "no-cache"), ("etag", "\"a\"")], 1, FETCHED),
        (
            &json!({ "default_ttl": "10s", "respect_cache_control": false }),
            &[("cache-control", "max-age=60")],
            10,
            FETCHED,
        ),
    ] {
        assert_eq!(again(config, answer, seconds, &[]), expected, "{config} {answer:?} after {seconds} s");
    }
}

#[test]
fn what_a_request_says_holds_by_section_5_2_1() {
    let fresh = &[("cache-control", "max-age=60")][..];
    let strict = &[("cache-control", "max-age=60, must-revalidate")][..];
    let shared = &[("cache-control", "s-maxage=60")][..];
    for (answer, seconds, said, expected) in [
        (fresh, 10, "no-cache", FETCHED),
        (fresh, 10, "max-age=5", FETCHED),
        (fresh, 10, "max-age=10", KEPT),
        (fresh, 10, "max-age=0", FETCHED),
        (fresh, 10, "min-fresh=50", KEPT),
        (fresh, 10, "min-fresh=51", FETCHED),
        (fresh, 70, "max-stale", KEPT),
        (fresh, 70, "max-stale=10", KEPT),
        (fresh, 70, "max-stale=9", FETCHED),
        (fresh, 70, "max-stale, max-age=65", FETCHED),
        (strict, 70, "max-stale", FETCHED),
        (shared, 70, "max-stale", FETCHED),
        (fresh, 10, "no-transform", KEPT),
    ] {
        assert_eq!(again(&json!({}), answer, seconds, &[("cache-control", said)]), expected, "{said} at {seconds}");
    }
    assert_eq!(again(&json!({}), fresh, 1, &[("pragma", "no-cache")]), FETCHED);
    assert_eq!(again(&json!({}), fresh, 1, &[("pragma", "no-cache"), ("cache-control", "max-age=9")]), KEPT);
    assert_eq!(again(&json!({ "client_directives": "ignore" }), fresh, 1, &[("cache-control", "no-cache")]), KEPT);

    let mut world = World::new(json!({}));
    let got = world.get(&[("cache-control", "only-if-cached")], 200, fresh, "one");
    assert!(got.status == 504 && got.asked.is_none(), "{got:?}");
    world.get(&[], 200, fresh, "one");
    assert_eq!(world.get(&[("cache-control", "only-if-cached")], 200, fresh, "two").body, "one");
}

#[test]
fn a_kept_answer_tells_its_age_and_goes_out_as_it_came() {
    let mut world = World::new(json!({}));
    let answer =
        [("cache-control", "max-age=60"), ("age", "7"), ("content-type", "text/plain"), ("x-a", "1"), ("x-a", "2")];
    let got = world.get(&[], 200, &answer, "one");
    assert_eq!(
        (got.outcome, got.header("cache-status")),
        (Some(CacheOutcome::Miss), Some("tidegate; fwd=uri-miss; stored"))
    );
    let got = world.at(10).get(&[], 500, &[], "");
    assert_eq!((got.status, got.outcome), (200, Some(CacheOutcome::Hit)));
    assert_eq!((got.header("age"), got.header("cache-status")), (Some("17"), Some("tidegate; hit; ttl=43")));
    assert_eq!(got.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    let got = world.at(11).ask(Method::HEAD, "/", &[], (500, &[], ""), Origin::Upstream);
    assert_eq!((got.status, got.header("content-type")), (200, Some("text/plain")), "HEAD is answered from GET");

    let mut world = World::new(json!({ "cache_status": false }));
    world.get(&[], 200, &answer, "one");
    assert_eq!(world.get(&[], 200, &answer, "two").header("cache-status"), None);
}

#[test]
fn a_caller_that_has_it_is_told_so_by_section_4_3_2() {
    let answer = [("cache-control", "max-age=60"), ("etag", "\"a\""), ("last-modified", BEGIN_DATE), ("x-a", "1")];
    for (request, status) in [
        (&[("if-none-match", "\"a\"")][..], 304),
        (&[("if-none-match", "W/\"a\"")], 304),
        (&[("if-none-match", "\"b\", \"a\"")], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"b\"")], 200),
        (&[("if-modified-since", BEGIN_DATE)], 304),
        (&[("if-modified-since", LATER_DATE)], 304),
        (&[("if-modified-since", "Wed, 31 Dec 2025 00:00:00 GMT")], 200),
        (&[("if-modified-since", "yesterday")], 200),
        // a date does not count beside a tag
        (&[("if-none-match", "\"b\""), ("if-modified-since", LATER_DATE)], 200),
    ] {
        let mut world = World::new(json!({}));
        world.get(&[], 200, &answer, "one");
        let got = world.get(request, 500, &[], "");
        assert_eq!((got.status, got.asked.is_none()), (status, true), "{request:?}");
        assert_eq!((got.body.len(), got.header("etag")), (if status == 304 { 0 } else { 3 }, Some("\"a\"")));
        assert_eq!(got.header("x-a").is_some(), status == 200, "a 304 says what it must");
    }
}

#[test]
fn what_is_stale_is_asked_about_by_sections_4_3_1_and_4_3_4() {
    let answer = [("cache-control", "max-age=60"), ("etag", "\"a\""), ("last-modified", BEGIN_DATE), ("x-a", "1")];
    let mut world = World::new(json!({}));
    world.get(&[], 200, &answer, "one");
    let holds = [("cache-control", "max-age=60"), ("etag", "\"a\""), ("x-a", "2"), ("content-length", "0")];
    let got = world.at(70).get(&[("if-none-match", "\"own\"")], 304, &holds, "");
    let asked = got.asked.as_ref().expect("the API is asked");
    assert!(asked["if-none-match"] == "\"a\"" && asked["if-modified-since"] == BEGIN_DATE, "{asked:?}");
    assert_eq!((got.status, &got.body[..], got.outcome), (200, &b"one"[..], Some(CacheOutcome::Revalidated)));
    assert_eq!(
        (got.header("x-a"), got.header("content-length")),
        (Some("2"), None),
        "the 304 brings headers up to date"
    );
    assert_eq!(got.header("cache-status"), Some("tidegate; fwd=stale; fwd-status=304; ttl=60; stored"));
    let got = world.at(129).get(&[], 500, &[], "");
    assert_eq!((got.asked.is_some(), got.header("x-a")), (false, Some("2")), "it is fresh again");
    let got = world.at(200).get(&[("if-none-match", "\"a\"")], 304, &holds, "");
    assert_eq!(got.status, 304, "who has it hears so");
    let got = world.at(300).get(&[], 200, &[("cache-control", "max-age=60")], "two");
    assert_eq!(got.body, "two");
    assert_eq!(world.at(301).get(&[], 500, &[], "").body, "two", "another answer takes its place");
    let got = world.at(400).get(&[("if-none-match", "\"x\"")], 304, &[("etag", "\"x\"")], "");
    assert_eq!((got.status, world.kept()), (304, 1), "without a validator the caller asks for itself");
}

#[test]
fn a_change_lets_go_of_what_was_said_by_section_4_4() {
    let fresh = &[("cache-control", "max-age=60")][..];
    for (method, status, origin, gone) in [
        (Method::POST, 200, Origin::Upstream, true),
        (Method::PUT, 204, Origin::Upstream, true),
        (Method::DELETE, 303, Origin::Upstream, true),
        (Method::PATCH, 200, Origin::Upstream, true),
        (Method::POST, 400, Origin::Upstream, false),
        (Method::POST, 500, Origin::Upstream, false),
        (Method::POST, 200, Origin::Gateway, false),
        (Method::OPTIONS, 200, Origin::Upstream, false),
    ] {
        let mut world = World::new(json!({}));
        world.get(&[], 200, fresh, "one");
        world.ask(Method::GET, "/other", &[], (200, fresh, "other"), Origin::Upstream);
        world.ask(method.clone(), "/", &[], (status, &[], ""), origin);
        assert_eq!(world.get(&[], 200, fresh, "two").asked.is_some(), gone, "{method} {status} {origin:?}");
        let got = world.ask(Method::GET, "/other", &[], (200, fresh, "two"), Origin::Upstream);
        assert!(got.asked.is_none(), "what was not changed stays");
    }
}

#[test]
fn stale_answers_are_given_out_where_it_is_said_by_rfc_5861() {
    let plain = json!({});
    let config = json!({ "stale_while_revalidate": "30s", "stale_if_error": "30s" });
    for (config, answer, seconds, refreshes, in_place_of_error) in [
        (&plain, "max-age=60", 61, false, false),
        (&plain, "max-age=60, stale-while-revalidate=30", 90, true, true),
        (&plain, "max-age=60, stale-while-revalidate=30", 91, false, false),
        (&plain, "max-age=60, stale-if-error=30", 90, false, true),
        (&plain, "max-age=60, stale-if-error=30", 91, false, false),
        (&config, "max-age=60", 90, true, true),
        (&config, "max-age=60, stale-while-revalidate=0, stale-if-error=0", 61, false, false),
        (&config, "max-age=60, must-revalidate", 61, false, false),
        (&config, "max-age=60, proxy-revalidate", 61, false, false),
        (&config, "s-maxage=60", 61, false, false),
        (&plain, "s-maxage=60, stale-while-revalidate=30", 61, true, true),
        (&plain, "max-age=60, stale-while-revalidate=30, must-revalidate", 61, false, false),
    ] {
        for origin in [Origin::Upstream, Origin::Gateway] {
            let mut world = World::new(config.clone());
            world.get(&[], 200, &[("cache-control", answer)], "one");
            let got = world.at(seconds).ask(Method::GET, "/", &[], (503, &[], "error"), origin);
            assert_eq!((got.refreshes, got.asked.is_none()), (false, refreshes), "{answer} {seconds}");
            let expected = if in_place_of_error { (200, "one") } else { (503, "error") };
            assert_eq!((got.status, &*got.body), (expected.0, expected.1.as_bytes()), "{config} {answer} {seconds}");
            if in_place_of_error {
                assert_eq!(got.outcome, Some(CacheOutcome::Stale));
            }
        }
    }
    let mut world = World::new(json!({ "stale_if_error": "1h" }));
    world.get(&[], 200, &[("cache-control", "max-age=60")], "one");
    let got = world.at(70).get(&[], 503, &[], "error");
    assert_eq!(got.header("cache-status"), Some("tidegate; fwd=stale; fwd-status=503; ttl=-10; detail=stale-if-error"));
    assert_eq!(world.get(&[], 404, &[], "gone").status, 404, "what the API says of itself is no error");
}

#[test]
fn no_two_targets_run_together_into_one_key() {
    let fresh = &[("cache-control", "max-age=60")][..];
    let only = json!({ "query_only": ["id"] });
    let without = json!({ "query_without": ["utm_source"] });
    let headers = json!({ "key_headers": ["x-a", "x-b"] });
    let plain = json!({});
    for (config, (first, first_headers), (second, second_headers), expected) in [
        (&plain, ("/a?b", &[][..]), ("/a?b", &[][..]), KEPT),
        (&plain, ("/a", &[]), ("/a?", &[]), FETCHED),
        (&plain, ("/a?b", &[]), ("/a/b", &[]), FETCHED),
        (&plain, ("/a?x=1&y=2", &[]), ("/a?y=2&x=1", &[]), FETCHED),
        (&plain, ("/a", &[("host", "a")]), ("/a", &[("host", "b")]), FETCHED),
        (&plain, ("/a", &[("host", "A")]), ("/a", &[("host", "a")]), KEPT),
        (&plain, ("/a", &[("host", "a:80")]), ("/a", &[("host", "a")]), FETCHED),
        (&plain, ("/b", &[("host", "a")]), ("/", &[("host", "a/b")]), FETCHED),
        (&plain, ("/a;x=1", &[]), ("/a", &[]), FETCHED),
        // what an API might reflect and no key knows changes nothing that others get: the gateway sets or drops it
        (&plain, ("/a", &[("x-forwarded-host", "evil")]), ("/a", &[]), KEPT),
        (&only, ("/a?id=1&x=2", &[]), ("/a?x=3&id=1", &[]), KEPT),
        (&only, ("/a?id=1", &[]), ("/a?id=2", &[]), FETCHED),
        (&only, ("/a?id=1", &[]), ("/a?id=1&%69d=2", &[]), FETCHED),
        (&only, ("/a?id=1", &[]), ("/a?id=1&x=2;id=2", &[]), FETCHED),
        (&only, ("/a?id=1", &[]), ("/a?id=1&id=2", &[]), FETCHED),
        (&only, ("/a?id=1", &[]), ("/a?id=1&x[id]=2", &[]), FETCHED),
        (&without, ("/a?utm_source=x&id=1", &[]), ("/a?id=1&utm_source=y", &[]), KEPT),
        (&without, ("/a?id=1", &[]), ("/a?id=1&utm_source=y;id=2", &[]), FETCHED),
        (&headers, ("/a", &[("x-a", "1"), ("x-b", "2")]), ("/a", &[("x-b", "2"), ("x-a", "1")]), KEPT),
        (&headers, ("/a", &[("x-a", "12")]), ("/a", &[("x-a", "1"), ("x-b", "2")]), FETCHED),
        (&headers, ("/a", &[("x-a", "1")]), ("/a", &[("x-b", "1")]), FETCHED),
        (&headers, ("/a", &[("x-a", "")]), ("/a", &[]), FETCHED),
    ] {
        let mut world = World::new(config.clone());
        world.ask(Method::GET, first, first_headers, (200, fresh, "one"), Origin::Upstream);
        let got = world.ask(Method::GET, second, second_headers, (200, fresh, "two"), Origin::Upstream);
        assert_eq!(got.asked.is_some(), expected, "{config} {first} {first_headers:?} {second} {second_headers:?}");
    }
}

#[test]
fn another_route_a_changed_route_a_changed_config_and_another_scheme_find_nothing() {
    let fresh = &[("cache-control", "max-age=60")][..];
    type Change = fn(&mut World);
    let changes: [(&str, Change); 4] = [
        ("route", |world| world.bench.cx.route.route = id(99)),
        ("version", |world| world.bench.cx.seen.route_version += 1),
        ("scheme", |world| world.bench.cx.seen.is_secure = true),
        ("config", |world| world.bench.rebuild(&json!({ "default_ttl": "1s" }))),
    ];
    for (what, change) in changes {
        let mut world = World::new(json!({}));
        world.get(&[], 200, fresh, "one");
        change(&mut world);
        assert!(world.get(&[], 200, fresh, "two").asked.is_some(), "{what}");
    }
    let mut world = World::new(json!({}));
    world.get(&[], 200, fresh, "one");
    world.bench.rebuild(&json!({}));
    assert!(world.get(&[], 200, fresh, "two").asked.is_none(), "the same config finds what it kept");
}

#[test]
fn tags_are_read_and_not_told() {
    let mut world = World::new(json!({ "tag_header": "Cache-Tag" }));
    let answer = [("cache-control", "max-age=60"), ("cache-tag", "a,b c"), ("cache-tag", "d")];
    assert_eq!(world.get(&[], 200, &answer, "one").header("cache-tag"), None);
    assert_eq!(world.get(&[], 200, &answer, "one").header("cache-tag"), None);
    let all = world.map.0.lock().expect("nobody panicked");
    let tags: Vec<&str> = all.values().flatten().flat_map(|answer| &answer.tags).map(|tag| &**tag).collect();
    assert_eq!(tags, ["a", "b", "c", "d"]);
}

#[test]
fn a_body_that_is_cut_is_not_kept() {
    let mut world = World::new(json!({}));
    world.bench.head.headers = headers(&[("host", "a")]);
    world.bench.request().expect("it passes");
    let bench = &mut world.bench;
    let mut head = ResponseHead {
        status: StatusCode::OK,
        headers: headers(&[("cache-control", "max-age=60")]),
        origin: Origin::Upstream,
    };
    let seen = bench.run.on_response(&bench.chain, &mut head, &mut bench.cx);
    seen.now_or_never().expect("nothing waits").expect("it passes");
    let mut filters = bench.run.response_body_filters(&bench.chain, &mut head, &bench.cx);
    filters[0].on_data(&mut Bytes::from_static(b"on")).expect("it passes");
    drop(filters);
    assert_eq!(world.kept(), 0);
}

#[test]
fn a_config_that_can_not_hold_is_refused_with_its_field() {
    for (config, pointer) in [
        (json!({ "min_ttl": "2m", "max_ttl": "1m" }), "/min_ttl"),
        (json!({ "default_ttl": "400d" }), "/default_ttl"),
        (json!({ "respect_cache_control": false }), "/default_ttl"),
        (json!({ "max_object": "65MiB" }), "/max_object"),
        (json!({ "query_only": ["a"], "query_without": ["b"] }), "/query_without"),
        (json!({ "key_headers": ["a", "b c"] }), "/key_headers/1"),
        (json!({ "tag_header": "a b" }), "/tag_header"),
        (json!({ "statuses": [200, 206] }), "/statuses/1"),
        (json!({ "statuses": [100] }), "/statuses/0"),
        (json!({ "authorized": "always" }), "/authorized"),
    ] {
        let found = problems("cache", &config);
        assert_eq!(found.iter().map(|p| &*p.pointer).collect::<Vec<_>>(), [pointer], "{config}");
    }
}
