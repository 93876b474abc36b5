//! What reaches the API, and what of its answer reaches the caller.

use crate::support::{Gateway, route, run, service};
use serde_json::json;

#[test]
fn a_request_is_forwarded_and_its_answer_comes_back() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        upstream.answers("HTTP/1.1 201 Created\r\nContent-Length: 5\r\nServer: api\r\nX-Own: 1\r\n\r\nhello");
        let reply = gateway
            .ask("POST /orders?a=1&a=%2f HTTP/1.1\r\nHost: Shop.example:8000\r\nContent-Length: 3\r\n\r\nabc")
            .await;
        assert_eq!((reply.status(), reply.text()), (201, "hello"));
        assert_eq!((reply.header("server"), reply.header("x-own")), (Some("api"), Some("1")));
        let seen = upstream.last();
        assert_eq!(seen.first_line, "POST /orders?a=1&a=%2f HTTP/1.1");
        assert_eq!(seen.text(), "abc");
        assert_eq!(seen.header("host"), Some("up"));
        assert_eq!(seen.header("x-forwarded-for"), Some("192.0.2.7"));
        assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
        assert_eq!(seen.header("x-forwarded-host"), Some("Shop.example:8000"));
        assert_eq!(seen.header("x-forwarded-port"), Some("8000"));
        assert_eq!((seen.header("via"), reply.header("via")), (Some("1.1 tidegate"), Some("1.1 tidegate")));
        let id = seen.header("x-request-id").unwrap();
        assert_eq!(id.len(), 24);
        assert_eq!(reply.header("x-request-id"), Some(id));
    });
}

#[test]
fn what_a_caller_says_in_the_gateways_name_goes_no_further() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        gateway
            .ask(
                "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\n\
                 X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\nX-Request-Id: mine\r\n\
                 X-Real-IP: 6.6.6.6\r\nTrue-Client-IP: 6.6.6.6\r\nX-Original-URL: /admin\r\n\
                 X-Consumer-Id: 1\r\nX-Consumer-Name: root\r\nX-Consumer-Anything: 1\r\nX-Credential-Id: 1\r\nX-Anonymous-Consumer: true\r\nX_Consumer_Id: 1\r\n\
                 X-Other: stays\r\n\r\n",
            )
            .await;
        let seen = upstream.last();
        assert_eq!(seen.all("x-forwarded-for"), ["192.0.2.7"]);
        assert_eq!(seen.all("x-forwarded-proto"), ["http"]);
        assert_eq!(seen.all("x-forwarded-host"), ["a"]);
        assert_eq!(seen.all("x-request-id").len(), 1);
        assert_ne!(seen.header("x-request-id"), Some("mine"));
        assert_eq!(seen.all("x-forwarded-port"), ["80"]);
        for gone in [
            "forwarded",
            "x-real-ip",
            "true-client-ip",
            "x-original-url",
            "x-consumer-id",
            "x-consumer-name",
            "x-consumer-anything",
            "x-credential-id",
            "x-anonymous-consumer",
            "x_consumer_id",
        ] {
            assert_eq!(seen.header(gone), None, "{gone}");
        }
        assert_eq!(seen.header("x-other"), Some("stays"));
    });
}

#[test]
fn what_belongs_to_a_connection_stays_on_it() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        upstream.answers(
            "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n\
             Upgrade: h2c\r\nTrailer: a\r\nX-End: 1\r\nContent-Length: 0\r\n\r\n",
        );
        let reply = gateway
            .ask(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop, X-Forwarded-For, Host\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
                 Proxy-Connection: x\r\nTE: gzip\r\nTrailer: a\r\nUpgrade: websocket\r\nX-End: 1\r\n\r\n",
            )
            .await;
        let seen = upstream.last();
        for (message, whose) in [(&seen, "request"), (&reply, "reply")] {
            for gone in [
                "connection",
                "x-hop",
                "keep-alive",
                "proxy-connection",
                "te",
                "trailer",
                "upgrade",
                "transfer-encoding",
            ] {
                assert_eq!(message.header(gone), None, "{whose} {gone}");
            }
            assert_eq!(message.header("x-end"), Some("1"), "{whose}");
        }
        assert_eq!(
            seen.header("x-forwarded-for"),
            Some("192.0.2.7"),
            "Connection can't take off what the gateway adds"
        );
        assert_eq!(seen.header("host"), Some("up"));
    });
}

#[test]
fn an_upgrade_to_anything_but_websocket_goes_on_as_plain_http() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let mut client = gateway.connect();
        for name in ["h2c", "foo", "websocket, h2c", "TLS/1.0"] {
            let reply = client
                .ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {name}\r\n\r\n"))
                .await;
            assert_eq!((reply.status(), upstream.last().header("upgrade")), (200, None));
        }
        assert_eq!(upstream.count(), 4);
    });
}

#[test]
fn where_a_request_goes_and_what_it_is_called_there() {
    run(async {
        let gateway = Gateway::new(&[
            service("plain", json!({ "url": "http://plain:81" })),
            service("deep", json!({ "url": "http://deep/v1/api", "preserve_host": true })),
            route("plain", "plain", json!({ "match": { "path": "/plain" } })),
            route("stripped", "plain", json!({ "match": { "path": "/stripped" }, "strip_prefix": true })),
            route("deep", "deep", json!({ "match": { "path": "/deep", "hosts": ["a.example"] } })),
            route("both", "deep", json!({ "match": { "path": "/both" }, "strip_prefix": true })),
            route("get", "plain", json!({ "match": { "path": "/get", "methods": ["GET", "PUT"] } })),
        ]);
        let (plain, deep) = (gateway.net.upstream("plain:81"), gateway.net.upstream("deep:80"));
        for (path, host, upstream, target, named) in [
            ("/plain", "a", &plain, "/plain", "plain:81"),
            ("/plain/1?x", "a", &plain, "/plain/1?x", "plain:81"),
            ("/stripped/1?x=/stripped", "a", &plain, "/1?x=/stripped", "plain:81"),
            ("/stripped", "a", &plain, "/", "plain:81"),
            ("/stripped/", "a", &plain, "/", "plain:81"),
            ("/stripped?q", "a", &plain, "/?q", "plain:81"),
            ("/deep/x", "A.Example:9", &deep, "/v1/api/deep/x", "A.Example:9"),
            ("/both", "a", &deep, "/v1/api", "a"),
            ("/both/", "a", &deep, "/v1/api/", "a"),
            ("/both/x%20y", "a", &deep, "/v1/api/x%20y", "a"),
            ("/a/../both//%78?%2e%2E/../", "a", &deep, "/v1/api/x?%2e%2E/../", "a"),
        ] {
            let reply = gateway.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
            assert_eq!(reply.status(), 200, "{path}");
            let seen = upstream.last();
            assert_eq!(seen.first_line, format!("GET {target} HTTP/1.1"), "{path}");
            assert_eq!(seen.all("host"), [named], "{path}");
        }
        let none = gateway.ask("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!((none.status(), &*none.code()), (404, "no_route"));
        let other = gateway.ask("GET /deep HTTP/1.1\r\nHost: b.example\r\n\r\n").await;
        assert_eq!((other.status(), &*other.code()), (404, "no_route"));
        let post = gateway.ask("POST /get HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!((post.status(), &*post.code()), (405, "method_not_allowed"));
        assert!(post.header("allow").unwrap().contains("PUT"), "{post:?}");
    });
}

#[test]
fn a_connection_carries_many_requests_also_sent_all_at_once() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let mut client = gateway.connect();
        client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nPOST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxyGET /4 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        for _ in 0..4 {
            assert_eq!(client.reply().await.status(), 200);
        }
        let lines: Vec<String> = upstream.seen().into_iter().map(|m| m.first_line).collect();
        assert_eq!(lines, ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1", "POST /3 HTTP/1.1", "GET /4 HTTP/1.1"]);
        assert_eq!(upstream.connections(), 1);
    });
}

#[test]
fn old_callers_are_served() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let mut client = gateway.connect();
        client.send("GET / HTTP/1.0\r\n\r\n").await;
        let reply = client.reply().await;
        assert_eq!((reply.status(), reply.text()), (200, "ok"));
        assert!(client.rest().await.is_empty());
        let seen = upstream.last();
        assert_eq!((seen.first_line.as_str(), seen.header("host")), ("GET / HTTP/1.1", Some("up")));
        assert_eq!(seen.header("x-forwarded-host"), None);
    });
}

#[test]
fn replies_without_a_body_have_none() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let mut client = gateway.connect();
        for (method, answer, length) in [
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", Some("500")),
            ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
            ("GET", "HTTP/1.1 204 No Content\r\n\r\n", None),
            ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", None),
        ] {
            upstream.answers(answer);
            client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            let reply = client.reply_head().await;
            assert_eq!(reply.header("content-length"), length, "{answer}");
            assert_eq!(reply.header("transfer-encoding"), None, "{answer}");
        }
        assert_eq!(upstream.connections(), 1, "each left the connection fit for the next");
    });
}
