//! What a route captured of a request's path.

use std::sync::Arc;

use http::uri::PathAndQuery;
use smallvec::SmallVec;

/// What a route's `template` or `regex` captured of the path: slices of the canonical path as it came, whatever becomes of the
/// request's target later. Allocates nothing for up to four.
#[derive(Debug, Clone, Default)]
pub struct Captures(Option<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    names: Arc<[Box<str>]>,
    target: PathAndQuery,
    spans: SmallVec<[Span; 4]>,
}

/// Where a capture stands in the path; `None` for a group that took no part.
pub type Span = Option<(u32, u32)>;

impl Captures {
    /// Of this target's path, what stands in these places, by these names.
    pub fn new(names: Arc<[Box<str>]>, target: PathAndQuery, spans: SmallVec<[Span; 4]>) -> Self {
        Captures(Some(Inner { names, target, spans }))
    }

    /// What was captured by a name: percent-encoded, as it stands in the canonical path.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// All of them, in the order of the path's template or expression.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|inner| {
            let path = inner.target.path();
            inner.names.iter().zip(&inner.spans).filter_map(|(name, span)| {
                let (start, end) = (*span)?;
                Some((&**name, path.get(start as usize..end as usize)?))
            })
        })
    }

    /// Whether nothing was captured.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}
