use http::HeaderValue;
use http::uri::PathAndQuery;
use serde_json::{Value, json};
use tidegate_model::{TokenKind, write_token};

use crate::testing::Bench;

const OWN: &str = "0197c1f2-5e2a-7bbb-8ccc-93ab07d5e1f2";

fn key(n: u8) -> String {
    write_token(TokenKind::ApiKey, &[n; 32])
}

fn bench(config: Value, target: &str, headers: &[(&str, &str)]) -> Bench {
    let mut bench = Bench::new("key-auth", config)
        .with_key(&key(1), "acme", None)
        .with_key(&key(2), "late", Some(1_000))
        .with_key(OWN, "own", None);
    bench.clock.set(1_000);
    bench.head.target = PathAndQuery::try_from(target).expect("a target");
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().expect("a header name");
        bench.head.headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    bench
}

/// One request: the code of the refusal, or the consumer's name. Either way the key is off it.
fn check_at(config: Value, target: &str, headers: &[(&str, &str)]) -> Result<String, &'static str> {
    let mut bench = bench(config, target, headers);
    let outcome = bench.request();
    let shown = format!("{} {:?}", bench.head.target, bench.head.headers);
    assert!(!shown.contains("tg_") && !shown.contains(OWN), "the key went upstream: {shown}");
    outcome.map_err(|reply| {
        assert_eq!(reply.status, 401);
        assert!(reply.headers.iter().any(|(name, _)| name == "www-authenticate"));
        reply.code
    })?;
    Ok(bench.cx.principal.consumer().map_or_else(String::new, |c| c.name.to_string()))
}

fn check(config: Value, headers: &[(&str, &str)]) -> Result<String, &'static str> {
    check_at(config, "/", headers)
}

/// Looks for keys everywhere.
fn everywhere() -> Value {
    json!({ "headers": ["x-api-key", "x-old"], "authorization": ["bearer", "api-key"], "query": ["api_key", "k"], "cookies": ["key"] })
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
    let huge = "a".repeat(60_000);
    for wrong in ["", "x", &key(3), &key(1)[..51], &format!("{}x", key(1)), "tg_\u{7e}", &huge, &OWN[1..]] {
        let name = if wrong.len() > 40 { &wrong[..40] } else { wrong };
        assert_eq!(check(json!({}), &[("x-api-key", wrong)]), Err("invalid_credentials"), "{name}");
    }
    let mut bench = bench(json!({}), "/", &[]);
    bench.head.headers.append("x-api-key", HeaderValue::from_bytes(b"\xff\xfe").expect("a value"));
    assert_eq!(bench.request().map_err(|reply| reply.code), Err("invalid_credentials"));
}

#[test]
fn a_key_that_an_operator_brought_needs_no_checksum() {
    assert_eq!(check(json!({}), &[("x-api-key", OWN)]), Ok("own".into()));
}

#[test]
fn an_expired_key_is_refused_from_its_instant_on() {
    assert_eq!(check(json!({}), &[("x-api-key", &key(2))]), Err("invalid_credentials"));
}

#[test]
fn a_key_is_found_in_each_place_and_in_no_other() {
    let (k, bearer, scheme) = (key(1), format!("Bearer {}", key(1)), format!("apikey  {}", key(1)));
    let cookie = format!("a=1; key={k}; b=2");
    let quoted = format!("key=\"{k}\"");
    let own = format!("ApiKey {OWN}");
    let foreign = format!("Bearer {OWN}x");
    for (config, target, header, found) in [
        (everywhere(), "/", ("x-old", k.as_str()), Ok("acme")),
        (everywhere(), "/", ("authorization", &bearer), Ok("acme")),
        (everywhere(), "/", ("authorization", &scheme), Ok("acme")),
        (everywhere(), "/", ("authorization", &own), Ok("own")),
        // a bearer token that is none of ours
        (everywhere(), "/", ("authorization", &foreign[..20]), Err("missing_credentials")),
        (everywhere(), "/", ("authorization", "Basic eDp5"), Err("missing_credentials")),
        (everywhere(), "/", ("cookie", &cookie), Ok("acme")),
        (everywhere(), "/", ("cookie", &quoted), Ok("acme")),
        (everywhere(), "/", ("cookie", "Key=x; keys=x"), Err("missing_credentials")),
        (everywhere(), &format!("/a?k={k}"), ("accept", "x"), Ok("acme")),
        (everywhere(), &format!("/a?api%5fkey={}", k.replace('g', "%67")), ("accept", "x"), Ok("acme")),
        (everywhere(), "/a?K=x&xk=y", ("accept", "x"), Err("missing_credentials")),
        (everywhere(), "/a?k", ("accept", "x"), Err("invalid_credentials")),
        (json!({ "query": ["k"] }), "/", ("x-api-key", "x"), Err("missing_credentials")),
        (json!({}), "/?api_key=x", ("cookie", "api_key=x"), Err("missing_credentials")),
    ] {
        assert_eq!(check_at(config, target, &[header]), found.map(str::to_owned), "{target} {header:?}");
    }
}

#[test]
fn two_keys_are_refused_even_if_one_is_good_and_one_key_twice_is_one() {
    let refused = Err("invalid_credentials");
    assert_eq!(check(json!({}), &[("x-api-key", &key(1)), ("x-api-key", &key(3))]), refused);
    assert_eq!(check(json!({}), &[("x-api-key", &key(1)), ("x-api-key", &key(1))]), Ok("acme".into()));
    let places =
        |k: &str| [("x-old", k.to_owned()), ("authorization", format!("ApiKey {k}")), ("cookie", format!("key={k}"))];
    for (one, first) in places(&key(1)).iter().enumerate() {
        for (other, second) in places(&key(3)).iter().enumerate() {
            if one != other {
                let headers = [(first.0, first.1.as_str()), (second.0, second.1.as_str())];
                assert_eq!(check(everywhere(), &headers), refused, "{headers:?}");
            }
        }
        let header = (first.0, first.1.as_str());
        assert_eq!(check_at(everywhere(), &format!("/?k={}", key(3)), &[header]), refused, "{header:?}");
        assert_eq!(check_at(everywhere(), &format!("/?k={}", key(1)), &[header]), Ok("acme".into()), "{header:?}");
    }
    let twice = format!("/?k={}&k={}", key(1), key(3));
    assert_eq!(check_at(everywhere(), &twice, &[]), refused);
    let twice = format!("key={}; key={}", key(1), key(3));
    assert_eq!(check(everywhere(), &[("cookie", &twice)]), refused);
}

#[test]
fn what_stands_beside_a_key_goes_upstream_byte_by_byte() {
    for (query, left) in [
        ("?k=KEY", ""),
        ("?a=1&k=KEY&b=%20+&c", "?a=1&b=%20+&c"),
        ("?k=KEY&&a=%zz&", "?&a=%zz&"),
        ("?a=1&api%5Fkey=KEY", "?a=1"),
        ("?k=KEY&b=1&k=KEY", "?b=1"),
        ("?a=b=c&ka=2", "?a=b=c&ka=2"),
        ("?", "?"),
        ("", ""),
    ] {
        let mut bench = bench(everywhere(), &format!("/p{}", query.replace("KEY", &key(1))), &[]);
        let _ = bench.request();
        assert_eq!(bench.head.target.as_str(), format!("/p{left}"), "{query}");
    }
    for (cookie, left) in [
        ("key=KEY", None),
        ("a=1; key=KEY; b=\"2\"", Some("a=1; b=\"2\"")),
        ("key=KEY; a=1;b=2", Some("a=1;b=2")),
        ("a=1;key=KEY", Some("a=1")),
        ("a=1;; b", Some("a=1;; b")),
    ] {
        let mut bench = bench(everywhere(), "/", &[("cookie", &cookie.replace("KEY", &key(1)))]);
        let _ = bench.request();
        assert_eq!(bench.head.headers.get("cookie").map(|v| v.to_str().expect("text")), left, "{cookie}");
    }
    let mut bench = bench(everywhere(), "/", &[("authorization", "Bearer eyJ"), ("x-old", &key(1))]);
    assert!(bench.request().is_ok());
    assert_eq!(bench.head.headers["authorization"], "Bearer eyJ");
}

#[test]
fn a_key_goes_on_where_the_policy_says_so() {
    let config = json!({ "query": ["k"], "headers": ["x-api-key"], "forward_key": true });
    let mut bench = bench(config, &format!("/?k={}", key(1)), &[("x-api-key", &key(1))]);
    assert!(bench.request().is_ok());
    assert!(bench.head.target.as_str().ends_with(&key(1)));
    assert_eq!(bench.head.headers["x-api-key"], key(1).as_str());
}

#[test]
fn a_config_that_can_not_work_is_refused() {
    for (config, pointer) in [
        (json!({ "header": "a b" }), "/header"),
        (json!({ "header": "" }), "/header"),
        (json!({ "realm": "a\"b" }), "/realm"),
        (json!({ "heder": "x" }), "/heder"),
        (json!({ "header": "x", "headers": ["y"] }), "/headers"),
        (json!({ "headers": [] }), "/headers"),
        (json!({ "headers": ["x", "host"] }), "/headers/1"),
        (json!({ "headers": ["cookie"] }), "/headers/0"),
        (json!({ "header": "X-Consumer-Key" }), "/header"),
        (json!({ "query": ["a", "b&c"] }), "/query/1"),
        (json!({ "cookies": ["a=b"] }), "/cookies/0"),
        (json!({ "authorization": ["basic"] }), "/authorization/0"),
    ] {
        let problems = crate::testing::problems("key-auth", &config);
        assert_eq!(problems.first().map(|p| p.pointer.as_str()), Some(pointer), "{config}");
    }
}
