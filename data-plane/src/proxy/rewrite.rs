//! What a request is called upstream: its path and its host. All of it was put together when the route was compiled.

use http::header::HOST;
use http::{HeaderMap, HeaderValue};
use tidegate_policy::RequestHead;
use tidegate_snapshot::{CompiledService, HostHeader};

use super::GatewayError;
use super::visit::Place;
use crate::exchange::gate::join_target;

/// Gives the request the path that the route and the service say. The query stays byte for byte.
pub(super) fn path(place: &Place, service: &CompiledService, head: &mut RequestHead) -> Result<(), GatewayError> {
    let prefix = &*service.path_prefix;
    let written = place.route.compiled.rewrite.as_ref().and_then(|rewrite| rewrite.path.as_ref());
    let written = written.map(|path| path.write(&place.captures)).transpose().map_err(GatewayError::PathRefused)?;
    let stripped = if place.route.compiled.strip_prefix { place.prefix } else { 0 };
    if written.is_none() && prefix.is_empty() && stripped == 0 {
        return Ok(());
    }
    // a policy may have given the request another path, which the prefix was not taken from
    let rest = written.as_deref().unwrap_or_else(|| head.path().get(stripped..).unwrap_or(head.path()));
    let rest = if prefix.is_empty() && rest.is_empty() { "/" } else { rest };
    head.target = join_target(&[prefix, rest], head.query()).ok_or(GatewayError::TargetInvalid)?;
    Ok(())
}

/// Gives the request the host that the route says; tells the one that the caller asked for. Where the target gets its own name,
/// the header is filled anew when one is picked.
pub(super) fn host(place: &Place, service: &CompiledService, headers: &mut HeaderMap) -> Option<HeaderValue> {
    let written = place.route.compiled.rewrite.as_ref().and_then(|rewrite| rewrite.host.as_ref());
    if let Some(host) = written {
        return headers.insert(HOST, host.clone());
    }
    match service.host {
        HostHeader::Caller => headers.get(HOST).cloned(),
        HostHeader::Target => headers.get_mut(HOST).map(|host| std::mem::replace(host, HeaderValue::from_static(""))),
    }
}

/// Whether the request's Host stays what it is when a target is picked.
pub(super) fn host_header(place: &Place, service: &CompiledService) -> HostHeader {
    match &place.route.compiled.rewrite {
        Some(rewrite) if rewrite.host.is_some() => HostHeader::Caller,
        _ => service.host,
    }
}
