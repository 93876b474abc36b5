//! Whom a request came from, made once for each.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use smallvec::SmallVec;
use tidegate_policy::RequestId;

use super::{Edge, Peer, Scheme, Trust, TrustedHeaders, chain, forwarded};
use crate::exchange::host::Host;

pub(super) static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) static FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whom a request came from, as far as proxies in front are trusted.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// What policies, limits and logs go by.
    pub(crate) address: IpAddr,
    /// How the caller spoke to the first proxy that is ours, or to us.
    pub(crate) scheme: Scheme,
    /// The version of HTTP in which the request reached us.
    pub(crate) version: Version,
    /// What trusted proxies said. Nothing, and nothing allocated, for callers that come by themselves.
    pub(super) told: Option<Box<Told>>,
}

/// What trusted proxies said of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// From the caller to the proxy before our peer.
    pub(super) hops: SmallVec<[IpAddr; 4]>,
    /// The way that was told could not be followed to its beginning.
    is_cut: bool,
    pub(super) host: Option<HeaderValue>,
    pub(super) port: Option<u16>,
    request_id: Option<RequestId>,
}

impl Caller {
    /// By what the connection says, and by the request's headers as they came if its peer is trusted.
    pub(crate) fn of(peer: &Peer, version: Version, headers: &HeaderMap, edge: &Edge, hops_max: usize) -> Self {
        let mut caller = Caller { address: peer.address, scheme: Scheme::Http, version, told: None };
        if peer.trust == Trust::Proxy {
            caller.believe(headers, edge, hops_max);
        }
        caller
    }

    /// The id that a trusted proxy gave the request.
    pub(crate) fn request_id(&self) -> Option<&RequestId> {
        self.told.as_ref()?.request_id.as_ref()
    }

    /// Whether a trusted proxy told a way that is too long or can't be read: it is believed as far as it could be followed.
    pub(crate) fn is_cut(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.is_cut)
    }

    fn believe(&mut self, headers: &HeaderMap, edge: &Edge, hops_max: usize) {
        let mut told = match edge.headers {
            TrustedHeaders::XForwarded => self.by_x_forwarded(headers, edge, hops_max),
            TrustedHeaders::Forwarded => self.by_forwarded(headers, edge, hops_max),
        };
        if let Some(caller) = told.hops.first() {
            self.address = *caller;
        }
        told.request_id = the_one(headers, &REQUEST_ID).and_then(RequestId::given);
        self.told = Some(Box::new(told));
    }

    fn by_x_forwarded(&mut self, headers: &HeaderMap, edge: &Edge, hops_max: usize) -> Told {
        let addresses = chain::members_from_last(headers, &FORWARDED_FOR).map(chain::address);
        let chain = chain::follow(addresses, &edge.trusted, hops_max);
        // of several the last: it is our peer that wrote it
        let last = |name| chain::members_from_last(headers, name).next();
        self.scheme = last(&FORWARDED_PROTO).and_then(Scheme::parse).unwrap_or(self.scheme);
        let port = last(&FORWARDED_PORT).and_then(|text| std::str::from_utf8(text).ok()).filter(|text| is_number(text));
        Told {
            hops: chain.hops,
            is_cut: chain.is_cut,
            host: last(&FORWARDED_HOST).and_then(host),
            port: port.and_then(|text| text.parse().ok()).filter(|port| *port != 0),
            request_id: None,
        }
    }

    fn by_forwarded(&mut self, headers: &HeaderMap, edge: &Edge, hops_max: usize) -> Told {
        // what the proxy that faced the caller says: the element that was followed last
        let mut facing = None;
        let elements = forwarded::elements_from_last(headers).map(|element| {
            facing = element.filter(|e| e.from.is_some()).or(facing);
            element?.from
        });
        let chain = chain::follow(elements, &edge.trusted, hops_max);
        let facing = facing.unwrap_or_default();
        self.scheme = facing.scheme.unwrap_or(self.scheme);
        Told { hops: chain.hops, is_cut: chain.is_cut, host: facing.host.and_then(host), port: None, request_id: None }
    }
}

/// A header that came once.
fn the_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

fn host(text: &[u8]) -> Option<HeaderValue> {
    Host::parse(text)?;
    HeaderValue::from_bytes(text).ok()
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}
