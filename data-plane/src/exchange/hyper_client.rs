//! The side towards targets, by hyper: HTTP/1.1 over connections that are kept.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use hyper::client::conn::http1::{self, Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tidegate_policy::{Origin, RequestHead, ResponseHead};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::{AbortHandle, spawn_local};

use super::body::{Incoming, RequestBody, Stream};
use super::header_policy::strip_answer;
use super::small_write::poll_write_pieces;
use super::switching::Fresh;
use super::tunnel::Io;
use crate::edge::via;
use crate::limits::Limits;

/// A connection to a target. Dropped, it is closed, whatever is under way on it.
pub(crate) struct Connection {
    sender: SendRequest<RequestBody>,
    task: AbortHandle,
    meter: Meter,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a target answered.
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    pub(crate) body: Stream,
}

/// Why there is no answer.
pub(crate) enum SendError {
    /// Nothing of the request was sent: here it is again.
    NotSent(Box<(RequestHead, RequestBody)>),
    /// The connection ended before an answer began.
    Lost,
    /// What came is no answer that can be passed on.
    Invalid,
}

/// Makes connections of byte streams.
pub(crate) struct Opener {
    builder: Builder,
    before_head_max: usize,
}

impl Opener {
    pub(crate) fn new(limits: &Limits) -> Self {
        let mut builder = Builder::new();
        builder
            .max_header_size(limits.answer_head_bytes_max)
            .max_buf_size(limits.connection_buffer_bytes_max.max(limits.answer_head_bytes_max));
        if limits.answer_header_count_max != Limits::default().answer_header_count_max {
            builder.max_headers(limits.answer_header_count_max);
        }
        Opener { builder, before_head_max: limits.answer_interim_bytes_max }
    }

    /// A connection over a byte stream.
    pub(crate) async fn open<S>(&self, stream: S) -> Option<Connection>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let meter = Meter::default();
        let stream = Metered { stream, meter: meter.clone(), max: self.before_head_max };
        let (sender, connection) = self.builder.handshake(TokioIo::new(stream)).await.ok()?;
        Some(Connection::spawn(sender, connection, meter))
    }

    /// A connection that may become a tunnel.
    pub(crate) async fn open_to_switch(&self, stream: Box<dyn Io>) -> Option<Fresh> {
        let meter = Meter::default();
        let stream: Box<dyn Io> = Box::new(Metered { stream, meter: meter.clone(), max: self.before_head_max });
        let (sender, connection) = self.builder.handshake(TokioIo::new(stream)).await.ok()?;
        Some(Fresh { sender, connection, meter })
    }
}

/// Counts what comes while an answer's head is waited for: interim answers have no end that hyper would know.
#[derive(Clone, Default)]
pub(crate) struct Meter(Rc<Cell<Option<usize>>>);

impl Meter {
    /// The head of an answer is waited for.
    pub(super) fn begins(&self) {
        self.0.set(Some(0));
    }

    /// It came.
    pub(super) fn ends(&self) {
        self.0.set(None);
    }

    /// Whether more came than may.
    pub(super) fn is_over(&self) -> bool {
        self.0.get() == Some(usize::MAX)
    }
}

struct Metered<S> {
    stream: S,
    meter: Meter,
    max: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(so_far) = self.meter.0.get() else { return Pin::new(&mut self.stream).poll_read(cx, buf) };
        if so_far > self.max {
            self.meter.0.set(Some(usize::MAX));
            return Poll::Ready(Err(io::Error::other("too much came before the head of an answer")));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.meter.0.set(Some(so_far + buf.filled().len() - before));
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_write_pieces(&mut self.stream, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connection {
    /// A connection that runs in a task of its own.
    pub(super) fn spawn<S>(
        sender: SendRequest<RequestBody>,
        connection: http1::Connection<TokioIo<S>, RequestBody>,
        meter: Meter,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let task = spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a target ended early: {error}");
            }
        });
        Connection { sender, task: task.abort_handle(), meter }
    }

    /// Whether it seems to stand.
    pub(crate) fn stands(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Waits until the last exchange is wholly over; tells whether there can be another.
    pub(crate) async fn is_ready(&mut self) -> bool {
        self.sender.is_ready() || self.sender.ready().await.is_ok()
    }

    /// Sends a request; the answer's head comes back, its body streams.
    pub(crate) fn send(
        &mut self,
        head: RequestHead,
        body: RequestBody,
    ) -> impl Future<Output = Result<Answer, SendError>> + '_ {
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = Uri::from(head.target);
        *request.headers_mut() = head.headers;
        self.meter.begins();
        let (sending, meter) = (self.sender.try_send_request(request), &self.meter);
        async move {
            match sending.await {
                Ok(response) => {
                    meter.ends();
                    answer(response)
                }
                Err(mut error) => match error.take_message() {
                    Some(request) => Err(SendError::NotSent(Box::new(taken_back(request)))),
                    None if error.error().is_parse() || meter.is_over() => Err(SendError::Invalid),
                    None => Err(SendError::Lost),
                },
            }
        }
    }
}

fn taken_back(request: Request<RequestBody>) -> (RequestHead, RequestBody) {
    let (parts, body) = request.into_parts();
    let target = parts.uri.into_parts().path_and_query.expect("it was made of a path");
    (RequestHead { method: parts.method, target, headers: parts.headers }, body)
}

/// Targets are not trusted either: an answer that could be read in two ways is none.
pub(super) fn answer(response: Response<Incoming>) -> Result<Answer, SendError> {
    let (parts, body) = response.into_parts();
    let (status, mut headers) = (parts.status, parts.headers);
    if status == StatusCode::SWITCHING_PROTOCOLS || status.as_u16() > 599 || !is_framed_once(&headers, parts.version) {
        return Err(SendError::Invalid);
    }
    strip_answer(&mut headers);
    via::append(&mut headers, parts.version);
    Ok(Answer { head: ResponseHead { status, headers, origin: Origin::Upstream }, body: Stream::H1(body) })
}

/// By one length, or by `chunked` alone, or by neither.
fn is_framed_once(headers: &HeaderMap, version: Version) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    match (lengths.next(), encodings.next()) {
        (None, None) => true,
        (Some(length), None) => lengths.next().is_none() && length.as_bytes().iter().all(u8::is_ascii_digit),
        (Some(_), Some(_)) => false,
        (None, Some(encoding)) => {
            let chunked = encoding.as_bytes().eq_ignore_ascii_case(b"chunked");
            chunked && encodings.next().is_none() && version == Version::HTTP_11
        }
    }
}
