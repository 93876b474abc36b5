//! One request's stay: what is known of it from its head to the last byte of its reply.

use std::rc::Rc;

use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tidegate_policy::{BodyNeed, End, Origin, Reply, RequestHead, RequestId, ResponseHead};
use tidegate_snapshot::{Lookup, Revisions};
use tokio::time::Instant;

use super::account::Account;
use super::body;
use super::policed::Policed;
use super::{GatewayError, account, reply};
use crate::exchange::Answer;
use crate::exchange::body::{Ending, Flow, ResponseBody};
use crate::exchange::host::Host;
use crate::exchange::watch::{Exchange, Phase, Underway, ticks};
use crate::telemetry::facts::micros;
use crate::upstream::{Forwarded, Lease, Way};
use crate::worker::{Route, Worker};

pub(super) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One request's stay.
pub(super) struct Visit {
    pub(super) worker: Rc<Worker>,
    pub(super) id: RequestId,
    pub(super) id_header: HeaderValue,
    underway: Underway,
    /// What is told of it at its end.
    pub(super) account: Account,
    /// Once it is found.
    pub(super) route: Option<Rc<Route>>,
    /// Where the route has policies.
    pub(super) policed: Option<Box<Policed>>,
    /// The reply has no body, whatever its head says.
    is_head: bool,
}

/// Where a request goes.
pub(super) struct Place {
    pub(super) route: Rc<Route>,
    /// How many bytes of the path the route's prefix took.
    pub(super) prefix: usize,
}

impl Visit {
    pub(super) fn new(worker: &Rc<Worker>, underway: Underway) -> Self {
        let (id, id_header) = worker.request_id();
        Visit {
            worker: worker.clone(),
            id,
            id_header,
            underway,
            account: Account::new(),
            route: None,
            policed: None,
            is_head: false,
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
        let found = match view.snapshot.route(host.as_deref(), &head.method, head.path()) {
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
        let route = view.route(compiled, &self.worker);
        if let Some(why) = &compiled.closed {
            self.route = Some(route);
            return Err(GatewayError::RouteBroken(why.clone()));
        }
        self.exchange().route.set(Some(compiled.facts.route));
        if route.patience.request != 0 {
            self.exchange().bound(route.patience.request);
        }
        if !compiled.chain.is_empty() {
            self.policed = Some(Policed::new(&view, &self.worker, self.id, &route, self.exchange()));
        }
        self.route = Some(route.clone());
        Ok(Place { route, prefix: found.prefix })
    }

    /// The policies see the head of the request.
    pub(super) async fn policies_see_request(&mut self, head: &mut RequestHead) -> Result<(), Box<Reply>> {
        let Some(policed) = &mut self.policed else { return Ok(()) };
        let began = self.worker.log().map(|_| Instant::now());
        let passed = policed.on_request(head).await;
        self.account.policies_us = began.map(micros);
        passed
    }

    /// All that sending to the upstream needs beside the request.
    pub(super) fn way<'a>(&'a self, place: &'a Place) -> Way<'a> {
        Way {
            balance: &place.route.balance,
            host: place.route.compiled.service.host,
            patience: &place.route.patience,
            tries_max: self.worker.limits().upstream_connect_tries_max,
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
            return self.stream(head, answer.body, lease);
        };
        self.underway.exchange().enter(Phase::Gateway, 0);
        if let Err(reply) = policed.on_response(&mut head).await {
            drop(lease);
            return self.whole_reply(*reply);
        }
        let bodiless = self.is_head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let BodyNeed::Buffer(max) = policed.needs().response_body else {
            return self.stream(head, answer.body, lease);
        };
        if bodiless {
            return self.stream(head, answer.body, lease);
        }
        let route = self.route.as_ref().expect("an upstream answers for a route");
        let whole = body::whole_answer(self.underway.exchange(), answer.body, route.patience.idle, max).await;
        let refused = match whole {
            Ok(mut all) => match policed.on_response_body(&mut all, &mut head).await {
                Ok(()) => {
                    self.give_back(lease);
                    head.headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(all.len()));
                    return self.finish(head, |_, ending| ResponseBody::whole(all, ending), None);
                }
                Err(reply) => reply,
            },
            Err(error) => error.into(),
        };
        self.whole_reply(*refused)
    }

    /// The gateway replies itself: the policies see that too.
    pub(super) async fn gateway_replies(mut self, reply: Reply) -> Answer {
        let (mut head, mut all) = reply::write(&reply, self.id);
        self.account.replied(&reply, self.worker.cells());
        tracing::debug!(request.id = %self.id, code = reply.code, status = reply.status.as_u16(), "replied `{}`", reply.code);
        if let Some(policed) = &mut self.policed {
            self.underway.exchange().enter(Phase::Gateway, 0);
            let seen = match policed.on_response(&mut head).await {
                Ok(()) if matches!(policed.needs().response_body, BodyNeed::Buffer(_)) => {
                    policed.on_response_body(&mut all, &mut head).await
                }
                seen => seen,
            };
            if let Err(other) = seen {
                return self.whole_reply(*other);
            }
        }
        self.finish(head, |_, ending| ResponseBody::whole(all, ending), None)
    }

    /// A reply in the place of one that the policies have seen.
    fn whole_reply(mut self, reply: Reply) -> Answer {
        let (head, all) = reply::write(&reply, self.id);
        self.account.replied(&reply, self.worker.cells());
        self.finish(head, |_, ending| ResponseBody::whole(all, ending), None)
    }

    fn stream(self, head: ResponseHead, body: crate::exchange::body::Stream, lease: Lease) -> Answer {
        let idle = self.route.as_ref().map_or(0, |route| route.patience.idle);
        let client_write = ticks(self.worker.limits().client_write);
        let streaming = |exchange: &Rc<Exchange>, ending| {
            let flow = Flow { exchange: exchange.clone(), upstream_idle: idle, client_write };
            ResponseBody::streaming(body, flow, ending)
        };
        self.finish(head, streaming, Some(lease))
    }

    fn give_back(&self, lease: Lease) {
        if self.exchange().request_done.get() {
            lease.give_back(self.worker.watch());
        }
    }

    /// The head goes to the caller; what is left to do comes with the last byte.
    fn finish(
        mut self,
        mut head: ResponseHead,
        body: impl FnOnce(&Rc<Exchange>, Option<Box<dyn Ending>>) -> ResponseBody,
        lease: Option<Lease>,
    ) -> Answer {
        head.headers.insert(REQUEST_ID.clone(), self.id_header.clone());
        self.account.status = Some(head.status);
        let exchange = self.exchange().clone();
        let rest = Rest { status: head.status, origin: head.origin, visit: self, lease };
        Answer { head, body: body(&exchange, Some(Box::new(rest))) }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        account::close(self);
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
        let request_bytes = visit.exchange().request_bytes.get();
        if complete && let Some(lease) = lease {
            visit.give_back(lease);
        }
        visit.account.sent(complete, response_bytes);
        if let Some(policed) = &mut visit.policed {
            policed.on_end(&End { status: status.as_u16(), origin, request_bytes, response_bytes, complete });
        }
    }
}
