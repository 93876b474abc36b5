//! Tunnels for WebSocket: only after an agreement that was asked for, bytes as they come, ends as they come.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tidegate_data_plane::limits::Limits;
use tidegate_model::Change;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::support::h2::{connect, ok, whole};
use crate::support::upstream::read_head;
use crate::support::{Gateway, policy, route, run, service, until};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

fn with(service_document: Value) -> Gateway {
    Gateway::new(&resources(service_document))
}

fn resources(service_document: Value) -> [Change; 2] {
    [service("api", service_document), route("all", "api", json!({}))]
}

fn plain() -> Gateway {
    with(json!({ "url": "http://up" }))
}

type Got = Rc<RefCell<Vec<u8>>>;

/// A target that says this, keeps what comes, and echoes it.
fn echoing(gateway: &Gateway, says: &'static str) -> (Rc<RefCell<Vec<String>>>, Got) {
    let (heads, got) = (Rc::new(RefCell::new(Vec::new())), Got::default());
    let notes = (heads.clone(), got.clone());
    gateway.net.serve("up:80", move |mut stream: DuplexStream| {
        let (heads, got) = notes.clone();
        async move {
            let mut rest = Vec::new();
            let head = read_head(&mut stream, &mut rest).await;
            heads.borrow_mut().push(head);
            got.borrow_mut().extend(rest);
            stream.write_all(says.as_bytes()).await.unwrap();
            let mut piece = [0; 1024];
            while let Ok(n @ 1..) = stream.read(&mut piece).await {
                got.borrow_mut().extend_from_slice(&piece[..n]);
                if stream.write_all(&piece[..n]).await.is_err() {
                    return;
                }
            }
            got.borrow_mut().extend(b"<end>");
            let _ = stream.shutdown().await;
        }
    });
    (heads, got)
}

async fn agreed(client: &mut crate::support::client::Client) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = client.stream.read_u8().await.unwrap();
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn bytes_go_both_ways_and_each_side_ends_by_itself() {
    run(async {
        let gateway = plain();
        let (heads, got) = echoing(&gateway, AGREED);
        let mut client = gateway.connect();
        client.send(ASK).await;
        let head = agreed(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        for part in [
            "connection: upgrade\r\n",
            "upgrade: websocket\r\n",
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
            "sec-websocket-protocol: chat\r\n",
            "x-request-id: ",
        ] {
            assert!(head.contains(part), "{part} in {head}");
        }
        let asked = heads.borrow()[0].clone();
        for part in
            ["connection: upgrade\r\n", "upgrade: websocket\r\n", "sec-websocket-key: dGhl", "x-forwarded-for: "]
        {
            assert!(asked.contains(part), "{part} in {asked}");
        }
        for text in ["ping", "GET / HTTP/1.1\r\n\r\n"] {
            client.send(text).await;
            let mut echo = vec![0; text.len()];
            client.stream.read_exact(&mut echo).await.unwrap();
            assert_eq!(echo, text.as_bytes());
        }
        client.stream.shutdown().await.unwrap();
        assert!(client.rest().await.is_empty());
        assert!(got.borrow().ends_with(b"<end>"), "the target saw the caller's end, and ended itself");
        until("the connection is over", || client.is_over()).await;
        assert_eq!(gateway.cells.tunnels.get(), 1);
        assert_eq!((gateway.cells.request_bytes.get(), gateway.cells.response_bytes.get()), (22, 22));
        assert_eq!(gateway.cells.cut.get(), 0);
    });
}

#[test]
fn nothing_goes_to_a_target_before_it_agreed() {
    run(async {
        let gateway = plain();
        let got = Got::default();
        let notes = got.clone();
        gateway.net.serve("up:80", move |mut stream: DuplexStream| {
            let got = notes.clone();
            async move {
                let mut rest = Vec::new();
                read_head(&mut stream, &mut rest).await;
                let early = tokio::time::timeout(Duration::from_secs(5), stream.read_u8()).await;
                assert!(rest.is_empty() && early.is_err(), "bytes came before the agreement");
                stream.write_all(format!("{AGREED}hello").as_bytes()).await.unwrap();
                let mut early = [0; 5];
                stream.read_exact(&mut early).await.unwrap();
                got.borrow_mut().extend(early);
            }
        });
        let mut client = gateway.connect();
        client.send(format!("{ASK}early")).await;
        agreed(&mut client).await;
        let mut hello = [0; 5];
        client.stream.read_exact(&mut hello).await.unwrap();
        assert_eq!(&hello, b"hello");
        until("what was early follows", || &*got.borrow() == b"early").await;
    });
}

#[test]
fn a_refused_upgrade_ends_the_connection_and_what_came_behind_it() {
    run(async {
        let refusal = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno";
        for (says, status) in [(refusal, 200), ("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403)] {
            let gateway = plain();
            let (heads, got) = echoing(&gateway, says);
            let mut client = gateway.connect();
            client.send(format!("{ASK}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            let reply = client.reply().await;
            assert_eq!((reply.status(), reply.text(), reply.header("connection")), (status, "no", Some("close")));
            assert_eq!(reply.header("upgrade"), None);
            assert!(client.rest().await.is_empty());
            assert_eq!((heads.borrow().len(), got.borrow().len()), (1, 5), "only `<end>`: {:?}", got.borrow());
        }
        // the gateway's own refusals too
        let [api, all] = resources(json!({ "url": "http://up" }));
        let gateway = Gateway::new(&[api, all, policy("key", "all", "key-auth", json!({}))]);
        let upstream = gateway.net.upstream("up:80");
        let mut client = gateway.connect();
        client.send(format!("{ASK}{ASK}")).await;
        let reply = client.reply().await;
        assert_eq!((reply.status(), reply.header("connection")), (401, Some("close")));
        assert!(client.rest().await.is_empty());
        assert_eq!(upstream.connections(), 0);
    });
}

#[test]
fn a_foreign_agreement_is_none() {
    run(async {
        for says in [
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
        ] {
            let gateway = plain();
            echoing(&gateway, says);
            let mut client = gateway.connect();
            client.send(format!("{ASK}early")).await;
            let reply = client.reply().await;
            assert_eq!((reply.status(), &*reply.code()), (502, "upstream_invalid"), "{says}");
            assert!(client.rest().await.is_empty());
        }
    });
}

#[test]
fn an_upgrade_with_a_body_is_refused() {
    run(async {
        let gateway = plain();
        let upstream = gateway.net.upstream("up:80");
        for body in ["Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"] {
            let request = ASK.replace("\r\n\r\n", &format!("\r\n{body}"));
            let mut client = gateway.connect();
            client.send(request).await;
            let reply = client.reply().await;
            assert_eq!((reply.status(), &*reply.code()), (400, "upgrade_with_body"));
            assert!(client.rest().await.is_empty());
        }
        for plain in [
            ASK.replace("GET", "POST"),
            ASK.replace("keep-alive, Upgrade", "keep-alive"),
            ASK.replace("1.1\r\nHost", "1.0\r\nHost"),
        ] {
            assert_eq!(gateway.ask(&plain).await.status(), 200, "{plain}");
            assert_eq!(upstream.last().header("upgrade"), None);
        }
    });
}

#[test]
fn a_tunnel_that_carries_nothing_ends() {
    run(async {
        for (document, seconds) in [
            (json!({ "url": "http://up" }), 300.0),
            (json!({ "url": "http://up", "timeouts": { "idle": "10s", "request": "3s" } }), 10.0),
        ] {
            let gateway = with(document);
            echoing(&gateway, AGREED);
            let mut client = gateway.connect();
            client.send(ASK).await;
            agreed(&mut client).await;
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs_f64(seconds * 0.8)).await;
                client.send("x").await;
                assert_eq!(client.stream.read_u8().await.unwrap(), b'x');
            }
            let begun = Instant::now();
            assert!(client.rest().await.is_empty());
            let took = begun.elapsed().as_secs_f64();
            assert!((seconds..seconds + 0.25).contains(&took), "{took}");
            assert_eq!((gateway.cells.tunnels.get(), gateway.cells.cut.get()), (1, 1));
        }
    });
}

#[test]
fn who_does_not_read_holds_back_who_sends() {
    run(async {
        let gateway = plain();
        let sent = Rc::new(std::cell::Cell::new(0usize));
        let count = sent.clone();
        gateway.net.serve("up:80", move |mut stream: DuplexStream| {
            let sent = count.clone();
            async move {
                read_head(&mut stream, &mut Vec::new()).await;
                stream.write_all(AGREED.as_bytes()).await.unwrap();
                while stream.write_all(&[0; 4096]).await.is_ok() {
                    sent.set(sent.get() + 4096);
                }
            }
        });
        let mut client = gateway.connect();
        client.send(ASK).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let held = sent.get();
        assert!(held < 1 << 20, "{held}");
        until("the caller that reads nothing is left", || client.is_over()).await;
        assert_eq!(held, sent.get());
    });
}

#[test]
fn a_drain_ends_tunnels_last() {
    run(async {
        let gateway = plain();
        echoing(&gateway, AGREED);
        let mut client = gateway.connect();
        client.send(ASK).await;
        agreed(&mut client).await;
        let worker = gateway.worker.clone();
        let drained = spawn_local(async move { worker.drain().await });
        tokio::time::sleep(Duration::from_secs(20)).await;
        client.send("x").await;
        assert_eq!(client.stream.read_u8().await.unwrap(), b'x', "it goes on while others end");
        assert!(!drained.is_finished());
        gateway.worker.end();
        assert!(client.rest().await.is_empty());
        drained.await.unwrap();
        assert_eq!(gateway.worker.connections(), 0);
    });
}

/// Asks for a tunnel by extended CONNECT.
async fn connects(
    sender: &mut SendRequest<Bytes>,
    protocol: &'static str,
) -> (Response<RecvStream>, SendStream<Bytes>) {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri("http://a/chat")
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap();
    request.extensions_mut().insert(Protocol::from_static(protocol));
    let (response, stream) = sender.send_request(request, false).unwrap();
    (response.await.unwrap(), stream)
}

async fn echoes(body: &mut RecvStream, stream: &mut SendStream<Bytes>) {
    for text in ["ping", "pong"] {
        stream.send_data(text.into(), false).unwrap();
        let echo = body.data().await.unwrap().unwrap();
        body.flow_control().release_capacity(echo.len()).unwrap();
        assert_eq!(echo, text);
    }
}

#[test]
fn http_2_asks_by_connect_and_http_1_agrees_to_a_key() {
    run(async {
        let gateway = plain();
        let heads = Rc::new(RefCell::new(Vec::new()));
        let notes = heads.clone();
        gateway.net.serve("up:80", move |mut stream: DuplexStream| {
            let heads = notes.clone();
            async move {
                let head = read_head(&mut stream, &mut Vec::new()).await;
                let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap().to_owned();
                heads.borrow_mut().push(head);
                let says = AGREED.replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &accepts(&key));
                stream.write_all(says.as_bytes()).await.unwrap();
                let (mut read, mut write) = tokio::io::split(stream);
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            }
        });
        let (mut sender, _task) = connect(&gateway).await;
        let (response, mut stream) = connects(&mut sender, "websocket").await;
        assert_eq!((response.status().as_u16(), response.headers().get("sec-websocket-accept")), (200, None));
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        let mut body = response.into_body();
        echoes(&mut body, &mut stream).await;
        stream.send_data(Bytes::new(), true).unwrap();
        assert!(whole(&mut body).await.unwrap().0.is_empty());
        let asked = heads.borrow()[0].clone();
        assert!(
            asked.starts_with("GET /chat HTTP/1.1\r\n") && asked.contains("sec-websocket-version: 13\r\n"),
            "{asked}"
        );
        until("the tunnel is over", || gateway.cells.response_bytes.get() == 8).await;
        // two tunnels do not share a connection
        let (_, mut stream) = connects(&mut sender, "websocket").await;
        stream.send_reset(h2::Reason::CANCEL);
        assert_eq!(gateway.worker.connections(), 1);
    });
}

fn accepts(key: &str) -> String {
    use base64::Engine as _;
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes(),
    );
    base64::engine::general_purpose::STANDARD.encode(digest)
}

#[test]
fn what_http_2_connects_to_is_told_as_http_2_knows_it() {
    run(async {
        let gateway = plain();
        let (mut sender, _task) = connect(&gateway).await;
        for (says, protocol, status) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", "websocket", 502),
            ("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "websocket", 403),
            (AGREED, "websocket", 502),
            (AGREED, "connect-udp", 405),
        ] {
            echoing(&gateway, says);
            let (response, _stream) = connects(&mut sender, protocol).await;
            assert_eq!(response.status(), status, "{says} {protocol}");
        }
    });
}

/// A target of HTTP/2 that takes WebSocket, and echoes.
fn h2_echo(gateway: &Gateway) {
    gateway.net.serve("up:80", |stream: DuplexStream| async move {
        let mut builder = h2::server::Builder::new();
        builder.enable_connect_protocol();
        let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
        while let Some(Ok((request, mut sender))) = connection.accept().await {
            assert_eq!(request.extensions().get::<Protocol>().map(Protocol::as_str), Some("websocket"));
            assert_eq!((request.method(), request.headers().get("sec-websocket-key")), (&Method::CONNECT, None));
            spawn_local(async move {
                let mut stream = sender.send_response(ok(), false).unwrap();
                let mut body = request.into_body();
                while let Some(Ok(piece)) = body.data().await {
                    body.flow_control().release_capacity(piece.len()).unwrap();
                    stream.send_data(piece, false).unwrap();
                }
                let _ = stream.send_data(Bytes::new(), true);
            });
        }
    });
}

#[test]
fn targets_of_http_2_are_asked_by_connect() {
    run(async {
        let gateway = with(json!({ "url": "http://up", "protocol": "h2c" }));
        h2_echo(&gateway);
        let mut client = gateway.connect();
        client.send(ASK).await;
        let head = agreed(&mut client).await;
        assert!(
            head.starts_with("HTTP/1.1 101 ")
                && head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{head}"
        );
        client.send("ping").await;
        let mut echo = [0; 4];
        client.stream.read_exact(&mut echo).await.unwrap();
        client.stream.shutdown().await.unwrap();
        assert!(client.rest().await.is_empty());
        let (mut sender, _task) = connect(&gateway).await;
        let (response, mut stream) = connects(&mut sender, "websocket").await;
        assert_eq!(response.status(), 200);
        echoes(&mut response.into_body(), &mut stream).await;
        // one that does not know of it
        gateway.net.h2_upstream("up:80");
        gateway.publish(&resources(json!({ "url": "http://other", "protocol": "h2c" })));
        gateway.net.h2_upstream("other:80");
        let reply = gateway.ask(ASK).await;
        assert_eq!((reply.status(), &*reply.code()), (501, "upgrade_unsupported"));
    });
}

#[test]
fn a_tunnel_outlives_the_configuration_that_led_to_it_and_does_not_hold_it() {
    run(async {
        let gateway = Gateway::with_limits(&resources(json!({ "url": "http://up" })), Limits::default());
        echoing(&gateway, AGREED);
        let mut client = gateway.connect();
        client.send(ASK).await;
        agreed(&mut client).await;
        gateway.publish(&[service("api", json!({ "url": "http://else" }))]);
        assert_eq!(gateway.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.status(), 404);
        assert_eq!(gateway.live.collect(), 0, "nobody holds the old snapshot");
        client.send("x").await;
        assert_eq!(client.stream.read_u8().await.unwrap(), b'x');
    });
}
