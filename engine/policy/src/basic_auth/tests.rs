use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::{Value, json};

use crate::testing::Bench;

const PASSWORD: &str = "gr\u{fc}n:und:blau-77";

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn bench(config: Value, headers: &[&str]) -> Bench {
    let mut bench = Bench::new("basic-auth", config)
        .with_basic("ann", PASSWORD, None)
        .with_basic("late", PASSWORD, Some(1_000))
        .with_basic("\u{e5}sa", PASSWORD, None);
    bench.clock.set(1_000);
    for value in headers {
        bench.head.headers.append("authorization", HeaderValue::from_str(value).expect("a value"));
    }
    bench
}

fn check(headers: &[&str]) -> Result<String, &'static str> {
    let mut bench = bench(json!({}), headers);
    let outcome = bench.request();
    let left = format!("{:?}", bench.head.headers).to_lowercase();
    assert!(!left.contains("basic ") && !left.contains("basic\""), "the password went upstream: {left}");
    outcome.map_err(|reply| {
        assert_eq!(reply.status, 401);
        let challenge = reply.headers.iter().find(|(name, _)| name == "www-authenticate").map(|(_, value)| value);
        assert_eq!(challenge.expect("a challenge"), "Basic realm=\"tidegate\", charset=\"UTF-8\"");
        reply.code
    })?;
    Ok(bench.cx.principal.consumer().map_or_else(String::new, |c| c.name.to_string()))
}

#[test]
fn who_shows_name_and_password_is_its_consumer() {
    assert_eq!(check(&[&basic(&format!("ann:{PASSWORD}"))]), Ok("ann".into()));
    assert_eq!(check(&[&basic(&format!("\u{e5}sa:{PASSWORD}"))]), Ok("\u{e5}sa".into()), "UTF-8");
    assert_eq!(check(&[&basic(&format!("ann:{PASSWORD}")).replace("Basic ", "bAsIc   ")]), Ok("ann".into()));
    assert_eq!(check(&["Bearer x", &basic(&format!("ann:{PASSWORD}"))]), Ok("ann".into()));
}

#[test]
fn whatever_else_is_shown_is_refused() {
    for none in [&[][..], &["Bearer abc"], &["Basically abc"], &["Digest username=\"ann\""]] {
        assert_eq!(check(none), Err("missing_credentials"), "{none:?}");
    }
    let good = basic(&format!("ann:{PASSWORD}"));
    let latin1 = format!("Basic {}", STANDARD.encode(b"ann:gr\xfcn:und:blau-77"));
    let nul = basic(&format!("ann:{PASSWORD}\0"));
    let huge = basic(&format!("ann:{}", "a".repeat(50_000)));
    let long = basic(&format!("ann:{}", "a".repeat(257)));
    for wrong in [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YW5u",
        "Basic Og==",
        &good[..good.len() - 1],
        &format!("{good} x"),
        &good.replace("Basic ", "Basic x"),
        &basic(&format!(":{PASSWORD}")),
        &basic("ann:"),
        &basic("ann:wrong"),
        &basic(&format!("Ann:{PASSWORD}")),
        &basic(&format!("nobody:{PASSWORD}")),
        &basic(&format!("late:{PASSWORD}")),
        &basic(&format!("ann:{PASSWORD} ")),
        &latin1,
        &nul,
        &huge,
        &long,
    ] {
        assert_eq!(check(&[wrong]), Err("invalid_credentials"), "{}", &wrong[..wrong.len().min(60)]);
    }
    assert_eq!(check(&[&good, &good]), Err("invalid_credentials"), "two are one too many");
}

/// Not measured in time: how often a password was compared, and with what.
#[test]
fn an_unknown_name_costs_what_a_known_one_does() {
    for (shown, work) in [
        (format!("ann:{PASSWORD}"), 1),
        ("ann:wrong".to_owned(), 1),
        ("nobody:wrong".to_owned(), 1),
        (format!("nobody:{PASSWORD}"), 1),
        ("late:wrong".to_owned(), 1),
        (format!("late:{PASSWORD}"), 1),
        ("malformed".to_owned(), 0),
    ] {
        let mut bench = bench(json!({}), &[&basic(&shown)]);
        let _ = bench.request();
        assert_eq!(bench.passwords_checked(), work, "{shown}");
    }
}

#[test]
fn credentials_go_on_where_the_policy_says_so() {
    let header = basic(&format!("ann:{PASSWORD}"));
    let mut bench = bench(json!({ "forward_credentials": true }), &[&header]);
    assert!(bench.request().is_ok());
    assert_eq!(bench.head.headers["authorization"], header.as_str());
}

#[test]
fn a_config_that_can_not_work_is_refused() {
    for (config, pointer) in [(json!({ "realm": "a\\b" }), "/realm"), (json!({ "users": [] }), "/users")] {
        let problems = crate::testing::problems("basic-auth", &config);
        assert_eq!(problems.first().map(|p| p.pointer.as_str()), Some(pointer), "{config}");
    }
}

#[test]
fn who_failed_too_often_is_not_looked_at_any_more() {
    let mut bench = bench(json!({}), &[&basic(&format!("ann:{PASSWORD}"))]);
    assert!(bench.request().is_ok());
    bench.head.headers.insert("authorization", HeaderValue::from_static("Basic eDp5"));
    for _ in 0..5 {
        assert_eq!(bench.request().map_err(|reply| reply.code), Err("invalid_credentials"));
        bench.head.headers.insert("authorization", HeaderValue::from_static("Basic eDp5"));
    }
    let checked = bench.passwords_checked();
    for shown in ["x:y", &format!("ann:{PASSWORD}")] {
        bench.head.headers.insert("authorization", HeaderValue::from_str(&basic(shown)).expect("a value"));
        let refused = bench.request().expect_err("it is refused");
        assert_eq!((refused.status.as_u16(), refused.code), (429, "too_many_failures"), "{shown}");
        assert!(refused.headers.iter().any(|(name, value)| name == "retry-after" && value == "60"));
        assert_eq!(bench.head.headers.get("authorization"), None, "it is taken off all the same");
    }
    assert_eq!(bench.passwords_checked(), checked, "nothing is computed for it");
    bench.cx.client = [127, 0, 0, 2].into();
    bench
        .head
        .headers
        .insert("authorization", HeaderValue::from_str(&basic(&format!("ann:{PASSWORD}"))).expect("a value"));
    assert!(bench.request().is_ok(), "another address");
}
