//! Which route a request takes on its way through a worker, what it is called upstream, and where callers are sent.

use crate::support::{Gateway, policy, resource, route, run, service};
use serde_json::{Value, json};
use tidegate_model::Kind;

fn redirect(name: &str, document: Value) -> tidegate_model::Change {
    resource(Kind::Route, name, document)
}

#[test]
fn headers_and_query_lead_to_a_route_and_the_query_stays_byte_for_byte() {
    run(async {
        let gateway = Gateway::new(&[
            service("old", json!({ "url": "http://old" })),
            service("new", json!({ "url": "http://new" })),
            route("old", "old", json!({ "match": { "path": "/a" } })),
            route(
                "beta",
                "new",
                json!({ "match": { "path": "/a", "headers": [{ "name": "X-Beta", "exact": "yes" }] } }),
            ),
            route("query", "new", json!({ "match": { "path": "/a", "query": [{ "name": "v", "regex": "[2-9]" }] } })),
        ]);
        let (old, new) = (gateway.net.upstream("old:80"), gateway.net.upstream("new:80"));
        for (target, header, upstream) in [
            ("/a?x=%2f&&=;é%C3", "X-Other: yes", &old),
            ("/a", "x-beta: no\r\nX-BETA: yes", &new),
            ("/a?v=1&v=%32&z=%7e+", "X-Other: 1", &new),
        ] {
            let reply = gateway.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n")).await;
            assert_eq!(reply.status(), 200, "{target}");
            assert_eq!(upstream.last().first_line, format!("GET {target} HTTP/1.1"));
        }
        assert_eq!((old.count(), new.count()), (1, 2));
    });
}

#[test]
fn a_request_is_called_upstream_what_the_route_says() {
    run(async {
        let to = |path: Value, rewrite: Value| json!({ "match": { "path": path }, "rewrite": rewrite });
        let template = |text: &str| json!({ "template": text });
        let gateway = Gateway::new(&[
            service("plain", json!({ "url": "http://up" })),
            service("deep", json!({ "url": "http://up/base", "preserve_host": true })),
            route(
                "items",
                "plain",
                to(template("/orders/{id}/items/{*rest}"), json!({ "path": "/v2/{rest}/of/{id}" })),
            ),
            route("deep", "deep", to(template("/deep/{id}"), json!({ "path": "/{id}", "host": "in.example:81" }))),
            route("regex", "plain", to(json!({ "regex": "/r(?<a>/.*)" }), json!({ "path": "/x/{a}" }))),
            route("cut", "plain", to(json!({ "regex": "/cut/(?<a>%.)(?<b>.)" }), json!({ "path": "/{b}{a}" }))),
            route("host", "plain", to(json!("/host"), json!({ "host": "named.example" }))),
        ]);
        let upstream = gateway.net.upstream("up:80");
        for (target, expected, host) in [
            ("/orders/7/items/a/b?q=%2F", "/v2/a/b/of/7?q=%2F", "up"),
            ("/orders/a%2bb/items/?", "/v2/of/a%2Bb?", "up"),
            ("/deep/x%20y", "/base/x%20y", "in.example:81"),
            ("/r//evil", "/x/evil", "up"),
            ("/host/1", "/host/1", "named.example"),
        ] {
            let reply = gateway.ask(&format!("GET {target} HTTP/1.1\r\nHost: Asked.example\r\n\r\n")).await;
            assert_eq!(reply.status(), 200, "{target}");
            let seen = upstream.last();
            assert_eq!(seen.first_line, format!("GET {expected} HTTP/1.1"), "{target}");
            assert_eq!(seen.all("host"), [host], "{target}");
            assert_eq!(seen.header("x-forwarded-host"), Some("Asked.example"), "{target}");
        }
        let cut = gateway.ask("GET /cut/%2B HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!((cut.status(), &*cut.code()), (400, "path_refused"), "half of an encoding is none");
    });
}

#[test]
fn callers_are_sent_elsewhere() {
    run(async {
        let gateway = Gateway::new(&[
            redirect("tls", json!({ "match": { "path": "/tls" }, "redirect": { "scheme": "https", "status": 308 } })),
            redirect(
                "moved",
                json!({ "match": { "path": { "template": "/old/{id}" } }, "redirect": { "path": "/new/{id}", "status": 301 } }),
            ),
            redirect(
                "host",
                json!({ "match": { "path": "/h" }, "redirect": { "host": "b.example", "query": "drop" } }),
            ),
        ]);
        let mut client = gateway.connect();
        for (target, status, location) in [
            ("/tls/x?a=%2f", 308, "https://Shop.example/tls/x?a=%2f"),
            ("/old/7%2b?q", 301, "/new/7%2B?q"),
            ("/h?q", 302, "//b.example/h"),
        ] {
            let request = format!("POST {target} HTTP/1.1\r\nHost: Shop.example:8000\r\nContent-Length: 3\r\n\r\nabc");
            let reply = client.ask(&request).await;
            assert_eq!((reply.status(), reply.header("location")), (status, Some(location)), "{target}");
            assert_eq!((reply.header("content-length"), reply.header("content-type")), (Some("0"), None), "{target}");
        }
        let old = gateway.ask("GET /tls HTTP/1.0\r\n\r\n").await;
        assert_eq!((old.status(), &*old.code()), (400, "host_missing"));
    });
}

#[test]
fn policies_act_before_a_redirect() {
    run(async {
        let gateway = Gateway::new(&[
            redirect("r", json!({ "match": { "path": "/r" }, "redirect": { "path": "/s" } })),
            policy("key", "r", "key-auth", json!({})),
        ]);
        let reply = gateway.ask("GET /r HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!((reply.status(), reply.header("location")), (401, None));
    });
}

#[test]
fn a_path_with_parameters_is_refused_unless_the_route_takes_them() {
    run(async {
        let gateway = Gateway::new(&[
            service("api", json!({ "url": "http://up" })),
            route("all", "api", json!({})),
            route("admin", "api", json!({ "match": { "path": "/admin" } })),
            route("matrix", "api", json!({ "match": { "path": "/matrix" }, "allow_path_parameters": true })),
        ]);
        let upstream = gateway.net.upstream("up:80");
        for path in ["/admin;x/users", "/a/admin/..;/b", "/;", "/matrix/..;a/b", "/matrix;a"] {
            let reply = gateway.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            assert_eq!((reply.status(), &*reply.code()), (400, "path_refused"), "{path}");
        }
        assert_eq!(upstream.count(), 0);
        for path in ["/matrix/a;v=1/b", "/a?x;y", "/%3B"] {
            let reply = gateway.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            assert_eq!(reply.status(), 200, "{path}");
            assert_eq!(upstream.last().first_line, format!("GET {path} HTTP/1.1"));
        }
    });
}
