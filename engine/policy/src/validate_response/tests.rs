use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::testing::{Bench, build, problems};
use crate::{BodyNeed, Origin, ResponseHead};

fn config() -> Value {
    json!({
        "answers": [
            {
                "status": "200",
                "content": [{ "type": "application/json", "schema": { "items": { "$ref": "Order" } } }]
            },
            { "status": "4xx", "content": [{ "type": "text/plain" }] }
        ],
        "definitions": { "Order": { "required": ["id"] } }
    })
}

/// The code of what the caller gets instead of this answer, and the first thing that is told.
fn answered(config: Value, status: u16, content_type: &'static str, body: &str) -> Result<(), String> {
    answered_with(config, status, content_type, "identity", Origin::Upstream, body)
}

fn answered_with(
    config: Value,
    status: u16,
    content_type: &'static str,
    encoding: &'static str,
    origin: Origin,
    body: &str,
) -> Result<(), String> {
    let mut bench = Bench::new("validate-response", config);
    bench.request().expect("requests are not looked at");
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    let status = StatusCode::from_u16(status).expect("a status");
    let mut head = ResponseHead { status, headers, origin };
    bench.response_whole(&mut head, &mut Bytes::from(body.to_owned())).map_err(|reply| {
        assert_eq!((reply.status.as_u16(), reply.code), (502, "response_invalid"));
        let members = format!("{{{}}}", reply.members.as_deref().expect("what is wrong"));
        let members: Value = serde_json::from_str(&members).expect("JSON");
        let first = &members["errors"][0];
        format!("{} {}", first["pointer"].as_str().unwrap_or(""), first["code"].as_str().unwrap_or(""))
            .trim()
            .to_owned()
    })
}

#[test]
fn an_answer_that_is_not_as_it_should_be_is_replaced() {
    let wrong = |text: &str| Err(text.to_owned());
    for (status, content_type, body, became) in [
        (200, "application/json", r#"[{"id":1}]"#, Ok(())),
        (200, "application/json", r#"[{"id":1},{}]"#, wrong("/1 required")),
        (200, "application/json", "<html>", wrong("invalid_json")),
        (200, "application/json", "", wrong("invalid_json")),
        (200, "text/html", "<html>", wrong("content_type")),
        (200, "application/json; charset=utf-16", "[]", wrong("charset")),
        (404, "text/plain", "no", Ok(())),
        (404, "text/html", "no", wrong("content_type")),
        (500, "text/html", "whatever", Ok(())),
    ] {
        assert_eq!(answered(config(), status, content_type, body), became, "{status} {content_type} {body}");
    }
    let strict = |status| {
        let mut config = config();
        config["other_statuses"] = json!("refuse");
        answered(config, status, "application/json", "[]")
    };
    assert_eq!((strict(200), strict(500)), (Ok(()), wrong("status")));
}

#[test]
fn what_is_encoded_is_not_taken_for_what_it_says() {
    let found = answered_with(config(), 200, "application/json", "gzip", Origin::Upstream, "[]");
    assert_eq!(found, Err("content_encoding".to_owned()));
}

#[test]
fn replies_of_the_gateway_are_not_looked_at() {
    assert_eq!(answered_with(config(), 200, "text/html", "identity", Origin::Gateway, "x"), Ok(()));
}

#[test]
fn it_holds_answers_up_to_its_bound() {
    assert_eq!(build("validate-response", &config()).needs.response_body, BodyNeed::Buffer(1 << 20));
}

#[test]
fn what_is_wrong_with_a_config_is_told_with_its_place() {
    let content = json!([{ "type": "a/b", "schema": { "type": "strin" } }]);
    let found = problems("validate-response", &json!({ "answers": [{ "status": "9xx", "content": content }] }));
    let pointers: Vec<&str> = found.iter().map(|problem| &*problem.pointer).collect();
    assert_eq!(pointers, ["/answers/0/status", "/answers/0/content/0/schema/type"]);
    assert_eq!(problems("validate-response", &json!({ "answers": [] }))[0].pointer, "/answers");
    let large = json!({ "answers": [{ "status": "200", "content": [{ "type": "a/b" }] }], "max": "17MiB" });
    assert_eq!(problems("validate-response", &large)[0].pointer, "/max");
}
