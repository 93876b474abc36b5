//! Paths that are made of what was captured: for upstreams, and for where callers are sent.

use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode};
use tidegate_model::{CapturePath, PathRefused, Piece, Redirect, RedirectQuery, Rewrite, canonical_path};
use tidegate_policy::Captures;

/// What a request is called upstream.
#[derive(Debug)]
pub struct CompiledRewrite {
    /// The path that takes the place of the request's.
    pub path: Option<PathWriter>,
    /// What the API sees as Host.
    pub host: Option<HeaderValue>,
}

/// Makes a path of literal text and captures.
#[derive(Debug)]
pub struct PathWriter(Box<[Piece]>);

/// Where callers are sent.
#[derive(Debug)]
pub struct CompiledRedirect {
    /// With which status.
    pub status: StatusCode,
    scheme: Option<&'static str>,
    host: Option<Box<str>>,
    port: Option<u16>,
    path: Option<PathWriter>,
    keeps_query: bool,
}

/// Why nobody can be sent there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLocation {
    /// What was captured makes no path that all servers read alike.
    Path(PathRefused),
    /// The host of the request is to stay, and it names none.
    HostMissing,
}

impl CompiledRewrite {
    pub(crate) fn new(rewrite: &Rewrite) -> Self {
        CompiledRewrite {
            path: rewrite.path.as_ref().map(PathWriter::new),
            host: rewrite.host.as_ref().and_then(|host| HeaderValue::from_str(host.as_str()).ok()),
        }
    }
}

impl PathWriter {
    fn new(path: &CapturePath) -> Self {
        PathWriter(path.pieces().into())
    }

    /// The path: canonical, whatever was captured. Captures are put in as they stand in the path of the request, so nothing is
    /// decoded or encoded twice; a group that took no part is empty.
    ///
    /// # Errors
    /// Put together, they can make what servers disagree on: an expression may have cut a `%41` in two.
    pub fn write(&self, captures: &Captures) -> Result<String, PathRefused> {
        let mut path = String::new();
        let mut captured = false;
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => path.push_str(text),
                Piece::Capture(name) => {
                    captured = true;
                    path.push_str(captures.get(name).unwrap_or(""));
                }
            }
        }
        if captured {
            // `/{a}` with an `a` that begins with a slash would name a host where callers are sent
            return canonical_path(&path)
                .map(|canonical| match canonical {
                    std::borrow::Cow::Borrowed(_) => None,
                    std::borrow::Cow::Owned(canonical) => Some(canonical),
                })
                .map(|canonical| canonical.unwrap_or(path));
        }
        Ok(path)
    }
}

impl CompiledRedirect {
    pub(crate) fn new(redirect: &Redirect) -> Self {
        CompiledRedirect {
            status: StatusCode::from_u16(redirect.status.unwrap_or_default().code()).unwrap_or(StatusCode::FOUND),
            scheme: redirect.scheme.map(tidegate_model::RedirectScheme::as_str),
            host: redirect.host.as_ref().map(|host| host.as_str().into()),
            port: redirect.port,
            path: redirect.path.as_ref().map(PathWriter::new),
            keeps_query: redirect.query != Some(RedirectQuery::Drop),
        }
    }

    /// Where a request is sent. `host` is the one that it asked for, without a port. Without scheme, host and port only the path
    /// is told; without a scheme the caller keeps its own, which a proxy in front may know better than the gateway.
    ///
    /// # Errors
    /// If there is no such place.
    pub fn location(
        &self,
        host: Option<&str>,
        target: &PathAndQuery,
        captures: &Captures,
    ) -> Result<HeaderValue, NoLocation> {
        let mut location = String::new();
        if self.scheme.is_some() || self.host.is_some() || self.port.is_some() {
            if let Some(scheme) = self.scheme {
                location.push_str(scheme);
                location.push(':');
            }
            location.push_str("//");
            location.push_str(self.host.as_deref().or(host).ok_or(NoLocation::HostMissing)?);
            if let Some(port) = self.port {
                location.push(':');
                location.push_str(&port.to_string());
            }
        }
        match &self.path {
            Some(path) => location.push_str(&path.write(captures).map_err(NoLocation::Path)?),
            None => location.push_str(target.path()),
        }
        if self.keeps_query
            && let Some(query) = target.query()
        {
            location.push('?');
            location.push_str(query);
        }
        // a header's value takes neither CR nor LF, whatever stands in the query
        HeaderValue::try_from(location).map_err(|_| NoLocation::Path(PathRefused::Character))
    }
}
