use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::testing::{Bench, build, problems};
use crate::{BodyNeed, Captures, Reply};

fn told(reply: &Reply) -> Vec<(String, String)> {
    let members = reply.members.as_deref().expect("what is wrong");
    let members: Value = serde_json::from_str(&format!("{{{members}}}")).expect("members");
    let errors = members["errors"].as_array().expect("a list").iter();
    let place = |error: &Value| {
        let name = error["name"].as_str().unwrap_or("");
        let part = error["in"].as_str().unwrap_or("");
        let name = if name.is_empty() { part.to_owned() } else { format!("{part} {name}") };
        name + error["pointer"].as_str().unwrap_or("")
    };
    errors.map(|error| (place(error).trim().to_owned(), error["code"].as_str().unwrap_or("").to_owned())).collect()
}

/// What is told of a body of a content type.
fn sent(config: &Value, content_type: &str, body: &str) -> Result<(), (u16, Vec<(String, String)>)> {
    let mut bench = Bench::new("validate-request", config.clone());
    if !content_type.is_empty() {
        bench.head.headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).expect("a header"));
    }
    bench.head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let passed = bench.request().and_then(|()| bench.request_body(&mut Bytes::from(body.to_owned())));
    passed.map_err(|reply| {
        let told = if reply.members.is_some() { told(&reply) } else { Vec::new() };
        assert!(reply.members.is_some() || reply.headers.iter().any(|(name, _)| *name == ACCEPT));
        (reply.status.as_u16(), told)
    })
}

fn pets() -> Value {
    json!({
        "body": {
            "required": true,
            "content": [
                {
                    "type": "application/json",
                    "schema": {
                        "type": "object",
                        "required": ["name", "price"],
                        "additionalProperties": false,
                        "properties": {
                            "name": { "type": "string", "minLength": 1 },
                            "price": { "type": "number", "exclusiveMinimum": 0 },
                            "tags": { "type": "array", "items": { "$ref": "Tag" } },
                            "at": { "format": "date" }
                        }
                    }
                },
                { "type": "application/*+json", "schema": { "type": "array" } },
                { "type": "text/*" }
            ]
        },
        "definitions": { "Tag": { "type": "string", "pattern": "^[a-z]{1,20}$" } }
    })
}

#[test]
fn all_that_is_wrong_with_a_body_is_told_at_once() {
    let wrong = |body: &str| match sent(&pets(), "application/json", body) {
        Err((400, told)) => told.into_iter().map(|(place, code)| format!("{place} {code}")).collect::<Vec<_>>(),
        other => panic!("{body}: {other:?}"),
    };
    assert_eq!(sent(&pets(), "application/json", r#"{"name":"a","price":1,"tags":["x"],"at":"never"}"#), Ok(()));
    let body = r#"{"name":"","price":-1,"tags":["ok","NO",5],"colour":1}"#;
    let mut found = wrong(body);
    found.sort();
    assert_eq!(
        found,
        [
            "body additionalProperties",
            "body/name minLength",
            "body/price exclusiveMinimum",
            "body/tags/1 pattern",
            "body/tags/2 type",
        ]
    );
    assert_eq!(wrong("{}"), ["body required", "body required"]);
    assert_eq!(wrong(""), ["body required"]);
    assert_eq!(wrong("{"), ["body invalid_json"]);
    assert_eq!(wrong(r#"{"name":"a","price":1,"price":-1}"#), ["body invalid_json"], "which one would the API take?");
    assert_eq!(wrong(&"[".repeat(100_000)), ["body invalid_json"]);
}

#[test]
fn what_was_sent_is_not_repeated_and_the_list_ends() {
    let config =
        json!({ "body": { "content": [{ "type": "application/json", "schema": { "items": { "maxLength": 3 } } }] } });
    let mut bench = Bench::new("validate-request", config);
    bench.head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    bench.request().expect("no parameters");
    let body = format!("[{}]", vec!["\"secret-word\""; 2_000].join(","));
    let reply = bench.request_body(&mut Bytes::from(body)).expect_err("they are too long");
    assert_eq!(told(&reply).len(), 50);
    assert_eq!(reply.detail, "the request breaks its schema in more than 50 places");
    assert!(!reply.members.as_deref().expect("members").contains("secret"));
}

#[test]
fn the_content_type_decides_and_others_are_refused() {
    for (content_type, body, status) in [
        ("application/json", "[]", 400),
        ("Application/JSON; charset=\"UTF-8\"", "[]", 400),
        ("application/vnd.pets+json", "[]", 0),
        ("application/vnd.pets+json", "{}", 400),
        ("text/plain", "whatever", 0),
        ("text/plain; charset=latin1", "whatever", 0),
        ("application/json; charset=utf-16", "{}", 415),
        ("application/jsonp", "{}", 415),
        ("application/+json", "[]", 415),
        ("text", "x", 415),
        ("", "{}", 415),
    ] {
        let found = sent(&pets(), content_type, body).map_or_else(|(status, _)| status, |()| 0);
        assert_eq!(found, status, "{content_type:?} {body}");
    }
}

#[test]
fn a_body_of_a_wrong_type_is_refused_before_it_is_read() {
    let mut bench = Bench::new("validate-request", pets());
    bench.head.headers.insert(CONTENT_LENGTH, HeaderValue::from(5));
    assert_eq!(bench.request().expect_err("no type").code, "unsupported_media_type");
    bench.head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    bench.head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let reply = bench.request().expect_err("it is compressed");
    assert_eq!((reply.status.as_u16(), &*reply.detail), (415, "the body must come without a content encoding"));
    bench.head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    assert!(bench.request().is_ok());
    bench.head.headers.append(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    assert!(bench.request().is_err(), "two content types are none");
}

fn parameters() -> Value {
    json!({
        "parameters": [
            { "in": "path", "name": "id", "type": "integer", "schema": { "minimum": 1 } },
            { "in": "query", "name": "limit", "type": "integer", "schema": { "maximum": 100 } },
            { "in": "query", "name": "ratio", "type": "number" },
            { "in": "query", "name": "deep", "type": "boolean" },
            { "in": "query", "name": "tag", "list": "repeat", "schema": { "maxItems": 2 } },
            { "in": "query", "name": "sort", "list": "comma", "schema": { "items": { "enum": ["a", "b,c"] } } },
            { "in": "query", "name": "ids", "list": "pipe", "type": "integer" },
            { "in": "query", "name": "words", "list": "space", "schema": { "minItems": 2 } },
            { "in": "header", "name": "X-Tenant", "required": true, "schema": { "pattern": "^[a-z]+$" } },
            { "in": "header", "name": "x-list", "list": "comma", "type": "integer" }
        ],
        "other_query_parameters": "refuse"
    })
}

fn asked(target: &str, id: &str, headers: &[(&'static str, &str)]) -> Vec<String> {
    let mut bench = Bench::new("validate-request", parameters());
    bench.head.target = target.parse().expect("a target");
    for (name, value) in headers {
        bench.head.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
    }
    let names = Arc::from([Box::from("id")]);
    let path = format!("/{id}").parse().expect("a path");
    bench.cx.captures = Captures::new(names, path, [Some((1, 1 + id.len() as u32))].into_iter().collect());
    match bench.request() {
        Ok(()) => Vec::new(),
        Err(reply) => told(&reply).into_iter().map(|(place, code)| format!("{place} {code}")).collect(),
    }
}

#[test]
fn parameters_are_read_as_their_type_and_checked() {
    let tenant = &[("x-tenant", "acme")][..];
    for (target, id, wrong) in [
        ("/1", "1", &[][..]),
        ("/?limit=100&ratio=-2.5e3&deep=true&tag=a&tag=b&sort=a,b%2Cc&ids=1%7C-2&words=a+b%20c", "1", &[]),
        ("/?limit=101", "0", &["path id minimum", "query limit maximum"]),
        ("/?limit=1.0", "x", &["path id type", "query limit type"]),
        ("/?limit=+1", "1", &["query limit type"]),
        ("/?limit=", "1", &["query limit type"]),
        ("/?limit=99999999999999999999", "1", &["query limit type"]),
        ("/?limit=1&limit=2", "1", &["query limit repeated"]),
        ("/?l%69mit=x", "1", &["query limit type"]),
        ("/?ratio=NaN&deep=1", "1", &["query ratio type", "query deep type"]),
        ("/?tag=a&tag=b&tag=c", "1", &["query tag maxItems"]),
        ("/?sort=a,b,c", "1", &["query sort/1 enum", "query sort/2 enum"]),
        ("/?ids=1%7Cx", "1", &["query ids/1 type"]),
        ("/?words=a", "1", &["query words minItems"]),
        ("/?other=1&%6Cimit=2", "1", &["query other unknown"]),
    ] {
        assert_eq!(asked(target, id, tenant), wrong, "{target}");
    }
    assert_eq!(asked("/", "1", &[]), ["header X-Tenant required"]);
    assert_eq!(asked("/", "1", &[("x-tenant", "Acme")]), ["header X-Tenant pattern"]);
    assert_eq!(asked("/", "1", &[("x-tenant", "a"), ("x-tenant", "b")]), ["header X-Tenant repeated"]);
    assert_eq!(asked("/", "1", &[("x-tenant", "a"), ("x-list", "1, 2"), ("x-list", "x")]), ["header x-list/2 type"]);
    assert_eq!(asked(&format!("/?{}", "a&".repeat(1_001)), "1", tenant), ["query maxItems"]);
}

#[test]
fn a_schema_that_is_none_is_told_with_its_place() {
    let body = |schema: Value| json!({ "body": { "content": [{ "type": "application/json", "schema": schema }] } });
    let mut deep = json!({});
    for _ in 0..64 {
        deep = json!({ "not": deep });
    }
    let wide = json!({ "enum": (0..20_001).collect::<Vec<_>>() });
    for (config, pointer, part) in [
        (body(json!({ "type": "strin" })), "/body/content/0/schema/type", "strin"),
        (
            body(json!({ "properties": { "a": { "minLength": -1 } } })),
            "/body/content/0/schema/properties/a/minLength",
            "-1",
        ),
        (
            body(json!({ "$ref": "Nobody" })),
            "/body/content/0/schema",
            "neither into the schema nor to one of `definitions`",
        ),
        (body(json!({ "$ref": "https://example.com/a" })), "/body/content/0/schema", "nothing is fetched"),
        (body(json!({ "$ref": "file:///etc/passwd" })), "/body/content/0/schema", "nothing is fetched"),
        (body(json!({ "$ref": "#/$defs/a" })), "/body/content/0/schema", "a"),
        (body(json!({ "pattern": "(" })), "/body/content/0/schema/pattern", "regex"),
        (body(json!({ "pattern": "(?=a)" })), "/body/content/0/schema/pattern", "regex"),
        (body(deep), "/body/content/0/schema", "nests deeper than 64"),
        (body(wide), "/body/content/0/schema", "more than 20000 values"),
        (
            json!({ "parameters": [{ "in": "query", "name": "a", "schema": { "type": 1 } }] }),
            "/parameters/0/schema/type",
            "1",
        ),
        (json!({ "body": { "content": [{ "type": "json" }] } }), "/body/content/0/type", "application/json"),
        (json!({ "body": { "content": [{ "type": "a/b" }], "max": "17MiB" } }), "/body/max", "16MiB"),
        (
            json!({ "parameters": [{ "in": "header", "name": "a b" }] }),
            "/parameters/0/name",
            "not the name of a header",
        ),
        (
            json!({ "parameters": [{ "in": "query", "name": "a" }, { "in": "query", "name": "a" }] }),
            "/parameters/1/name",
            "there already",
        ),
        (json!({}), "", "nothing to look at"),
    ] {
        let found = problems("validate-request", &config);
        assert_eq!(found[0].pointer, pointer, "{found:?}");
        assert!(found[0].detail.contains(part), "{found:?}");
    }
    let both = json!({
        "body": { "content": [{ "type": "a/b", "schema": { "type": 1 } }] },
        "parameters": [{ "in": "query", "name": "a", "schema": { "type": 1 } }]
    });
    assert_eq!(problems("validate-request", &both).len(), 2, "all at once");
}

#[test]
fn it_holds_bodies_only_where_it_looks_at_them() {
    let need = |config: Value| build("validate-request", &config).needs.request_body;
    assert_eq!(need(json!({ "parameters": [{ "in": "query", "name": "a" }] })), BodyNeed::None);
    assert_eq!(need(pets()), BodyNeed::Buffer(1 << 20));
}

#[test]
fn formats_refuse_only_where_told() {
    let config = |formats: &str| json!({ "parameters": [{ "in": "query", "name": "at", "schema": { "format": "date" } }], "formats": formats });
    for (formats, passes) in [("describe", true), ("assert", false)] {
        let mut bench = Bench::new("validate-request", config(formats));
        bench.head.target = "/?at=tomorrow".parse().expect("a target");
        assert_eq!(bench.request().is_ok(), passes, "{formats}");
    }
}

/// The JSON Schema Test Suite (draft 2020-12, what is required) through the policy.
mod suite {
    use bytes::Bytes;
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;
    use serde_json::{Value, json};

    use crate::testing::Bench;

    /// What is not run, and why.
    const LEFT_OUT: [(&str, &str); 7] = [
        ("refRemote", "all of it refers to documents on a server, which are never fetched"),
        ("vocabulary", "a meta-schema of its own, on a server, switches keywords off"),
        ("dynamicRef: strict-tree schema, guards against misspelled properties", "refers to a document on a server"),
        ("dynamicRef: tests for implementation dynamic anchor and reference link", "refers to a document on a server"),
        (
            "dynamicRef: $ref and $dynamicAnchor are independent of order - $defs first",
            "refers to a document on a server",
        ),
        (
            "dynamicRef: $ref and $dynamicAnchor are independent of order - $ref first",
            "refers to a document on a server",
        ),
        ("dynamicRef: $ref to $dynamicRef finds detached $dynamicAnchor", "refers to a document on a server"),
    ];

    fn groups() -> Vec<(String, Value)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/json_schema_test_suite");
        let mut groups = Vec::new();
        for file in std::fs::read_dir(folder).expect("the suite is there") {
            let path = file.expect("a file").path();
            if path.extension().is_none_or(|end| end != "json") {
                continue;
            }
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
            let text = std::fs::read_to_string(&path).expect("it can be read");
            let all: Vec<Value> = serde_json::from_str(&text).expect("it is JSON");
            groups.extend(all.into_iter().map(|group| (name.clone(), group)));
        }
        groups
    }

    #[test]
    fn the_required_tests_of_the_json_schema_test_suite_pass() {
        let mut ran = 0;
        let mut wrong = Vec::new();
        for (file, group) in groups() {
            let title = format!("{file}: {}", group["description"].as_str().unwrap_or(""));
            // a schema that is only true or false has no place in a config of its own, but in another schema
            let schema = match &group["schema"] {
                Value::Bool(is) => json!({ "allOf": [is] }),
                schema => schema.clone(),
            };
            let config = json!({ "body": { "content": [{ "type": "application/json", "schema": schema }] } });
            if LEFT_OUT.iter().any(|(left, _)| file == *left || title == *left) {
                continue;
            }
            for test in group["tests"].as_array().expect("tests") {
                ran += 1;
                let mut bench = Bench::new("validate-request", config.clone());
                bench.head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                bench.request().expect("its parameters are not looked at");
                let mut body = Bytes::from(test["data"].to_string());
                let passed = bench.request_body(&mut body);
                if passed.is_ok() != (test["valid"] == true) {
                    wrong.push(format!("{title}: {}: {passed:?}", test["description"]));
                }
            }
        }
        assert!(wrong.is_empty(), "{} of {ran}:\n{}", wrong.len(), wrong.join("\n"));
        assert!(ran > 1_100, "{ran} tests");
    }
}
