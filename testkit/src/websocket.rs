//! A WebSocket server that sends back what it gets, and a client: real ones, to stand on both sides of the gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_hdr_async, connect_async};

pub use tokio_tungstenite::tungstenite::client::IntoClientRequest;
pub use tokio_tungstenite::tungstenite::{Error, Message};

/// What a client holds.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A running server; it ends with its owner, and its connections with it.
pub struct WebSocket {
    address: SocketAddr,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl WebSocket {
    /// Starts one on a loopback port of the kernel's choice. It takes the subprotocol `echo` where it is offered.
    pub fn start() -> Result<WebSocket> {
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a current-thread runtime needs nothing that could be lacking");
            runtime.block_on(async move {
                let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await {
                    Ok(listener) => listener,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                // The one who started this waits for the word.
                let _ = ready.send(listener.local_addr());
                tokio::select! {
                    () = accept(listener) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("websocket".into()).spawn(serve)?;
        let address = is_ready.recv().context("the server's thread ended")??;
        Ok(WebSocket { address, running: Some((stop, thread)) })
    }

    /// `http://127.0.0.1:<port>`, as a service's `url` has it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // It may have ended by itself; its panic, if any, is on the terminal already.
            let _ = (stop.send(()), thread.join());
        }
    }
}

async fn accept(listener: TcpListener) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                // A caller who leaves, also in the middle, ends it.
                let _ = echo(stream).await;
            });
        }
    }
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let choose = |asked: &Request, mut answer: Response| -> Result<Response, ErrorResponse> {
        if asked.headers().get("sec-websocket-protocol").is_some_and(|offered| offered == "echo") {
            answer.headers_mut().insert("sec-websocket-protocol", http::HeaderValue::from_static("echo"));
        }
        Ok(answer)
    };
    let mut socket = accept_hdr_async(stream, choose).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        // The library answers pings and closes itself.
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Opens one; the URL begins with `ws://`.
pub async fn connect(request: impl IntoClientRequest + Unpin) -> Result<Socket, Error> {
    Ok(connect_async(request).await?.0)
}
