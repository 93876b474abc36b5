//! gRPC and WebSocket through the gateway, with servers and clients that others wrote.

use anyhow::{Context as _, Result, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tidegate_testkit::grpc::{self, Code, Grpc};
use tidegate_testkit::nginx::Nginx;
use tidegate_testkit::standalone::Standalone;
use tidegate_testkit::websocket::{self, IntoClientRequest as _, Message, WebSocket};

/// A gateway that sends all to this API.
async fn gateway_to(url: &str, protocol: &str) -> Result<Standalone> {
    let gateway = Standalone::start().await?;
    let admin = gateway.admin()?;
    admin.put("/v1/services/api", json!({ "url": url, "protocol": protocol })).await?;
    admin.put("/v1/routes/api?wait=all", json!({ "service": "api" })).await?;
    Ok(gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_calls_of_each_shape_pass_with_trailers_and_statuses() -> Result<()> {
    let server = Grpc::start()?;
    let gateway = gateway_to(&server.url(), "h2c").await?;
    grpc::every_shape(&mut grpc::client(&gateway.proxy_url()).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_gateway_is_a_grpc_status() -> Result<()> {
    let server = Grpc::start()?;
    let gateway = gateway_to(&server.url(), "h2c").await?;
    gateway.admin()?.put("/v1/policies/key?wait=all", json!({ "kind": "key-auth" })).await?;
    let mut client = grpc::client(&gateway.proxy_url()).await?;
    let refused = client.say(grpc::line("hello")).await.err().context("there is no key")?;
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_is_reached_by_http2() -> Result<()> {
    let nginx = Nginx::start().await?;
    let gateway = gateway_to(&nginx.h2_url(), "h2c").await?;
    for client in [reqwest::Client::new(), reqwest::Client::builder().http2_prior_knowledge().build()?] {
        let told = client.get(format!("{}/a?b", gateway.proxy_url())).send().await?.text().await?;
        assert!(told.contains("protocol HTTP/2.0\n") && told.contains("target /a?b\n"), "{told}");
        let file = client.get(format!("{}/file", gateway.proxy_url())).send().await?.bytes().await?;
        assert_eq!(file.len(), 1 << 20);
        let sent = client.post(gateway.proxy_url()).body(vec![b'u'; 1 << 20]).send().await?;
        assert!(sent.text().await?.contains("content-length 1048576\n"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_passes_both_ways_with_its_subprotocol() -> Result<()> {
    let server = WebSocket::start()?;
    let gateway = gateway_to(&server.url(), "http1").await?;
    let mut request = gateway.proxy_url().replace("http:", "ws:").into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", "echo".parse()?);
    let mut socket = websocket::connect(request).await?;
    let ping = Message::Ping(b"alive"[..].to_vec().into());
    for message in [Message::text("hello"), Message::binary(vec![7; 1 << 20]), Message::text("")] {
        socket.send(message.clone()).await?;
        ensure!(socket.next().await.context("it ended")?? == message);
    }
    socket.send(ping).await?;
    ensure!(socket.next().await.context("it ended")?? == Message::Pong(b"alive"[..].to_vec().into()));
    socket.close(None).await?;
    while let Some(message) = socket.next().await {
        ensure!(message?.is_close(), "only the answer to the close comes");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_refused_as_the_policies_say() -> Result<()> {
    let server = WebSocket::start()?;
    let gateway = gateway_to(&server.url(), "http1").await?;
    gateway.admin()?.put("/v1/policies/key?wait=all", json!({ "kind": "key-auth" })).await?;
    match websocket::connect(gateway.proxy_url().replace("http:", "ws:")).await {
        Err(websocket::Error::Http(answer)) => assert_eq!(answer.status(), 401),
        other => panic!("{other:?}"),
    }
    Ok(())
}
