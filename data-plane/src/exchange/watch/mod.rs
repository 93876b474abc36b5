//! What is under way on a worker: its connections and exchanges, what each waits for, and until when.
//!
//! One sweep every [`TICK`] looks at all of them: that is how time-outs cost a request no timer, how a drain finds the
//! connections to close, and how exchanges of a revoked credential can be found.
//!
//! A time-out is told to the exchange first, which may still answer. An exchange that nobody looks at, as its caller takes
//! nothing, ends with its task: of HTTP/1 the connection, of HTTP/2 the stream.

mod connection;
mod exchange;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;
use slab::Slab;
use tokio::time::Instant;

pub(crate) use connection::{Connection, Open};
pub(crate) use exchange::{Cut, Exchange, Phase, Underway};

use crate::limits::{Limits, TICK};
use crate::telemetry::Cells;

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
    client_body_rate_min: u32,
    client_body_grace: u32,
    client_requests_max: u32,
    client_age_max: u32,
    drain_idle: u32,
    h2_idle_frames_max: u32,
    h2_idle_frames_rate: u32,
    /// How many ticks a second has.
    second: u32,
    closing: Cell<bool>,
    cells: Arc<Cells>,
}

/// A time-out in ticks, such that it is never early.
pub(crate) fn ticks(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX / 2).saturating_add(1)
}

impl Watch {
    pub(crate) fn new(limits: &Limits, cells: Arc<Cells>) -> Self {
        Watch {
            began: Instant::now(),
            now: Cell::new(1),
            connections: RefCell::default(),
            exchanges: RefCell::default(),
            client_head: ticks(limits.client_head),
            client_idle: ticks(limits.client_idle),
            client_write: ticks(limits.client_write),
            client_linger: ticks(limits.client_linger),
            client_body_rate_min: limits.client_body_rate_min,
            client_body_grace: ticks(limits.client_body_grace),
            client_requests_max: limits.client_requests_max,
            client_age_max: if limits.client_age_max.is_zero() { 0 } else { ticks(limits.client_age_max) },
            drain_idle: ticks(limits.drain_idle),
            h2_idle_frames_max: limits.h2_idle_frames_max,
            h2_idle_frames_rate: limits.h2_idle_frames_rate,
            second: u32::try_from(Duration::from_secs(1).as_millis() / TICK.as_millis()).unwrap_or(1),
            closing: Cell::new(false),
            cells,
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

    /// A connection came; if it is one too many, all that it asks is refused. It is looked after until what is returned is
    /// dropped.
    pub(crate) fn open(self: &Rc<Self>, shed: bool) -> Open {
        let connection = Rc::new(Connection::new(self, shed));
        let key = self.connections.borrow_mut().insert(connection.clone());
        self.cells.connections.add(1);
        self.count_connections();
        Open { connection, key }
    }

    /// As [`Watch::open`], for what the gateway asks by itself: looked after, bounded in time and drained as a caller's.
    pub(crate) fn open_own(self: &Rc<Self>) -> Open {
        let connection = Rc::new(Connection::new(self, false));
        let key = self.connections.borrow_mut().insert(connection.clone());
        Open { connection, key }
    }

    fn forget(&self, key: usize) {
        self.connections.borrow_mut().remove(key);
        self.count_connections();
    }

    fn count_connections(&self) {
        self.cells.connections_active.set(self.connections() as u64);
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

    /// Closes every connection that waits for a request.
    pub(crate) fn close_idle(&self) {
        for (_, connection) in self.connections.borrow().iter() {
            connection.close_if_idle();
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

    /// Whether it was told to end.
    fn has_ended(&self) -> bool {
        self.ended.get()
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
