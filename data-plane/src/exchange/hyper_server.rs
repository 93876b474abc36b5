//! The side towards callers, by hyper: HTTP/1.1 and HTTP/2.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use http::{Request, Response};
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::spawn_local;

use super::body::{RequestBody, ResponseBody, Stream};
use super::watch::{Connection, Endable, Task, Underway};
use super::{Answer, Arrived, gate};
use crate::limits::Limits;
use crate::proxy;
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
        let service = service_fn(|request| {
            let arrived = arrive(worker, connection, connection.task.clone(), request);
            respond(worker, arrived)
        });
        let mut serving = pin!(self.h1.serve_connection(TokioIo::new(stream), service));
        let mut told = false;
        let served = poll_fn(|cx| {
            // what has come is looked at before it is told to close
            let polled = serving.as_mut().poll(cx);
            if polled.is_pending() && connection.is_closing() && !told {
                told = true;
                serving.as_mut().graceful_shutdown();
                return serving.as_mut().poll(cx);
            }
            polled
        });
        if let Err(error) = served.await {
            tracing::debug!(%error, "a connection of a caller ended early: {error}");
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
        let service = service_fn(|request| {
            // the future that is made of this is handed to the executor next, which runs it in this task
            let task = Rc::<Task>::default();
            streams.next.set(Some(task.clone()));
            let arrived = arrive(worker, connection, task, request);
            respond_owned(worker.clone(), arrived)
        });
        let serving = http2::Builder::new(streams.clone())
            .max_concurrent_streams(limits.h2_streams_max)
            .initial_stream_window_size(limits.h2_stream_window_bytes)
            .initial_connection_window_size(limits.h2_connection_window_bytes)
            .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
            .max_send_buf_size(limits.connection_buffer_bytes_max)
            .serve_connection(TokioIo::new(stream), service);
        let mut serving = pin!(serving);
        let mut told = false;
        let served = poll_fn(|cx| {
            if connection.is_closing() && !told {
                told = true;
                serving.as_mut().graceful_shutdown();
            }
            serving.as_mut().poll(cx)
        });
        if let Err(error) = served.await {
            tracing::debug!(%error, "a connection of a caller ended early: {error}");
        }
    }
}

/// A request arrived: it is under way from here on.
fn arrive(worker: &Worker, connection: &Rc<Connection>, task: Rc<Task>, request: Request<Stream>) -> Arrived {
    let underway = Underway::begin(connection, task);
    let (parts, body) = request.into_parts();
    if worker.log().is_some() {
        let _ = underway.exchange().facts.seen.set(Seen::of(&parts)); // it is new, and has none yet
    }
    let body = RequestBody::new(body, underway.exchange());
    Arrived { head: gate::admit(parts, worker.limits()), body, underway }
}

async fn respond(worker: &Rc<Worker>, arrived: Arrived) -> Result<Response<ResponseBody>, Infallible> {
    Ok(response(proxy::handle(worker, arrived).await))
}

async fn respond_owned(worker: Rc<Worker>, arrived: Arrived) -> Result<Response<ResponseBody>, Infallible> {
    respond(&worker, arrived).await
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
