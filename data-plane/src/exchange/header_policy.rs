//! Which headers go on, both ways. The page for users is docs/guide/headers.md.
//!
//! What belongs to a connection stays on it; what only the gateway or a trusted proxy may say is dropped where another says it;
//! a name that an upstream may read as another's is dropped too. What the gateway adds, it adds after that.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, TE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use smallvec::SmallVec;

use super::gate::Manner;
use super::{Asks, websocket};
use crate::edge::Trust;
use crate::proxy::GatewayError;

/// What becomes of a header of a request.
enum Fate {
    Stays,
    /// It says what comes behind the body.
    StaysWithBody,
    /// It belongs to the connection, or only the gateway may set it, or upstreams may read its name as another's.
    Goes,
    /// Upstreams that stand behind proxies take it for the truth: it stays if a trusted proxy says it.
    OfProxies,
    /// It belongs to the connection and names others that do.
    Connection,
    TransferEncoding,
    Expect,
    Cookie,
    Te,
    Upgrade,
}

fn fate(name: &HeaderName) -> Fate {
    let name = name.as_str().as_bytes();
    match name {
        b"keep-alive" | b"http2-settings" | b"proxy-connection" | b"proxy-authorization" => Fate::Goes,
        b"te" => Fate::Te,
        b"upgrade" => Fate::Upgrade,
        b"trailer" => Fate::StaysWithBody,
        b"connection" => Fate::Connection,
        b"transfer-encoding" => Fate::TransferEncoding,
        b"expect" => Fate::Expect,
        b"cookie" => Fate::Cookie,
        b"forwarded" => Fate::Goes,
        b"x-real-ip"
        | b"x-client-ip"
        | b"x-cluster-client-ip"
        | b"true-client-ip"
        | b"cf-connecting-ip"
        | b"fastly-client-ip" => Fate::OfProxies,
        // another path than the one that was routed
        b"x-original-url" | b"x-rewrite-url" => Fate::OfProxies,
        _ if name[0] == b'x' && is_ours(name) => Fate::Goes,
        _ if name.contains(&b'_') => Fate::Goes,
        _ => Fate::Stays,
    }
}

/// What the gateway tells upstreams, and nobody else may. What trusted proxies say by these names was read before.
pub(crate) fn is_ours(name: &[u8]) -> bool {
    matches!(name, b"x-credential-id" | b"x-anonymous-consumer")
        || name.starts_with(b"x-forwarded-")
        || name.starts_with(b"x-consumer-")
}

/// What a sender can't call its connection's own: what says where a message goes, how it is framed, what it is and by whose right, and
/// what is known of its way. All of it is for whoever reads the message (RFC 9110 §7.6.1).
pub(crate) fn is_for_all(name: &[u8]) -> bool {
    matches!(
        name,
        b"host"
            | b"content-length"
            | b"content-type"
            | b"content-encoding"
            | b"content-range"
            | b"range"
            | b"authorization"
            | b"cookie"
            | b"set-cookie"
            | b"www-authenticate"
            | b"origin"
            | b"cache-control"
            | b"date"
            | b"location"
            | b"vary"
            | b"via"
            | b"traceparent"
            | b"tracestate"
            | b"x-request-id"
    )
}

/// One pass over the headers of a request; nothing is looked up that is not there. Tells whether WebSocket is asked for.
///
/// # Errors
/// The framing or an expectation can't be met.
pub(crate) fn sort_out(
    headers: &mut HeaderMap,
    version: Version,
    manner: Manner,
    asks: &mut Asks,
) -> Result<bool, GatewayError> {
    let mut going: SmallVec<[HeaderName; 8]> = SmallVec::new();
    let mut crumbs = false;
    let mut connection = false;
    let mut upgrade = false;
    for name in headers.keys() {
        match fate(name) {
            Fate::Stays => continue,
            Fate::StaysWithBody if manner.has_body => continue,
            Fate::OfProxies if manner.peer == Trust::Proxy => continue,
            Fate::Goes | Fate::OfProxies | Fate::StaysWithBody => {}
            Fate::Connection => connection = true,
            Fate::TransferEncoding => only_chunked(headers)?,
            Fate::Expect => only_continue(headers)?,
            Fate::Cookie => {
                crumbs = version == Version::HTTP_2;
                continue;
            }
            Fate::Te => asks.trailers = names_token(headers, &TE, b"trailers"),
            Fate::Upgrade => upgrade = version == Version::HTTP_11,
        }
        going.push(name.clone());
    }
    let upgrade = upgrade && websocket::is_named(headers) && names_token(headers, &CONNECTION, b"upgrade");
    if connection {
        named_by_connection(headers, &mut going);
    }
    for name in going {
        headers.remove(name);
    }
    if crumbs {
        join_crumbs(headers);
    }
    Ok(upgrade)
}

/// Whether a list names this.
fn names_token(headers: &HeaderMap, list: &HeaderName, token: &[u8]) -> bool {
    let lines = headers.get_all(list).iter();
    lines.flat_map(|line| line.as_bytes().split(|b| *b == b',')).any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
}

fn only_chunked(headers: &HeaderMap) -> Result<(), GatewayError> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(GatewayError::TransferEncodingInvalid),
    }
}

fn only_continue(headers: &HeaderMap) -> Result<(), GatewayError> {
    let known = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.get_all(EXPECT).iter().all(known) { Ok(()) } else { Err(GatewayError::ExpectationFailed) }
}

/// Headers that the sender calls its connection's own.
fn named_by_connection(headers: &HeaderMap, going: &mut SmallVec<[HeaderName; 8]>) {
    for line in headers.get_all(CONNECTION) {
        for token in line.as_bytes().split(|b| *b == b',') {
            let token = token.trim_ascii();
            // by far the most common, and no headers
            if token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close") {
                continue;
            }
            if let Ok(name) = HeaderName::from_bytes(token)
                && !is_for_all(name.as_str().as_bytes())
            {
                going.push(name);
            }
        }
    }
}

/// HTTP/2 may send a cookie in pieces; HTTP/1 knows one line (RFC 9113 §8.2.3).
fn join_crumbs(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    if crumbs.next().is_none() || crumbs.next().is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(whole) = HeaderValue::from_maybe_shared(Bytes::from(crumbs.join(&b"; "[..]))) {
        headers.insert(COOKIE, whole);
    }
}

/// What of an upstream's answer belongs to the connection. One pass, as for requests.
pub(crate) fn strip_answer(headers: &mut HeaderMap) {
    let mut going: SmallVec<[HeaderName; 8]> = SmallVec::new();
    for name in headers.keys() {
        match name.as_str().as_bytes() {
            b"connection" | b"keep-alive" | b"proxy-connection" | b"proxy-authenticate" => going.push(name.clone()),
            b"transfer-encoding" | b"te" | b"upgrade" => going.push(name.clone()),
            // behind a body of a known length nothing comes
            b"trailer" if headers.contains_key(CONTENT_LENGTH) => going.push(name.clone()),
            _ => {}
        }
    }
    if going.contains(&CONNECTION) {
        named_by_connection(headers, &mut going);
    }
    for name in going {
        headers.remove(name);
    }
}
