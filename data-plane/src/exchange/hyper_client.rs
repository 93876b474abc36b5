//! The side towards targets, by hyper: HTTP/1.1 over connections that are kept.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tidegate_policy::{Origin, RequestHead, ResponseHead};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, spawn_local};

use super::body::{RequestBody, Stream};
use super::header_policy::strip_answer;
use crate::edge::via;
use crate::limits::Limits;

/// A connection to a target. Dropped, it is closed, whatever is under way on it.
pub(crate) struct Connection {
    sender: SendRequest<RequestBody>,
    task: AbortHandle,
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
pub(crate) struct Opener(Builder);

impl Opener {
    pub(crate) fn new(limits: &Limits) -> Self {
        let mut builder = Builder::new();
        builder
            .max_header_size(limits.answer_head_bytes_max)
            .max_buf_size(limits.connection_buffer_bytes_max.max(limits.answer_head_bytes_max));
        if limits.answer_header_count_max != Limits::default().answer_header_count_max {
            builder.max_headers(limits.answer_header_count_max);
        }
        Opener(builder)
    }

    /// A connection over a byte stream.
    pub(crate) async fn open<S>(&self, stream: S) -> Option<Connection>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (sender, connection) = self.0.handshake(TokioIo::new(stream)).await.ok()?;
        let task = spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a target ended early: {error}");
            }
        });
        Some(Connection { sender, task: task.abort_handle() })
    }
}

impl Connection {
    /// Whether it seems to stand.
    pub(crate) fn stands(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Waits until the last exchange is wholly over; tells whether there can be another.
    pub(crate) async fn is_ready(&mut self) -> bool {
        self.sender.is_ready() || self.sender.ready().await.is_ok()
    }

    /// Sends a request; the answer's head comes back, its body streams.
    pub(crate) async fn send(&mut self, head: RequestHead, body: RequestBody) -> Result<Answer, SendError> {
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = Uri::from(head.target);
        *request.headers_mut() = head.headers;
        match self.sender.try_send_request(request).await {
            Ok(response) => answer(response),
            Err(mut error) => match error.take_message() {
                Some(request) => Err(SendError::NotSent(Box::new(taken_back(request)))),
                None if error.error().is_parse() => Err(SendError::Invalid),
                None => Err(SendError::Lost),
            },
        }
    }
}

fn taken_back(request: Request<RequestBody>) -> (RequestHead, RequestBody) {
    let (parts, body) = request.into_parts();
    let target = parts.uri.into_parts().path_and_query.expect("it was made of a path");
    (RequestHead { method: parts.method, target, headers: parts.headers }, body)
}

/// Targets are not trusted either: an answer that could be read in two ways is none.
fn answer(response: Response<Stream>) -> Result<Answer, SendError> {
    let (parts, body) = response.into_parts();
    let (status, mut headers) = (parts.status, parts.headers);
    if status == StatusCode::SWITCHING_PROTOCOLS || status.as_u16() > 599 || !is_framed_once(&headers, parts.version) {
        return Err(SendError::Invalid);
    }
    strip_answer(&mut headers);
    via::append(&mut headers, parts.version);
    Ok(Answer { head: ResponseHead { status, headers, origin: Origin::Upstream }, body })
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
