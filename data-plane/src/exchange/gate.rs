//! The strict gate: what is let in, and in which form.
//!
//! What can be seen to be ambiguous is refused; what the codec hides is made safe by it (of a Content-Length beside `chunked`
//! nothing is left, equal Content-Lengths become one). What passes is in one form: a canonical path, one Host, no header that
//! belongs to the connection, none that only the gateway may set.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, TE, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use smallvec::SmallVec;
use tidegate_model::canonical_path;
use tidegate_policy::RequestHead;

use super::host::Host;
use super::{Asks, Upgrade, grpc, websocket};
use crate::limits::Limits;
use crate::proxy::GatewayError;

/// What the codec knows of a request beside its head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) has_body: bool,
    /// It is an extended CONNECT for WebSocket (RFC 8441).
    pub(crate) connects_websocket: bool,
}

/// Lets a request in, or says why not; and what it asks for.
pub(crate) fn admit(parts: Parts, manner: Manner, limits: &Limits) -> (Result<RequestHead, GatewayError>, Asks) {
    let mut asks = Asks::default();
    if parts.version == Version::HTTP_2 {
        asks.grpc = grpc::is_call(&parts.headers);
    }
    let head = let_in(parts, manner, limits, &mut asks);
    (head, asks)
}

fn let_in(parts: Parts, manner: Manner, limits: &Limits, asks: &mut Asks) -> Result<RequestHead, GatewayError> {
    let Parts { mut method, uri, version, mut headers, .. } = parts;
    if manner.connects_websocket {
        // what HTTP/1.1 says by GET; routes and policies know it by that
        method = Method::GET;
        asks.upgrade = Some(Upgrade::Connect);
    }
    if method == Method::CONNECT || method == Method::TRACE {
        return Err(GatewayError::MethodRefused);
    }
    let uri = uri.into_parts();
    let target = uri.path_and_query.ok_or(GatewayError::TargetInvalid)?;
    if target.as_str().len() > limits.uri_bytes_max {
        return Err(GatewayError::UriTooLong);
    }
    if headers.len() > limits.header_count_max {
        return Err(GatewayError::HeadTooLarge);
    }
    match (&uri.authority, uri.scheme.as_ref().map(|s| s.as_str())) {
        (None, None) => {}
        (Some(authority), Some(scheme @ ("http" | "https"))) => {
            let port = if scheme == "http" { 80 } else { 443 };
            agree_on_host(authority.as_str(), port, &mut headers)?;
        }
        _ => return Err(GatewayError::TargetInvalid),
    }
    one_host(&headers, version)?;
    let target = canonical(target)?;
    if sort_out(&mut headers, version, manner, asks)? && method == Method::GET {
        if manner.has_body {
            return Err(GatewayError::UpgradeWithBody);
        }
        asks.upgrade = Some(Upgrade::Switch);
    }
    Ok(RequestHead { method, target, headers })
}

/// The target names the host: the Host header, if there is one, names the same; if not, it does from now on.
fn agree_on_host(authority: &str, port: u16, headers: &mut HeaderMap) -> Result<(), GatewayError> {
    let named = Host::parse(authority.as_bytes()).ok_or(GatewayError::HostInvalid)?;
    match headers.get(HOST) {
        Some(host) => {
            let host = Host::parse(host.as_bytes()).ok_or(GatewayError::HostInvalid)?;
            if named.is(host, port) { Ok(()) } else { Err(GatewayError::HostMismatch) }
        }
        None => {
            let host = HeaderValue::from_str(authority).map_err(|_| GatewayError::HostInvalid)?;
            headers.insert(HOST, host);
            Ok(())
        }
    }
}

fn one_host(headers: &HeaderMap, version: Version) -> Result<(), GatewayError> {
    let mut hosts = headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else {
        return if version == Version::HTTP_10 { Ok(()) } else { Err(GatewayError::HostMissing) };
    };
    if hosts.next().is_some() {
        return Err(GatewayError::HostRepeated);
    }
    Host::parse(host.as_bytes()).map(drop).ok_or(GatewayError::HostInvalid)
}

fn canonical(target: PathAndQuery) -> Result<PathAndQuery, GatewayError> {
    let path = match canonical_path(target.path()).map_err(GatewayError::PathRefused)? {
        std::borrow::Cow::Borrowed(_) => return Ok(target),
        std::borrow::Cow::Owned(path) => path,
    };
    join_target(&[&path], target.query()).ok_or(GatewayError::TargetInvalid)
}

/// A target of a path's parts and a query.
pub(crate) fn join_target(path: &[&str], query: Option<&str>) -> Option<PathAndQuery> {
    let mut text =
        BytesMut::with_capacity(path.iter().map(|p| p.len()).sum::<usize>() + query.map_or(0, |q| q.len() + 1));
    for part in path {
        text.put_slice(part.as_bytes());
    }
    if let Some(query) = query {
        text.put_u8(b'?');
        text.put_slice(query.as_bytes());
    }
    PathAndQuery::from_maybe_shared(text.freeze()).ok()
}

/// What becomes of a header of a request.
enum Fate {
    Stays,
    /// It says what comes behind the body.
    StaysWithBody,
    /// It belongs to the connection, or only the gateway may set it, or upstreams may read its name as another's.
    Goes,
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
        b"keep-alive" | b"proxy-connection" | b"http2-settings" => Fate::Goes,
        b"te" => Fate::Te,
        b"upgrade" => Fate::Upgrade,
        b"trailer" => Fate::StaysWithBody,
        b"connection" => Fate::Connection,
        b"transfer-encoding" => Fate::TransferEncoding,
        b"expect" => Fate::Expect,
        b"cookie" => Fate::Cookie,
        b"forwarded" => Fate::Goes,
        _ if name[0] == b'x' && is_ours(name) => Fate::Goes,
        _ if name.contains(&b'_') => Fate::Goes,
        _ => Fate::Stays,
    }
}

/// What the gateway tells upstreams, and nobody else may.
fn is_ours(name: &[u8]) -> bool {
    name.starts_with(b"x-forwarded-") || name.starts_with(b"x-consumer-") || name == b"x-credential-id"
}

/// One pass over the headers; nothing is looked up that is not there. Tells whether WebSocket is asked for.
fn sort_out(headers: &mut HeaderMap, version: Version, manner: Manner, asks: &mut Asks) -> Result<bool, GatewayError> {
    let mut going: SmallVec<[HeaderName; 8]> = SmallVec::new();
    let mut crumbs = false;
    let mut connection = false;
    let mut upgrade = false;
    for name in headers.keys() {
        match fate(name) {
            Fate::Stays => continue,
            Fate::StaysWithBody if manner.has_body => continue,
            Fate::Goes | Fate::StaysWithBody => {}
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

/// Headers that the sender calls its connection's own. What frames the message and says where it goes is not its to drop.
pub(crate) fn named_by_connection(headers: &HeaderMap, going: &mut SmallVec<[HeaderName; 8]>) {
    for line in headers.get_all(CONNECTION) {
        for token in line.as_bytes().split(|b| *b == b',') {
            let token = token.trim_ascii();
            // by far the most common, and no headers
            if token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close") {
                continue;
            }
            if let Ok(name) = HeaderName::from_bytes(token)
                && name != HOST
                && name != CONTENT_LENGTH
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
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"te" | b"upgrade" => {
                going.push(name.clone());
            }
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
