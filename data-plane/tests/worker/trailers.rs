//! Trailers go where they are understood, and stay trailers.

use std::cell::RefCell;
use std::rc::Rc;

use http::{HeaderMap, Request};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::support::h2::{connect, ok, whole};
use crate::support::upstream::read_head;
use crate::support::{Gateway, route, run, service, until};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Digest, Host, X-Consumer-Id\r\n\r\n\
                      2\r\nok\r\n0\r\nDigest: d\r\nHost: evil\r\nX-Consumer-Id: 1\r\n\r\n";

#[test]
fn of_an_answer_to_who_reads_them() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        upstream.answers(ANSWER);
        for (te, ends) in [("TE: trailers\r\nConnection: TE\r\n", "0\r\ndigest: d\r\n\r\n"), ("", "ok\r\n0\r\n\r\n")] {
            let mut client = gateway.connect();
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{te}Connection: close\r\n\r\n")).await;
            let reply = String::from_utf8(client.rest().await).unwrap();
            assert!(reply.ends_with(ends), "{reply}");
            let told = te.is_empty().then_some(()).map_or(Some("trailers"), |()| None);
            assert_eq!(upstream.last().header("te"), told);
        }
        let (mut sender, _task) = connect(&gateway).await;
        let request = Request::get("http://a/").body(()).unwrap();
        let mut body = sender.send_request(request, true).unwrap().0.await.unwrap().into_body();
        let (text, trailers) = whole(&mut body).await.unwrap();
        assert_eq!(text, "ok");
        assert_eq!(trailers.unwrap(), HeaderMap::from_iter([("digest".parse().unwrap(), "d".parse().unwrap())]));
    });
}

#[test]
fn of_a_request() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let came = Rc::new(RefCell::new(Vec::new()));
        let notes = came.clone();
        gateway.net.serve("up:80", move |mut stream: DuplexStream| {
            let came = notes.clone();
            async move {
                let mut body = Vec::new();
                let head = read_head(&mut stream, &mut body).await;
                while !body.windows(5).any(|w| w == b"\r\n0\r\n") || !body.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut body).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                came.borrow_mut().push((head, String::from_utf8(body).unwrap()));
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await.unwrap();
            }
        });
        let reply = gateway
            .ask(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: Digest, Content-Length, X-Credential-Id\r\n\r\n\
                 2\r\nab\r\n0\r\nDigest: d\r\nContent-Length: 99\r\nX-Credential-Id: 1\r\nX_y: 1\r\n\r\n",
            )
            .await;
        assert_eq!(reply.status(), 200);
        let (head, body) = came.borrow()[0].clone();
        assert_eq!(body, "2\r\nab\r\n0\r\ndigest: d\r\n\r\n");
        assert!(!head.contains("digest: d") && !head.contains("content-length"), "{head}");
    });
}

#[test]
fn both_ways_over_http_2() {
    run(async {
        let gateway = Gateway::new(&[
            service("api", json!({ "url": "http://up", "protocol": "h2c" })),
            route("all", "api", json!({})),
        ]);
        let came = Rc::new(RefCell::new(None));
        let notes = came.clone();
        gateway.net.serve_h2("up:80", 100, move |mut body, mut sender| {
            let came = notes.clone();
            async move {
                *came.borrow_mut() = Some(whole(&mut body).await.unwrap());
                let mut stream = sender.send_response(ok(), false).unwrap();
                stream.send_data("ok".into(), false).unwrap();
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", "0".parse().unwrap());
                trailers.insert("set-cookie", "a=1".parse().unwrap());
                stream.send_trailers(trailers).unwrap();
            }
        });
        let (mut sender, _task) = connect(&gateway).await;
        let request = Request::post("http://a/").header("te", "trailers").body(()).unwrap();
        let (response, mut stream) = sender.send_request(request, false).unwrap();
        stream.send_data("ab".into(), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("digest", "d".parse().unwrap());
        trailers.insert("x-consumer-name", "root".parse().unwrap());
        stream.send_trailers(trailers).unwrap();
        let mut body = response.await.unwrap().into_body();
        let (text, trailers) = whole(&mut body).await.unwrap();
        assert_eq!(
            (text.as_str(), trailers.unwrap().keys().map(|k| k.to_string()).collect::<Vec<_>>()),
            ("ok", vec!["grpc-status".to_owned()])
        );
        until("the request came whole", || came.borrow().is_some()).await;
        let (text, trailers) = came.borrow().clone().unwrap();
        assert_eq!((text.as_str(), trailers.unwrap().len()), ("ab", 1));
    });
}
