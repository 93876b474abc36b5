//! Who a caller is, and who is believed that says so.
//!
//! A connection's [`Peer`] is what its socket says or, where the node was told so, what the PROXY protocol says. Only if that
//! is a trusted proxy, its headers are looked at: [`Caller`] is what comes of it, made once per request. All else that came under these
//! names is dropped by the header policy, and upstreams are told by [`tell`] alone.
//!
//! Invariant: of a peer that is not trusted no header is read, so that nothing that it writes can change who it is.

pub(crate) mod caller;
pub(crate) mod chain;
pub(crate) mod forwarded;
mod ids;
mod peer;
mod proxies;
mod tell;
#[cfg(test)]
mod tests;
pub(crate) mod trace;
pub(crate) mod via;

pub(crate) use caller::Caller;
pub(crate) use ids::Ids;
pub(crate) use peer::{Peer, Trust};
pub use proxies::{InvalidNetwork, Network, TrustedProxies};
pub(crate) use tell::{Ports, tell};

/// Whom a node believes, and what it joins in.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    /// Whose headers are believed.
    pub trusted: TrustedProxies,
    /// Which of their headers.
    pub headers: TrustedHeaders,
    /// Whether connections begin with the caller's address.
    pub proxy_protocol: ProxyProtocol,
    /// Whether the gateway is a hop in traces.
    pub trace_context: TraceContext,
}

/// By which headers trusted proxies tell of the caller.
///
/// One family only: a proxy that writes one of them passes the other on as its caller wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrustedHeaders {
    /// `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Whether connections begin with the PROXY protocol.
///
/// There is no "if it comes": a caller that reaches the node could then say to be anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyProtocol {
    /// None does.
    #[default]
    Off,
    /// Every one does; one that does not is closed.
    Require,
}

/// Whether the gateway is a hop in traces (W3C Trace Context).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceContext {
    /// It is: each request goes on with a span of its own.
    #[default]
    On,
    /// It is not: what comes passes as it came.
    Off,
}

/// By which scheme the caller spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn parse(text: &[u8]) -> Option<Self> {
        if text.eq_ignore_ascii_case(b"https") {
            Some(Scheme::Https)
        } else {
            text.eq_ignore_ascii_case(b"http").then_some(Scheme::Http)
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// Where it is spoken if nothing else is said.
    pub(crate) const fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}
