//! The ordered policies of a route, and one request's way through them.
//!
//! Two halves: by route up to authentication, then by route and principal. The second half is the route's list overlaid by
//! the policies scoped to the principal's consumer and groups; where there are none it is the very same list.
//!
//! Invariant: every policy whose request hook ran sees the reply.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use smallvec::SmallVec;
use tidegate_model::{Id, OnError};

use crate::context::Told;
use crate::expression::{Condition, Facts};
use crate::{
    Answer, Behaviour, Blame, BodyFilter, Built, Combinator, Combine, Decision, End, Needs, Phase, Policy, PolicyError,
    Principal, RefusedBy, Reply, RequestContext, RequestHead, ResponseHead, RouteFacts, Shadowed, Verdict,
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
    /// It acts only where this holds.
    pub when: Option<Condition>,
    /// Its refusals are told, and do not hold.
    pub shadow: bool,
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

    /// Whether it acts on this request.
    ///
    /// # Errors
    /// Its condition has no value, and that is to refuse.
    pub(crate) fn applies(&self, head: &RequestHead, cx: &RequestContext) -> Result<bool, Box<Reply>> {
        let Some(when) = &self.when else { return Ok(true) };
        match when.holds(&Facts::of_request(head, cx), cx) {
            Ok(holds) => Ok(holds),
            Err(_) if self.on_error == OnError::Skip => Ok(false),
            Err(error) => {
                let reply = self.cannot_decide(&error.into());
                if !self.shadow {
                    return Err(Box::new(reply));
                }
                cx.shadowed.note(self, &reply);
                Ok(false)
            }
        }
    }

    /// Where its refusals are told, if they are only that.
    fn told(&self, cx: &RequestContext) -> Option<Told> {
        self.shadow.then(|| cx.shadowed.share())
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
    answers_preflights: bool,
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
        let authentication = (!members.is_empty()).then(|| Combinator { members: members.into_boxed_slice() });
        let answers_preflights =
            before.iter().any(|link: &Arc<Link>| link.hooks().is_some_and(|policy| policy.answers_preflights()));
        Chain { before: before.into(), authentication, after: after.into(), needs, answers_preflights }
    }

    /// Whether nothing is attached.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.authentication.is_none() && self.after.is_empty()
    }

    /// Whether one of its policies answers preflights before it is known who calls.
    pub fn answers_preflights(&self) -> bool {
        self.answers_preflights
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
    /// Those whose condition did not hold, by their place in both halves.
    skipped: SmallVec<[u32; 4]>,
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
            self.visit(link, head, cx).await?;
        }
        if let Some(authentication) = &chain.authentication {
            authentication.run(head, cx).await?;
        }
        let own = overlays.reaching(&cx.principal, cx.route);
        if !own.is_empty() {
            let all = chain.after.iter().cloned().chain(own).collect();
            self.overlaid = Some(in_order(all).into());
        }
        let overlaid = self.overlaid.take();
        let mut passed = Ok(());
        for link in overlaid.as_deref().unwrap_or(&chain.after) {
            self.after_ran += 1;
            passed = self.visit(link, head, cx).await;
            if passed.is_err() {
                break;
            }
        }
        self.overlaid = overlaid;
        passed
    }

    /// The head passes one policy, the latest that is counted.
    async fn visit(&mut self, link: &Link, head: &mut RequestHead, cx: &mut RequestContext) -> Result<(), Box<Reply>> {
        let Some(policy) = link.hooks() else { return Ok(()) };
        let applies = link.applies(head, cx);
        if !matches!(applies, Ok(true)) {
            // it does not act, or it can't be told whether it should: no hook of it runs
            self.skipped.push((self.before_ran + self.after_ran - 1) as u32);
            return applies.map(drop);
        }
        let (quotas, limited) = (cx.quotas.len(), cx.limited);
        let told = link.told(cx);
        let outcome = settle(link, policy.on_request(head, cx), told).await;
        if link.shadow {
            // what a limit in shadow says is not for the caller
            cx.quotas.truncate(quotas);
            cx.limited = limited;
        }
        outcome
    }

    /// What the policies that act on this request want of the bodies.
    pub fn needs(&self, chain: &Chain) -> Needs {
        if self.overlaid.is_none() && self.skipped.is_empty() {
            return chain.needs;
        }
        self.ran(chain).fold(Needs::default(), |sum, link| sum.and(link.built.needs))
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
            let told = link.told(cx);
            settle(link, policy.on_request_body(body, head, cx), told).await?;
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
        let filter = |link: &Arc<Link>| Some(Signing::of(link, link.hooks()?.request_body_filter(head, cx)?, cx));
        self.ran(chain).filter_map(filter).collect()
    }

    /// Those that look at the reply's body while it streams, in the order in which it passes them.
    pub fn response_body_filters(
        &self,
        chain: &Chain,
        head: &mut ResponseHead,
        cx: &RequestContext,
    ) -> SmallVec<[Box<dyn BodyFilter>; 1]> {
        let filter = |link: &Arc<Link>| Some(Signing::of(link, link.hooks()?.encoder(head, cx)?, cx));
        self.ran(chain).rev().filter_map(filter).collect()
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
            let told = link.told(cx);
            settle(link, policy.on_response(head, cx), told).await?;
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
            let told = link.told(cx);
            settle(link, policy.on_response_body(body, head, cx), told).await?;
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
        let before = chain.before[..self.before_ran].iter().enumerate();
        let after = after[..self.after_ran].iter().enumerate().map(|(at, link)| (at + self.before_ran, link));
        before.chain(after).filter(|(at, _)| !self.skipped.contains(&(*at as u32))).map(|(_, link)| link)
    }
}

/// A filter whose refusals bear the name of its policy.
struct Signing {
    /// Gone, once one in shadow has refused.
    filter: Option<Box<dyn BodyFilter>>,
    link: Arc<Link>,
    /// Where it is told, if it is only that.
    told: Option<Told>,
}

impl Signing {
    fn of(link: &Arc<Link>, filter: Box<dyn BodyFilter>, cx: &RequestContext) -> Box<dyn BodyFilter> {
        Box::new(Signing { filter: Some(filter), link: link.clone(), told: link.told(cx) })
    }

    fn looked(&mut self, refused: Box<Reply>) -> Result<(), Box<Reply>> {
        match &self.told {
            None => Err(Box::new(self.link.signed(*refused))),
            Some(told) => {
                told.borrow_mut().push(Shadowed::new(&self.link, &refused));
                self.filter = None;
                Ok(())
            }
        }
    }
}

impl BodyFilter for Signing {
    fn on_data(&mut self, data: &mut Bytes) -> Result<(), Box<Reply>> {
        let Some(filter) = &mut self.filter else { return Ok(()) };
        filter.on_data(data).or_else(|refused| self.looked(refused))
    }

    fn on_end(&mut self) -> Result<Bytes, Box<Reply>> {
        let Some(filter) = &mut self.filter else { return Ok(Bytes::new()) };
        filter.on_end().or_else(|refused| self.looked(refused).map(|()| Bytes::new()))
    }

    fn piece_bytes_max(&self) -> usize {
        self.filter.as_ref().map_or(usize::MAX, |filter| filter.piece_bytes_max())
    }
}

/// Waits for a hook's answer. With `told`, a refusal is noted there and does not hold.
async fn settle(link: &Link, answer: Answer<'_>, told: Option<Told>) -> Result<(), Box<Reply>> {
    let outcome = match answer {
        Answer::Now(decision) => link.decided(decision),
        Answer::Later(asked) => link.decided(asked.await),
    };
    match (outcome, told) {
        (Err(reply), Some(told)) => {
            told.borrow_mut().push(Shadowed::new(link, &reply));
            Ok(())
        }
        (outcome, _) => outcome,
    }
}
