use serde_json::{Value, json};

use crate::Phase;
use crate::testing::{Bench, build, build_for_some, problems};

/// At an instant, from an address: status and `Retry-After`.
fn ask(config: &Value, at: i64, client: &str) -> Option<(u16, Option<String>)> {
    let mut bench = Bench::new("maintenance", config.clone());
    bench.clock.set(at);
    bench.cx.client = client.parse().expect("an address");
    let reply = bench.request().err()?;
    let wait = reply.headers.iter().find(|(name, _)| name == "retry-after");
    Some((reply.status.as_u16(), wait.map(|(_, value)| value.to_str().expect("ASCII").to_owned())))
}

#[test]
fn it_answers_until_its_time_and_all_but_some() {
    let told = |wait: &str| Some((503, Some(wait.to_owned())));
    let until = json!({ "until": "1970-01-01T00:01:00Z", "allow": ["10.0.0.0/8"] });
    let fixed = json!({ "until": "1970-01-01T00:01:00Z", "retry_after": "1500ms" });
    for (config, at, client, expected) in [
        (&json!({}), 0, "192.0.2.1", Some((503, None))),
        (&json!({ "retry_after": "2m" }), 0, "192.0.2.1", told("120")),
        (&until, 0, "192.0.2.1", told("60")),
        (&until, 59_001, "192.0.2.1", told("1")),
        (&until, 60_000, "192.0.2.1", None),
        (&until, 0, "10.1.1.1", None),
        (&until, 0, "::ffff:10.1.1.1", None),
        (&fixed, 0, "192.0.2.1", told("2")),
        (&fixed, 60_000, "192.0.2.1", None),
    ] {
        assert_eq!(ask(config, at, client), expected, "{config} at {at} from {client}");
    }
}

#[test]
fn it_says_what_it_is_told_to() {
    let mut bench = Bench::new("maintenance", json!({ "body": "soon", "content_type": "text/html" }));
    let reply = bench.request().expect_err("it answers");
    let content = reply.content.as_ref().expect("a body of its own");
    assert_eq!(
        (&*content.body, content.content_type.as_ref().map(|t| t.as_bytes())),
        (&b"soon"[..], Some(&b"text/html"[..]))
    );
    let plain = Bench::new("maintenance", json!({})).request().expect_err("it answers");
    assert_eq!((plain.code, plain.content.is_none()), ("maintenance", true));
}

#[test]
fn it_screens_and_where_it_is_for_some_it_authorizes() {
    assert_eq!(build("maintenance", &json!({})).phase, Phase::Screen);
    assert_eq!(build_for_some("maintenance", &json!({})).phase, Phase::Authorize);
}

#[test]
fn a_config_that_can_not_work_is_refused() {
    for (config, pointer) in [
        (json!({ "until": "tomorrow" }), "/until"),
        (json!({ "allow": ["10.1.1.1/8"] }), "/allow/0"),
        (json!({ "content_type": "text/html" }), "/content_type"),
        (json!({ "body": "x", "content_type": "a\nb" }), "/content_type"),
    ] {
        assert_eq!(problems("maintenance", &config)[0].pointer, pointer, "{config}");
    }
}
