use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::*;
use crate::expression::Names;
use crate::testing::{Bench, build, id};
use crate::{ChainRun, Origin};

/// A chain of these kinds with their configs, conditions and modes.
fn chain(links: &[(&'static str, serde_json::Value, Option<&str>, bool)]) -> Chain {
    let link = |(at, (kind, config, when, shadow)): (usize, &(&'static str, serde_json::Value, Option<&str>, bool))| {
        Arc::new(Link {
            policy: id(at as u128 + 1),
            name: format!("{kind}-{at}").into(),
            kind,
            combine: Combine::All,
            specificity: 0,
            on_error: OnError::Deny,
            when: when.map(|when| Condition::compile(when, Names::REQUEST).expect("it reads")),
            shadow: *shadow,
            built: build(kind, config),
        })
    };
    Chain::new(links.iter().enumerate().map(link).collect())
}

fn told(bench: &Bench) -> Vec<String> {
    let mut all = Vec::new();
    bench.cx.shadowed.each(|told| all.push(format!("{}: {} {}", told.by.policy, told.status.as_u16(), told.code)));
    all
}

fn limit() -> serde_json::Value {
    json!({ "limits": [{ "name": "one", "limit": 1, "window": "1m", "per": "ip" }] })
}

#[test]
fn a_policy_acts_only_where_its_condition_holds() {
    let mut bench = Bench::new("key-auth", json!({}));
    bench.chain = chain(&[("key-auth", json!({}), Some("request.path.startsWith('/private')"), false)]);
    assert!(bench.request().is_ok(), "an authenticator that does not act asks for nothing");
    bench.head.target = "/private/1".parse().expect("a path");
    assert_eq!(bench.request().expect_err("no key").status, StatusCode::UNAUTHORIZED);
}

#[test]
fn one_that_does_not_act_sees_no_reply_and_needs_no_body() {
    let buffering = json!({ "max": "1KiB", "check": "buffer" });
    let mut bench = Bench::new("key-auth", json!({}));
    bench.chain = chain(&[
        ("request-size", buffering, Some("request.method == 'POST'"), false),
        ("rate-limit", limit(), Some("has(request.headers.limited)"), false),
    ]);
    bench.request().expect("it passes");
    assert_eq!(bench.run.needs(&bench.chain), Needs::default());
    assert!(bench.response(200).headers.is_empty());
    bench.head.headers.insert("limited", HeaderValue::from_static("1"));
    bench.request().expect("the first");
    assert!(!bench.response(200).headers.is_empty());
    assert_eq!(bench.request().expect_err("the second").status, StatusCode::TOO_MANY_REQUESTS);
}

#[test]
fn a_condition_without_a_value_refuses_unless_told_otherwise() {
    let mut bench = Bench::new("key-auth", json!({}));
    bench.chain = chain(&[("rate-limit", limit(), Some("request.headers.none > 1"), false)]);
    let reply = bench.request().expect_err("it can't be decided");
    assert_eq!((reply.status, reply.code), (StatusCode::SERVICE_UNAVAILABLE, "policy_failed"));
    assert!(reply.detail.contains("request.headers.none > 1"), "{}", reply.detail);
}

#[test]
fn in_shadow_a_refusal_is_told_and_the_request_goes_on() {
    let mut bench = Bench::new("key-auth", json!({}));
    bench.chain = chain(&[("key-auth", json!({}), None, true), ("rate-limit", limit(), None, true)]);
    bench.head.headers.insert("x-api-key", HeaderValue::from_static("tg_wrong"));
    bench.request().expect("nothing is refused");
    assert_eq!(told(&bench), ["key-auth-0: 401 invalid_credentials"]);
    assert!(bench.head.headers.contains_key("x-api-key"), "in shadow nothing is changed");
    assert!(bench.response(200).headers.is_empty(), "nor told to the caller");
    assert!(bench.cx.limited.is_none() && bench.cx.quotas.is_empty());
    bench.request().expect("nor this time");
    assert_eq!(told(&bench)[1..], ["rate-limit-1: 429 quota_exceeded", "key-auth-0: 401 invalid_credentials"]);
}

#[test]
fn a_body_that_one_in_shadow_refuses_goes_on_whole() {
    let mut bench = Bench::new("key-auth", json!({}));
    bench.chain = chain(&[("request-size", json!({ "max": "4B" }), None, true)]);
    bench.request().expect("nothing known yet");
    let mut filters = bench.run.request_body_filters(&bench.chain, &bench.head, &bench.cx);
    for _ in 0..3 {
        let mut piece = Bytes::from_static(b"abc");
        assert!(filters[0].on_data(&mut piece).is_ok() && piece.len() == 3);
    }
    assert!(filters[0].on_end().is_ok_and(|rest| rest.is_empty()));
    assert_eq!(told(&bench), ["request-size-0: 413 body_too_large"]);
}

#[test]
fn one_in_shadow_does_not_stand_in_for_one_that_is_enforced() {
    let mut bench = Bench::new("key-auth", json!({}));
    bench.chain = chain(&[("key-auth", json!({ "header": "x-a" }), None, true), ("key-auth", json!({}), None, false)]);
    assert_eq!(bench.request().expect_err("no key").status, StatusCode::UNAUTHORIZED);
    let run = ChainRun::new();
    let head = &mut ResponseHead { status: StatusCode::OK, headers: Default::default(), origin: Origin::Gateway };
    assert!(run.on_response(&bench.chain, head, &mut bench.cx).now_or_never().is_some_and(|r| r.is_ok()));
}

#[test]
fn a_whole_body_that_one_in_shadow_refuses_is_told_too() {
    let schema = json!({ "body": { "content": [{ "type": "application/json", "schema": { "required": ["id"] } }] } });
    for (shadow, passes) in [(false, false), (true, true)] {
        let mut bench = Bench::new("key-auth", json!({}));
        bench.chain = chain(&[("validate-request", schema.clone(), None, shadow)]);
        bench.head.method = http::Method::POST;
        bench.head.headers.insert("content-type", HeaderValue::from_static("application/json"));
        bench.request().expect("the head is as it should be");
        let mut body = Bytes::from_static(b"{}");
        let looked = bench.run.on_request_body(&bench.chain, &mut body, &mut bench.head, &mut bench.cx).now_or_never();
        assert_eq!(looked.expect("nothing waits").is_ok(), passes);
        let expected: &[&str] = if shadow { &["validate-request-0: 400 request_invalid"] } else { &[] };
        assert_eq!(told(&bench), expected);
    }
}

#[test]
fn one_that_can_not_be_told_to_act_sees_no_reply() {
    let headers = json!({ "headers": [{ "action": "set", "name": "x-seen", "value": "1" }], "on": "all" });
    let mut bench = Bench::new("key-auth", json!({}));
    bench.chain = chain(&[("response-transform", headers.clone(), Some("request.headers.none > 1"), false)]);
    assert!(bench.request().is_err());
    assert!(bench.response(503).headers.is_empty(), "its request hook did not run");
    bench.chain = chain(&[("response-transform", headers, None, false)]);
    bench.request().expect("it passes");
    assert!(bench.response(503).headers.contains_key("x-seen"));
}
