//! What callers are told of the cache (RFC 9211).

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};

static CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a request went on to the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forward {
    Bypass,
    Method,
    UriMiss,
    VaryMiss,
    Request,
    Stale,
}

impl Forward {
    const fn as_str(self) -> &'static str {
        match self {
            Forward::Bypass => "bypass",
            Forward::Method => "method",
            Forward::UriMiss => "uri-miss",
            Forward::VaryMiss => "vary-miss",
            Forward::Request => "request",
            Forward::Stale => "stale",
        }
    }
}

/// What is said of one request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    pub(super) forward: Option<Forward>,
    /// What the API said, where the caller is told something else.
    pub(super) forward_status: Option<u16>,
    pub(super) ttl_ms: Option<i64>,
    pub(super) stored: bool,
    pub(super) collapsed: bool,
    pub(super) detail: Option<&'static str>,
}

impl Said {
    /// Says it behind what caches nearer to the API said.
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        let mut text = String::from("tidegate");
        match self.forward {
            None => text.push_str("; hit"),
            Some(forward) => {
                let _ = write!(text, "; fwd={}", forward.as_str());
            }
        }
        if let Some(status) = self.forward_status {
            let _ = write!(text, "; fwd-status={status}");
        }
        if let Some(ttl) = self.ttl_ms {
            let _ = write!(text, "; ttl={}", ttl.div_euclid(1000));
        }
        for (is_so, word) in [(self.stored, "; stored"), (self.collapsed, "; collapsed")] {
            text.push_str(if is_so { word } else { "" });
        }
        if let Some(detail) = self.detail {
            let _ = write!(text, "; detail={detail}");
        }
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(&CACHE_STATUS, value);
        }
    }
}
