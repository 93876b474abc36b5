//! The server, on a thread of its own, so that a busy or paused test runtime never slows it.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::oneshot;
use tonic::{Code, Request, Response, Status, Streaming};

use super::ASKED_FOR;
use super::v1::Line;
use super::v1::echo_server::{Echo, EchoServer};

/// A running gRPC server; it ends with its owner.
pub struct Grpc {
    address: SocketAddr,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Grpc {
    /// Starts one on a loopback port of the kernel's choice. It speaks HTTP/2 by prior knowledge, as gRPC does.
    pub fn start() -> Result<Grpc> {
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a current-thread runtime needs nothing that could be lacking");
            runtime.block_on(async move {
                let bound = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
                let listener = match bound {
                    Ok(listener) => listener,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                // The one who started this waits for the word.
                let _ = ready.send(listener.local_addr());
                let incoming = stream::unfold(listener, async |listener| {
                    let accepted = listener.accept().await.map(|(stream, _)| stream);
                    Some((accepted, listener))
                });
                let serving = tonic::transport::Server::builder().add_service(EchoServer::new(Echoing));
                tokio::select! {
                    _ = serving.serve_with_incoming(incoming) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("grpc".into()).spawn(serve)?;
        let address = is_ready.recv().context("the server's thread ended")??;
        Ok(Grpc { address, running: Some((stop, thread)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Grpc {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // It may have ended by itself; its panic, if any, is on the terminal already.
            let _ = (stop.send(()), thread.join());
        }
    }
}

struct Echoing;

type Lines = Pin<Box<dyn Stream<Item = Result<Line, Status>> + Send>>;

fn echoed<T>(answer: T) -> Response<T> {
    let mut answer = Response::new(answer);
    answer.metadata_mut().insert("x-echo", "yes".parse().expect("it is of plain letters"));
    answer
}

/// The line, or the status that it asks for.
fn heeded(line: Line) -> Result<Line, Status> {
    if line.status == 0 {
        return Ok(line);
    }
    let mut status = Status::new(Code::from(line.status), ASKED_FOR);
    status.metadata_mut().insert("x-echo-text", line.text.parse().map_err(|_| Status::internal("no such metadata"))?);
    Err(status)
}

#[tonic::async_trait]
impl Echo for Echoing {
    async fn say(&self, asked: Request<Line>) -> Result<Response<Line>, Status> {
        heeded(asked.into_inner()).map(echoed)
    }

    async fn gather(&self, asked: Request<Streaming<Line>>) -> Result<Response<Line>, Status> {
        let mut lines = asked.into_inner();
        let (mut texts, mut count) = (Vec::new(), 0);
        while let Some(line) = lines.message().await? {
            texts.push(heeded(line)?.text);
            count += 1;
        }
        Ok(echoed(Line { text: texts.join(" "), count, status: 0 }))
    }

    type SpreadStream = Lines;

    async fn spread(&self, asked: Request<Line>) -> Result<Response<Lines>, Status> {
        let line = asked.into_inner();
        let plain = Line { status: 0, ..line.clone() };
        let lines = stream::iter((0..line.count).map(move |_| Ok(plain.clone())));
        // the status comes after the lines
        let end = heeded(line).err().map(Err);
        Ok(echoed(Box::pin(lines.chain(stream::iter(end)))))
    }

    type ChatStream = Lines;

    async fn chat(&self, asked: Request<Streaming<Line>>) -> Result<Response<Lines>, Status> {
        let lines = asked.into_inner().map(|line| heeded(line?));
        Ok(echoed(Box::pin(lines)))
    }
}
