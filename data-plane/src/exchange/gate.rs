//! The strict gate: what is let in, and in which form.
//!
//! What can be seen to be ambiguous is refused; what the codec hides is made safe by it (of a Content-Length beside `chunked`
//! nothing is left, equal Content-Lengths become one). What passes is in one form: a canonical path, one Host, no header that
//! belongs to the connection, none that only the gateway may set.

use bytes::{BufMut, BytesMut};
use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Version};
use tidegate_model::canonical_path;
use tidegate_policy::RequestHead;

use super::header_policy::sort_out;
use super::host::Host;
use super::{Asks, Upgrade, grpc};
use crate::edge::Trust;
use crate::limits::Limits;
use crate::proxy::GatewayError;

/// What the codec knows of a request beside its head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) has_body: bool,
    /// It is an extended CONNECT for WebSocket (RFC 8441).
    pub(crate) connects_websocket: bool,
    /// Whose connection it came by.
    pub(crate) peer: Trust,
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
