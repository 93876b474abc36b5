//! The ordered policies of a route, and one request's way through them.
//!
//! Two halves: by route up to authentication, then by route and principal. The second half is the route's list overlaid by
//! the policies scoped to the principal's consumer and groups; where there are none it is the very same list.
//!
//! Invariant: every policy whose request hook ran sees the reply.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use smallvec::SmallVec;
use tidegate_model::{Id, OnError};

use crate::{
    Answer, Behaviour, Blame, BodyFilter, Built, Combination, Combinator, Combine, Decision, End, Needs, Phase, Policy,
    PolicyError, Principal, RefusedBy, Reply, RequestContext, RequestHead, ResponseHead, RouteFacts, Verdict,
};

/// A policy where it is attached.
pub struct Link {
    /// The policy resource.
    pub policy: Id,
    /// Its name.
    pub name: Box<str>,
    /// Its kind.
    pub kind: &'static str,
    /// What holds when several of its kind are in reach.
    pub combine: Combine,
    /// How specific its scope is; of a kind that replaces, the highest wins (see `tidegate_snapshot::specificity`).
    pub specificity: u8,
    /// What a request meets when it can't decide.
    pub on_error: OnError,
    /// What it does.
    pub built: Built,
}

impl Link {
    /// The reply for who meets a policy that could not decide.
    pub fn cannot_decide(&self, error: &PolicyError) -> Reply {
        let detail = format!("policy `{}` could not decide: {error}", self.name);
        self.signed(Reply::new(StatusCode::SERVICE_UNAVAILABLE, "policy_failed", detail, Blame::Gateway))
    }

    /// A reply of this policy's, with its name.
    pub(crate) fn signed(&self, reply: Reply) -> Reply {
        let by = RefusedBy { kind: self.kind, policy: self.name.clone() };
        Reply { refused_by: Some(Box::new(by)), ..reply }
    }

    fn decided(&self, decision: Decision) -> Result<(), Box<Reply>> {
        match decision {
            Ok(Verdict::Continue) => Ok(()),
            Ok(Verdict::Reply(reply)) => Err(Box::new(self.signed(*reply))),
            Err(_) if self.on_error == OnError::Skip => Ok(()),
            Err(error) => Err(Box::new(self.cannot_decide(&error))),
        }
    }

    fn hooks(&self) -> Option<&Arc<dyn Policy>> {
        match &self.built.behaviour {
            Behaviour::Policy(policy) => Some(policy),
            Behaviour::Authenticator(_) => None,
        }
    }
}

/// Policies scoped to consumers and groups, by route.
pub trait Overlays {
    /// Those that reach this principal on this route, in any order. Empty for nearly everyone.
    fn reaching(&self, principal: &Principal, route: RouteFacts) -> SmallVec<[Arc<Link>; 4]>;
}

/// No policy is scoped to a consumer or group.
pub struct NoOverlays;

impl Overlays for NoOverlays {
    fn reaching(&self, _: &Principal, _: RouteFacts) -> SmallVec<[Arc<Link>; 4]> {
        SmallVec::new()
    }
}

/// The ordered policies of a route.
#[derive(Default)]
pub struct Chain {
    before: Box<[Arc<Link>]>,
    authentication: Option<Combinator>,
    after: Box<[Arc<Link>]>,
    needs: Needs,
}

impl Chain {
    /// Orders policies: of a kind that replaces, the most specific stays; then by phase, then the wider scope first.
    pub fn new(links: Vec<Arc<Link>>) -> Chain {
        let links = in_order(links);
        let needs = links.iter().fold(Needs::default(), |sum, link| sum.and(link.built.needs));
        let mut before = Vec::new();
        let mut members = Vec::new();
        let mut after = Vec::new();
        for link in links {
            match (&link.built.behaviour, link.built.phase) {
                (Behaviour::Authenticator(authenticator), _) => members.push((link.clone(), authenticator.clone())),
                (Behaviour::Policy(_), phase) if phase < Phase::Authenticate => before.push(link),
                (Behaviour::Policy(_), _) => after.push(link),
            }
        }
        let authentication = (!members.is_empty())
            .then(|| Combinator { combination: Combination::AllOf, members: members.into_boxed_slice() });
        Chain { before: before.into(), authentication, after: after.into(), needs }
    }

    /// Whether nothing is attached.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.authentication.is_none() && self.after.is_empty()
    }

    /// Its policies in order, for a principal without policies of its own.
    pub fn links(&self) -> impl Iterator<Item = &Arc<Link>> {
        let members = self.authentication.iter().flat_map(|c| c.members.iter().map(|(link, _)| link));
        self.before.iter().chain(members).chain(self.after.iter())
    }
}

/// Of a kind that replaces, the most specific stays; then by phase, the wider scope first, then by name.
fn in_order(mut links: Vec<Arc<Link>>) -> Vec<Arc<Link>> {
    links.sort_by(|a, b| {
        let key = |l: &Arc<Link>| (l.built.phase, l.kind, l.specificity);
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
    });
    let kept = |link: &Arc<Link>| {
        link.combine == Combine::All || !links.iter().any(|l| l.kind == link.kind && l.specificity > link.specificity)
    };
    links.iter().filter(|link| kept(link)).cloned().collect()
}

/// One request's way through a chain.
#[derive(Default)]
pub struct ChainRun {
    before_ran: usize,
    after_ran: usize,
    /// The second half, where the principal has policies of its own.
    overlaid: Option<Box<[Arc<Link>]>>,
}

impl ChainRun {
    /// Before the first policy.
    pub fn new() -> Self {
        Self::default()
    }

    /// The request's head passes all policies.
    ///
    /// # Errors
    /// The reply of the one that turned it away.
    pub async fn on_request(
        &mut self,
        chain: &Chain,
        overlays: &dyn Overlays,
        head: &mut RequestHead,
        cx: &mut RequestContext,
    ) -> Result<(), Box<Reply>> {
        for link in &chain.before {
            self.before_ran += 1;
            let Some(policy) = link.hooks() else { continue };
            settle(link, policy.on_request(head, cx)).await?;
        }
        if let Some(authentication) = &chain.authentication {
            authentication.run(head, cx).await?;
        }
        let own = overlays.reaching(&cx.principal, cx.route);
        if !own.is_empty() {
            let all = chain.after.iter().cloned().chain(own).collect();
            self.overlaid = Some(in_order(all).into());
        }
        let after = self.overlaid.as_deref().unwrap_or(&chain.after);
        for link in after {
            self.after_ran += 1;
            let Some(policy) = link.hooks() else { continue };
            settle(link, policy.on_request(head, cx)).await?;
        }
        Ok(())
    }

    /// What the policies of this request want of the bodies.
    pub fn needs(&self, chain: &Chain) -> Needs {
        match &self.overlaid {
            None => chain.needs,
            Some(after) => {
                chain.before.iter().chain(after).fold(Needs::default(), |sum, link| sum.and(link.built.needs))
            }
        }
    }

    /// The whole body of the request came.
    ///
    /// # Errors
    /// The reply of the one that turned it away.
    pub async fn on_request_body(
        &self,
        chain: &Chain,
        body: &mut Bytes,
        head: &mut RequestHead,
        cx: &mut RequestContext,
    ) -> Result<(), Box<Reply>> {
        for link in self.ran(chain) {
            let Some(policy) = link.hooks() else { continue };
            settle(link, policy.on_request_body(body, head, cx)).await?;
        }
        Ok(())
    }

    /// Those that look at the request's body while it streams.
    pub fn request_body_filters(
        &self,
        chain: &Chain,
        head: &RequestHead,
        cx: &RequestContext,
    ) -> SmallVec<[Box<dyn BodyFilter>; 1]> {
        let filter = |link: &Arc<Link>| {
            let filter = link.hooks()?.request_body_filter(head, cx)?;
            Some(Box::new(Signing { filter, link: link.clone() }) as Box<dyn BodyFilter>)
        };
        self.ran(chain).filter_map(filter).collect()
    }

    /// The reply's head passes all policies whose request hook ran, in reverse.
    ///
    /// # Errors
    /// The reply to send instead.
    pub async fn on_response(
        &self,
        chain: &Chain,
        head: &mut ResponseHead,
        cx: &mut RequestContext,
    ) -> Result<(), Box<Reply>> {
        for link in self.ran(chain).rev() {
            let Some(policy) = link.hooks() else { continue };
            settle(link, policy.on_response(head, cx)).await?;
        }
        Ok(())
    }

    /// The whole body of the reply came.
    ///
    /// # Errors
    /// The reply to send instead.
    pub async fn on_response_body(
        &self,
        chain: &Chain,
        body: &mut Bytes,
        head: &mut ResponseHead,
        cx: &mut RequestContext,
    ) -> Result<(), Box<Reply>> {
        for link in self.ran(chain).rev() {
            let Some(policy) = link.hooks() else { continue };
            settle(link, policy.on_response_body(body, head, cx)).await?;
        }
        Ok(())
    }

    /// The exchange is over.
    pub fn on_end(&self, chain: &Chain, end: &End, cx: &mut RequestContext) {
        for link in self.ran(chain) {
            if let Some(policy) = link.hooks() {
                policy.on_end(end, cx);
            }
        }
    }

    fn ran<'a>(&'a self, chain: &'a Chain) -> impl DoubleEndedIterator<Item = &'a Arc<Link>> {
        let after = self.overlaid.as_deref().unwrap_or(&chain.after);
        chain.before[..self.before_ran].iter().chain(&after[..self.after_ran])
    }
}

/// A filter whose refusals bear the name of its policy.
struct Signing {
    filter: Box<dyn BodyFilter>,
    link: Arc<Link>,
}

impl BodyFilter for Signing {
    fn on_data(&mut self, data: &mut Bytes) -> Result<(), Box<Reply>> {
        self.filter.on_data(data).map_err(|reply| Box::new(self.link.signed(*reply)))
    }
}

async fn settle(link: &Link, answer: Answer<'_>) -> Result<(), Box<Reply>> {
    match answer {
        Answer::Now(decision) => link.decided(decision),
        Answer::Later(asked) => link.decided(asked.await),
    }
}
