//! A connection of a caller, as the watch sees it: what it waits for, how much it may still do, and how it ends.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use super::{Due, Task, Watch};
use crate::edge::Peer;
use crate::telemetry::Guard;

/// A connection of a caller.
pub(crate) struct Connection {
    /// Whose, once it is known.
    peer: OnceCell<Peer>,
    pub(crate) task: Rc<Task>,
    pub(super) watch: Rc<Watch>,
    multiplexed: Cell<bool>,
    /// Nothing was heard: neither since it stands, nor since the last request ended.
    silent: Cell<bool>,
    /// Between two requests.
    idle: Cell<bool>,
    pub(super) exchanges: Cell<u32>,
    /// How many requests came by it.
    requests: Cell<u32>,
    /// Until when a request must be there.
    read_due: Cell<Due>,
    /// Until when the caller must take something; 0 while nothing waits for it.
    write_due: Cell<Due>,
    /// When it is too old; 0 is never.
    age_due: Cell<Due>,
    /// It ends with what is under way: the next reply says so.
    closing: Cell<bool>,
    /// It ends as soon as nothing is under way.
    parting: Cell<bool>,
    /// It is one too many: every request is told so.
    shed: Cell<bool>,
    /// A request's body was not read to its end.
    unread: Cell<bool>,
    frames: Frames,
}

/// HTTP/2 frames that moved nothing on, less what was forgiven.
#[derive(Default)]
struct Frames {
    spent: Cell<u32>,
    forgiven_at: Cell<Due>,
    /// Bytes that the caller took, since the last of them that forgave.
    taken: Cell<usize>,
}

/// What a whole reply, and so many bytes of replies, forgive; and what a request costs that is given up at once.
const FORGIVEN: u32 = 8;
const FORGIVING_BYTES: usize = 4096;

impl Connection {
    pub(super) fn new(watch: &Rc<Watch>, shed: bool) -> Self {
        let patience = if shed { watch.client_linger } else { watch.client_head };
        Connection {
            peer: OnceCell::new(),
            task: Rc::default(),
            watch: watch.clone(),
            multiplexed: Cell::new(false),
            silent: Cell::new(true),
            idle: Cell::new(false),
            exchanges: Cell::new(0),
            requests: Cell::new(0),
            read_due: Cell::new(watch.after(if watch.closing.get() { watch.drain_idle } else { patience })),
            write_due: Cell::new(0),
            age_due: Cell::new(if watch.client_age_max == 0 { 0 } else { watch.after(watch.client_age_max) }),
            closing: Cell::new(shed || watch.closing.get()),
            parting: Cell::new(false),
            shed: Cell::new(shed),
            unread: Cell::new(false),
            frames: Frames::default(),
        }
    }

    /// Whose it is.
    pub(crate) fn is_of(&self, peer: Peer) {
        let first = self.peer.set(peer);
        debug_assert!(first.is_ok(), "a connection does not change hands");
    }

    /// Whose it is.
    pub(crate) fn peer(&self) -> &Peer {
        self.peer.get().expect("it is known before the first request is read")
    }

    /// It is HTTP/2, and carries several exchanges at a time. Its first request is waited for as before.
    pub(crate) fn set_multiplexed(&self) {
        self.multiplexed.set(true);
        if self.is_closing() && !self.is_shed() {
            self.read_due.set(self.watch.after(self.watch.drain_idle));
        }
    }

    /// Whether it is HTTP/2.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.multiplexed.get()
    }

    /// Whether it is one too many.
    pub(crate) fn is_shed(&self) -> bool {
        self.shed.get()
    }

    /// A request came.
    pub(super) fn begins(&self) {
        self.exchanges.set(self.exchanges.get() + 1);
        self.idle.set(false);
        self.silent.set(false);
        self.requests.set(self.requests.get().saturating_add(1));
        let max = self.watch.client_requests_max;
        if max != 0 && self.requests.get() >= max && !self.is_closing() {
            self.watch.cells.guarded(Guard::Requests);
            self.close();
        }
    }

    /// A request ended: the caller has all of its reply, or it was given up after so many ticks.
    pub(super) fn ended(&self, delivered: bool, ticks: Due) {
        if self.is_multiplexed() {
            if delivered {
                self.forgive(FORGIVEN);
            } else if ticks < self.watch.second {
                self.spend(FORGIVEN);
            }
        }
        self.exchanges.set(self.exchanges.get() - 1);
        if self.exchanges.get() == 0 {
            self.idle.set(true);
            self.silent.set(true);
            let patience = if self.is_closing() { self.watch.drain_idle } else { self.watch.client_idle };
            self.read_due.set(self.watch.after(patience));
        }
    }

    /// Whether an exchange is under way on it.
    pub(crate) fn is_busy(&self) -> bool {
        self.exchanges.get() > 0
    }

    /// Bytes came.
    pub(crate) fn heard(&self) {
        if self.silent.replace(false) && self.is_closing() && !self.is_shed() && !self.is_multiplexed() {
            self.read_due.set(self.watch.after(self.watch.client_head));
        }
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
    pub(crate) fn taken(&self, bytes: usize) {
        self.write_due.set(0);
        if self.is_multiplexed() {
            let taken = self.frames.taken.get() + bytes;
            self.frames.taken.set(taken % FORGIVING_BYTES);
            let forgiven = u32::try_from(taken / FORGIVING_BYTES).unwrap_or(u32::MAX);
            self.forgive(forgiven.saturating_mul(FORGIVEN));
        }
    }

    fn forgive(&self, frames: u32) {
        self.frames.spent.set(self.frames.spent.get().saturating_sub(frames));
    }

    /// So many frames of HTTP/2 came that move nothing on. Whether there may be more.
    pub(crate) fn spend(&self, frames: u32) -> bool {
        let (now, rate) = (self.watch.now(), self.watch.h2_idle_frames_rate);
        let ticks = now.saturating_sub(self.frames.forgiven_at.replace(now));
        let forgiven = u64::from(ticks) * u64::from(rate) / u64::from(self.watch.second);
        self.forgive(u32::try_from(forgiven).unwrap_or(u32::MAX));
        let spent = self.frames.spent.get().saturating_add(frames);
        self.frames.spent.set(spent);
        if spent <= self.watch.h2_idle_frames_max {
            return true;
        }
        if !self.task.has_ended() {
            self.watch.cells.guarded(Guard::H2Frames);
            self.task.end();
        }
        false
    }

    /// Whether it should close once what is under way has ended: the next reply says so.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Whether it should close as soon as nothing is under way.
    pub(crate) fn is_parting(&self) -> bool {
        self.parting.get() || self.multiplexed.get() && self.closing.get()
    }

    /// Ends it with what is under way. An idle one of HTTP/1 is left open for a moment: a request may be on its way, and
    /// would be lost; the reply to it tells the caller. HTTP/2 says goodbye in a way that loses nothing.
    pub(super) fn close(&self) {
        if self.closing.replace(true) {
            return;
        }
        if self.exchanges.get() == 0 && (self.silent.get() || self.multiplexed.get()) {
            self.read_due.set(self.read_due.get().min(self.watch.after(self.watch.drain_idle)));
        }
        self.task.wake();
    }

    /// Ends it now if it waits for a request.
    pub(super) fn close_if_idle(&self) {
        if self.idle.get() && self.exchanges.get() == 0 {
            self.part();
        }
    }

    fn part(&self) {
        self.closing.set(true);
        self.parting.set(true);
        self.read_due.set(self.watch.after(self.watch.client_linger));
        self.task.wake();
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

    pub(super) fn check(&self, now: Due) {
        let overdue = |due: &Cell<Due>| due.get() != 0 && now >= due.get();
        let cells = &self.watch.cells;
        if overdue(&self.write_due) {
            cells.guarded(Guard::Write);
            self.task.end();
        } else if self.exchanges.get() == 0 && overdue(&self.read_due) {
            if self.idle.get() && !self.parting.get() {
                if !self.is_closing() {
                    cells.guarded(Guard::Idle);
                }
                self.part();
            } else {
                if !self.is_closing() {
                    cells.guarded(Guard::Head);
                }
                self.task.end();
            }
        } else if overdue(&self.age_due) {
            self.age_due.set(0);
            cells.guarded(Guard::Age);
            self.close();
        }
    }
}

/// Keeps a connection in the watch.
pub(crate) struct Open {
    pub(super) connection: Rc<Connection>,
    pub(super) key: usize,
}

impl Open {
    /// The connection.
    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connection.watch.forget(self.key);
    }
}
