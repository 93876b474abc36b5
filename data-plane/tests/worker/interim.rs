//! What is said before an answer, and around it: interim answers, expectations, HTTP/1.0, and bodies that must not be.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::support::upstream::read_head;
use crate::support::{Gateway, route, run, service};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn interim_answers_are_for_the_gateway() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        upstream.answers(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        );
        let mut client = gateway.connect();
        for _ in 0..3 {
            let reply = client.ask(GET).await;
            assert_eq!((reply.status(), reply.text(), reply.header("link")), (200, "ok", None));
        }
        assert_eq!((upstream.count(), upstream.connections()), (3, 1));
    });
}

#[test]
fn interim_answers_without_end_are_none() {
    run(async {
        let (gateway, _) = Gateway::plain();
        gateway.net.serve("up:80", |mut stream: DuplexStream| async move {
            read_head(&mut stream, &mut Vec::new()).await;
            while stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n").await.is_ok()
            {
            }
        });
        let reply = gateway.ask(GET).await;
        assert_eq!((reply.status(), &*reply.code()), (502, "upstream_invalid"));
    });
}

#[test]
fn nor_are_they_over_http_2() {
    run(async {
        for (count, status) in [(32, 200), (33, 502)] {
            let gateway = Gateway::new(&[
                service("api", json!({ "url": "http://up", "protocol": "h2c" })),
                route("all", "api", json!({})),
            ]);
            gateway.net.serve_h2("up:80", 100, move |_, mut sender| async move {
                for _ in 0..count {
                    let mut head = http::Response::new(());
                    *head.status_mut() = http::StatusCode::EARLY_HINTS;
                    if sender.send_informational(head).is_err() {
                        return;
                    }
                }
                let _ = sender.send_response(http::Response::new(()), true);
            });
            let reply = gateway.ask(GET).await;
            assert_eq!(reply.status(), status, "{count}");
        }
    });
}

#[test]
fn a_caller_of_http_1_0_gets_no_chunks() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        for answer in [chunked, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"] {
            upstream.answers(answer);
            let mut client = gateway.connect();
            client.send("GET / HTTP/1.0\r\n\r\n").await;
            let reply = String::from_utf8(client.rest().await).unwrap();
            assert!(reply.starts_with("HTTP/1.0 200 OK\r\n") && reply.ends_with("\r\n\r\nok"), "{reply}");
            assert!(!reply.contains("transfer-encoding"), "{reply}");
            assert_eq!(upstream.last().first_line, "GET / HTTP/1.1");
            assert_eq!(upstream.last().header("host"), Some("up"));
        }
        // its connection is kept if it says so and the answer has a length
        let mut client = gateway.connect();
        for _ in 0..2 {
            let reply = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
            assert_eq!((reply.text(), reply.header("connection")), ("ok", Some("keep-alive")));
        }
    });
}

#[test]
fn nobody_is_asked_for_a_body_that_nobody_wants() {
    run(async {
        // 1.0 knows no 100
        let (gateway, upstream) = Gateway::plain();
        let mut client = gateway.connect();
        client.send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
        client.send("ab").await;
        assert_eq!(client.reply().await.status(), 200);
        assert_eq!((upstream.last().text(), upstream.last().header("expect")), ("ab", None));
        // an answer that came without the body being wanted closes the connection: it may still come
        let mut client = gateway.connect();
        client.send("POST /nowhere%00 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
        let reply = client.reply().await;
        assert_eq!(reply.status(), 400);
        client.send("abGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let _ = client.rest().await;
        assert_eq!(upstream.count(), 1);
    });
}

#[test]
fn what_comes_behind_an_answer_without_a_body_is_nobodys() {
    run(async {
        for head in [
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            let (gateway, upstream) = Gateway::plain();
            upstream.answers(format!("{head}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
            let mut client = gateway.connect();
            for _ in 0..2 {
                let reply = client.ask(GET).await;
                assert!(matches!(reply.status(), 204 | 304), "{head} {reply:?}");
                assert_eq!(reply.header("transfer-encoding"), None);
            }
            assert_eq!(upstream.connections(), 2, "a target that says too much is not asked again");
        }
    });
}

#[test]
fn answers_that_can_be_read_in_two_ways_are_none() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let large = format!("HTTP/1.1 200 OK\r\nA: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(2 << 20));
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA B: c\r\nContent-Length: 0\r\n\r\n",
            "nonsense\r\n\r\n",
            &large,
        ] {
            upstream.answers(answer);
            let reply = gateway.ask(GET).await;
            assert_eq!((reply.status(), &*reply.code()), (502, "upstream_invalid"), "{:.80}", answer);
        }
    });
}

#[test]
fn a_server_sent_event_arrives_when_it_is_sent() {
    run(async {
        let (gateway, _) = Gateway::plain();
        gateway.net.serve("up:80", |mut stream: DuplexStream| async move {
            read_head(&mut stream, &mut Vec::new()).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let mut client = gateway.connect();
        client.send(GET).await;
        let mut came = Vec::new();
        while !came.ends_with(b"data: 1\n\n\r\n") {
            assert!(client.stream.read_buf(&mut came).await.unwrap() > 0);
        }
    });
}
