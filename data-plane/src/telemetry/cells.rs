//! What one worker counts of all that passes it.

use http::StatusCode;
use tidegate_policy::{Blame, CacheOutcome};

use super::count::{Count, Tally};
use super::guards::{GUARDS, Guard};
use super::series::News;

/// What one worker counts. On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Cells {
    /// Requests by the class of their status, at index status / 100; at 0 those that got none.
    pub requests: [Count; 6],
    /// Replies that the gateway made itself, by code and whose turn it is.
    pub replies: Tally<(&'static str, Blame), 128>,
    /// Requests that policies turned away, by kind.
    pub refusals: Tally<&'static str, 48>,
    /// Requests that policies in shadow would have turned away, by kind.
    pub shadowed: Tally<&'static str, 48>,
    /// Requests on which limits decided, by [`super::LimitOutcome`].
    pub limited: [Count; 3],
    /// Requests that a cache had to do with, by [`tidegate_policy::CacheOutcome`].
    pub cached: [Count; CacheOutcome::NAMES.len()],
    /// Answers that were fetched anew in the background.
    pub cache_refreshes: Count,
    /// Those that were not, as too many were under way.
    pub cache_refreshes_crowded: Count,
    /// Composed answers: whole, partial, failed.
    pub composed: Tally<&'static str, 8>,
    /// Steps of them, by what came of them.
    pub composed_steps: Tally<&'static str, 24>,
    /// Further attempts of steps.
    pub composed_retries: Count,
    /// Requests that shared the composed answer of another.
    pub coalesced: Count,
    /// Replies that were cut before their end.
    pub cut: Count,
    /// The same, and requests that got no reply, by why.
    pub unfinished: Tally<&'static str, 16>,
    /// Connections of callers that were accepted.
    pub connections: Count,
    /// Connections that were closed because they did not begin with a PROXY protocol header, or not from a trusted proxy.
    pub proxy_headers_refused: Count,
    /// Requests whose way through trusted proxies was too long or could not be read.
    pub forwarded_cut: Count,
    /// Requests whose `tracestate` was too large to go on.
    pub tracestate_dropped: Count,
    /// Connections of callers.
    pub connections_active: Count,
    /// Exchanges under way.
    pub exchanges_active: Count,
    /// Connections to targets that wait for a request.
    pub upstream_kept: Count,
    /// Tunnels that were opened.
    pub tunnels: Count,
    /// Bytes of bodies towards upstreams.
    pub request_bytes: Count,
    /// Bytes of bodies towards callers.
    pub response_bytes: Count,
    /// How often each [`Guard`] acted.
    pub guards: [Count; GUARDS],
    /// How long the worker's thread was at work, in microseconds.
    pub busy_us: Count,
    /// Routes, services and targets that the worker met for the first time.
    pub(crate) news: News,
}

impl Cells {
    /// A request got this status, or none.
    pub(crate) fn answered(&self, status: Option<StatusCode>) {
        self.requests[class(status)].add(1);
    }

    /// A guard acted.
    pub(crate) fn guarded(&self, guard: Guard) {
        self.guards[guard as usize].add(1);
    }

    /// The gateway replied with a code.
    pub(crate) fn replied(&self, blame: Blame, code: &'static str) {
        self.replies.add((code, blame));
    }
}

/// Where a status is counted: status / 100; 0 for none.
pub(crate) fn class(status: Option<StatusCode>) -> usize {
    status.map_or(0, |status| usize::from(status.as_u16() / 100).min(5))
}
