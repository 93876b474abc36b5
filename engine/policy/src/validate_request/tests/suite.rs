//! The JSON Schema Test Suite (draft 2020-12, what is required) through the policy.

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
    ("dynamicRef: $ref and $dynamicAnchor are independent of order - $defs first", "refers to a document on a server"),
    ("dynamicRef: $ref and $dynamicAnchor are independent of order - $ref first", "refers to a document on a server"),
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
