//! The HTTP/2 connections of one target on one worker: many exchanges share one, and a further one is made when its streams
//! run out.
//!
//! A connection is made in a task of its own: who asked for it may leave, others may wait for it. How long a request waits for a
//! stream is its own time-out to connect; one that nobody waits for any more is given up by the sweep.
//!
//! Invariant: a connection never has more exchanges than its target takes and the node allows.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};

use super::Dial;
use super::pool::Target;
use crate::exchange::h2_client::Connection;
use crate::exchange::watch::Due;

/// The HTTP/2 connections of one target.
pub(super) struct Multiplexed {
    connections: RefCell<Vec<Rc<Shared>>>,
    opening: RefCell<Vec<Opening>>,
    /// How often a connection could not be made.
    failures: Cell<u64>,
    /// Requests that wait for a stream.
    waiting: Cell<usize>,
    /// A stream is free, or will never be.
    changed: Notify,
    streams_max: usize,
    connections_max: usize,
}

struct Shared {
    connection: Connection,
    streams: Cell<usize>,
    /// It had an exchange.
    used: Cell<bool>,
    /// Until when it is kept without an exchange; 0 while it has one, or since no sweep saw it.
    until: Cell<Due>,
}

struct Opening {
    number: u64,
    task: AbortHandle,
    due: Due,
}

/// No connection could be made.
pub(super) struct Unreached;

/// A stream of a connection, for one exchange.
pub(crate) struct Slot {
    shared: Rc<Shared>,
    target: Rc<Target>,
    /// It is the first on its connection: nothing can be said yet of how long that stands.
    pub(super) is_first: bool,
}

impl Slot {
    pub(super) fn connection(&self) -> &Connection {
        &self.shared.connection
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.streams.set(self.shared.streams.get() - 1);
        if self.target.multiplexed.waiting.get() > 0 {
            self.target.multiplexed.changed.notify_one();
        }
    }
}

impl Multiplexed {
    pub(super) fn new(streams_max: usize, connections_max: usize) -> Self {
        Multiplexed {
            connections: RefCell::default(),
            opening: RefCell::default(),
            failures: Cell::new(0),
            waiting: Cell::new(0),
            changed: Notify::new(),
            streams_max: streams_max.max(1),
            connections_max: connections_max.max(1),
        }
    }

    /// How many connections have no exchange.
    pub(super) fn idle(&self) -> usize {
        self.connections.borrow().iter().filter(|shared| shared.streams.get() == 0).count()
    }

    /// Whether there is nothing to keep.
    pub(super) fn is_empty(&self) -> bool {
        self.connections.borrow().is_empty() && self.opening.borrow().is_empty()
    }

    /// Closes what was idle for too long, or is gone, and gives up what nobody waits for any more.
    /// Tells how many were given up.
    pub(super) fn sweep(&self, now: Due, kept_ticks: u32) -> usize {
        self.connections.borrow_mut().retain(|shared| {
            if shared.streams.get() > 0 {
                shared.until.set(0);
                return true;
            }
            if shared.until.get() == 0 {
                shared.until.set(now.saturating_add(kept_ticks));
            }
            shared.until.get() > now && shared.connection.stands()
        });
        let mut opening = self.opening.borrow_mut();
        let overdue = opening.extract_if(.., |opening| opening.due <= now);
        let given_up = overdue.map(|opening| opening.task.abort()).count();
        if given_up > 0 {
            self.fail();
        }
        given_up
    }

    /// Closes all that has no exchange.
    pub(super) fn clear(&self) {
        self.connections.borrow_mut().retain(|shared| shared.streams.get() > 0);
    }

    fn fail(&self) {
        self.failures.set(self.failures.get() + 1);
        self.changed.notify_waiters();
    }
}

/// A stream to this target, once one is free. A connection that is made for it has until this moment to stand.
pub(super) async fn stream(target: &Rc<Target>, dial: &Rc<dyn Dial>, due: Due) -> Result<Slot, Unreached> {
    let all = &target.multiplexed;
    if let Some(slot) = free(target) {
        return Ok(slot);
    }
    let failures = all.failures.get();
    let _waits = Waits::begin(all);
    loop {
        let mut changed = std::pin::pin!(all.changed.notified());
        changed.as_mut().enable();
        if let Some(slot) = free(target) {
            return Ok(slot);
        }
        if all.failures.get() != failures {
            return Err(Unreached);
        }
        open_for_all(target, dial, due);
        changed.await;
    }
}

/// A stream of the first connection that has one, and forgets those that take none any more.
fn free(target: &Rc<Target>) -> Option<Slot> {
    let all = &target.multiplexed;
    let mut connections = all.connections.borrow_mut();
    while let Some(index) = connections.iter().position(|shared| {
        shared.streams.get() < all.streams_max.min(shared.connection.streams_max()) || !shared.connection.stands()
    }) {
        if !connections[index].connection.stands() {
            // what is under way on it holds it until its end
            connections.remove(index);
            continue;
        }
        let shared = connections[index].clone();
        let is_first = !shared.used.replace(true);
        shared.streams.set(shared.streams.get() + 1);
        shared.until.set(0);
        return Some(Slot { shared, target: target.clone(), is_first });
    }
    None
}

/// Begins as many connections as those who wait will need, as far as can be known.
fn open_for_all(target: &Rc<Target>, dial: &Rc<dyn Dial>, due: Due) {
    let all = &target.multiplexed;
    let known = all.connections.borrow().last().map_or(usize::MAX, |shared| shared.connection.streams_max());
    let each = all.streams_max.min(known).max(1);
    loop {
        let opening = all.opening.borrow().len();
        let full = all.connections.borrow().len() + opening >= all.connections_max;
        if full || opening * each >= all.waiting.get() {
            return;
        }
        open(target, dial.clone(), due);
    }
}

fn open(target: &Rc<Target>, dial: Rc<dyn Dial>, due: Due) {
    let number = target.multiplexed.opening.borrow().last().map_or(0, |last| last.number + 1);
    let opened = target.clone();
    let task = spawn_local(async move {
        let result = dial.dial_h2(&opened.address).await;
        let all = &opened.multiplexed;
        all.opening.borrow_mut().retain(|opening| opening.number != number);
        match result {
            Ok(connection) => {
                opened.series.connected();
                let shared = Shared { connection, streams: Cell::new(0), used: Cell::new(false), until: Cell::new(0) };
                all.connections.borrow_mut().push(Rc::new(shared));
                all.changed.notify_waiters();
            }
            Err(error) => {
                tracing::debug!(%error, target = %opened.address, "target `{}` was not reached: {error}", opened.address);
                opened.series.not_connected();
                all.fail();
            }
        }
    });
    target.multiplexed.opening.borrow_mut().push(Opening { number, task: task.abort_handle(), due });
}

/// Counts who waits, for as long as they do.
struct Waits<'a>(&'a Multiplexed);

impl<'a> Waits<'a> {
    fn begin(all: &'a Multiplexed) -> Self {
        all.waiting.set(all.waiting.get() + 1);
        Waits(all)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}
