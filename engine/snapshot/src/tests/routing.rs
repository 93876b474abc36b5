//! Which routes take a request, and what they capture of it.

use serde_json::{Value, json};
use tidegate_model::Kind;

use super::{delta, find, id, put, request, routes};
use crate::{Lookup, advance};

#[test]
fn each_way_to_match_a_path_takes_what_it_says() {
    for (path, takes, leaves) in [
        (json!("/"), &["/", "/a", "/a/"][..], &[][..]),
        (json!("/a"), &["/a", "/a/", "/a/b"], &["/", "/ab", "/b/a"]),
        (json!("/a/"), &["/a/", "/a/b"], &["/a", "/ab"]),
        (json!({ "exact": "/a" }), &["/a"], &["/", "/a/", "/a/b"]),
        (json!({ "exact": "/" }), &["/"], &["/a"]),
        (json!({ "exact": "/a/" }), &["/a/"], &["/a", "/a/b"]),
        (json!({ "template": "/{x}" }), &["/a", "/%2B"], &["/", "/a/", "/a/b"]),
        (json!({ "template": "/a/{x}/" }), &["/a/b/"], &["/a/b", "/a//", "/a/b/c"]),
        (json!({ "template": "/a/{x}/c" }), &["/a/b/c"], &["/a/b", "/a/b/d", "/a/b/c/"]),
        (json!({ "template": "/{*rest}" }), &["/", "/a", "/a/b/"], &[]),
        (json!({ "template": "/a/{*rest}" }), &["/a/", "/a/b/c"], &["/a", "/ab"]),
        (json!({ "template": "/{x}/{*rest}" }), &["/a/", "/a/b"], &["/", "/a"]),
        (json!({ "regex": "/v[0-9]+" }), &["/v1", "/v12"], &["/v", "/v1/", "/xv1", "/v1x"]),
        (json!({ "regex": "^/v[0-9]+$" }), &["/v1"], &["/v1/"]),
        (json!({ "regex": "/a|/a/b" }), &["/a", "/a/b"], &["/a/", "/a/b/c"]),
        (json!({ "regex": "/a/b/.*" }), &["/a/b/", "/a/b/c/d"], &["/a/b"]),
        (json!({ "regex": "(?i)/a" }), &["/a", "/A"], &["/b"]),
    ] {
        let snapshot = routes(&[(1, json!({ "path": path }))]);
        for taken in takes {
            assert_eq!(find(&snapshot, &format!("GET {taken}")), "1", "{path} takes {taken}");
        }
        for left in leaves {
            assert_eq!(find(&snapshot, &format!("GET {left}")), "-", "{path} leaves {left}");
        }
    }
}

#[test]
fn a_search_goes_back_where_a_way_leads_nowhere() {
    let snapshot = routes(&[
        (1, json!({ "path": { "template": "/a/{x}/c" } })),
        (2, json!({ "path": { "template": "/{x}/b/d" } })),
        (3, json!({ "path": { "template": "/{x}/{y}/{z}" }, "headers": [{ "name": "x-a", "present": true }] })),
        (4, json!({ "path": { "regex": "/a/b/[e-z]" }, "methods": ["POST"] })),
        (5, json!({ "path": "/a" })),
    ]);
    for (line, expected) in
        [("GET /a/b/c", "1"), ("GET /a/b/d", "2"), ("GET /a/b/e", "5"), ("POST /a/b/e", "4"), ("GET /b/b/e", "-")]
    {
        assert_eq!(find(&snapshot, line), expected, "{line}");
    }
}

#[test]
fn a_wrong_method_is_told_from_a_wrong_path() {
    let snapshot = routes(&[
        (1, json!({ "path": "/m", "methods": ["GET", "PUT"] })),
        (2, json!({ "path": { "regex": "/m/[0-9]" }, "methods": ["PATCH"] })),
        (3, json!({ "path": "/m", "methods": ["DELETE"], "query": [{ "name": "really", "present": true }] })),
        (4, json!({ "path": "/m", "methods": ["POST"], "query": [{ "name": "new", "present": true }] })),
    ]);
    assert_eq!(find(&snapshot, "POST /m"), "GET, HEAD, PUT");
    assert_eq!(find(&snapshot, "POST /m?new"), "4");
    assert_eq!(find(&snapshot, "POST /m/1"), "GET, HEAD, PATCH, PUT");
    assert_eq!(find(&snapshot, "POST /m?really"), "DELETE, GET, HEAD, PUT");
    assert_eq!(find(&snapshot, "DELETE /m"), "GET, HEAD, PUT");
    assert_eq!(find(&snapshot, "HEAD /m"), "1");
    assert_eq!(find(&snapshot, "POST /n"), "-");
}

#[test]
fn methods_of_ones_own_are_told_apart() {
    let snapshot = routes(&[(1, json!({ "methods": ["PURGE"] })), (2, json!({ "path": "/any" }))]);
    assert_eq!(find(&snapshot, "PURGE /"), "1");
    assert_eq!(find(&snapshot, "REPORT /"), "PURGE");
    assert_eq!(find(&snapshot, "REPORT /any"), "2");
}

#[test]
fn a_route_on_another_host_changes_nothing() {
    let base = routes(&[(1, json!({ "path": "/a" }))]);
    let matches = json!({ "hosts": ["b.example", "*.c.example"], "path": { "exact": "/a" } });
    let other = put(Kind::Route, 2, json!({ "service": id(100), "priority": 999, "match": matches }));
    let more = advance(&base, &delta(vec![other])).expect("right");
    for line in ["GET a.example/a", "GET c.example/a", "GET /a"] {
        assert_eq!(find(&more, line), find(&base, line), "{line}");
    }
    assert_eq!(find(&more, "GET b.example/a"), "2");
    assert_eq!(find(&more, "GET x.c.example/a"), "2");
}

#[test]
fn very_many_children_are_found_as_few_are() {
    let all: Vec<(u128, Value)> = (0..700).map(|n| (n + 1, json!({ "path": format!("/api/{n}") }))).collect();
    let snapshot = routes(&all);
    for n in [0, 1, 255, 256, 257, 699] {
        assert_eq!(find(&snapshot, &format!("GET /api/{n}/x")), (n + 1).to_string());
    }
    assert_eq!(find(&snapshot, "GET /api/700"), "-");
    let fewer = advance(&snapshot, &delta((300..700).map(|n| super::delete(Kind::Route, n + 1)).collect()));
    let fewer = fewer.expect("right");
    assert_eq!(find(&fewer, "GET /api/299"), "300");
    assert_eq!(find(&fewer, "GET /api/300"), "-");
    assert_eq!(find(&snapshot, "GET /api/300"), "301", "the former one is as it was");
}

#[test]
fn captures_are_slices_of_the_canonical_path() {
    let snapshot = routes(&[
        (1, json!({ "path": { "template": "/orders/{id}/items/{*rest}" } })),
        (2, json!({ "path": { "regex": "/v(?<major>[0-9]+)(?:\\.(?<minor>[0-9]+))?/(?<item>[^/]+)" } })),
        (3, json!({ "path": "/plain" })),
    ]);
    for (line, expected) in [
        ("GET /orders/a%2Bb/items/x/y%20z?q=1", "id=a%2Bb rest=x/y%20z"),
        ("GET /orders/7/items/", "id=7 rest="),
        ("GET /v2/x", "major=2 item=x"),
        ("GET /v2.10/x%C3%A4", "major=2 minor=10 item=x%C3%A4"),
        ("GET /plain/x", ""),
    ] {
        let request = request(line, &[]);
        let Lookup::Found(found) = request.lookup(&snapshot) else { panic!("no route for {line}") };
        let captures = found.captures(&request.target);
        let shown: Vec<String> = captures.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown.join(" "), expected, "{line}");
        assert_eq!(captures.is_empty(), expected.is_empty());
        assert_eq!(captures.get("nothing"), None);
    }
}

#[test]
fn a_prefix_says_how_much_it_took() {
    let snapshot = routes(&[
        (1, json!({ "path": ["/a", "/b/"] })),
        (2, json!({ "path": [{ "exact": "/c" }, "/d/e"] })),
        (3, json!({ "path": "/" })),
    ]);
    for (path, expected) in [("/a/x", 2), ("/a", 2), ("/b/x", 2), ("/c", 0), ("/d/e/f", 4), ("/z", 0)] {
        let Lookup::Found(found) = request(&format!("GET {path}"), &[]).lookup(&snapshot) else { panic!("{path}") };
        assert_eq!(found.prefix(), expected, "{path}");
    }
}
