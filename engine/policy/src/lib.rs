//! The verbs of Tidegate: what a policy is, in which order policies act, and one room per kind.
//!
//! Pure: what a policy needs from the world comes through [`Ports`]. Nodes run this on traffic; the control plane runs
//! the same code to check and to explain.
//!
//! - A [`kind`] is built from its config once, when the snapshot is compiled ([`AnyKind::build`]); what was built can't be misconfigured.
//! - A [`Policy`] answers hooks with verdicts; an [`Authenticator`] says who is calling.
//! - A [`Chain`] is the ordered list of a route; a [`ChainRun`] is one request's way through it.

pub mod acl;
pub mod auth;
mod authenticate;
pub mod basic_auth;
pub mod cache;
mod callers;
mod captures;
mod chain;
pub mod compression;
mod context;
pub mod cors;
pub mod expression;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod head;
mod header_names;
pub mod ip_restriction;
pub mod jq;
pub mod json_schema;
pub mod jwt;
pub mod key_auth;
mod kind;
pub mod maintenance;
pub mod mock;
mod networks;
mod notes;
mod ports;
mod purge;
pub mod rate_limit;
pub mod redirect;
mod registry;
mod reply;
pub mod request_size;
pub mod request_transform;
pub mod response_transform;
mod responses;
mod secrets;
pub mod security_headers;
#[cfg(test)]
mod testing;
pub mod transform;
pub mod validate_request;
pub mod validate_response;

pub use authenticate::{AuthAnswer, Authentication, Authenticator, Combinator, Member, Refusal};
pub use callers::{Attempts, NoCallers, PasswordCheck, Passwords, PasswordsBusy, ShownPassword};
pub use captures::{Captures, Span};
pub use chain::{Chain, ChainRun, Link, NoOverlays, Overlays};
pub use context::{
    CacheOutcome, ConsumerFacts, LimitOutcome, Principal, RequestContext, RequestId, RouteFacts, Seen, ShadowLog,
    Shadowed, Subject,
};
pub use head::{Origin, RequestHead, ResponseHead};
pub use kind::{
    AnyKind, Attachment, Behaviour, BodyFilter, BodyNeed, Built, Combine, KindInfo, Needs, Phase, PolicyKind, Typed,
};
pub use networks::Networks;
pub use notes::Notes;
pub use ports::{
    Ask, Awaited, BasicMatch, Clock, Compute, ComputeBusy, CounterStore, Denial, Directory, JwksSource, KeyMatch,
    LimitSpec, NoIssuers, OnStoreLoss, Ports, PublishedKeys, Quota, Quotas, Reading, Settled, Take, TakeOutcome,
    UNCOUNTED, computed,
};
pub use purge::{PURGE_QUERY, Purge, PurgeWhat};
pub use registry::{Registry, kinds};
pub use reply::{Blame, Content, RefusedBy, Reply};
pub use responses::{CacheKey, Lead, NoResponses, ResponseStore, StoredAnswer, Turn, Variants, Vary, Waited};
pub use secrets::{SecretError, Secrets};

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

/// A policy's answer: go on, or reply now.
#[derive(Debug)]
pub enum Verdict {
    /// The next one's turn.
    Continue,
    /// The gateway replies; what follows does not run.
    Reply(Box<Reply>),
}

/// The policy could not decide. What that means for the request is the attachment's `on_error`, applied by the chain.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

/// A verdict, or that there could be none.
pub type Decision = Result<Verdict, PolicyError>;

/// How a hook answers: at once, which allocates nothing, or later, for the few that must ask.
pub enum Answer<'a> {
    /// Decided.
    Now(Decision),
    /// Decided once the future ends. Not `Send`: a request never leaves its worker.
    Later(LocalBoxFuture<'a, Decision>),
}

impl Answer<'_> {
    /// Go on.
    pub const CONTINUE: Answer<'static> = Answer::Now(Ok(Verdict::Continue));

    /// Reply now.
    pub fn reply(reply: Reply) -> Answer<'static> {
        Answer::Now(Ok(Verdict::Reply(Box::new(reply))))
    }
}

/// A built policy: shared by all workers, immutable.
///
/// Request hooks run once per request, not once per retry. A policy whose request hook ran sees the reply, the upstream's or
/// the gateway's own ([`Origin`]).
pub trait Policy: Send + Sync + 'static {
    /// The head of a request came.
    fn on_request<'a>(&'a self, _head: &'a mut RequestHead, _cx: &'a mut RequestContext) -> Answer<'a> {
        Answer::CONTINUE
    }

    /// The whole body came, for those that asked for [`BodyNeed::Buffer`]; may be replaced.
    fn on_request_body<'a>(
        &'a self,
        _body: &'a mut Bytes,
        _head: &'a mut RequestHead,
        _cx: &'a mut RequestContext,
    ) -> Answer<'a> {
        Answer::CONTINUE
    }

    /// Looks at a body while it streams, for those that asked for [`BodyNeed::Stream`].
    fn request_body_filter(&self, _head: &RequestHead, _cx: &RequestContext) -> Option<Box<dyn BodyFilter>> {
        None
    }

    /// Looks at a reply's body while it streams, once its head stands, for those that asked for [`BodyNeed::Stream`] of it. Who
    /// changes its length takes `Content-Length` off in [`Policy::on_response`].
    fn response_body_filter(&self, _head: &ResponseHead, _cx: &RequestContext) -> Option<Box<dyn BodyFilter>> {
        None
    }

    /// As [`Policy::response_body_filter`], for those whose filter changes what the head says of the body: its length, its
    /// coding. The last that is done to a head before it goes out.
    fn encoder(&self, head: &mut ResponseHead, cx: &RequestContext) -> Option<Box<dyn BodyFilter>> {
        self.response_body_filter(head, cx)
    }

    /// The head of the reply stands. Who puts another reply in its place for all others to see changes the head and puts the
    /// body into [`RequestContext::instead`].
    fn on_response<'a>(&'a self, _head: &'a mut ResponseHead, _cx: &'a mut RequestContext) -> Answer<'a> {
        Answer::CONTINUE
    }

    /// The whole body of the reply came, for those that asked for [`BodyNeed::Buffer`] of it.
    fn on_response_body<'a>(
        &'a self,
        _body: &'a mut Bytes,
        _head: &'a mut ResponseHead,
        _cx: &'a mut RequestContext,
    ) -> Answer<'a> {
        Answer::CONTINUE
    }

    /// Whether it answers preflights of the fetch standard itself: a preflight then leads to the route that the request would
    /// take which it asks about.
    fn answers_preflights(&self) -> bool {
        false
    }

    /// The exchange is over: for costs known late.
    fn on_end(&self, _end: &End, _cx: &mut RequestContext) {}
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The status that was sent; 0 if none was.
    pub status: u16,
    /// Who made the reply.
    pub origin: Origin,
    /// Bytes of the request's body that were passed on.
    pub request_bytes: u64,
    /// Bytes of the reply's body that were passed on.
    pub response_bytes: u64,
    /// Whether the caller got all of it.
    pub complete: bool,
}
