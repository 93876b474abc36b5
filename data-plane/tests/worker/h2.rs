//! HTTP/2 by prior knowledge, on the port of HTTP/1.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::{JoinHandle, spawn_local};

use crate::support::upstream::read_head;
use crate::support::{Gateway, policy, route, run, service, until};

type Sender = SendRequest<Full<Bytes>>;

#[derive(Clone)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(async move { drop(future.await) });
    }
}

/// A caller; the task ends with the connection.
async fn connect(gateway: &Gateway) -> (Sender, JoinHandle<hyper::Result<()>>) {
    handshake_on(gateway.connect().stream).await
}

/// As [`connect`], on a stream on which something was said before.
pub(crate) async fn handshake_on(stream: DuplexStream) -> (Sender, JoinHandle<hyper::Result<()>>) {
    let (sender, connection) = handshake(Local, TokioIo::new(stream)).await.unwrap();
    (sender, spawn_local(connection))
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://shop.example{path}")).body(Full::default()).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[test]
fn a_request_becomes_one_of_http_1() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        upstream.answers(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: x\r\nX: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        );
        let (mut sender, _task) = connect(&gateway).await;
        let request = Request::post("http://Shop.example:81/a//b?q")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("cookie", "c=3")
            .header("te", "trailers")
            .header("x_consumer_id", "1")
            .body(Full::from("body"))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers().get("x"), &response.headers()["via"]),
            (200, None, &"1.1 tidegate".parse().unwrap())
        );
        assert!(response.headers().contains_key("x-request-id"));
        assert_eq!(text(response).await, "ok");
        let seen = upstream.last();
        assert_eq!(seen.first_line, "POST /a/b?q HTTP/1.1");
        assert_eq!(seen.all("cookie"), ["a=1; b=2; c=3"]);
        assert_eq!((seen.header("te"), seen.header("x_consumer_id")), (Some("trailers"), None));
        assert_eq!((seen.header("host"), seen.header("x-forwarded-host")), (Some("up"), Some("Shop.example:81")));
        assert_eq!((seen.header("via"), seen.text()), (Some("2 tidegate"), "body"));
    });
}

#[test]
fn a_body_of_unknown_length_goes_in_chunks_whatever_the_method() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let (mut sender, connection) = handshake::<
            _,
            _,
            http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>,
        >(Local, TokioIo::new(gateway.connect().stream))
        .await
        .unwrap();
        spawn_local(connection);
        for method in ["GET", "DELETE", "POST"] {
            let pieces = [Bytes::from("ab"), Bytes::from("c")].map(|piece| Ok(hyper::body::Frame::data(piece)));
            let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces)).boxed();
            let request = Request::builder().method(method).uri("http://a/").body(body).unwrap();
            assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
            let seen = upstream.last();
            assert_eq!((seen.text(), seen.header("transfer-encoding")), ("abc", Some("chunked")), "{method}");
        }
    });
}

#[test]
fn many_requests_share_a_connection_and_none_waits_for_another() {
    run(async {
        let gateway = Gateway::new(&[
            service("slow", json!({ "url": "http://slow" })),
            service("api", json!({ "url": "http://up" })),
            route("slow", "slow", json!({ "match": { "path": "/slow" } })),
            route("all", "api", json!({})),
        ]);
        gateway.net.upstream("up:80");
        gateway.net.serve("slow:80", |mut stream: DuplexStream| async move {
            read_head(&mut stream, &mut Vec::new()).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow").await.unwrap();
        });
        let (mut sender, _task) = connect(&gateway).await;
        let slow = spawn_local(sender.send_request(get("/slow")));
        for _ in 0..300 {
            assert_eq!(text(sender.send_request(get("/")).await.unwrap()).await, "ok");
        }
        assert!(!slow.is_finished());
        assert_eq!(text(slow.await.unwrap().unwrap()).await, "slow");
        assert_eq!(gateway.worker.connections(), 1);
    });
}

#[test]
fn what_is_refused() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let (mut sender, _task) = connect(&gateway).await;
        let mut many = get("/");
        for n in 0..100 {
            many.headers_mut().insert(http::HeaderName::try_from(format!("a{n}")).unwrap(), "1".parse().unwrap());
        }
        many.headers_mut().append("a1", "2".parse().unwrap());
        let mut crumbs = get("/");
        for _ in 0..101 {
            crumbs.headers_mut().append("cookie", "a=1".parse().unwrap());
        }
        let mut other_host = get("/");
        other_host.headers_mut().insert("host", "evil".parse().unwrap());
        for (request, status, code) in [
            (many, 431, "head_too_large"),
            (crumbs, 431, "head_too_large"),
            (other_host, 400, "host_mismatch"),
            (get("/%2e%2e/x"), 400, "path_refused"),
            (Request::builder().method("TRACE").uri("http://a/").body(Full::default()).unwrap(), 405, "method_refused"),
        ] {
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), status, "{code}");
            assert_eq!(response.headers().get("connection"), None, "{code}");
            let problem: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
            assert_eq!(problem["code"], code);
        }
        assert_eq!(upstream.count(), 0);
        assert_eq!(sender.send_request(get("/")).await.unwrap().status(), 200, "the connection goes on");
    });
}

#[test]
fn a_cut_answer_resets_its_stream_and_no_other() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        upstream.closes();
        upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        let (mut sender, _task) = connect(&gateway).await;
        let response = sender.send_request(get("/")).await.unwrap();
        assert!(response.into_body().collect().await.is_err());
        upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(text(sender.send_request(get("/")).await.unwrap()).await, "ok");
    });
}

#[test]
fn a_stream_that_is_not_read_ends_and_no_other() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        upstream.answers(format!("HTTP/1.1 200 OK\r\nContent-Length: {0}\r\n\r\n{1}", 8 << 20, "x".repeat(8 << 20)));
        let (mut sender, _task) = connect(&gateway).await;
        let unread = sender.send_request(get("/")).await.unwrap();
        until("the target's connection is closed", || upstream.open() == 0).await;
        assert!(unread.into_body().collect().await.is_err());
        upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(text(sender.send_request(get("/")).await.unwrap()).await, "ok");
    });
}

#[test]
fn a_body_that_turns_out_too_large_is_refused() {
    run(async {
        let gateway = Gateway::new(&[
            service("api", json!({ "url": "http://up" })),
            route("all", "api", json!({})),
            policy("size", "all", "request-size", json!({ "max": "10B" })),
        ]);
        let upstream = gateway.net.upstream("up:80");
        let (mut sender, _task) = connect(&gateway).await;
        let request = Request::post("http://a/").body(Full::from("x".repeat(100_000))).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 413);
        let request = Request::post("http://a/").body(Full::from("x".repeat(10))).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        assert_eq!(upstream.count(), 1);
    });
}

#[test]
fn a_caller_that_resets_leaves_nothing_behind() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let hung = gateway.net.upstream("hung:80");
        gateway.net.serve("up:80", {
            let hung = hung.clone();
            move |mut stream: DuplexStream| {
                let hung = hung.clone();
                async move {
                    hung.answers("");
                    read_head(&mut stream, &mut Vec::new()).await;
                    hung.serve(stream).await;
                }
            }
        });
        let (mut sender, _task) = connect(&gateway).await;
        let request = spawn_local(sender.send_request(get("/")));
        until("the target is reached", || hung.open() == 1).await;
        request.abort();
        until("its connection is closed", || hung.open() == 0).await;
    });
}

#[test]
fn the_first_bytes_may_come_one_by_one() {
    run(async {
        let (gateway, _) = Gateway::plain();
        let mut client = gateway.connect();
        for byte in b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" {
            client.send([*byte]).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(client.reply().await.status(), 200);
        // the preface and an empty SETTINGS frame; what comes back begins with one too
        let mut client = gateway.connect();
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
            client.send([*byte]).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut frame = [0; 9];
        client.stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[3], 4, "{frame:?}");
    });
}

#[test]
fn a_drain_says_goodbye_and_lets_what_is_under_way_end() {
    run(async {
        let (gateway, _) = Gateway::plain();
        gateway.net.serve("up:80", |mut stream: DuplexStream| async move {
            read_head(&mut stream, &mut Vec::new()).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        });
        let (mut sender, task) = connect(&gateway).await;
        let (_idle, idle_task) = connect(&gateway).await;
        let under_way = spawn_local(sender.send_request(get("/")));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let worker = gateway.worker.clone();
        let drained = spawn_local(async move { worker.drain().await });
        until("the idle one has ended", || idle_task.is_finished()).await;
        assert!(!drained.is_finished());
        assert_eq!(text(under_way.await.unwrap().unwrap()).await, "ok");
        drained.await.unwrap();
        task.await.unwrap().unwrap();
    });
}

#[test]
fn a_request_without_a_body_has_none_upstream() {
    run(async {
        let (gateway, upstream) = Gateway::plain();
        let (mut sender, connection) =
            handshake::<_, _, Empty<Bytes>>(Local, TokioIo::new(gateway.connect().stream)).await.unwrap();
        spawn_local(connection);
        for method in ["GET", "POST", "HEAD"] {
            let request = Request::builder().method(method).uri("http://a/").body(Empty::new()).unwrap();
            assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
            assert_eq!(upstream.last().header("transfer-encoding"), None, "{method}");
        }
    });
}
