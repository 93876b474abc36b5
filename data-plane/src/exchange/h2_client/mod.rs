//! The side towards targets, by h2: HTTP/2 by prior knowledge, many exchanges on a connection.
//!
//! hyper's own client hides what a pool must know: how many streams the target takes, and whether it has surely not looked at a
//! request. So this speaks with the h2 crate.

mod receiving;
mod sending;
mod tunnelling;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use tidegate_policy::{Origin, RequestHead, ResponseHead};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, spawn_local};

pub(crate) use self::receiving::Receiving;
use self::sending::Sending;
use self::tunnelling::Tunnelling;
use super::body::{RequestBody, Stream};
use super::gathered::Gathered;
use super::header_policy::strip_answer;
use super::hyper_client::Answer;
use super::tunnel::Switched;
use crate::edge::via;
use crate::limits::Limits;

/// A connection to a target. Dropped, it is closed, whatever is under way on it.
pub(crate) struct Connection {
    sender: SendRequest<Bytes>,
    task: AbortHandle,
    interim_max: usize,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes connections of byte streams.
pub(crate) struct Opener {
    builder: Builder,
    interim_max: usize,
}

/// An answer, and what of the request's body is still under way.
pub(crate) struct Sent {
    pub(crate) answer: Answer,
    pub(crate) rest: Option<Rest>,
}

/// The rest of a request's body. Dropped, it is not sent.
pub(crate) struct Rest(AbortHandle);

impl Drop for Rest {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no answer.
pub(crate) enum Failed {
    /// The target has surely not looked at it, and nothing was taken of the body: here it is again.
    Untouched(RequestBody),
    /// The stream or its connection ended before an answer began.
    Lost,
    /// What came is no answer that can be passed on, or the request can't be said in HTTP/2.
    Invalid,
    /// The target does not do what a tunnel needs.
    Unsupported,
}

impl Opener {
    pub(crate) fn new(limits: &Limits) -> Self {
        let mut builder = Builder::new();
        let window = limits.upstream_h2_stream_window_bytes;
        let streams = limits.upstream_h2_streams_max;
        builder
            .enable_push(false)
            // none until its settings came: what they say counts from the first request on
            .initial_max_send_streams(0)
            .initial_window_size(window)
            // room for every stream's window: one caller that does not read can't hold up the others
            .initial_connection_window_size(window.saturating_mul(streams.max(1)).min(i32::MAX as u32))
            .max_header_list_size(u32::try_from(limits.answer_head_bytes_max).unwrap_or(u32::MAX))
            .max_send_buffer_size(limits.connection_buffer_bytes_max);
        Opener { builder, interim_max: limits.answer_interim_max }
    }

    /// A connection over a byte stream, once the target has said how many requests it takes at a time.
    pub(crate) async fn open<S>(&self, stream: S) -> Option<Connection>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (stream, gathered) = Gathered::pair(stream);
        let (sender, mut connection) = self.builder.handshake(stream).await.ok()?;
        let mut turn = move |cx: &mut Context<'_>| gathered.after(Pin::new(&mut connection).poll(cx), cx);
        let heard = poll_fn(|cx| match turn(cx) {
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending if sender.current_max_send_streams() > 0 => Poll::Ready(true),
            Poll::Pending => Poll::Pending,
        });
        if !heard.await {
            return None;
        }
        let task = spawn_local(async move {
            if let Err(error) = poll_fn(turn).await {
                tracing::debug!(%error, "a connection to a target ended early: {error}");
            }
        });
        Some(Connection { sender, task: task.abort_handle(), interim_max: self.interim_max })
    }
}

impl Connection {
    /// Whether it takes new requests.
    pub(crate) fn stands(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !self.task.is_finished() && !matches!(self.sender.clone().poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// How many requests at a time the target takes.
    pub(crate) fn streams_max(&self) -> usize {
        self.sender.current_max_send_streams()
    }

    /// Sends a request; the answer's head comes back, bodies stream both ways.
    pub(crate) async fn send(&self, head: RequestHead, body: RequestBody) -> Result<Sent, Failed> {
        let is_head = head.method == Method::HEAD;
        let request = request(head).ok_or(Failed::Invalid)?;
        let no_body = body.is_empty();
        let mut sender = self.sender.clone();
        if !self.stands() {
            return Err(Failed::Untouched(body));
        }
        let Ok((mut response, stream)) = sender.send_request(request, no_body) else { return Err(Failed::Invalid) };
        let mut sending = Sending::new(body, stream);
        let mut sent = no_body;
        let mut interim = 0;
        let came = poll_fn(|cx| {
            sent = sent || Pin::new(&mut sending).poll(cx).is_ready();
            poll_answer(&mut response, &mut interim, self.interim_max, cx)
        });
        match came.await {
            Ok(response) => {
                let rest = (!sent).then(|| Rest(spawn_local(sending).abort_handle()));
                Ok(Sent { answer: answer(response, is_head)?, rest })
            }
            Err(None) => Err(Failed::Invalid),
            Err(Some(error)) if is_unseen(&error) => match sending.untouched() {
                Some(body) => Err(Failed::Untouched(body)),
                None => Err(Failed::Lost),
            },
            Err(Some(error)) => Err(if is_malformed(&error) { Failed::Invalid } else { Failed::Lost }),
        }
    }

    /// Asks for a tunnel by extended CONNECT (RFC 8441).
    pub(crate) async fn switch(
        &self,
        mut head: RequestHead,
    ) -> Result<Result<(ResponseHead, Switched), Answer>, Failed> {
        if !self.sender.is_extended_connect_protocol_enabled() {
            return Err(Failed::Unsupported);
        }
        head.method = Method::CONNECT;
        let mut request = request(head).ok_or(Failed::Invalid)?;
        request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
        let mut sender = self.sender.clone();
        if !self.stands() {
            return Err(Failed::Untouched(RequestBody::Empty));
        }
        let Ok((mut response, stream)) = sender.send_request(request, false) else { return Err(Failed::Invalid) };
        let mut interim = 0;
        match poll_fn(|cx| poll_answer(&mut response, &mut interim, self.interim_max, cx)).await {
            Ok(response) if response.status() == StatusCode::OK => {
                let (parts, receiving) = response.into_parts();
                let mut headers = parts.headers;
                strip_answer(&mut headers);
                via::append(&mut headers, Version::HTTP_2);
                headers.remove(CONTENT_LENGTH);
                let head = ResponseHead { status: parts.status, headers, origin: Origin::Upstream };
                let io = Box::new(Tunnelling::new(stream, receiving));
                Ok(Ok((head, Switched { io, first: Bytes::new() })))
            }
            Ok(response) => Ok(Err(answer(response, false)?)),
            Err(Some(error)) if is_unseen(&error) => Err(Failed::Untouched(RequestBody::Empty)),
            Err(Some(error)) if !is_malformed(&error) => Err(Failed::Lost),
            Err(_) => Err(Failed::Invalid),
        }
    }
}

/// The head of the answer, or why there is none; `None` if more came before it than may.
fn poll_answer(
    response: &mut ResponseFuture,
    interim: &mut usize,
    interim_max: usize,
    cx: &mut Context<'_>,
) -> Poll<Result<Response<RecvStream>, Option<h2::Error>>> {
    while let Poll::Ready(Some(Ok(_))) = response.poll_informational(cx) {
        *interim += 1;
        if *interim > interim_max {
            return Poll::Ready(Err(None));
        }
    }
    Pin::new(response).poll(cx).map_err(Some)
}

/// The target says that it has not looked at the request (RFC 9113 §8.7).
fn is_unseen(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM))
}

/// What the target said could not be understood.
fn is_malformed(error: &h2::Error) -> bool {
    error.is_library() && error.reason().is_some()
}

/// A request of HTTP/2: the host is its authority, and how the body is framed is the stream's matter.
fn request(head: RequestHead) -> Option<Request<()>> {
    let RequestHead { method, target, mut headers } = head;
    let host = headers.remove(HOST)?;
    headers.remove(TRANSFER_ENCODING);
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
    uri.path_and_query = Some(target);
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_parts(uri).ok()?;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    Some(request)
}

/// Targets are not trusted: an answer that could be read in two ways is none.
fn answer(response: Response<RecvStream>, is_head: bool) -> Result<Answer, Failed> {
    let (parts, stream) = response.into_parts();
    let (status, mut headers) = (parts.status, parts.headers);
    if !(200..600).contains(&status.as_u16()) || !is_framed_once(&headers) {
        return Err(Failed::Invalid);
    }
    strip_answer(&mut headers);
    via::append(&mut headers, Version::HTTP_2);
    let bodiless = is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if bodiless { Stream::None } else { Stream::H2(Receiving::new(stream, &headers)) };
    Ok(Answer { head: ResponseHead { status, headers, origin: Origin::Upstream }, body })
}

fn is_framed_once(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    lengths.next().is_none_or(|length| length.as_bytes().iter().all(u8::is_ascii_digit)) && lengths.next().is_none()
}
