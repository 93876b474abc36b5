//! Sends callers elsewhere.

use http::header::{HOST, LOCATION};
use tidegate_policy::{Blame, Reply, RequestHead};
use tidegate_snapshot::{CompiledRedirect, NoLocation};

use super::GatewayError;
use super::visit::Place;
use crate::exchange::host::Host;

/// The reply that says where.
pub(super) fn reply(redirect: &CompiledRedirect, place: &Place, head: &RequestHead) -> Box<Reply> {
    let host = head.headers.get(HOST).and_then(|host| Host::parse(host.as_bytes())).map(|host| host.name);
    match redirect.location(host, &head.target, &place.captures) {
        Ok(location) => {
            let reply = Reply::new(redirect.status, "redirected", "what was asked for is elsewhere", Blame::Downstream);
            Box::new(reply.with_header(LOCATION, location))
        }
        Err(NoLocation::Path(why)) => GatewayError::PathRefused(why).into(),
        Err(NoLocation::HostMissing) => GatewayError::HostMissing.into(),
    }
}
