//! The servers of others that stand behind the gateway in tests do what the tests expect of them.

use anyhow::{Context as _, Result, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use tidegate_testkit::grpc::{self, Grpc};
use tidegate_testkit::nginx::Nginx;
use tidegate_testkit::websocket::{self, Message, WebSocket};

#[tokio::test]
async fn grpc_answers_calls_of_each_shape() -> Result<()> {
    let server = Grpc::start()?;
    grpc::every_shape(&mut grpc::client(&server.url()).await?).await
}

#[tokio::test]
async fn a_websocket_sends_back_what_it_gets() -> Result<()> {
    let server = WebSocket::start()?;
    let mut socket = websocket::connect(server.url().replace("http:", "ws:")).await?;
    for message in [Message::text("hello"), Message::binary(vec![7; 100_000])] {
        socket.send(message.clone()).await?;
        ensure!(socket.next().await.context("it ended")?? == message);
    }
    socket.close(None).await?;
    Ok(())
}

#[tokio::test]
async fn nginx_tells_what_reached_it_in_both_protocols() -> Result<()> {
    let nginx = Nginx::start().await?;
    let told = reqwest::get(format!("{}/a?b", nginx.url())).await?.text().await?;
    assert!(told.contains("protocol HTTP/1.1\n") && told.contains("target /a?b\n"), "{told}");
    let h2 = reqwest::Client::builder().http2_prior_knowledge().build()?;
    let told = h2.get(nginx.h2_url()).send().await?.text().await?;
    assert!(told.contains("protocol HTTP/2.0\n"), "{told}");
    let file = reqwest::get(format!("{}/file", nginx.url())).await?.bytes().await?;
    assert_eq!(file.len(), 1 << 20);
    Ok(())
}
