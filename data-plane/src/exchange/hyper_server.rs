//! The side towards callers, by hyper: HTTP/1.1 and HTTP/2.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;

use bytes::Bytes;
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use hyper::ext::Protocol;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tidegate_policy::RequestHead;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::spawn_local;

use super::bare::{Held, Listened};
use super::body::{Incoming, RequestBody, ResponseBody};
use super::gate::Manner;
use super::gathered::Gathered;
use super::tunnel::Tunnel;
use super::watch::{Connection, Endable, Task, Underway};
use super::{Answer, Arrived, Asks, gate};
use crate::edge::Caller;
use crate::limits::Limits;
use crate::proxy::{self, GatewayError};
use crate::telemetry::Guard;
use crate::telemetry::facts::Seen;
use crate::worker::Worker;

/// How connections of callers are served.
pub(crate) struct Server {
    h1: http1::Builder,
}

impl Server {
    pub(crate) fn new(limits: &Limits) -> Self {
        let mut h1 = http1::Builder::new();
        h1.max_header_size(limits.head_bytes_max)
            .max_buf_size(limits.connection_buffer_bytes_max.max(limits.head_bytes_max));
        if limits.header_count_max != Limits::default().header_count_max {
            // said only where it differs: hyper's own bound, which is the same, needs no allocation
            h1.max_headers(limits.header_count_max);
        }
        Server { h1 }
    }

    /// Serves a connection of HTTP/1.
    pub(crate) async fn h1<S>(&self, worker: &Rc<Worker>, connection: &Rc<Connection>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (tunnel, held) = (Cell::new(None), Held::new(connection));
        let service = service_fn(|request| {
            let arrived = arrive(worker, connection, connection.task.clone(), request);
            // boxed: hyper keeps room for it as long as the connection stands
            Box::pin(async {
                let mut response = respond(worker, arrived, &tunnel, &held).await;
                if connection.is_closing()
                    && let Ok(response) = &mut response
                    && response.status() != http::StatusCode::SWITCHING_PROTOCOLS
                {
                    // said in the reply, so that no next request is lost in a connection that closes
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            })
        });
        let stream = Listened { stream, held: &held };
        let mut serving = self.h1.serve_connection(TokioIo::new(stream), service);
        let mut told = false;
        let served = poll_fn(|cx| {
            // what has come is looked at before it is told to close
            let polled = Pin::new(&mut serving).poll(cx);
            if polled.is_pending() && connection.is_parting() && !told {
                told = true;
                Pin::new(&mut serving).graceful_shutdown();
                return Pin::new(&mut serving).poll(cx);
            }
            polled
        });
        match served.await {
            Ok(()) => {
                if let Some(tunnel) = tunnel.take() {
                    let parts = serving.into_parts();
                    through(tunnel, parts.io.into_inner().stream, parts.read_buf).await;
                }
            }
            Err(error) => {
                ended_early(worker, &error);
                if let Some(problem) = held.problem() {
                    refuse(worker, connection, serving.into_parts().io.into_inner().stream, problem).await;
                }
            }
        }
    }

    /// Serves a connection of HTTP/2.
    pub(crate) async fn h2<S>(&self, worker: &Rc<Worker>, connection: &Rc<Connection>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        connection.set_multiplexed();
        let limits = worker.limits();
        let streams = Streams::default();
        let service = service_fn(|mut request| {
            // the future that is made of this is handed to the executor next, which runs it in this task
            let task = Rc::<Task>::default();
            streams.next.set(Some(task.clone()));
            let upgrade =
                (*request.method() == Method::CONNECT).then(|| (hyper::upgrade::on(&mut request), task.clone()));
            let arrived = arrive(worker, connection, task, request);
            respond_owned(worker.clone(), arrived, upgrade)
        });
        let (stream, gathered) = Gathered::pair(stream);
        let serving = http2::Builder::new(streams.clone())
            .max_concurrent_streams(limits.h2_streams_max)
            .initial_stream_window_size(limits.h2_stream_window_bytes)
            .initial_connection_window_size(limits.h2_connection_window_bytes)
            .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
            .max_send_buf_size(limits.h2_stream_buffer_bytes_max)
            .max_frame_size(H2_FRAME_BYTES)
            .header_table_size(H2_HEADER_TABLE_BYTES)
            .max_pending_accept_reset_streams(limits.h2_pending_resets_max)
            .max_local_error_reset_streams(limits.h2_error_resets_max)
            .enable_connect_protocol()
            .serve_connection(TokioIo::new(stream), service);
        let mut serving = pin!(serving);
        let mut told = false;
        let served = poll_fn(|cx| {
            if connection.is_parting() && !told {
                told = true;
                serving.as_mut().graceful_shutdown();
            }
            let polled = serving.as_mut().poll(cx);
            gathered.after(polled, cx)
        });
        if let Err(error) = served.await {
            ended_early(worker, &error);
        }
    }
}

/// The largest frame of HTTP/2, and the table of its header compression: the smallest and the usual that the standard has.
const H2_FRAME_BYTES: u32 = 16 << 10;
const H2_HEADER_TABLE_BYTES: u32 = 4096;

/// A connection ended by a mistake of the caller, or by his leaving. What the codec guards against is counted.
fn ended_early(worker: &Worker, error: &hyper::Error) {
    tracing::debug!(%error, "a connection of a caller ended early: {error}");
    if error.is_parse_too_large() {
        worker.cells().guarded(Guard::HeadSize);
    }
    let h2 = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    if h2.is_some_and(|h2| h2.is_library() && h2.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)) {
        worker.cells().guarded(Guard::H2Flood);
    }
}

/// Whether a request is let in, and its head; and what it asks for.
fn admit(
    worker: &Worker,
    connection: &Connection,
    parts: Parts,
    manner: Manner,
) -> (Result<RequestHead, GatewayError>, Asks) {
    let (mut head, asks) = gate::admit(parts, manner, worker.limits());
    match &head {
        Err(GatewayError::UriTooLong) => worker.cells().guarded(Guard::Uri),
        Err(GatewayError::HeadTooLarge) => worker.cells().guarded(Guard::HeadSize),
        Err(_) => {}
        Ok(_) if worker.is_overloaded(connection) => head = Err(GatewayError::Overloaded),
        Ok(_) => {}
    }
    (head, asks)
}

/// A request arrived: it is under way from here on.
fn arrive(worker: &Worker, connection: &Rc<Connection>, task: Rc<Task>, request: Request<Incoming>) -> Arrived {
    let underway = Underway::begin(connection, task);
    let (parts, body) = request.into_parts();
    if worker.log().is_some() {
        let _ = underway.exchange().facts.seen.set(Seen::of(&parts)); // it is new, and has none yet
    }
    let body = RequestBody::new(body, underway.exchange());
    let protocol = if parts.method == Method::CONNECT { parts.extensions.get::<Protocol>() } else { None };
    let connects_websocket = protocol.is_some_and(|protocol| protocol.as_str() == "websocket");
    let (limits, peer) = (worker.limits(), connection.peer());
    let manner = Manner { has_body: !body.is_empty(), connects_websocket, peer: peer.trust };
    // before the gate drops what only trusted proxies may say
    let caller = Caller::of(peer, parts.version, &parts.headers, worker.edge(), limits.forwarded_hops_max);
    let (head, asks) = admit(worker, connection, parts, manner);
    Arrived { head, asks, body, caller, underway }
}

type OpenTunnel = Cell<Option<Box<Tunnel>>>;

async fn respond(
    worker: &Rc<Worker>,
    arrived: Arrived,
    tunnel: &OpenTunnel,
    held: &Held<'_>,
) -> Result<Response<ResponseBody>, Infallible> {
    let mut answer = proxy::handle(worker, arrived).await;
    held.answers();
    if let Some(agreed) = answer.tunnel.take() {
        tunnel.set(Some(agreed));
    }
    Ok(response(answer))
}

async fn respond_owned(
    worker: Rc<Worker>,
    arrived: Arrived,
    upgrade: Option<(OnUpgrade, Rc<Task>)>,
) -> Result<Response<ResponseBody>, Infallible> {
    let mut answer = proxy::handle(&worker, arrived).await;
    if let (Some(tunnel), Some((upgrade, task))) = (answer.tunnel.take(), upgrade) {
        // the stream's own task ends with the head of the answer
        spawn_local(Endable::new(task, async move {
            if let Ok(stream) = upgrade.await {
                through(tunnel, TokioIo::new(stream), Bytes::new()).await;
            }
        }));
    }
    Ok(response(answer))
}

/// Says what is wrong with a head that hyper could not read.
async fn refuse<S: AsyncWrite + Unpin>(worker: &Worker, connection: &Connection, mut stream: S, problem: GatewayError) {
    let (head, body) = proxy::refuse(worker, problem);
    let reason = head.status.canonical_reason().unwrap_or("");
    let mut reply = format!("HTTP/1.1 {} {reason}\r\n", head.status.as_u16()).into_bytes();
    for (name, value) in &head.headers {
        reply.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    reply.extend_from_slice(b"\r\n");
    reply.extend_from_slice(&body);
    connection.left_unread();
    if stream.write_all(&reply).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

/// Boxed, as few connections ever become a tunnel.
fn through<S>(tunnel: Box<Tunnel>, stream: S, first: Bytes) -> Pin<Box<dyn Future<Output = ()>>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    Box::pin(tunnel.run(stream, first))
}

fn response(answer: Answer) -> Response<ResponseBody> {
    let mut response = Response::new(answer.body);
    *response.status_mut() = answer.head.status;
    *response.headers_mut() = answer.head.headers;
    response
}

/// Runs each stream of an HTTP/2 connection as a task of its own, which the watch can end.
#[derive(Clone, Default)]
struct Streams {
    next: Rc<Cell<Option<Rc<Task>>>>,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        spawn_local(Endable::new(self.next.take().unwrap_or_default(), stream));
    }
}
