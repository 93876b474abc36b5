use http::HeaderValue;
use http::header::HeaderName;
use serde_json::{Value, json};

use crate::testing::{Bench, problems};
use crate::{Origin, ResponseHead};

/// The headers of a reply, in the order of their names.
fn reply(config: &Value, over_tls: bool, origin: Origin, own: &[(&'static str, &'static str)]) -> Vec<String> {
    let mut bench = Bench::new("security-headers", config.clone());
    bench.cx.seen.is_secure = over_tls;
    bench.request().expect("it lets everything pass");
    let headers =
        own.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    let mut head = ResponseHead { status: http::StatusCode::OK, headers, origin };
    let passed = bench.run.on_response(&bench.chain, &mut head, &mut bench.cx);
    assert!(futures_util::FutureExt::now_or_never(passed).expect("nothing here waits").is_ok());
    let mut all: Vec<String> =
        head.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII"))).collect();
    all.sort();
    all
}

const NOSNIFF: &str = "x-content-type-options: nosniff";
const DENY: &str = "x-frame-options: DENY";
const NO_REFERRER: &str = "referrer-policy: no-referrer";

#[test]
fn without_settings_it_is_what_fits_nearly_every_api() {
    let own = [("server", "nginx/1.2"), ("x-powered-by", "PHP"), ("x-other", "stays")];
    let plain = reply(&json!({}), false, Origin::Upstream, &own);
    assert_eq!(plain, [NO_REFERRER, NOSNIFF, DENY, "x-other: stays"]);
    let secure = reply(&json!({}), true, Origin::Upstream, &[]);
    assert_eq!(secure, [NO_REFERRER, "strict-transport-security: max-age=31536000", NOSNIFF, DENY]);
    // of the gateway's own replies nothing is taken off
    let own = reply(&json!({}), false, Origin::Gateway, &[("server", "mock")]);
    assert_eq!(own, [NO_REFERRER, "server: mock", NOSNIFF, DENY]);
}

#[test]
fn what_the_api_sets_stays_unless_told_otherwise() {
    let own = [("x-frame-options", "SAMEORIGIN"), ("strict-transport-security", "max-age=1")];
    let kept = reply(&json!({}), true, Origin::Upstream, &own);
    assert_eq!(kept, [NO_REFERRER, "strict-transport-security: max-age=1", NOSNIFF, "x-frame-options: SAMEORIGIN"]);
    let replaced = reply(&json!({ "upstream": "override" }), true, Origin::Upstream, &own);
    assert_eq!(replaced, [NO_REFERRER, "strict-transport-security: max-age=31536000", NOSNIFF, DENY]);
}

#[test]
fn each_header_can_be_set_and_left_alone() {
    let none = json!({ "content_type_options": "", "frame_options": "", "referrer_policy": "", "hsts": { "when": "never" }, "remove": [] });
    assert_eq!(reply(&none, true, Origin::Upstream, &[("server", "x")]), ["server: x"]);
    for (field, value, expected) in [
        ("content_security_policy", json!("default-src 'self'"), "content-security-policy: default-src 'self'"),
        ("content_security_policy_report_only", json!("a"), "content-security-policy-report-only: a"),
        ("permissions_policy", json!("camera=()"), "permissions-policy: camera=()"),
        ("cross_origin_opener_policy", json!("same-origin"), "cross-origin-opener-policy: same-origin"),
        ("cross_origin_embedder_policy", json!("require-corp"), "cross-origin-embedder-policy: require-corp"),
        ("cross_origin_resource_policy", json!("same-site"), "cross-origin-resource-policy: same-site"),
        ("referrer_policy", json!("no-referrer, strict-origin"), "referrer-policy: no-referrer, strict-origin"),
        ("hsts", json!({ "when": "always", "max_age": "0s" }), "strict-transport-security: max-age=0"),
        (
            "hsts",
            json!({ "when": "always", "max_age": "730d", "include_subdomains": true, "preload": true }),
            "strict-transport-security: max-age=63072000; includeSubDomains; preload",
        ),
    ] {
        let mut config = none.clone();
        config[field] = value;
        assert_eq!(reply(&config, false, Origin::Upstream, &[]), [expected]);
    }
}

#[test]
fn what_a_browser_would_not_understand_is_refused() {
    for (config, pointer) in [
        (json!({ "frame_options": "ALLOW" }), "/frame_options"),
        (json!({ "frame_options": "deny" }), "/frame_options"),
        (json!({ "content_type_options": "sniff" }), "/content_type_options"),
        (json!({ "referrer_policy": "never" }), "/referrer_policy"),
        (json!({ "cross_origin_opener_policy": "x" }), "/cross_origin_opener_policy"),
        (json!({ "content_security_policy": "a\r\nb: c" }), "/content_security_policy"),
        (json!({ "hsts": { "preload": true } }), "/hsts/preload"),
        (json!({ "hsts": { "preload": true, "include_subdomains": true, "max_age": "30d" } }), "/hsts/preload"),
        (json!({ "remove": ["a b"] }), "/remove/0"),
    ] {
        assert_eq!(problems("security-headers", &config)[0].pointer, pointer, "{config}");
    }
}
