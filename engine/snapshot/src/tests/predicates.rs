//! What routes ask of headers and query.

use serde_json::json;

use super::{routes, taken};

#[test]
fn headers_are_compared_line_by_line() {
    let header = |test| json!({ "headers": [test] });
    let snapshot = routes(&[
        (1, header(json!({ "name": "X-A", "exact": "1" }))),
        (2, header(json!({ "name": "x-b", "present": true }))),
        (3, header(json!({ "name": "x-c", "regex": "a|b+" }))),
        (4, json!({ "path": "/none", "headers": [{ "name": "x-d", "present": false }] })),
    ]);
    for (line, headers, expected) in [
        ("GET /", &[("x-a", "1")][..], "1"),
        ("GET /", &[("x-a", "2"), ("x-a", "1")], "1"),
        ("GET /", &[("x-a", "1, 2")], "-"),
        ("GET /", &[("x-a", "11")], "-"),
        ("GET /", &[("x-b", "")], "2"),
        ("GET /", &[("x-c", "bbb")], "3"),
        ("GET /", &[("x-c", "ab")], "-"),
        ("GET /", &[("x-c", "c"), ("x-c", "a")], "3"),
        ("GET /", &[], "-"),
        ("GET /none", &[], "4"),
        ("GET /none", &[("x-d", "")], "-"),
    ] {
        assert_eq!(taken(&snapshot, line, headers), expected, "{line} {headers:?}");
    }
}

#[test]
fn a_query_is_compared_decoded_and_any_of_a_repeated_key_counts() {
    let query = |path: &str, test| json!({ "path": path, "query": [test] });
    let snapshot = routes(&[
        (1, query("/exact", json!({ "name": "a b", "exact": "x&y" }))),
        (2, query("/present", json!({ "name": "q", "present": true }))),
        (3, query("/absent", json!({ "name": "q", "present": false }))),
        (4, query("/regex", json!({ "name": "q", "regex": "[a-z ]+" }))),
        (5, json!({ "path": "/two", "query": [{ "name": "q", "exact": "1" }, { "name": "q", "exact": "2" }] })),
    ]);
    for (line, expected) in [
        ("GET /exact?a+b=x%26y", "1"),
        ("GET /exact?z=1&a%20b=x%26y", "1"),
        ("GET /exact?a+b=1&a+b=x%26y", "1"),
        ("GET /exact?a+b=x&y", "-"),
        ("GET /exact?A+b=x%26y", "-"),
        ("GET /exact", "-"),
        ("GET /present?q", "2"),
        ("GET /present?q=", "2"),
        ("GET /present?x=1&q=2", "2"),
        ("GET /present?qq=1", "-"),
        ("GET /absent", "3"),
        ("GET /absent?x=q", "3"),
        ("GET /absent?q", "-"),
        ("GET /regex?q=a+b", "4"),
        ("GET /regex?q=A", "-"),
        ("GET /two?q=1", "-"),
        ("GET /two?q=1&q=2", "5"),
    ] {
        assert_eq!(taken(&snapshot, line, &[]), expected, "{line}");
    }
}
