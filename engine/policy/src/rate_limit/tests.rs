use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::testing::{Bench, problems};

#[derive(Debug, PartialEq, Eq)]
enum Got {
    Continue,
    Reply(u16),
}
use Got::{Continue, Reply};

/// At these milliseconds, so many requests, each with this outcome.
fn check(config: Value, steps: &[(i64, usize, Got)]) {
    let mut bench = Bench::new("rate-limit", config);
    for (at, times, expected) in steps {
        bench.clock.set(*at);
        for _ in 0..*times {
            let got = bench.request().map_or_else(|reply| Reply(reply.status.as_u16()), |()| Continue);
            assert_eq!(&got, expected, "at {at}");
        }
    }
}

fn headers(bench: &mut Bench) -> BTreeMap<String, String> {
    let head = bench.response(200);
    head.headers.iter().map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect()
}

#[test]
fn sixth_request_in_a_minute_is_refused() {
    check(
        json!({ "limits": [{ "name": "burst", "limit": 5, "window": "1m" }] }),
        &[(0, 5, Continue), (59_999, 1, Reply(429)), (60_000, 5, Continue), (60_001, 1, Reply(429))],
    );
}

#[test]
fn a_refused_request_counts_in_no_limit() {
    let limits = json!({ "limits": [
        { "name": "second", "limit": 1, "window": "1s" },
        { "name": "minute", "limit": 3, "window": "1m" },
    ] });
    check(
        limits,
        &[(0, 1, Continue), (1, 5, Reply(429)), (1_000, 1, Continue), (2_000, 1, Continue), (3_000, 1, Reply(429))],
    );
}

#[test]
fn what_is_left_is_told_by_the_draft() {
    let mut bench = Bench::new(
        "rate-limit",
        json!({ "limits": [
        { "name": "day", "limit": 9, "window": "1d" }, { "name": "burst", "limit": 2, "window": "1m" },
    ] }),
    );
    bench.clock.set(30_500);
    bench.request().expect("the first");
    let told = headers(&mut bench);
    assert_eq!(told["ratelimit"], r#""burst";r=1;t=30, "day";r=8;t=86370"#);
    assert_eq!(told["ratelimit-policy"], r#""day";q=9;w=86400, "burst";q=2;w=60"#);
    bench.request().expect("the second");
    let reply = bench.request().expect_err("the third");
    assert_eq!((reply.code, reply.members.as_deref()), ("quota_exceeded", Some(r#""violated-policies":["burst"]"#)));
    let retry =
        reply.headers.iter().find(|(name, _)| name == "retry-after").map(|(_, v)| v.to_str().expect("text").to_owned());
    assert_eq!(retry.as_deref(), Some("30"));
    let told = headers(&mut bench);
    assert!(told["ratelimit"].starts_with(r#""burst";r=0;t=30"#), "{told:?}");
}

#[test]
fn legacy_headers_speak_of_the_tightest() {
    let mut bench = Bench::new(
        "rate-limit",
        json!({ "headers": "standard-and-legacy", "limits": [
        { "name": "day", "limit": 9, "window": "1d" }, { "name": "burst", "limit": 2, "window": "1m" },
    ] }),
    );
    bench.request().expect("the first");
    let told = headers(&mut bench);
    assert_eq!((told["x-ratelimit-limit"].as_str(), told["x-ratelimit-remaining"].as_str()), ("2", "1"));
    let mut silent =
        Bench::new("rate-limit", json!({ "headers": "off", "limits": [{ "name": "a", "limit": 1, "window": "1m" }] }));
    silent.request().expect("the first");
    assert!(headers(&mut silent).is_empty());
}

#[test]
fn callers_are_counted_apart() {
    let mut bench =
        Bench::new("rate-limit", json!({ "limits": [{ "name": "a", "limit": 1, "window": "1m", "per": "ip" }] }));
    for (address, admitted) in [
        ("10.0.0.1", true),
        ("10.0.0.1", false),
        ("::ffff:10.0.0.1", false),
        ("10.0.0.2", true),
        ("2001:db8:1:2::1", true),
        ("2001:db8:1:2::2", false),
        ("2001:db8:1:3::1", true),
    ] {
        bench.cx.client = address.parse().expect("an address");
        assert_eq!(bench.request().is_ok(), admitted, "{address}");
    }
}

#[test]
fn a_limit_by_address_acts_before_credentials_are_looked_at() {
    let phase = |per: &str| {
        crate::testing::build(
            "rate-limit",
            &json!({ "limits": [{ "name": "a", "limit": 1, "window": "1m", "per": per }] }),
        )
        .phase
    };
    assert_eq!(phase("ip"), crate::Phase::Screen);
    assert_eq!(phase("consumer"), crate::Phase::Limit);
}

#[test]
fn a_changed_size_keeps_the_counters_and_a_changed_window_does_not() {
    let mut bench = Bench::new("rate-limit", json!({ "limits": [{ "name": "a", "limit": 2, "window": "1m" }] }));
    bench.request().expect("one");
    bench.request().expect("two");
    bench.rebuild(&json!({ "limits": [{ "name": "a", "limit": 3, "window": "1m" }] }));
    bench.request().expect("three");
    assert!(bench.request().is_err());
    bench.rebuild(&json!({ "limits": [{ "name": "a", "limit": 3, "window": "2m" }] }));
    bench.request().expect("anew");
}

#[test]
fn a_config_that_can_not_work_is_refused() {
    for (config, pointer) in [
        (json!({}), "/limits"),
        (json!({ "limits": [] }), "/limits"),
        (json!({ "limits": [{ "name": "a", "limit": 0, "window": "1m" }] }), "/limits/0/limit"),
        (json!({ "limits": [{ "name": "a", "limit": 1, "window": "1ms" }] }), "/limits/0/window"),
        (json!({ "limits": [{ "name": "a\"", "limit": 1, "window": "1s" }] }), "/limits/0/name"),
        (json!({ "limits": [{ "name": "a", "limit": 1, "window": "1s", "per": "planet" }] }), "/limits/0/per"),
        (
            json!({ "limits": [{ "name": "a", "limit": 1, "window": "1s" }, { "name": "a", "limit": 1, "window": "1m" }] }),
            "/limits/1/name",
        ),
    ] {
        let found = problems("rate-limit", &config);
        assert_eq!(found.first().map(|p| p.pointer.as_str()), Some(pointer), "{config}");
    }
}
