//! What is under way on a worker: its connections and exchanges, what each waits for, and until when.
//!
//! One sweep every [`TICK`] looks at all of them: that is how time-outs cost a request no timer, how a drain finds the
//! connections to close, and how exchanges of a revoked credential can be found.
//!
//! A time-out is told to the exchange first, which may still answer. An exchange that nobody looks at, as its caller takes
//! nothing, ends with its task: of HTTP/1 the connection, of HTTP/2 the stream.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::HeaderValue;
use pin_project_lite::pin_project;
use slab::Slab;
use tidegate_model::Id;
use tidegate_policy::Reply;
use tokio::time::Instant;

use crate::limits::{Limits, TICK};
use crate::proxy::GatewayError;
use crate::telemetry::facts::Facts;

/// A moment, in ticks since the worker began; 0 is never.
pub(crate) type Due = u32;

/// All that is under way on one worker.
pub(crate) struct Watch {
    began: Instant,
    now: Cell<Due>,
    connections: RefCell<Slab<Rc<Connection>>>,
    exchanges: RefCell<Slab<Rc<Exchange>>>,
    client_head: u32,
    client_idle: u32,
    client_write: u32,
    client_linger: u32,
    closing: Cell<bool>,
}

/// A time-out in ticks, such that it is never early.
pub(crate) fn ticks(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX / 2).saturating_add(1)
}

impl Watch {
    pub(crate) fn new(limits: &Limits) -> Self {
        Watch {
            began: Instant::now(),
            now: Cell::new(1),
            connections: RefCell::default(),
            exchanges: RefCell::default(),
            client_head: ticks(limits.client_head),
            client_idle: ticks(limits.client_idle),
            client_write: ticks(limits.client_write),
            client_linger: ticks(limits.client_linger),
            closing: Cell::new(false),
        }
    }

    /// This tick.
    pub(crate) fn now(&self) -> Due {
        self.now.get()
    }

    /// So many ticks from now.
    pub(crate) fn after(&self, ticks: u32) -> Due {
        self.now.get().saturating_add(ticks)
    }

    /// A connection came. It is looked after until what is returned is dropped.
    pub(crate) fn open(self: &Rc<Self>, peer: IpAddr) -> Open {
        let connection = Rc::new(Connection {
            peer,
            peer_header: HeaderValue::try_from(peer.to_string()).expect("an address is of header characters"),
            task: Rc::default(),
            watch: self.clone(),
            multiplexed: Cell::new(false),
            idle: Cell::new(false),
            exchanges: Cell::new(0),
            read_due: Cell::new(self.after(self.client_head)),
            write_due: Cell::new(0),
            closing: Cell::new(self.closing.get()),
            unread: Cell::new(false),
        });
        let key = self.connections.borrow_mut().insert(connection.clone());
        Open { connection, key }
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.connections.borrow().len()
    }

    /// How many exchanges are under way.
    pub(crate) fn exchanges(&self) -> usize {
        self.exchanges.borrow().len()
    }

    /// Asks every connection, also those to come, to close once what is under way on it has ended.
    pub(crate) fn close_all(&self) {
        self.closing.set(true);
        for (_, connection) in self.connections.borrow().iter() {
            connection.close();
        }
    }

    /// Ends every connection at once.
    pub(crate) fn end_all(&self) {
        for (_, connection) in self.connections.borrow().iter() {
            connection.task.end();
        }
    }

    /// Looks at the time, and at all that may be overdue.
    pub(crate) fn sweep(&self) {
        let now = u32::try_from(self.began.elapsed().as_millis() / TICK.as_millis()).unwrap_or(u32::MAX / 2) + 1;
        self.now.set(now);
        for (_, exchange) in self.exchanges.borrow().iter() {
            exchange.check(now);
        }
        for (_, connection) in self.connections.borrow().iter() {
            connection.check(now);
        }
    }
}

/// A connection of a caller.
pub(crate) struct Connection {
    /// Whose.
    pub(crate) peer: IpAddr,
    /// The same, ready for a header.
    pub(crate) peer_header: HeaderValue,
    pub(crate) task: Rc<Task>,
    watch: Rc<Watch>,
    multiplexed: Cell<bool>,
    /// Between two requests.
    idle: Cell<bool>,
    exchanges: Cell<u32>,
    /// Until when a request must be there.
    read_due: Cell<Due>,
    /// Until when the caller must take something; 0 while nothing waits for it.
    write_due: Cell<Due>,
    closing: Cell<bool>,
    /// A request's body was not read to its end.
    unread: Cell<bool>,
}

impl Connection {
    /// It is HTTP/2, and carries several exchanges at a time.
    pub(crate) fn set_multiplexed(&self) {
        self.multiplexed.set(true);
        self.rests();
    }

    /// Whether it is HTTP/2.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.multiplexed.get()
    }

    fn rests(&self) {
        self.idle.set(true);
        self.read_due.set(self.watch.after(self.watch.client_idle));
    }

    /// Bytes came.
    pub(crate) fn heard(&self) {
        // between two exchanges of HTTP/1 they begin a head; of HTTP/2 they may be anything
        if self.idle.get() && !self.multiplexed.get() {
            self.idle.set(false);
            self.read_due.set(self.watch.after(self.watch.client_head));
        }
    }

    /// Bytes wait until the caller takes some.
    pub(crate) fn blocked(&self) {
        if self.write_due.get() == 0 {
            self.write_due.set(self.watch.after(self.watch.client_write));
        }
    }

    /// The caller took some.
    pub(crate) fn taken(&self) {
        self.write_due.set(0);
    }

    /// Whether it should close once what is under way has ended.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Closes it once what is under way has ended.
    fn close(&self) {
        if !self.closing.replace(true) {
            self.task.wake();
        }
    }

    /// A request's body was left unread, or what came is no request: a reply is lost if the connection is closed while more
    /// comes, so what comes is thrown away for a while first.
    pub(crate) fn left_unread(&self) {
        self.unread.set(true);
    }

    /// Whether to read on after the last reply; from now on for a short while only.
    pub(crate) fn lingers(&self) -> bool {
        if self.unread.get() {
            self.write_due.set(self.watch.after(self.watch.client_linger));
        }
        self.unread.get()
    }

    fn check(&self, now: Due) {
        let overdue = |due: &Cell<Due>| due.get() != 0 && now >= due.get();
        if overdue(&self.write_due) {
            self.task.end();
        } else if self.exchanges.get() == 0 && overdue(&self.read_due) {
            if self.idle.get() && !self.is_closing() {
                self.read_due.set(self.watch.after(self.watch.client_linger));
                self.close();
            } else {
                self.task.end();
            }
        }
    }
}

/// Keeps a connection in the watch.
pub(crate) struct Open {
    connection: Rc<Connection>,
    key: usize,
}

impl Open {
    /// The connection.
    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connection.watch.connections.borrow_mut().remove(self.key);
    }
}

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

    /// The head of the answer came.
    pub(crate) fn is_answered(&self) {
        self.answered.set(true);
    }

    /// The request's body moved on, and waits for this. Until the answer came, whose body is what counts from then on.
    pub(crate) fn request_body_moved(&self, phase: Phase, ticks: u32) {
        if !self.answered.get() {
            self.enter(phase, ticks);
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

    fn check(&self, now: Due) {
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
                Phase::Gateway | Phase::UpstreamTakes | Phase::UpstreamSends | Phase::ClientTakes => Cut::Idle,
            }
        } else {
            return;
        };
        if self.phase.get() == Phase::ClientTakes {
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
}

impl Underway {
    /// An exchange begins on a connection; it runs in this task.
    pub(crate) fn begin(connection: &Rc<Connection>, task: Rc<Task>) -> Self {
        connection.exchanges.set(connection.exchanges.get() + 1);
        connection.idle.set(false);
        let exchange = Rc::new(Exchange {
            connection: connection.clone(),
            task,
            phase: Cell::new(Phase::Gateway),
            due: Cell::new(0),
            request_due: Cell::new(0),
            cut: Cell::new(None),
            answered: Cell::new(false),
            request_done: Cell::new(true),
            request_bytes: Cell::new(0),
            refusal: RefCell::default(),
            route: Cell::new(None),
            credential: Cell::new(None),
            facts: Facts::default(),
        });
        let key = connection.watch.exchanges.borrow_mut().insert(exchange.clone());
        Underway { exchange, key }
    }

    /// The exchange.
    pub(crate) fn exchange(&self) -> &Rc<Exchange> {
        &self.exchange
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let connection = &self.exchange.connection;
        connection.watch.exchanges.borrow_mut().remove(self.key);
        connection.exchanges.set(connection.exchanges.get() - 1);
        if connection.exchanges.get() == 0 {
            connection.rests();
        }
    }
}

/// A task that the sweep can wake or end.
#[derive(Default)]
pub(crate) struct Task {
    waker: RefCell<Option<Waker>>,
    ended: Cell<bool>,
}

impl Task {
    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Drops what it does, at its next turn.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        self.wake();
    }

    /// Whether it is to end.
    fn is_ended(&self, cx: &Context<'_>) -> bool {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        self.ended.get()
    }
}

pin_project! {
    /// Does something until its [`Task`] is ended: then it is done, with nothing.
    pub(crate) struct Endable<F> {
        task: Rc<Task>,
        #[pin]
        future: F,
    }
}

impl<F> Endable<F> {
    pub(crate) fn new(task: Rc<Task>, future: F) -> Self {
        Endable { task, future }
    }
}

impl<F: Future> Future for Endable<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.task.is_ended(cx) {
            return Poll::Ready(None);
        }
        this.future.poll(cx).map(Some)
    }
}
