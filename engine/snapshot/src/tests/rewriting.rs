//! Paths made of captures, and where callers are sent.

use serde_json::{Value, json};
use tidegate_model::{Kind, PathRefused};

use super::{id, put, request, service, snapshot};
use crate::{Action, Lookup, NoLocation};

/// What becomes of a request on the only route.
fn written(path: Value, to: &str, line: &str) -> Result<String, PathRefused> {
    let document = json!({ "service": id(100), "match": { "path": path }, "rewrite": { "path": to } });
    let snapshot = snapshot(vec![service(100), put(Kind::Route, 1, document)]);
    let request = request(line, &[]);
    let Lookup::Found(found) = request.lookup(&snapshot) else { panic!("no route for {line}") };
    let rewrite = found.route.rewrite.as_ref().expect("a rewrite");
    rewrite.path.as_ref().expect("a path").write(&found.captures(&request.target))
}

#[test]
fn captures_go_into_a_path_as_they_stand() {
    let template = json!({ "template": "/orders/{id}/{*rest}" });
    for (to, line, expected) in [
        ("/v2/{rest}/of/{id}", "GET /orders/7/a/b", "/v2/a/b/of/7"),
        ("/{id}", "GET /orders/a%2Bb/", "/a%2Bb"),
        ("/x-{id}.json", "GET /orders/7/", "/x-7.json"),
        ("/v2/{rest}", "GET /orders/7/", "/v2/"),
        ("/{rest}/x", "GET /orders/7/", "/x"),
        ("/still", "GET /orders/7/a", "/still"),
    ] {
        assert_eq!(written(template.clone(), to, line).as_deref(), Ok(expected), "{to} for {line}");
    }
}

#[test]
fn what_captures_make_together_is_canonical_or_refused() {
    let regex = |text: &str| json!({ "regex": text });
    for (path, to, line, expected) in [
        // would be `//evil.example`, which names a host where callers are sent
        (regex("/go(?<to>/.*)"), "/{to}", "GET /go/evil.example", Ok("/evil.example")),
        (regex("/(?<a>.)x(?<b>.)/(?<c>.)"), "/up/{a}{b}/{c}", "GET /.x./c", Ok("/c")),
        (regex("/(?<a>.)x(?<b>.)/(?<c>.)"), "/{a}{b}/{c}", "GET /.x./c", Err(PathRefused::AboveRoot)),
        (regex("/(?<a>..)B(?<b>.*)"), "/{a}{b}", "GET /%2Bx", Err(PathRefused::BrokenEncoding)),
        (regex("/(?<a>%2)B(?<b>.*)"), "/{a}{b}", "GET /%2BFx", Err(PathRefused::Ambiguous)),
        (regex("/a(?:/(?<b>b))?"), "/x/{b}/y", "GET /a", Ok("/x/y")),
    ] {
        assert_eq!(written(path, to, line).as_deref(), expected.as_ref().copied(), "{to} for {line}");
    }
}

#[test]
fn a_redirect_says_what_it_was_told_and_keeps_the_rest() {
    let location = |redirect: Value, line: &str| {
        let document = json!({ "match": { "path": { "template": "/a/{id}" } }, "redirect": redirect });
        let snapshot = snapshot(vec![put(Kind::Route, 1, document)]);
        let request = request(line, &[]);
        let Lookup::Found(found) = request.lookup(&snapshot) else { panic!("no route for {line}") };
        let Action::Redirect(redirect) = &found.route.action else { panic!("no redirect") };
        assert_eq!(found.route.facts.service, None);
        let captures = found.captures(&request.target);
        let location = redirect.location(request.host.as_deref(), &request.target, &captures);
        location.map(|location| format!("{} {}", redirect.status.as_u16(), location.to_str().expect("ASCII")))
    };
    for (redirect, expected) in [
        (json!({ "path": "/b" }), "302 /b?q=%2f&r"),
        (json!({ "path": "/b/{id}", "status": 301 }), "301 /b/7%2B?q=%2f&r"),
        (json!({ "path": "/b", "query": "drop", "status": 303 }), "303 /b"),
        (json!({ "scheme": "https", "status": 308 }), "308 https://h.example/a/7%2B?q=%2f&r"),
        (json!({ "scheme": "https", "port": 8443 }), "302 https://h.example:8443/a/7%2B?q=%2f&r"),
        (json!({ "host": "n.example", "status": 307 }), "307 //n.example/a/7%2B?q=%2f&r"),
        (json!({ "host": "[::1]", "scheme": "http", "path": "/" }), "302 http://[::1]/?q=%2f&r"),
        (json!({ "port": 81, "query": "keep" }), "302 //h.example:81/a/7%2B?q=%2f&r"),
    ] {
        assert_eq!(location(redirect.clone(), "GET h.example/a/7%2B?q=%2f&r").as_deref(), Ok(expected), "{redirect}");
    }
    assert_eq!(location(json!({ "path": "/b" }), "GET /a/7").as_deref(), Ok("302 /b"));
    assert_eq!(location(json!({ "scheme": "https" }), "GET /a/7"), Err(NoLocation::HostMissing));
}
