use http::HeaderValue;
use serde_json::{Value, json};

use crate::Phase;
use crate::testing::{Bench, build, problems};

/// The answer to a request with `x: ...`: status, headers, content type, body.
fn answer(config: &Value, x: &'static str) -> (u16, Vec<String>, Option<String>, String) {
    let mut bench = Bench::new("mock", config.clone());
    bench.head.headers.insert("x", HeaderValue::from_static(x));
    let reply = bench.request().expect_err("it answers");
    let content = reply.content.expect("a body of its own");
    let text = |value: &HeaderValue| value.to_str().expect("ASCII").to_owned();
    (
        reply.status.as_u16(),
        reply.headers.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect(),
        content.content_type.as_ref().map(text),
        String::from_utf8(content.body.to_vec()).expect("UTF-8"),
    )
}

#[test]
fn it_says_what_it_is_told_to() {
    const JSON: Option<&str> = Some("application/json");
    const TEXT: Option<&str> = Some("text/plain; charset=utf-8");
    let quotes = r#"a","admin":true,"b":"\ "#;
    for (config, x, status, content_type, body) in [
        (json!({}), "", 200, None, ""),
        (json!({ "status": 204 }), "", 204, None, ""),
        (json!({ "status": 503, "body": "no" }), "", 503, TEXT, "no"),
        (json!({ "body": "hello ${request.headers.x}" }), "you", 200, TEXT, "hello you"),
        (json!({ "body": "$${x} costs $5" }), "", 200, TEXT, "${x} costs $5"),
        (json!({ "body": r#"{ "a": [1, {}, [], null, "x"] }"# }), "", 200, JSON, r#"{"a":[1,{},[],null,"x"]}"#),
        (json!({ "body": r#"{ "a": "${request.headers.x}", "b": 1 }"# }), "v", 200, JSON, r#"{"a":"v","b":1}"#),
        (
            json!({ "body": r#"{ "a": "${request.headers.x}" }"# }),
            quotes,
            200,
            JSON,
            r#"{"a":"a\",\"admin\":true,\"b\":\"\\ "}"#,
        ),
        (
            json!({ "body": r#"["<${request.headers.x}>"]"#, "content_type": "application/vnd.a+json; charset=utf-8" }),
            "\"",
            200,
            Some("application/vnd.a+json; charset=utf-8"),
            r#"["<\">"]"#,
        ),
        (
            json!({ "body": r#"{ "a": 1 }"#, "content_type": "text/plain" }),
            "",
            200,
            Some("text/plain"),
            r#"{ "a": 1 }"#,
        ),
        (json!({ "body": "3" }), "", 200, TEXT, "3"),
    ] {
        let (found_status, _, found_type, found_body) = answer(&config, x);
        assert_eq!((found_status, found_type.as_deref(), &*found_body), (status, content_type, body), "{config}");
    }
}

#[test]
fn headers_are_written_for_each_request() {
    let config = json!({ "headers": [{ "name": "X-A", "value": "1" }, { "name": "location", "value": "/${request.headers.x}" }, { "name": "x-a", "value": "2" }] });
    assert_eq!(answer(&config, "v").1, ["x-a: 1", "location: /v", "x-a: 2"]);
}

#[test]
fn what_has_no_value_is_not_answered() {
    let mut bench = Bench::new("mock", json!({ "body": "${request.headers.none + 1}" }));
    assert_eq!(bench.request().expect_err("it can't").code, "policy_failed");
}

#[test]
fn it_answers_last() {
    assert_eq!(build("mock", &json!({})).phase, Phase::Answer);
}

#[test]
fn a_config_that_can_not_work_is_refused() {
    let header = |name: &str, value: &str| json!({ "headers": [{ "name": name, "value": value }] });
    for (config, pointer) in [
        (json!({ "status": 199 }), "/status"),
        (json!({ "status": 600 }), "/status"),
        (json!({ "status": 204, "body": "x" }), "/body"),
        (json!({ "status": 304, "body": "x" }), "/body"),
        (json!({ "body": "${" }), "/body"),
        (json!({ "body": "${nonsense}" }), "/body"),
        (json!({ "body": r#"{ "a": "${nonsense}" }"# }), "/body"),
        (json!({ "content_type": "text/html" }), "/content_type"),
        (json!({ "body": "x", "content_type": "a\nb" }), "/content_type"),
        (header("content-length", "3"), "/headers/0/name"),
        (header("transfer-encoding", "chunked"), "/headers/0/name"),
        (header("a b", "3"), "/headers/0/name"),
        (header("x", "a\nb"), "/headers/0/value"),
        (header("x", "${nonsense}"), "/headers/0/value"),
    ] {
        assert_eq!(problems("mock", &config)[0].pointer, pointer, "{config}");
    }
}
