//! What one worker counts of all that passes it.

use tidegate_policy::Blame;

use super::count::{Count, Tally};
use super::series::News;

/// What one worker counts. On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Cells {
    /// Requests by the class of their status, at index status / 100; at 0 those that got none.
    pub requests: [Count; 6],
    /// Replies that the gateway made itself, by code and whose turn it is.
    pub replies: Tally<(&'static str, Blame), 64>,
    /// Requests that policies turned away, by kind.
    pub refusals: Tally<&'static str, 32>,
    /// Requests on which limits decided, by [`super::LimitOutcome`].
    pub limited: [Count; 3],
    /// Replies that were cut before their end.
    pub cut: Count,
    /// The same, and requests that got no reply, by why.
    pub unfinished: Tally<&'static str, 16>,
    /// Connections of callers that were accepted.
    pub connections: Count,
    /// Connections of callers.
    pub connections_active: Count,
    /// Exchanges under way.
    pub exchanges_active: Count,
    /// Connections to targets that wait for a request.
    pub upstream_kept: Count,
    /// Bytes of bodies towards upstreams.
    pub request_bytes: Count,
    /// Bytes of bodies towards callers.
    pub response_bytes: Count,
    /// How long the worker's thread was at work, in microseconds.
    pub busy_us: Count,
    /// Routes, services and targets that the worker met for the first time.
    pub(crate) news: News,
}

impl Cells {
    /// The gateway replied with a code.
    pub(crate) fn replied(&self, blame: Blame, code: &'static str) {
        self.replies.add((code, blame));
    }
}
