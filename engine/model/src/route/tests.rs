use serde_json::{Value, json};

use crate::{Kind, Pattern, Spec};

fn problems(document: Value) -> Vec<String> {
    let found = Spec::decode(Kind::Route, &document).map(drop).expect_err("it is wrong");
    found.into_iter().map(|p| format!("{} {} {}", p.pointer, p.code, p.detail)).collect()
}

/// Each of these documents has one problem, at this place, with this code, and says this.
#[test]
fn what_is_wrong_with_a_route_is_told_where_it_stands() {
    let path = |path: Value| json!({ "service": "a", "match": { "path": path } });
    for (document, place, says) in [
        (json!({}), "/service missing_field", "`service`, `redirect`"),
        (json!({ "service": "a", "redirect": { "path": "/b" } }), "/redirect conflict", "only one of"),
        (path(json!("/orders/{id}")), "/match/path invalid_value", r#"{"template": "/orders/{id}"}"#),
        (path(json!({ "template": "orders" })), "/match/path/template invalid_value", "starts with `/`"),
        (path(json!({ "template": "/a{b}" })), "/match/path/template invalid_value", "`regex`"),
        (path(json!({ "template": "/{a}/{a}" })), "/match/path/template invalid_value", "`a` is there twice"),
        (path(json!({ "template": "/{Id}" })), "/match/path/template invalid_value", "`Id` is not a name"),
        (path(json!({ "template": "/{}" })), "/match/path/template invalid_value", "not a name"),
        (path(json!({ "template": "/{*a}/b" })), "/match/path/template invalid_value", "only be the last segment"),
        (path(json!({ "template": "/a//{b}" })), "/match/path/template invalid_value", "can never match"),
        (path(json!({ "template": "/%61/{b}" })), "/match/path/template invalid_value", "can never match"),
        (path(json!([{ "regex": "/a(b" }])), "/match/path/0/regex invalid_value", "at character 3: unclosed group"),
        (path(json!({ "regex": "/(?<Id>a)" })), "/match/path/regex invalid_value", "`Id` is not a name"),
        (path(json!({ "regex": "/a)(b" })), "/match/path/regex invalid_value", "at character 3: unopened group"),
        (path(json!({ "regex": "(?x)/a # b" })), "/match/path/regex invalid_value", "the flag `x`"),
        (path(json!({ "regex": "/(a{99}){99}{99}" })), "/match/path/regex invalid_value", "too large"),
        (path(json!({ "regex": "a".repeat(1025) })), "/match/path/regex invalid_value", "1024 bytes"),
        (path(json!({ "regex": "/ä" })), "/match/path invalid_value", "%C3%A4"),
        (path(json!({ "exact": "/a;b" })), "/match/path conflict", "allow_path_parameters"),
        (
            json!({ "service": "a", "match": { "headers": [{ "name": "x" }] } }),
            "/match/headers/0/exact missing_field",
            "`exact`, `present`, `regex`",
        ),
        (
            json!({ "service": "a", "match": { "query": [{ "name": "x", "exact": "1", "present": true }] } }),
            "/match/query/0/present conflict",
            "only one of",
        ),
        (
            json!({ "service": "a", "match": { "headers": [{ "name": "x y", "present": true }] } }),
            "/match/headers/0/name invalid_value",
            "name of a header",
        ),
        (
            json!({ "service": "a", "match": { "headers": [{ "name": "x_y", "present": true }] } }),
            "/match/headers/0/name invalid_value",
            "never matches",
        ),
        (
            json!({ "service": "a", "match": { "query": [{ "name": "x", "regex": "[" }] } }),
            "/match/query/0/regex invalid_value",
            "at character 1",
        ),
        (
            json!({ "service": "a", "match": { "path": { "template": "/{a}" } }, "strip_prefix": true }),
            "/strip_prefix conflict",
            "prefixes only",
        ),
        (
            json!({ "service": "a", "match": { "path": "/b" }, "strip_prefix": true, "rewrite": { "path": "/c" } }),
            "/rewrite/path conflict",
            "not both",
        ),
        (json!({ "service": "a", "rewrite": {} }), "/rewrite missing_field", "`path` or `host`"),
        (
            json!({ "service": "a", "rewrite": { "path": "/{id}" } }),
            "/rewrite/path unknown_capture",
            "nothing captures `{id}`",
        ),
        (
            json!({ "service": "a", "match": { "path": { "template": "/{id}" } }, "rewrite": { "path": "/{ib}" } }),
            "/rewrite/path unknown_capture",
            "it captures `{id}`",
        ),
        (
            json!({ "service": "a", "match": { "path": [{ "template": "/{id}" }, "/b"] }, "rewrite": { "path": "/{id}" } }),
            "/rewrite/path unknown_capture",
            "`/b` in `match.path` does not capture `{id}`",
        ),
        (json!({ "service": "a", "rewrite": { "path": "/{*id}" } }), "/rewrite/path invalid_value", "write `{id}`"),
        (json!({ "service": "a", "rewrite": { "path": "/{id" } }), "/rewrite/path invalid_value", "without its other"),
        (json!({ "service": "a", "rewrite": { "path": "/id}" } }), "/rewrite/path invalid_value", "without its other"),
        (json!({ "service": "a", "rewrite": { "path": "/a?b" } }), "/rewrite/path invalid_value", "canonical"),
        (json!({ "service": "a", "rewrite": { "host": "http://a" } }), "/rewrite/host invalid_value", "not a host"),
        (json!({ "redirect": {} }), "/redirect missing_field", "leads to itself"),
        (
            json!({ "redirect": { "path": "/a", "status": 300 } }),
            "/redirect/status invalid_value",
            "`300` is not one of",
        ),
        (json!({ "redirect": { "host": "a:80" } }), "/redirect/host invalid_value", "in `port`"),
        (json!({ "redirect": { "path": "/{id}" } }), "/redirect/path unknown_capture", "nothing captures"),
        (json!({ "redirect": { "path": "/a" }, "rewrite": { "path": "/b" } }), "/rewrite conflict", "goes upstream"),
        (
            json!({ "redirect": { "path": "/a" }, "match": { "path": "/b" }, "strip_prefix": true }),
            "/strip_prefix conflict",
            "a redirect",
        ),
    ] {
        let found = problems(document.clone());
        assert_eq!(found.len(), 1, "{document}: {found:#?}");
        assert!(found[0].starts_with(place) && found[0].contains(says), "{document}: {found:#?}");
    }
}

#[test]
fn what_a_route_says_is_kept_as_it_was_said() {
    for document in [
        json!({ "service": "a", "match": { "path": { "template": "/orders/{id}/{*rest}" } }, "rewrite": { "path": "/v2/{rest}/{id}-x" } }),
        json!({ "service": "a", "match": { "path": [{ "regex": "^/v[0-9]+/(?<item>[^/]+)$" }] }, "rewrite": { "host": "b:81" } }),
        json!({ "service": "a", "match": {
            "headers": [{ "name": "x-a", "exact": "1" }, { "name": "x-b", "present": false }, { "name": "x-c", "regex": "a|b" }],
            "query": [{ "name": "A b", "exact": "" }],
        } }),
        json!({ "service": "a", "allow_path_parameters": true, "match": { "path": { "exact": "/a;b" } } }),
        json!({ "redirect": { "status": 308, "scheme": "https", "host": "a.example", "port": 8443, "path": "/b", "query": "drop" } }),
    ] {
        let spec = Spec::decode(Kind::Route, &document).unwrap_or_else(|e| panic!("{document}: {e:?}"));
        assert_eq!(spec.to_document(), document);
    }
}

#[test]
fn what_all_that_an_expression_fits_begins_with_is_known() {
    for (text, head) in [
        ("^/v[0-9]+/x$", "/v"),
        ("/api/v1/(?<id>[a-z]+)", "/api/v1/"),
        ("/(?<a>b/c)d?", "/b/c"),
        ("/a|/b", "/"),
        ("/a/b(?:/x|/y.*)", "/a/b/"),
        ("(?:/a)?/b", ""),
        ("/a?b", "/"),
        (".*", ""),
        ("(?i)/a", "/"),
        ("/a/b", "/a/b"),
    ] {
        assert_eq!(text.parse::<Pattern>().expect(text).head(), head, "{text}");
    }
}
