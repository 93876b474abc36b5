use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::testing::{Bench, build, problems};
use crate::{BodyNeed, Origin, ResponseHead};

fn answer(status: u16, origin: Origin) -> ResponseHead {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ETAG, HeaderValue::from_static("\"1\""));
    headers.insert("server", HeaderValue::from_static("old"));
    ResponseHead { status: StatusCode::from_u16(status).expect("a status"), headers, origin }
}

fn changed(config: Value, mut head: ResponseHead, body: &str) -> Result<(ResponseHead, String), (u16, String)> {
    let mut bench = Bench::new("response-transform", config);
    bench.head.target = "/orders?page=2".parse().expect("a target");
    bench.request().expect("requests pass");
    let mut bytes = Bytes::from(body.to_owned());
    let passed = bench.response_whole(&mut head, &mut bytes);
    passed.map_err(|reply| (reply.status.as_u16(), reply.code.to_owned()))?;
    Ok((head, String::from_utf8(bytes.to_vec()).expect("text")))
}

#[test]
fn the_head_of_an_answer_is_changed() {
    let config = json!({
        "status": 202,
        "headers": [
            { "action": "remove", "name": "server" },
            { "action": "set", "name": "x-page", "value": "${request.query.page}" },
            { "action": "set", "name": "x-was", "value": "${response.status} ${response.headers['content-type']}" }
        ]
    });
    let (head, body) = changed(config.clone(), answer(200, Origin::Upstream), "[]").expect("it passes");
    assert_eq!((head.status.as_u16(), &*body), (202, "[]"));
    assert_eq!(
        (&head.headers["x-page"], &head.headers["x-was"]),
        (&"2".parse().unwrap(), &"200 application/json".parse().unwrap())
    );
    assert!(!head.headers.contains_key("server"));
    assert!(head.headers.contains_key("etag"), "the body is the same");

    let (head, _) = changed(config.clone(), answer(204, Origin::Upstream), "").expect("it passes");
    assert_eq!(head.status.as_u16(), 204, "what has no body gets none");
    let (head, _) = changed(config.clone(), answer(403, Origin::Gateway), "{}").expect("it passes");
    assert_eq!(
        (head.status.as_u16(), head.headers.contains_key("server")),
        (403, true),
        "the gateway's own is not meant"
    );
    let mut all = config;
    all["on"] = json!("all");
    let (head, _) = changed(all, answer(403, Origin::Gateway), "{}").expect("it passes");
    assert_eq!((head.status.as_u16(), head.headers.contains_key("server")), (202, false));
}

#[test]
fn a_json_body_is_changed_and_what_told_of_the_old_one_is_gone() {
    let config = json!({ "body": { "jq": "{items: ., status: $response.status, page: $request.query}" } });
    let (head, body) = changed(config.clone(), answer(200, Origin::Upstream), "[1]").expect("it passes");
    assert_eq!(body, r#"{"items":[1],"status":200,"page":"page=2"}"#);
    assert!(!head.headers.contains_key("etag"));
    for (config, content_type, sent, became) in [
        (json!({ "jq": "1" }), "text/html", "<p>", Ok("<p>")),
        (json!({ "jq": "1" }), "application/json", "", Ok("")),
        (json!({ "jq": "1", "on_other": "refuse" }), "text/html", "<p>", Err((502, "response_invalid"))),
        (json!({ "jq": "1" }), "application/json", "<p>", Err((502, "response_invalid"))),
        (json!({ "jq": ".a" }), "application/json", "[]", Err((503, "policy_failed"))),
        (json!({ "jq": "[limit(3; .[])] | add" }), "application/json", "[1,2,3,4]", Ok("6")),
    ] {
        let mut head = answer(200, Origin::Upstream);
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let found = changed(json!({ "body": config }), head, sent).map(|(_, body)| body);
        let became = became.map(str::to_owned).map_err(|(status, code)| (status, code.to_owned()));
        assert_eq!(found, became, "{config}");
    }
    assert_eq!(build("response-transform", &config).needs.response_body, BodyNeed::Buffer(1 << 20));
}

#[test]
fn what_would_do_harm_or_nothing_is_refused_when_written() {
    for (config, pointer) in [
        (json!({}), ""),
        (json!({ "status": 204 }), "/status"),
        (json!({ "status": 100 }), "/status"),
        (json!({ "headers": [{ "action": "set", "name": "content-length", "value": "1" }] }), "/headers/0/name"),
        (json!({ "headers": [{ "action": "set", "name": "connection", "value": "close" }] }), "/headers/0/name"),
        (json!({ "headers": [{ "action": "remove", "name": "x-request-id" }] }), "/headers/0/name"),
        (json!({ "headers": [{ "action": "set", "name": "a", "value": "${nothing}" }] }), "/headers/0/value"),
        (json!({ "body": { "jq": "def f: f; f" } }), "/body/jq"),
    ] {
        assert_eq!(problems("response-transform", &config)[0].pointer, pointer, "{config}");
    }
}
