//! The strict gate: what is let in, and in which form.
//!
//! What can be seen to be ambiguous is refused; what the codec hides is made safe by it (of a Content-Length beside `chunked`
//! nothing is left, equal Content-Lengths become one). What passes is in one form: a canonical path, one Host, no header that
//! belongs to the connection, none that only the gateway may set.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use smallvec::SmallVec;
use tidegate_model::canonical_path;
use tidegate_policy::RequestHead;

use super::host::Host;
use crate::limits::Limits;
use crate::proxy::GatewayError;

/// Lets a request in.
///
/// # Errors
/// Why it is refused.
pub(crate) fn admit(parts: Parts, limits: &Limits) -> Result<RequestHead, GatewayError> {
    let Parts { method, uri, version, mut headers, .. } = parts;
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
    sort_out(&mut headers, version)?;
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
    /// It belongs to the connection, or only the gateway may set it, or upstreams may read its name as another's.
    Goes,
    /// It belongs to the connection and names others that do.
    Connection,
    TransferEncoding,
    Expect,
    Cookie,
}

fn fate(name: &HeaderName) -> Fate {
    let name = name.as_str().as_bytes();
    match name {
        b"te" | b"trailer" | b"upgrade" | b"keep-alive" | b"proxy-connection" | b"http2-settings" => Fate::Goes,
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

/// One pass over the headers; nothing is looked up that is not there.
fn sort_out(headers: &mut HeaderMap, version: Version) -> Result<(), GatewayError> {
    let mut going: SmallVec<[HeaderName; 8]> = SmallVec::new();
    let mut crumbs = false;
    let mut connection = false;
    for name in headers.keys() {
        match fate(name) {
            Fate::Stays => continue,
            Fate::Goes => {}
            Fate::Connection => connection = true,
            Fate::TransferEncoding => only_chunked(headers)?,
            Fate::Expect => only_continue(headers)?,
            Fate::Cookie => {
                crumbs = version == Version::HTTP_2;
                continue;
            }
        }
        going.push(name.clone());
    }
    if connection {
        named_by_connection(headers, &mut going);
    }
    for name in going {
        headers.remove(name);
    }
    if crumbs {
        join_crumbs(headers);
    }
    Ok(())
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
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"te" | b"trailer"
            | b"upgrade" => {
                going.push(name.clone());
            }
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
