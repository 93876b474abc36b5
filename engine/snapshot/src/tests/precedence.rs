//! The published precedence, each line of it.

use serde_json::{Value, json};
use tidegate_model::Kind;

use super::{find, id, put, routes, service, snapshot, taken};

/// Of two routes, the older of which goes last by this line alone, the other one takes the request.
fn goes_before(first: Value, then: Value, line: &str, headers: &[(&'static str, &'static str)]) {
    let both = routes(&[(1, then.clone()), (2, first.clone())]);
    assert_eq!(taken(&both, line, headers), "2", "{first} before {then} for {line}");
    // where the first one stands aside, the other takes it: the line decided, not the match
    assert_eq!(taken(&routes(&[(1, then.clone())]), line, headers), "1", "{then} for {line}");
}

#[test]
fn line_1_the_higher_priority_goes_before_everything_else() {
    let most = json!({ "hosts": ["a"], "path": { "exact": "/x" }, "methods": ["GET"] });
    let document = |priority: i32| json!({ "service": id(100), "priority": priority });
    let mut first = document(0);
    first["match"] = most;
    for (priority, expected) in [(1, "2"), (0, "1"), (-1, "1")] {
        let snapshot =
            snapshot(vec![service(100), put(Kind::Route, 1, first.clone()), put(Kind::Route, 2, document(priority))]);
        assert_eq!(find(&snapshot, "GET a/x"), expected, "priority {priority}");
    }
}

#[test]
fn line_2_an_exact_host_then_the_longest_wildcard_then_any() {
    let hosts = |host: &str| json!({ "hosts": [host], "path": "/" });
    let any = json!({ "path": { "exact": "/x" }, "methods": ["GET"] });
    let mut narrow = any.clone();
    narrow["hosts"] = json!(["*.b.example"]);
    goes_before(hosts("a.b.example"), narrow, "GET a.b.example/x", &[]);
    let mut wide = any.clone();
    wide["hosts"] = json!(["*.example"]);
    goes_before(hosts("*.b.example"), wide, "GET a.b.example/x", &[]);
    goes_before(hosts("*.example"), any, "GET a.b.example/x", &[]);
}

#[test]
fn line_3_what_says_more_of_the_path() {
    let path = |path: Value| json!({ "path": path });
    let exact = |text: &str| path(json!({ "exact": text }));
    let template = |text: &str| path(json!({ "template": text }));
    let regex = |text: &str| path(json!({ "regex": text }));
    let prefix = |text: &str| path(json!(text));
    for (first, then, line) in [
        (exact("/a/b"), template("/a/{x}"), "GET /a/b"),
        (template("/a/b"), template("/a/{x}"), "GET /a/b"),
        (template("/{x}/{y}"), regex("/a/b/?|/a/longer/than/the/other"), "GET /a/b"),
        (template("/{x}/{y}"), prefix("/a/b"), "GET /a/b"),
        (template("/a/{x}"), template("/{x}/b"), "GET /a/b"),
        (template("/a/{x}/c"), template("/a/{x}/{y}"), "GET /a/b/c"),
        (regex("/a/[a-z]"), regex("/a/."), "GET /a/b"),
        (regex("/."), prefix("/a"), "GET /a"),
        (regex("/a/."), prefix("/a/b"), "GET /a/b"),
        (regex("/a/."), template("/a/{*rest}"), "GET /a/b"),
        (prefix("/a/b"), prefix("/a"), "GET /a/b/c"),
        (prefix("/a/"), prefix("/a"), "GET /a/b"),
        (prefix("/a"), template("/{x}/{*rest}"), "GET /a/b"),
        (prefix("/a"), template("/{*rest}"), "GET /a/b"),
        (template("/a/{x}/{*rest}"), prefix("/a"), "GET /a/b/c"),
        (template("/a/{x}/{*rest}"), template("/a/{*rest}"), "GET /a/b/c"),
        (template("/a/{*rest}"), prefix("/a"), "GET /a/b/c"),
        (prefix("/"), json!({}), "GET /a"),
        (template("/{*rest}"), json!({}), "GET /a"),
    ] {
        goes_before(first, then, line, &[]);
    }
}

#[test]
fn line_4_a_route_that_names_methods() {
    let more = json!({ "path": "/a", "headers": [{ "name": "x-a", "present": true }] });
    goes_before(json!({ "path": "/a", "methods": ["GET"] }), more, "GET /a", &[("x-a", "1")]);
}

#[test]
fn line_5_a_route_that_asks_more_of_headers() {
    let header = json!({ "name": "x-a", "exact": "1" });
    let query = json!({ "name": "q", "present": true });
    let first = json!({ "path": "/a", "headers": [header] });
    goes_before(first, json!({ "path": "/a", "query": [query, query] }), "GET /a?q", &[("x-a", "1")]);
    let two = json!({ "path": "/a", "headers": [header, { "name": "x-b", "present": false }] });
    goes_before(two, json!({ "path": "/a", "headers": [header] }), "GET /a", &[("x-a", "1")]);
}

#[test]
fn line_6_a_route_that_asks_more_of_the_query() {
    let query = json!({ "name": "q", "present": true });
    goes_before(json!({ "path": "/a", "query": [query] }), json!({ "path": "/a" }), "GET /a?q", &[]);
}

#[test]
fn line_7_the_older_one() {
    let same = json!({ "path": "/a" });
    assert_eq!(find(&routes(&[(2, same.clone()), (1, same)]), "GET /a"), "1");
    // which of them names more methods, or which test it is, says nothing
    let (one, more) = (json!({ "methods": ["GET"] }), json!({ "methods": ["GET", "PUT"] }));
    assert_eq!(find(&routes(&[(1, one.clone()), (2, more.clone())]), "GET /a"), "1");
    assert_eq!(find(&routes(&[(2, one), (1, more)]), "GET /a"), "1");
}
