//! What the gate lets in, from raw bytes: what is ambiguous is refused, or made safe where the codec hides it.

use std::time::Duration;

use tokio::io::{AsyncWriteExt, DuplexStream};

use crate::support::upstream::read_head;
use crate::support::{Gateway, run};

/// A refusal, by status and code.
struct By(u16, &'static str);

async fn check(gateway: &Gateway, request: &str, refused: &By) {
    let mut client = gateway.connect();
    client.send(request).await;
    let reply = client.reply().await;
    assert_eq!((reply.status(), &*reply.code()), (refused.0, refused.1), "{request:?}");
}

#[test]
fn what_is_refused() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let long = "a".repeat(8 << 10);
        let many: String = (0..100).map(|n| format!("a{n}: 1\r\n")).collect();
        let large = format!("a: {}\r\n", "x".repeat(64 << 10));
        for (request, refused) in [
            // Host: exactly one, and valid
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), By(400, "host_missing")),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".into(), By(400, "host_repeated")),
            ("GET / HTTP/1.1\r\nHost: \r\n\r\n".into(), By(400, "host_invalid")),
            ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n".into(), By(400, "host_invalid")),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".into(), By(400, "host_invalid")),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into(), By(400, "host_invalid")),
            ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".into(), By(400, "host_invalid")),
            ("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n".into(), By(400, "host_invalid")),
            ("GET / HTTP/1.0\r\nHost: a b\r\n\r\n".into(), By(400, "host_invalid")),
            ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "host_mismatch")),
            ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "host_mismatch")),
            ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "host_invalid")),
            ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "target_invalid")),
            // the target, and its methods
            ("GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".into(), By(400, "target_invalid")),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "path_refused")),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "path_refused")),
            ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".into(), By(405, "method_refused")),
            ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(405, "method_refused")),
            ("GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "path_refused")),
            ("GET /a%5Cb HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "path_refused")),
            ("GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "path_refused")),
            ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "path_refused")),
            ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "path_refused")),
            ("GET /a/../../b HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "path_refused")),
            ("GET /%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "path_refused")),
            (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), By(414, "uri_too_long")),
            (format!("GET /?{long} HTTP/1.1\r\nHost: a\r\n\r\n"), By(414, "uri_too_long")),
            // how the body is framed
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), By(400, "transfer_encoding_invalid")),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n".into(), By(400, "transfer_encoding_invalid")),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n".into(), By(400, "transfer_encoding_invalid")),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n".into(), By(400, "transfer_encoding_invalid")),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), By(400, "transfer_encoding_invalid")),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n".into(), By(400, "head_invalid")),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n".into(), By(400, "head_invalid")),
            ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), By(400, "head_invalid")),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".into(), By(400, "head_invalid")),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na".into(), By(400, "head_invalid")),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na".into(), By(400, "head_invalid")),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na".into(), By(400, "head_invalid")),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\na".into(), By(400, "head_invalid")),
            // lines
            ("GET / HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n".into(), By(400, "head_invalid")),
            ("GET / HTTP/1.1\r\nHost: a\r\nb : c\r\n\r\n".into(), By(400, "head_invalid")),
            ("GET / HTTP/1.1\r\nHost: a\r\nb: c\0d\r\n\r\n".into(), By(400, "head_invalid")),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n".into(), By(400, "head_invalid")),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into(), By(400, "head_invalid")),
            // expectations and sizes
            ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\na".into(), By(417, "expectation_failed")),
            ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n\r\na".into(), By(417, "expectation_failed")),
            (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), By(431, "head_too_large")),
            (format!("GET / HTTP/1.1\r\nHost: a\r\n{large}\r\n"), By(431, "head_too_large")),
        ] {
            check(&gateway, &request, &refused).await;
        }
        assert_eq!(upstream.count(), 0, "nothing of it went upstream");
    });
}

#[test]
fn what_is_let_in_has_one_form() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let many: String = (0..99).map(|n| format!("a{n}: 1\r\n")).collect();
        for (request, target) in [
            ("GET http://A.b:80/x?y HTTP/1.1\r\nHost: a.b\r\n\r\n".to_owned(), "/x?y"),
            ("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n".into(), "/"),
            ("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n".into(), "/?b"),
            ("GET //a//b/./c/../%64?%2F//.. HTTP/1.1\r\nHost: a\r\n\r\n".into(), "/a/b/d?%2F//.."),
            ("GET /a%c3%a4 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n".into(), "/a%C3%A4"),
            ("GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n".into(), "/a?b"),
            ("get /x HTTP/1.1\r\nHost: a\r\n\r\n".into(), "/x"),
            (format!("GET /x HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "/x"),
        ] {
            assert_eq!(gateway.ask(&request).await.status(), 200, "{request:?}");
            assert_eq!(upstream.last().first_line.split(' ').nth(1), Some(target), "{request:?}");
        }
    });
}

#[test]
fn one_message_in_is_one_message_out() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        // two lengths that agree become one; of a length beside chunks nothing is left, and the connection ends
        for (framing, body, seen) in [
            ("Content-Length: 3\r\nContent-Length: 3\r\n", "abc", ("content-length", "3")),
            (
                "Content-Length: 30\r\nTransfer-Encoding: chunked\r\n",
                "3\r\nabc\r\n0\r\n\r\n",
                ("transfer-encoding", "chunked"),
            ),
            (
                "Transfer-Encoding: Chunked\r\nContent-Length: 30\r\n",
                "3\r\nabc\r\n0\r\n\r\n",
                ("transfer-encoding", "chunked"),
            ),
        ] {
            let mut client = gateway.connect();
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{framing}\r\n{body}")).await;
            assert_eq!(client.reply().await.status(), 200);
            let message = upstream.last();
            assert_eq!((message.text(), message.header(seen.0)), ("abc", Some(seen.1)), "{framing}");
            assert_eq!(message.all("content-length").len() + message.all("transfer-encoding").len(), 1, "{framing}");
            if framing.contains("30") {
                assert!(client.rest().await.is_empty());
                assert!(client.maybe_reply().await.is_none(), "the connection ended");
            }
        }
    });
}

#[test]
fn a_refused_request_ends_its_connection_where_its_end_is_uncertain() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let mut client = gateway.connect();
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        let reply = client.reply().await;
        assert_eq!((reply.status(), reply.header("connection")), (400, Some("close")));
        assert!(client.rest().await.is_empty());
        assert_eq!(upstream.count(), 0);
    });
}

#[test]
fn an_expectation_is_met_once_the_body_is_wanted() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let mut client = gateway.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n").await;
        assert_eq!(client.reply().await.status(), 100);
        client.send("abc").await;
        assert_eq!(client.reply().await.status(), 200);
        assert_eq!((upstream.last().text(), upstream.last().header("expect")), ("abc", None));
        // who is turned away is not asked for the body
        let mut client = gateway.connect();
        client.send("POST /%00 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").await;
        assert_eq!(client.reply().await.status(), 400);
    });
}

#[test]
fn what_is_no_http_is_refused_in_the_same_words_and_counted() {
    run(async {
        let (gateway, _) = Gateway::plain();
        // a piece of an answer that looks like one of the codec's own is passed on all the same
        let evil = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        let length = evil.len();
        gateway.net.serve("up:80", move |mut stream: DuplexStream| async move {
            let mut buffer = Vec::new();
            while !read_head(&mut stream, &mut buffer).await.is_empty() {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
                stream.write_all(evil.as_bytes()).await.unwrap();
            }
        });
        let mut client = gateway.connect();
        for _ in 0..2 {
            assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.text(), evil);
        }
        client.send("nonsense\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let reply = client.reply().await;
        assert_eq!((reply.status(), &*reply.code(), reply.header("connection")), (400, "head_invalid", Some("close")));
        assert!(client.rest().await.is_empty());
        let told = gateway.metrics();
        for (series, count) in [
            (r#"tidegate_requests_total{status="2xx"}"#, 2.0),
            (r#"tidegate_requests_total{status="4xx"}"#, 1.0),
            (r#"tidegate_gateway_replies_total{code="head_invalid",blame="downstream"}"#, 1.0),
        ] {
            assert_eq!(told.value(series), Some(count), "{series}");
        }
    });
}

#[test]
fn a_line_of_requests_is_the_same_line_upstream() {
    // each of these, between two good requests on one connection: whatever becomes of it, nothing that was never a request of
    // its own is one upstream
    let bad = [
        "POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2c\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\nX: 123456\r\n\r\n\r\n0\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 44\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 0x10\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\nContent-Length: 44\r\n\r\n",
        "POST /bad HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /bad HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /bad HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\nX: 123456\r\n\r\n",
        "GET /bad HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n24\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n",
        "GET /bad HTTP/1.1\r\nHost: a\r\nX: a\rTransfer-Encoding: chunked\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /bad HTTP/1.1\r\nHost: a\r\n Content-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT /bad HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /bad HTTP/1.1\nHost: a\n\nGET /good HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    run(async {
        for bad in bad {
            let (gateway, upstream) = Gateway::plain();
            let mut client = gateway.connect();
            let good = "POST /good HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
            client.send(format!("{good}{bad}{good}")).await;
            client.stream.shutdown().await.unwrap();
            let _ = client.rest().await;
            let seen = upstream.seen();
            let allowed = |message: &crate::support::client::Message| match message.first_line.split(' ').nth(1) {
                Some("/good") => message.body == b"x" || message.body.is_empty(),
                // in chunks or by its length, and then as one request with all of its bytes
                Some("/bad") => true,
                _ => false,
            };
            assert!(seen.iter().all(allowed), "{bad:?}: {:?}", seen.iter().map(|m| &m.first_line).collect::<Vec<_>>());
            assert_eq!(seen[0].first_line, "POST /good HTTP/1.1", "{bad:?}");
            let paths: Vec<_> = seen.iter().filter(|m| m.first_line.contains("/bad")).collect();
            assert!(paths.len() <= 1, "{bad:?}");
            for message in paths {
                let framed = message.all("content-length").len() + message.all("transfer-encoding").len();
                assert!(message.whole && framed <= 1, "{bad:?}: {message:?}");
            }
        }
    });
}
