//! Asking a target that speaks HTTP/1.1 for a tunnel.
//!
//! The request has a connection of its own. If the target agrees, its bytes are the tunnel's; if not, its answer goes to the
//! caller and the connection ends with it: what either side sent beyond is nobody's.

use std::future::{Future, poll_fn};
use std::pin::pin;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tidegate_policy::{Origin, RequestHead, ResponseHead};

use super::body::{Incoming, RequestBody};
use super::header_policy::strip_answer;
use super::hyper_client::{Answer, Connection, Meter, SendError, answer};
use super::tunnel::{Io, Switched};
use super::websocket;
use crate::edge::via;

/// A connection that may become a tunnel.
pub(crate) struct Fresh {
    pub(super) sender: http1::SendRequest<RequestBody>,
    pub(super) connection: http1::Connection<TokioIo<Box<dyn Io>>, RequestBody>,
    pub(super) meter: Meter,
}

/// What a target said.
pub(crate) enum Said {
    /// It agrees.
    Agreed(ResponseHead, Switched),
    /// It answers otherwise.
    Otherwise(Answer, Connection),
}

impl Fresh {
    /// Asks for WebSocket.
    pub(crate) async fn ask(self, mut head: RequestHead) -> Result<Said, SendError> {
        let Fresh { mut sender, mut connection, meter } = self;
        meter.begins();
        head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(UPGRADE, websocket::NAME.clone());
        let accepted = head.headers.get(&websocket::KEY).map(websocket::accepts);
        let mut request = Request::new(RequestBody::Empty);
        *request.method_mut() = head.method;
        *request.uri_mut() = Uri::from(head.target);
        *request.headers_mut() = head.headers;

        let mut over = false;
        let mut asking = pin!(sender.send_request(request));
        let response = poll_fn(|cx| {
            over = over || connection.poll_without_shutdown(cx).is_ready();
            asking.as_mut().poll(cx)
        });
        let is_invalid = |error: &hyper::Error| error.is_parse() || meter.is_over();
        let response = response.await.map_err(|e| if is_invalid(&e) { SendError::Invalid } else { SendError::Lost })?;
        meter.ends();
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let connection = Connection::spawn(sender, connection, meter);
            return Ok(Said::Otherwise(answer(response)?, connection));
        }
        let head = agreement(response, accepted.as_ref()).ok_or(SendError::Invalid)?;
        if !over {
            poll_fn(|cx| connection.poll_without_shutdown(cx)).await.map_err(|_| SendError::Lost)?;
        }
        let parts = connection.into_parts();
        Ok(Said::Agreed(head, Switched { io: parts.io.into_inner(), first: parts.read_buf }))
    }
}

/// The head of an agreement to what was asked for. Any other is none.
fn agreement(response: Response<Incoming>, accepted: Option<&HeaderValue>) -> Option<ResponseHead> {
    let (parts, _) = response.into_parts();
    let (status, mut headers) = (parts.status, parts.headers);
    if !websocket::is_named(&headers) || accepted.is_some_and(|key| headers.get(&websocket::ACCEPT) != Some(key)) {
        return None;
    }
    strip_answer(&mut headers);
    via::append(&mut headers, Version::HTTP_11);
    headers.remove(http::header::CONTENT_LENGTH);
    Some(ResponseHead { status, headers, origin: Origin::Upstream })
}
