use http::HeaderValue;
use serde_json::json;
use tidegate_model::{TokenKind, write_token};

use crate::testing::Bench;

fn key(n: u8) -> String {
    write_token(TokenKind::ApiKey, &[n; 32])
}

/// One request with these key headers: the code of the refusal, or the consumer's name and that the key is off the request.
fn check(config: serde_json::Value, headers: &[(&str, &str)]) -> Result<String, &'static str> {
    let mut bench =
        Bench::new("key-auth", config).with_key(&key(1), "acme", None).with_key(&key(2), "late", Some(1_000));
    bench.clock.set(1_000);
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().expect("a header name");
        bench.head.headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    let outcome = bench.request();
    assert!(!bench.head.headers.values().any(|v| v.as_bytes().starts_with(b"tg_")), "the key went upstream");
    outcome.map_err(|reply| {
        assert_eq!(reply.status, 401);
        assert!(reply.headers.iter().any(|(name, _)| name == "www-authenticate"));
        reply.code
    })?;
    Ok(bench.cx.principal.consumer().map_or_else(String::new, |c| c.name.to_string()))
}

#[test]
fn who_shows_a_key_is_its_consumer() {
    assert_eq!(check(json!({}), &[("x-api-key", &key(1))]), Ok("acme".into()));
    assert_eq!(check(json!({ "header": "x-other" }), &[("x-other", &key(1))]), Ok("acme".into()));
}

#[test]
fn who_shows_none_or_a_wrong_one_is_refused() {
    assert_eq!(check(json!({}), &[]), Err("missing_credentials"));
    assert_eq!(check(json!({ "header": "x-other" }), &[("x-api-key-2", "x")]), Err("missing_credentials"));
    for wrong in ["", "x", &key(3), &key(1)[..51], &format!("{}x", key(1)), "tg_\u{7e}"] {
        assert_eq!(check(json!({}), &[("x-api-key", wrong)]), Err("invalid_credentials"), "{wrong}");
    }
}

#[test]
fn an_expired_key_is_refused_from_its_instant_on() {
    assert_eq!(check(json!({}), &[("x-api-key", &key(2))]), Err("invalid_credentials"));
}

#[test]
fn two_keys_are_refused_even_if_one_is_good() {
    assert_eq!(check(json!({}), &[("x-api-key", &key(1)), ("x-api-key", &key(3))]), Err("invalid_credentials"));
}

#[test]
fn a_config_that_can_not_work_is_refused() {
    for (config, pointer) in [
        (json!({ "header": "a b" }), "/header"),
        (json!({ "header": "" }), "/header"),
        (json!({ "realm": "a\"b" }), "/realm"),
        (json!({ "heder": "x" }), "/heder"),
    ] {
        let problems = crate::testing::problems("key-auth", &config);
        assert_eq!(problems.first().map(|p| p.pointer.as_str()), Some(pointer), "{config}");
    }
}
