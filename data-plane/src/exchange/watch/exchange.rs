//! An exchange, as the watch sees it: what it waits for, and until when.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::task::Poll;

use tidegate_model::Id;
use tidegate_policy::Reply;

use super::{Connection, Due, Task, Watch};
use crate::proxy::GatewayError;
use crate::telemetry::Guard;
use crate::telemetry::facts::Facts;

/// What an exchange waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The gateway: policies decide, which are bounded in time themselves.
    Gateway,
    /// A connection to a target.
    Connect,
    /// The next piece of the request's body from the caller.
    ClientSends,
    /// The target, to take a piece of the request's body.
    UpstreamTakes,
    /// The head of the target's answer.
    FirstByte,
    /// The next piece of the answer's body.
    UpstreamSends,
    /// The caller, to take a piece of the answer.
    ClientTakes,
    /// Bytes of a tunnel, either way.
    Tunnel,
}

/// Why an exchange was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    #[error("no connection stood in time")]
    Connect,
    #[error("the upstream did not answer in time")]
    FirstByte,
    #[error("the upstream paused for too long")]
    Idle,
    #[error("the exchange took too long")]
    Request,
    #[error("the caller paused for too long")]
    ClientBody,
    #[error("the caller's body did not come whole")]
    BodyBroken,
    #[error("a policy refused the body")]
    Refused,
}

impl From<Cut> for GatewayError {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Connect => GatewayError::UpstreamTimeoutConnect,
            Cut::FirstByte => GatewayError::UpstreamTimeoutFirstByte,
            Cut::Idle => GatewayError::UpstreamTimeoutIdle,
            Cut::Request => GatewayError::UpstreamTimeoutRequest,
            Cut::ClientBody => GatewayError::ClientBodyTimeout,
            Cut::BodyBroken | Cut::Refused => GatewayError::BodyBroken,
        }
    }
}

impl Cut {
    /// As metrics and the access log call it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Cut::Connect => "connect",
            Cut::FirstByte => "first_byte",
            Cut::Idle => "idle",
            Cut::Request => "request",
            Cut::ClientBody => "client_body",
            Cut::BodyBroken => "body_broken",
            Cut::Refused => "body_refused",
        }
    }
}

/// One exchange, as far as others must know of it.
pub(crate) struct Exchange {
    pub(crate) connection: Rc<Connection>,
    task: Rc<Task>,
    phase: Cell<Phase>,
    due: Cell<Due>,
    request_due: Cell<Due>,
    cut: Cell<Option<Cut>>,
    began: Due,
    /// Since when the body is read; 0 is not yet.
    body_began: Cell<Due>,
    /// The caller has all of the reply, as far as the gateway can tell.
    delivered: Cell<bool>,
    /// The head of the answer came: from then on the answer's body says what is waited for.
    answered: Cell<bool>,
    /// The request's body was read to its end, if there is one.
    pub(crate) request_done: Cell<bool>,
    pub(crate) request_bytes: Cell<u64>,
    /// What the policy says that refused the body.
    pub(crate) refusal: RefCell<Option<Box<Reply>>>,
    /// Where it goes.
    pub(crate) route: Cell<Option<Id>>,
    /// What the caller proved itself with.
    pub(crate) credential: Cell<Option<Id>>,
    /// What is noted of it for metrics and the access log.
    pub(crate) facts: Facts,
}

impl Exchange {
    /// From now on this is waited for, so long at most. 0 is without end.
    pub(crate) fn enter(&self, phase: Phase, ticks: u32) {
        self.phase.set(phase);
        if phase == Phase::ClientSends && self.body_began.get() == 0 {
            self.body_began.set(self.watch().now());
        }
        self.due.set(if ticks == 0 { 0 } else { self.watch().after(ticks) });
    }

    /// As [`Exchange::enter`]; what was already waited for is not waited for anew.
    pub(crate) fn enter_once(&self, phase: Phase, ticks: u32) {
        if self.phase.get() != phase {
            self.enter(phase, ticks);
        }
    }

    /// The whole exchange may take so long.
    pub(crate) fn bound(&self, ticks: u32) {
        self.request_due.set(self.watch().after(ticks));
    }

    /// The whole exchange may take as long as it likes from now on: it became a tunnel.
    pub(crate) fn unbound(&self) {
        self.request_due.set(0);
    }

    /// When that many ticks will have passed.
    pub(crate) fn after(&self, ticks: u32) -> Due {
        self.watch().after(ticks)
    }

    /// No connection stood in time; another target may be tried all the same.
    pub(crate) fn goes_on_without_connection(&self) {
        if self.cut.get() == Some(Cut::Connect) {
            self.cut.set(None);
        }
    }

    /// The caller has all of the reply.
    pub(crate) fn is_delivered(&self) {
        self.delivered.set(true);
    }

    /// Whether its task was ended, as nobody took the reply.
    pub(crate) fn was_ended(&self) -> bool {
        self.task.has_ended()
    }

    /// The head of the answer came.
    pub(crate) fn is_answered(&self) {
        self.answered.set(true);
    }

    /// The request's body moved on, and waits for this. Once the answer came its body is what counts; while that one rests, a
    /// body that moves the other way begins the wait anew: a target may listen for long before it says more.
    pub(crate) fn request_body_moved(&self, phase: Phase, ticks: u32) {
        if !self.answered.get() {
            self.enter(phase, ticks);
        } else if self.phase.get() == Phase::UpstreamSends {
            self.enter(Phase::UpstreamSends, ticks);
        }
    }

    /// As [`Exchange::request_body_moved`], without having moved.
    pub(crate) fn request_body_waits(&self, phase: Phase, ticks: u32) {
        if !self.answered.get() {
            self.enter_once(phase, ticks);
        }
    }

    /// Ends it early.
    pub(crate) fn cut(&self, why: Cut) {
        if self.cut.get().is_none() {
            self.cut.set(Some(why));
        }
        self.task.wake();
    }

    /// Whether it was cut short.
    pub(crate) fn is_cut(&self) -> Option<Cut> {
        self.cut.get()
    }

    /// Waits for something, unless the exchange is cut short.
    pub(crate) async fn unless_cut<F: Future>(&self, future: F) -> Result<F::Output, Cut> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| match self.cut.get() {
            Some(cut) => Poll::Ready(Err(cut)),
            None => future.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    fn watch(&self) -> &Watch {
        &self.connection.watch
    }

    /// Whether the body comes too slowly. Once there is an answer both sides may take their time.
    fn drips(&self, now: Due) -> bool {
        let (watch, began) = (self.watch(), self.body_began.get());
        if self.phase.get() != Phase::ClientSends || self.answered.get() || began == 0 {
            return false;
        }
        let ticks = now.saturating_sub(began);
        let least = u64::from(ticks / watch.second) * u64::from(watch.client_body_rate_min);
        ticks >= watch.client_body_grace && self.request_bytes.get() < least
    }

    pub(super) fn check(&self, now: Due) {
        let overdue = |due: &Cell<Due>| due.get() != 0 && now >= due.get();
        let why = if overdue(&self.request_due) {
            self.request_due.set(0);
            Cut::Request
        } else if overdue(&self.due) {
            self.due.set(0);
            match self.phase.get() {
                Phase::Connect => Cut::Connect,
                Phase::ClientSends => Cut::ClientBody,
                Phase::FirstByte => Cut::FirstByte,
                Phase::Gateway | Phase::UpstreamTakes | Phase::UpstreamSends | Phase::ClientTakes | Phase::Tunnel => {
                    Cut::Idle
                }
            }
        } else if self.drips(now) {
            self.body_began.set(0);
            self.watch().cells.guarded(Guard::BodyRate);
            self.cut(Cut::ClientBody);
            return;
        } else {
            return;
        };
        if why == Cut::ClientBody {
            self.watch().cells.guarded(Guard::Body);
        }
        if self.phase.get() == Phase::ClientTakes {
            self.watch().cells.guarded(Guard::Write);
            // nobody polls what the caller does not take
            self.task.end();
        } else {
            self.cut(why);
        }
    }
}

/// An exchange that is under way: keeps it in the watch, and its connection from being idle.
pub(crate) struct Underway {
    exchange: Rc<Exchange>,
    key: usize,
    /// It is the caller's, and no call that is made for one.
    is_callers: bool,
}

impl Underway {
    /// An exchange begins on a connection; it runs in this task.
    pub(crate) fn begin(connection: &Rc<Connection>, task: Rc<Task>) -> Self {
        connection.begins();
        Self::watched(connection, task, true)
    }

    /// A call that is made for an exchange: it has time-outs of its own, and runs in this task. The connection of the caller has no
    /// part in it.
    pub(crate) fn within(exchange: &Exchange, task: Rc<Task>) -> Self {
        Self::watched(&exchange.connection, task, false)
    }

    fn watched(connection: &Rc<Connection>, task: Rc<Task>, is_callers: bool) -> Self {
        let exchange = Rc::new(Exchange {
            connection: connection.clone(),
            task,
            phase: Cell::new(Phase::Gateway),
            due: Cell::new(0),
            request_due: Cell::new(0),
            cut: Cell::new(None),
            began: connection.watch.now(),
            body_began: Cell::new(0),
            delivered: Cell::new(false),
            answered: Cell::new(false),
            request_done: Cell::new(true),
            request_bytes: Cell::new(0),
            refusal: RefCell::default(),
            route: Cell::new(None),
            credential: Cell::new(None),
            facts: Facts::default(),
        });
        let key = connection.watch.exchanges.borrow_mut().insert(exchange.clone());
        Underway { exchange, key, is_callers }
    }

    /// The exchange.
    pub(crate) fn exchange(&self) -> &Rc<Exchange> {
        &self.exchange
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let exchange = &self.exchange;
        let connection = &exchange.connection;
        connection.watch.exchanges.borrow_mut().remove(self.key);
        if !self.is_callers {
            return;
        }
        connection.ended(exchange.delivered.get(), connection.watch.now().saturating_sub(exchange.began));
    }
}
