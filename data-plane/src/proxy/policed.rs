//! A request on a route with policies: its way through the chain.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_LENGTH;
use smallvec::SmallVec;
use tidegate_model::{Id, Sha256};
use tidegate_policy::{
    BasicMatch, BodyFilter, BodyNeed, Captures, ChainRun, ConsumerFacts, Directory, End, KeyMatch, Needs, NoOverlays,
    Notes, Overlays, Principal, Quotas, Reply, RequestContext, RequestHead, RequestId, ResponseHead, Seen, ShadowLog,
};

use super::visit::Visit;
use crate::edge::Caller;
use crate::exchange::body::filter_whole;
use crate::exchange::watch::Exchange;
use crate::worker::{Route, View, Worker};

/// A request on a route with policies.
pub(super) struct Policed {
    route: Rc<Route>,
    overlays: Rc<dyn Overlays>,
    exchange: Rc<Exchange>,
    run: ChainRun,
    pub(super) cx: RequestContext,
}

impl Policed {
    pub(super) fn new(
        view: &View,
        worker: &Worker,
        (request_id, caller): (RequestId, &Caller),
        route: &Rc<Route>,
        captures: &Captures,
        seen: Seen,
        exchange: &Rc<Exchange>,
    ) -> Box<Self> {
        let cx = RequestContext {
            ports: worker.ports().clone(),
            directory: view.directory.clone(),
            request_id,
            client: caller.address,
            route: route.compiled.facts,
            captures: captures.clone(),
            principal: Principal::default(),
            quotas: Quotas::new(),
            limited: None,
            shadowed: ShadowLog::default(),
            kept_request: None,
            seen,
            notes: Notes::default(),
            cached: None,
            instead: None,
            refresh: None,
        };
        Box::new(Policed {
            route: route.clone(),
            overlays: view.overlays.clone(),
            exchange: exchange.clone(),
            run: ChainRun::new(),
            cx,
        })
    }

    /// The same route and principal, for a request of the gateway's own that no policy looks at.
    pub(super) fn again(of: &Policed, visit: &Visit) -> Box<Self> {
        let cx = &of.cx;
        let cx = RequestContext {
            ports: cx.ports.clone(),
            directory: Rc::new(Nobody),
            request_id: visit.id.clone(),
            client: cx.client,
            route: cx.route,
            captures: cx.captures.clone(),
            principal: cx.principal.clone(),
            quotas: Quotas::new(),
            limited: None,
            shadowed: ShadowLog::default(),
            kept_request: None,
            seen: cx.seen,
            notes: Notes::default(),
            cached: None,
            instead: None,
            refresh: None,
        };
        Box::new(Policed {
            route: of.route.clone(),
            overlays: Rc::new(NoOverlays),
            exchange: visit.exchange().clone(),
            run: ChainRun::new(),
            cx,
        })
    }

    pub(super) async fn on_request(&mut self, head: &mut RequestHead) -> Result<(), Box<Reply>> {
        let passed = self.run.on_request(&self.route.compiled.chain, &*self.overlays, head, &mut self.cx).await;
        self.exchange.credential.set(self.cx.principal.credential);
        passed
    }

    pub(super) fn exchange(&self) -> &Rc<Exchange> {
        &self.exchange
    }

    pub(super) fn needs(&self) -> Needs {
        self.run.needs(&self.route.compiled.chain)
    }

    pub(super) async fn on_request_body(&mut self, body: &mut Bytes, head: &mut RequestHead) -> Result<(), Box<Reply>> {
        self.run.on_request_body(&self.route.compiled.chain, body, head, &mut self.cx).await
    }

    pub(super) fn request_body_filters(&self, head: &RequestHead) -> SmallVec<[Box<dyn BodyFilter>; 1]> {
        self.run.request_body_filters(&self.route.compiled.chain, head, &self.cx)
    }

    pub(super) fn response_body_filters(&self, head: &mut ResponseHead) -> SmallVec<[Box<dyn BodyFilter>; 1]> {
        self.run.response_body_filters(&self.route.compiled.chain, head, &self.cx)
    }

    pub(super) async fn on_response(&mut self, head: &mut ResponseHead) -> Result<(), Box<Reply>> {
        self.run.on_response(&self.route.compiled.chain, head, &mut self.cx).await
    }

    /// All of a reply's body is there: those that want it whole see it first, then those that look at it as it passes.
    pub(super) async fn sees_whole(&mut self, body: &mut Bytes, head: &mut ResponseHead) -> Result<(), Box<Reply>> {
        let chain = &self.route.compiled.chain;
        if matches!(self.run.needs(chain).response_body, BodyNeed::Buffer(_)) {
            self.run.on_response_body(chain, body, head, &mut self.cx).await?;
        }
        let mut filters = self.response_body_filters(head);
        if !filters.is_empty() {
            *body = filter_whole(&mut filters, std::mem::take(body)).await?;
        }
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        Ok(())
    }

    /// What is left to do may come after days: nothing of the snapshot is held for it but the route and its chain.
    pub(super) fn outlives_snapshot(&mut self) {
        self.overlays = Rc::new(NoOverlays);
        self.cx.directory = Rc::new(Nobody);
    }

    pub(super) fn on_end(&mut self, end: &End) {
        self.run.on_end(&self.route.compiled.chain, end, &mut self.cx);
    }
}

/// A directory of which nobody asks any more.
struct Nobody;

impl Directory for Nobody {
    fn api_key(&self, _: &Sha256) -> Option<KeyMatch> {
        None
    }

    fn basic(&self, _: &str) -> Option<BasicMatch> {
        None
    }

    fn consumer(&self, _: Id) -> Option<Arc<ConsumerFacts>> {
        None
    }

    fn consumer_by_name(&self, _: &str) -> Option<Arc<ConsumerFacts>> {
        None
    }

    fn consumer_by_custom_id(&self, _: &str) -> Option<Arc<ConsumerFacts>> {
        None
    }

    fn group_by_name(&self, _: &str) -> Option<Id> {
        None
    }

    fn group_name(&self, _: Id) -> Option<Arc<str>> {
        None
    }
}
