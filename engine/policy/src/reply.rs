//! A reply that the gateway makes itself.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use smallvec::SmallVec;

/// Which side has to change something so that the request succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The caller.
    Downstream,
    /// The API behind the gateway.
    Upstream,
    /// The gateway or its configuration.
    Gateway,
}

impl Blame {
    /// `downstream`, `upstream` or `gateway`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Blame::Downstream => "downstream",
            Blame::Upstream => "upstream",
            Blame::Gateway => "gateway",
        }
    }
}

/// A reply that the gateway makes itself: a value; the proxy writes it, as `application/problem+json`.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Stable, for programs.
    pub code: &'static str,
    /// For people: lower case, no full stop.
    pub detail: Cow<'static, str>,
    /// Whose turn it is.
    pub blame: Blame,
    /// Headers beside those of every reply.
    pub headers: SmallVec<[(HeaderName, HeaderValue); 2]>,
    /// Members of the problem document beside those of every reply, as JSON text of an object's inside: `"a":1,"b":2`.
    pub members: Option<Box<str>>,
    /// What it says in place of a problem document.
    pub content: Option<Box<Content>>,
    /// It is what the API said, kept until now: goes out with exactly these headers and the body of `content`, and counts as the
    /// API's.
    pub stored: Option<Box<HeaderMap>>,
    /// The policy that turned the request away, if one did. The chain says so.
    pub refused_by: Option<Box<RefusedBy>>,
}

/// A body of a reply's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// What it is; a `Content-Type` among the headers of the reply is not needed then.
    pub content_type: Option<HeaderValue>,
    /// All of it.
    pub body: Bytes,
}

/// A policy that turned a request away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedBy {
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub policy: Box<str>,
}

impl Reply {
    /// A reply with this status and code.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>, blame: Blame) -> Self {
        Reply {
            status,
            code,
            detail: detail.into(),
            blame,
            headers: SmallVec::new(),
            members: None,
            content: None,
            stored: None,
            refused_by: None,
        }
    }

    /// With a body of its own.
    #[must_use]
    pub fn with_content(self, content: Content) -> Self {
        Reply { content: Some(Box::new(content)), ..self }
    }

    /// What the API said, kept until now.
    pub fn stored(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        let content = Content { content_type: None, body };
        let reply = Reply::new(status, "stored", "a stored answer", Blame::Upstream).with_content(content);
        Reply { stored: Some(Box::new(headers)), ..reply }
    }

    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}
