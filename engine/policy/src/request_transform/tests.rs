use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::testing::{Bench, build, problems};
use crate::{BodyNeed, Captures, RequestHead};

fn bench(config: Value, target: &str) -> Bench {
    let mut bench = Bench::new("request-transform", config);
    bench.head.target = target.parse().expect("a target");
    for (name, value) in [("host", "shop.example"), ("x-tier", "gold"), ("x-many", "a"), ("x-many", "b")] {
        bench.head.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    bench
}

fn changed(config: Value, target: &str) -> RequestHead {
    let mut bench = bench(config, target);
    bench.request().expect("it passes");
    bench.head
}

fn values(head: &RequestHead, name: &str) -> Vec<String> {
    head.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

#[test]
fn headers_are_changed_in_order() {
    let head = changed(
        json!({ "headers": [
            { "action": "set", "name": "x-new", "value": "tier ${request.headers['x-tier']} of ${request.host}" },
            { "action": "add", "name": "x-many", "value": "c" },
            { "action": "remove", "name": "X-Tier" },
            { "action": "rename", "name": "x-many", "to": "x-all" },
            { "action": "set", "name": "x-seen", "value": "${request.headers['x-all']}" },
            { "action": "rename", "name": "x-none", "to": "x-new" }
        ] }),
        "/",
    );
    assert_eq!(values(&head, "x-new"), ["tier gold of shop.example"], "what is not there renames nothing");
    assert_eq!(values(&head, "x-all"), ["a", "b", "c"]);
    assert_eq!((values(&head, "x-many"), values(&head, "x-tier")), (vec![], vec![]));
    assert!(values(&head, "x-seen")[0].starts_with('a'), "each step sees what those before it made");
}

#[test]
fn what_is_not_named_in_a_query_stays_byte_for_byte() {
    let query = |operations: Value, target: &str| {
        changed(json!({ "query": operations }), target).query().unwrap_or("").to_owned()
    };
    let set = |name: &str, value: &str| json!([{ "action": "set", "name": name, "value": value }]);
    for (operations, target, became) in [
        (set("b", "2"), "/?a=%7e&&c=x+y&d", "a=%7e&&c=x+y&d&b=2"),
        (set("b", "2"), "/?a=1&%62=x&b&c=3", "a=1&b=2&c=3"),
        (set("b", "a&c=d#?/ ä"), "/", "b=a%26c%3Dd%23%3F%2F%20%C3%A4"),
        (set("b", "${request.query.a}"), "/?a=x%26y", "a=x%26y&b=x%26y"),
        (json!([{ "action": "add", "name": "a", "value": "2" }]), "/?a=1", "a=1&a=2"),
        (json!([{ "action": "remove", "name": "a" }]), "/?a=1&b=%2F&a", "b=%2F"),
        (json!([{ "action": "remove", "name": "a" }]), "/?a=1", ""),
        (json!([{ "action": "rename", "name": "a", "to": "b c" }]), "/?b%20c=0&a=%7e&a", "b%20c=%7e&b%20c"),
        (json!([{ "action": "rename", "name": "z", "to": "a" }]), "/?a=1", "a=1"),
    ] {
        assert_eq!(query(operations.clone(), target), became, "{operations} {target}");
    }
}

/// The path that becomes of `/users/NAME`, captured as `name`; or that it is refused.
fn path(template: &str, name: &str) -> Result<String, u16> {
    let target = format!("/users/{name}?q=a%2Fb");
    let mut bench = bench(json!({ "path": template }), &target);
    bench.head.headers.insert("x-evil", HeaderValue::from_static("../admin?x#y"));
    bench.head.headers.insert("x-dots", HeaderValue::from_static(".."));
    let names = Arc::from([Box::from("name")]);
    let spans = [Some((7, 7 + name.len() as u32))].into_iter().collect();
    bench.cx.captures = Captures::new(names, bench.head.target.clone(), spans);
    bench.request().map_err(|reply| reply.status.as_u16())?;
    assert_eq!(bench.head.query(), Some("q=a%2Fb"), "the query stays");
    Ok(bench.head.path().to_owned())
}

#[test]
fn a_path_stays_canonical_and_nothing_escapes_its_place() {
    for (template, name, became) in [
        ("/v2${request.path}", "ann", Ok("/v2/users/ann")),
        ("/people/${captures.name}/home", "ann", Ok("/people/ann/home")),
        ("/people/${captures.name}", "a%20b", Ok("/people/a%20b")),
        ("/people/${captures.name}", "a/b", Ok("/people/a/b")),
        ("/t/${request.headers['x-tier']}", "ann", Ok("/t/gold")),
        ("/t/${request.headers['x-evil']}", "ann", Err(503)),
        ("/t/${request.headers['x-dots']}/b", "ann", Err(503)),
        ("/t/${request.headers['x-none']}/b", "ann", Err(503)),
        ("/a//b", "ann", Err(503)),
    ] {
        assert_eq!(path(template, name), became.map(str::to_owned), "{template} {name}");
    }
}

#[test]
fn a_value_with_a_line_end_makes_no_header() {
    for value in ["a%0D%0Ax-admin:%201", "a%00b", "a%0Ab"] {
        let config = json!({ "headers": [
            { "action": "remove", "name": "x-tier" },
            { "action": "set", "name": "x-q", "value": "${request.query.q}" }
        ] });
        let mut bench = bench(config, &format!("/?q={value}"));
        let reply = bench.request().expect_err("it is refused");
        assert_eq!((reply.status.as_u16(), reply.code), (503, "policy_failed"), "{value}");
        assert!(!bench.head.headers.contains_key("x-q") && bench.head.headers.contains_key("x-tier"), "all or nothing");
    }
    let head = changed(
        json!({ "headers": [{ "action": "set", "name": "x-q", "value": "${request.query.q}" }] }),
        "/?q=%C3%A4",
    );
    assert_eq!(values(&head, "x-q"), ["ä"]);
}

fn body(
    config: Value,
    content_type: &'static str,
    encoding: &'static str,
    body: &str,
) -> Result<String, (u16, String)> {
    let mut bench = bench(json!({ "body": config }), "/?page=2");
    bench.head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    bench.head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    bench.head.headers.insert("digest", HeaderValue::from_static("old"));
    bench.request().expect("its head passes");
    let mut bytes = Bytes::from(body.to_owned());
    bench.request_body(&mut bytes).map_err(|reply| (reply.status.as_u16(), reply.detail.clone().into_owned()))?;
    if bytes != body {
        assert!(!bench.head.headers.contains_key("digest"), "it tells of the old body");
    }
    Ok(String::from_utf8(bytes.to_vec()).expect("text"))
}

#[test]
fn json_bodies_are_changed_by_jq() {
    let jq = |program: &str| json!({ "jq": program });
    let json = "application/json; charset=utf-8";
    let sent = r#"{"a":1.10,"b":[1,2]}"#;
    let large = format!("[{}1]", "1,".repeat(5_000));
    for (config, content_type, encoding, sent, became) in [
        (jq("{total: (.b | add), a}"), json, "identity", sent, Ok(r#"{"total":3,"a":1.10}"#)),
        (
            jq("{path: $request.path, tier: $request.headers[\"x-tier\"], who: $principal.kind}"),
            json,
            "identity",
            sent,
            Ok(r#"{"path":"/","tier":"gold","who":"anonymous"}"#),
        ),
        (jq("length"), json, "identity", &large, Ok("5001")),
        (jq("[range(2000)] | map(. * 2) | add"), json, "identity", sent, Ok("3998000")),
        (jq("."), "text/plain", "identity", sent, Ok(sent)),
        (jq("1"), json, "gzip", sent, Ok(sent)),
        (jq("1"), json, "identity", "", Ok("")),
        (jq("1"), json, "identity", "{", Err((400, "the body is no JSON"))),
        (jq(".a.b"), json, "identity", sent, Err((503, "cannot index"))),
        (jq("empty"), json, "identity", sent, Err((503, "gave no value"))),
        (jq("[.b[] as $x | range(10000) as $y | range(10000) | $x]"), json, "identity", sent, Err((503, "more steps"))),
        (json!({ "jq": "1", "on_other": "refuse" }), "text/plain", "identity", "x", Err((415, "is not taken"))),
        (json!({ "jq": "1", "on_other": "refuse" }), json, "gzip", "x", Err((415, "is not taken"))),
        (json!({ "jq": "1", "content_types": ["text/plain"] }), "text/plain", "identity", "2", Ok("1")),
    ] {
        match (body(config.clone(), content_type, encoding, sent), became) {
            (Ok(found), Ok(became)) => assert_eq!(found, became, "{config}"),
            (Err((status, detail)), Err((wanted, part))) => {
                assert!(status == wanted && detail.contains(part), "{config}: {status} {detail}");
            }
            (found, became) => panic!("{config}: {found:?}, not {became:?}"),
        }
    }
    assert_eq!(
        build("request-transform", &json!({ "body": { "jq": "." } })).needs.request_body,
        BodyNeed::Buffer(1 << 20)
    );
    assert_eq!(build("request-transform", &json!({ "path": "/a" })).needs.request_body, BodyNeed::None);
}

#[test]
fn what_would_do_harm_or_nothing_is_refused_when_written() {
    let header = |name: &str| json!({ "headers": [{ "action": "set", "name": name, "value": "x" }] });
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "te",
        "upgrade",
        "trailer",
        "expect",
        "forwarded",
        "X-Forwarded-For",
        "x-forwarded-anything",
        "x-real-ip",
        "via",
        "x-request-id",
        "traceparent",
        "x-consumer-id",
        "X-Consumer-Name",
        "x-consumer-custom-id",
        "x-credential-id",
        "content-encoding",
        "accept-encoding",
        "range",
    ] {
        let found = problems("request-transform", &header(name));
        assert_eq!((&*found[0].pointer, &*found[0].code), ("/headers/0/name", "invalid_value"), "{name}: {found:?}");
        let renamed = json!({ "headers": [{ "action": "rename", "name": "a", "to": name }] });
        assert_eq!(problems("request-transform", &renamed)[0].pointer, "/headers/0/to", "{name}");
        let removed = json!({ "headers": [{ "action": "remove", "name": name }] });
        assert_eq!(problems("request-transform", &removed)[0].pointer, "/headers/0/name", "{name}");
    }
    for (config, pointer, part) in [
        (header("a b"), "/headers/0/name", "not the name of a header"),
        (json!({ "headers": [{ "action": "set", "name": "a" }] }), "/headers/0/value", "takes a `value`"),
        (
            json!({ "headers": [{ "action": "remove", "name": "a", "value": "x" }] }),
            "/headers/0/value",
            "takes no `value`",
        ),
        (json!({ "query": [{ "action": "rename", "name": "a" }] }), "/query/0/to", "takes a `to`"),
        (
            json!({ "query": [{ "action": "set", "name": "a", "value": "${response.status}" }] }),
            "/query/0/value",
            "column",
        ),
        (
            json!({ "headers": [{ "action": "set", "name": "a", "value": "${request." }] }),
            "/headers/0/value",
            "column 1",
        ),
        (json!({ "path": "v2" }), "/path", "starts with `/`"),
        (json!({ "path": "/v2?a=1" }), "/path", "use `query`"),
        (json!({ "body": { "jq": "repeat(.)" } }), "/body/jq", "line 1, column 1: `repeat` is refused"),
        (json!({ "body": { "jq": "$response" } }), "/body/jq", "there is no variable"),
        (json!({ "body": { "jq": ".", "max": "17MiB" } }), "/body/max", "16MiB"),
        (json!({}), "", "nothing to do"),
    ] {
        let found = problems("request-transform", &config);
        assert_eq!(found[0].pointer, pointer, "{found:?}");
        assert!(found[0].detail.contains(part), "{found:?}");
    }
}
