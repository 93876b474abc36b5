//! The heads that policies see and may change.

use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};

/// A request's head, once the gate has let it in: the path is canonical, hop-by-hop headers are gone.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// Canonical path, and the query byte for byte as it came.
    pub target: PathAndQuery,
    /// The end-to-end headers, `host` among them.
    pub headers: HeaderMap,
}

impl RequestHead {
    /// The canonical path.
    pub fn path(&self) -> &str {
        self.target.path()
    }

    /// The query, without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.target.query()
    }
}

/// Who made a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The API behind the gateway.
    Upstream,
    /// The gateway itself.
    Gateway,
}

/// A reply's head on its way to the caller.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// The end-to-end headers.
    pub headers: HeaderMap,
    /// Who made it.
    pub origin: Origin,
}

impl AsMut<HeaderMap> for RequestHead {
    fn as_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }
}

impl AsMut<HeaderMap> for ResponseHead {
    fn as_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }
}
