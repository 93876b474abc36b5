//! One request's stay: what is known of it from its head to the last byte of its reply.

use std::rc::Rc;

use http::header::{CONNECTION, HOST, TRAILER};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body::Body as _;
use tidegate_model::PathRefused;
use tidegate_policy::{BodyNeed, Captures, End, Origin, Reply, RequestHead, RequestId, ResponseHead, Seen};
use tidegate_snapshot::{Action, CompiledService, Lookup, Requested, Revisions};
use tokio::time::Instant;

use super::account::Account;
use super::body;
use super::policed::Policed;
use super::{GatewayError, account, refresh, reply, rewrite};
use crate::edge::trace::{State, Trace};
use crate::edge::{Caller, Scheme, TraceContext};
use crate::exchange::body::{Ending, Flow, ResponseBody, Stream};
use crate::exchange::host::Host;
use crate::exchange::tunnel::{Switched, Tunnel};
use crate::exchange::watch::{Exchange, Phase, Underway, ticks};
use crate::exchange::{Answer, Asks, Upgrade, grpc};
use crate::telemetry::facts::micros;
use crate::upstream::{Forwarded, Lease, Slot, Way};
use crate::worker::{Route, Worker};

pub(super) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One request's stay.
pub(super) struct Visit {
    pub(super) worker: Rc<Worker>,
    pub(super) id: RequestId,
    pub(super) id_header: HeaderValue,
    pub(super) caller: Caller,
    /// Where it stands in its trace, if the gateway takes part.
    pub(super) trace: Option<Trace>,
    underway: Underway,
    /// What is told of it at its end.
    pub(super) account: Account,
    /// Once it is found.
    pub(super) route: Option<Rc<Route>>,
    /// Where the route has policies.
    pub(super) policed: Option<Box<Policed>>,
    /// How many bytes of the path the route's prefix took.
    pub(super) prefix: usize,
    /// The reply has no body, whatever its head says.
    is_head: bool,
    pub(super) asks: Asks,
}

impl Drop for Visit {
    /// However it ended; who leaves before the head of the reply has been here all the same.
    fn drop(&mut self) {
        if self.account.status.is_none() {
            let request_bytes = self.exchange().request_bytes.get();
            self.ended(&End { status: 0, origin: Origin::Gateway, request_bytes, response_bytes: 0, complete: false });
        }
        account::close(self);
    }
}

/// Where a request goes.
pub(super) struct Place {
    pub(super) route: Rc<Route>,
    /// How many bytes of the path the route's prefix took.
    pub(super) prefix: usize,
    /// What the route captured of the path.
    pub(super) captures: Captures,
    /// The route does not take the method: the request is a preflight, for a policy of it to answer.
    pub(super) for_preflight: bool,
}

impl Visit {
    pub(super) fn new(worker: &Rc<Worker>, asks: Asks, underway: Underway, caller: Caller) -> Self {
        let (id, id_header) = match caller.request_id() {
            Some(given) => (given.clone(), worker.ids().header(given.as_str().as_bytes())),
            None => worker.ids().next(),
        };
        if caller.is_cut() {
            worker.cells().forwarded_cut.add(1);
        }
        Visit {
            worker: worker.clone(),
            id,
            id_header,
            caller,
            trace: None,
            underway,
            account: Account::new(),
            route: None,
            policed: None,
            prefix: 0,
            is_head: false,
            asks,
        }
    }

    /// The request becomes a span of its own, in the trace that it came with or in a new one.
    pub(super) fn join_trace(&mut self, head: &mut RequestHead) {
        if self.worker.edge().trace_context == TraceContext::On {
            let (ids, max) = (self.worker.ids(), self.worker.limits().tracestate_bytes_max);
            let (trace, state) = Trace::join(&mut head.headers, || ids.chance(), max);
            if state == State::TooLarge {
                self.worker.cells().tracestate_dropped.add(1);
            }
            self.trace = Some(trace);
        }
    }

    pub(super) fn exchange(&self) -> &Rc<Exchange> {
        self.underway.exchange()
    }

    /// Takes the configuration, once, and finds where the request goes.
    pub(super) fn find_route(&mut self, head: &RequestHead) -> Result<Place, GatewayError> {
        self.is_head = head.method == Method::HEAD;
        let view = self.worker.view();
        self.account.runs_on(view.snapshot.revisions(), self.worker.log().map(|_| &head.target));
        let host = head.headers.get(HOST).and_then(|host| Host::parse(host.as_bytes())).map(Host::for_routing);
        let requested = Requested {
            host: host.as_deref(),
            method: &head.method,
            path: head.path(),
            query: head.query(),
            headers: &head.headers,
        };
        let found = match view.snapshot.route(&requested) {
            Lookup::Found(found) => found,
            Lookup::NotFound if view.snapshot.revisions() == Revisions::default() => {
                return Err(GatewayError::NotConfigured);
            }
            Lookup::NotFound => return Err(GatewayError::NoRoute),
            Lookup::MethodNotAllowed(allow) => {
                let allow = HeaderValue::try_from(allow).unwrap_or(HeaderValue::from_static(""));
                return Err(GatewayError::MethodNotAllowed(allow));
            }
        };
        let compiled = found.route;
        if !compiled.allow_path_parameters && head.path().contains(';') {
            return Err(GatewayError::PathRefused(PathRefused::Parameters));
        }
        let captures = found.captures(&head.target);
        let route = view.route(compiled, &self.worker);
        self.exchange().route.set(Some(compiled.facts.route));
        let own = if self.asks.grpc { grpc::timeout(&head.headers).map(ticks) } else { None };
        match (route.patience.request, own) {
            (0, None) => {}
            (0, Some(own)) => self.exchange().bound(own),
            (set, own) => self.exchange().bound(own.map_or(set, |own| own.min(set))),
        }
        // templates of a composition look at the same as policies do
        if !compiled.chain.is_empty() || matches!(compiled.action, Action::Compose(_)) {
            let asks = (self.id.clone(), &self.caller);
            let seen = Seen {
                has_body: !self.exchange().request_done.get() || self.asks.upgrade.is_some(),
                is_secure: self.caller.scheme == Scheme::Https,
                route_version: compiled.slot,
            };
            self.policed = Some(Policed::new(&view, &self.worker, asks, &route, &captures, seen, self.exchange()));
        }
        self.route = Some(route.clone());
        self.prefix = found.prefix();
        Ok(Place { route, prefix: found.prefix(), captures, for_preflight: found.for_preflight })
    }

    /// The policies see the head of the request.
    pub(super) async fn policies_see_request(
        &mut self,
        place: &mut Place,
        head: &mut RequestHead,
    ) -> Result<(), Box<Reply>> {
        let Some(policed) = &mut self.policed else { return Ok(()) };
        let began = self.worker.log().map(|_| Instant::now());
        let asked = head.target.clone();
        let passed = policed.on_request(head).await;
        if head.path() != asked.path() {
            // the route's prefix is not in a path that a policy gave
            place.prefix = 0;
        }
        self.account.policies_us = began.map(micros);
        passed
    }

    /// All that sending to the upstream needs beside the request.
    pub(super) fn way<'a>(&'a self, place: &'a Place, service: &CompiledService) -> Way<'a> {
        Way {
            balance: &place.route.balance,
            protocol: service.protocol,
            upgrade: self.asks.upgrade,
            host: rewrite::host_header(place, service),
            patience: &place.route.patience,
            tries_max: self.worker.limits().upstream_connect_tries_max,
            refusals_max: self.worker.limits().upstream_h2_refusals_max,
            dial: self.worker.dial(),
            exchange: self.exchange(),
        }
    }

    /// What a policy replied that refused the body while it streamed.
    pub(super) fn refusal_of_body(&self) -> Option<Box<Reply>> {
        self.exchange().refusal.borrow_mut().take()
    }

    /// The upstream answered: the policies see it, and it goes to the caller.
    pub(super) async fn upstream_answered(mut self, forwarded: Forwarded) -> Answer {
        let Forwarded { answer, lease } = forwarded;
        let mut head = answer.head;
        let Some(policed) = &mut self.policed else {
            return self.passes(head, answer.body, lease);
        };
        self.underway.exchange().enter(Phase::Gateway, 0);
        if let Err(reply) = policed.on_response(&mut head).await {
            drop(lease);
            return self.whole_reply(*reply);
        }
        if let Some(body) = policed.cx.instead.take() {
            if answer.body.is_end_stream() {
                self.give_back(lease);
            }
            return self.kept(head, body).await;
        }
        let bodiless = self.is_bodiless(&head);
        let Some(policed) = &mut self.policed else { return self.passes(head, answer.body, lease) };
        if bodiless || matches!(lease, Lease::Tunnel { .. }) {
            return self.passes(head, answer.body, lease);
        }
        let BodyNeed::Buffer(max) = policed.needs().response_body else {
            return self.passes(head, answer.body, lease);
        };
        let route = self.route.as_ref().expect("an upstream answers for a route");
        let whole = body::whole_answer(self.underway.exchange(), answer.body, route.patience.idle, max).await;
        let refused = match whole {
            Ok(mut all) => match policed.sees_whole(&mut all, &mut head).await {
                Ok(()) => {
                    self.give_back(lease);
                    head.headers.remove(TRAILER);
                    head.headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(all.len()));
                    return self.finish(head, |_, ending| ResponseBody::whole(all, ending), None);
                }
                Err(reply) => reply,
            },
            Err(error) => error.into(),
        };
        self.whole_reply(*refused)
    }

    /// An answer was composed: the policies see it as that of an upstream.
    pub(super) async fn composed(mut self, mut head: ResponseHead, mut all: bytes::Bytes) -> Answer {
        self.underway.exchange().enter(Phase::Gateway, 0);
        let bodiless = self.is_bodiless(&head);
        if let Some(policed) = &mut self.policed {
            let seen = match policed.on_response(&mut head).await {
                Ok(()) if !bodiless && policed.needs().response_body != BodyNeed::None => {
                    policed.sees_whole(&mut all, &mut head).await
                }
                seen => seen,
            };
            if let Err(reply) = seen {
                return self.whole_reply(*reply);
            }
        }
        self.finish(head, |_, ending| ResponseBody::whole(all, ending), None)
    }

    /// The gateway replies itself: the policies see that too.
    pub(super) async fn gateway_replies(mut self, reply: Reply) -> Answer {
        let (mut head, mut all) = reply::write(&reply, &self.id);
        if let Some(policed) = &mut self.policed {
            self.underway.exchange().enter(Phase::Gateway, 0);
            let seen = policed.on_response(&mut head).await;
            if reply.stored.is_some() || policed.cx.instead.is_some() {
                let body = policed.cx.instead.take().unwrap_or(all);
                refresh::begin(&mut self);
                return match seen {
                    Ok(()) => self.kept(head, body).await,
                    Err(other) => self.whole_reply(*other),
                };
            }
            self.account.replied(&reply, self.worker.cells());
            let seen = match seen {
                Ok(()) if !self.is_head && !all.is_empty() => match policed.needs().response_body {
                    BodyNeed::None => Ok(()),
                    _ => policed.sees_whole(&mut all, &mut head).await,
                },
                seen => seen,
            };
            if let Err(other) = seen {
                return self.whole_reply(*other);
            }
        } else {
            self.account.replied(&reply, self.worker.cells());
        }
        tracing::debug!(request.id = %self.id, code = reply.code, status = reply.status.as_u16(), "replied `{}`", reply.code);
        self.finish_reply(head, all, &reply)
    }

    /// What the API said before goes to the caller; the policies have seen its head.
    async fn kept(mut self, mut head: ResponseHead, mut all: bytes::Bytes) -> Answer {
        if self.is_bodiless(&head) {
            return self.finish(head, |_, ending| ResponseBody::whole(bytes::Bytes::new(), ending), None);
        }
        head.headers.remove(TRAILER);
        head.headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(all.len()));
        match self.policed.as_mut().map(|policed| (policed.needs().response_body, policed)) {
            Some((BodyNeed::Stream, _)) => self.stream(head, Stream::Kept(all), None),
            Some((BodyNeed::Buffer(_), policed)) => match policed.sees_whole(&mut all, &mut head).await {
                Ok(()) => self.finish(head, |_, ending| ResponseBody::whole(all, ending), None),
                Err(reply) => self.whole_reply(*reply),
            },
            Some((BodyNeed::None, _)) | None => self.finish(head, |_, ending| ResponseBody::whole(all, ending), None),
        }
    }

    /// A reply in the place of one that the policies have seen.
    fn whole_reply(mut self, reply: Reply) -> Answer {
        let (head, all) = reply::write(&reply, &self.id);
        self.account.replied(&reply, self.worker.cells());
        self.finish_reply(head, all, &reply)
    }

    /// A reply that the gateway made goes to the caller: a call by gRPC has it in its own form. It counts by its own status.
    fn finish_reply(self, head: ResponseHead, all: bytes::Bytes, reply: &Reply) -> Answer {
        let status = head.status;
        let (head, all) = match self.asks.grpc {
            true => grpc::trailers_only(head, reply.code, &reply.detail),
            false => (head, all),
        };
        self.finish_as(status, head, |_, ending| ResponseBody::whole(all, ending), None)
    }

    /// What the upstream says goes on to the caller: a body, or a tunnel's bytes.
    fn passes(self, head: ResponseHead, body: Stream, lease: Lease) -> Answer {
        match lease {
            Lease::Tunnel { switched, slot } => self.tunnel(head, switched, slot),
            lease => self.stream(head, body, Some(lease)),
        }
    }

    fn tunnel(mut self, mut head: ResponseHead, switched: Switched, slot: Option<Slot>) -> Answer {
        head.headers.insert(REQUEST_ID.clone(), self.id_header.clone());
        self.worker.cells().tunnels.add(1);
        self.account.status = Some(head.status);
        let exchange = self.exchange().clone();
        exchange.unbound();
        if let Some(policed) = &mut self.policed {
            policed.outlives_snapshot();
        }
        let idle = self.route.as_ref().map_or(0, |route| route.patience.tunnel);
        let lease = slot.map(|slot| Lease::Stream { rest: None, slot });
        let rest = Rest { status: head.status, origin: head.origin, visit: self, lease };
        let tunnel = Tunnel::new(switched, exchange, idle, Box::new(rest));
        Answer { head, body: ResponseBody::whole(bytes::Bytes::new(), None), tunnel: Some(Box::new(tunnel)) }
    }

    fn stream(self, mut head: ResponseHead, body: Stream, lease: Option<Lease>) -> Answer {
        let idle = self.route.as_ref().map_or(0, |route| route.patience.idle);
        let client_write = self.worker.client_write();
        let grpc = self.asks.grpc;
        let filters = match &self.policed {
            Some(policed) if !self.is_bodiless(&head) => policed.response_body_filters(&mut head),
            _ => Default::default(),
        };
        let streaming = |exchange: &Rc<Exchange>, ending| {
            let flow = Flow {
                exchange: exchange.clone(),
                upstream_idle: idle,
                client_write,
                grpc,
                filters,
                rest: Default::default(),
            };
            ResponseBody::streaming(body, flow, ending)
        };
        self.finish(head, streaming, lease)
    }

    /// Whether no body follows this head, whatever it says.
    fn is_bodiless(&self, head: &ResponseHead) -> bool {
        self.is_head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    pub(super) fn give_back(&self, lease: Lease) {
        if self.exchange().request_done.get() {
            lease.give_back(self.worker.watch());
        }
    }

    /// The head goes to the caller; what is left to do comes with the last byte.
    fn finish(
        self,
        head: ResponseHead,
        body: impl FnOnce(&Rc<Exchange>, Option<Box<dyn Ending>>) -> ResponseBody,
        lease: Option<Lease>,
    ) -> Answer {
        self.finish_as(head.status, head, body, lease)
    }

    fn finish_as(
        mut self,
        status: StatusCode,
        mut head: ResponseHead,
        body: impl FnOnce(&Rc<Exchange>, Option<Box<dyn Ending>>) -> ResponseBody,
        lease: Option<Lease>,
    ) -> Answer {
        head.headers.insert(REQUEST_ID.clone(), self.id_header.clone());
        self.account.status = Some(status);
        let exchange = self.exchange().clone();
        if self.asks.upgrade == Some(Upgrade::Switch) {
            // it was refused: what the caller sent beyond its request may have been meant for somebody else
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
            exchange.connection.left_unread();
        }
        // a reply that nobody takes ends, also one that the gateway made (CVE-2026-49975)
        exchange.enter(Phase::ClientTakes, self.worker.client_write());
        let rest = Rest { status, origin: head.origin, visit: self, lease };
        Answer { head, body: body(&exchange, Some(Box::new(rest))), tunnel: None }
    }

    fn ended(&mut self, end: &End) {
        if let Some(policed) = &mut self.policed {
            policed.on_end(end);
        }
    }
}

/// What happens with the last byte.
struct Rest {
    visit: Visit,
    status: StatusCode,
    origin: Origin,
    lease: Option<Lease>,
}

impl Ending for Rest {
    fn ended(self: Box<Self>, complete: bool, response_bytes: u64) {
        let Rest { mut visit, status, origin, lease } = *self;
        let complete = complete && !visit.exchange().was_ended();
        let request_bytes = visit.exchange().request_bytes.get();
        if complete && let Some(lease) = lease {
            visit.give_back(lease);
        }
        visit.account.sent(complete, response_bytes);
        if complete {
            visit.exchange().is_delivered();
        }
        visit.ended(&End { status: status.as_u16(), origin, request_bytes, response_bytes, complete });
    }
}
