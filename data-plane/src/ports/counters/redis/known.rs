//! What a node knows of shared counters, and what it spends by itself while they are away (`on_store_loss: share`).
//!
//! Of a window a node may admit its share, the limit divided by the number of nodes, and what it admitted before the loss
//! counts. Nor does it pass the limit itself as it was told last. What it admits alone is a debt, charged to the shared
//! counter as soon as that can be reached in the same window.
//!
//! A counter is a few numbers behind a lock of its own: beside a round trip to Redis that is nothing, and while Redis is away
//! only requests of one subject meet there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tidegate_policy::{Ask, LimitSpec};

use super::super::table::{Full, Key, Slot, Table};
use super::super::window;
use super::script::Told;

/// How many milliseconds a guess of Redis' time may be wrong.
const GUESS: u64 = 5_000;

pub(super) struct Known {
    pub(super) table: Arc<Table<Entry>>,
    /// Whether a debt was made since somebody looked.
    owing: AtomicBool,
}

/// A counter that owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Debtor {
    pub(super) key: Key,
    /// Its window's length in milliseconds.
    pub(super) length: u64,
}

/// A debt being paid. Dropped before it was, it is owed again.
pub(super) struct Debt<'a> {
    pub(super) window: u64,
    pub(super) cost: u64,
    debtor: Debtor,
    known: &'a Known,
    paid: bool,
}

/// How a counter stands for a node that is alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alone {
    pub(super) left: u64,
    pub(super) window: u64,
}

/// How asks that a node decides alone ended.
pub(super) enum Shared {
    Taken(SmallVec<[Alone; 2]>),
    /// None was taken. Each, and whether it was short.
    Short(SmallVec<[(Alone, bool); 2]>),
    Full,
}

pub(super) struct Entry(Mutex<State>);

struct State {
    /// Milliseconds.
    length: u64,
    window: u64,
    /// Admitted here and counted there.
    counted: u64,
    /// Admitted here, not yet counted there.
    debt: u64,
    /// Used by all, as told last.
    used: u64,
    gone: bool,
}

impl Known {
    pub(super) fn new(counters_max: usize) -> Self {
        Known { table: Arc::new(Table::new(counters_max)), owing: AtomicBool::new(false) }
    }

    /// Notes what Redis said, and how much of it was taken for this node.
    pub(super) fn told(&self, limit: &LimitSpec, subject: u128, told: Told, taken: u64) {
        // Without room the node knows less, and is stricter while it is alone.
        let _ = self.with(limit, subject, told.window, |state| {
            state.forward(told.window);
            if state.window == told.window {
                state.used = told.used;
                state.counted += taken;
            }
        });
    }

    /// Takes from all, or from none, what this node may spend alone at a time by Redis' clock.
    pub(super) fn take(&self, asks: &[Ask<'_>], now: u64, nodes: u64) -> Shared {
        let mut alone = SmallVec::<[Alone; 2]>::new();
        for (index, ask) in asks.iter().enumerate() {
            let window = now / window::length(ask.limit);
            let taken = self.with(ask.limit, ask.subject, window, |state| {
                state.roll(window);
                let left = state.left(ask.limit, nodes);
                let rest = left.checked_sub(ask.cost.into())?;
                state.debt += u64::from(ask.cost);
                Some(Alone { left: rest, window: state.window })
            });
            let Ok(taken) = taken else {
                self.put_back(&asks[..index], &alone);
                return Shared::Full;
            };
            let Some(taken) = taken else {
                self.put_back(&asks[..index], &alone);
                let mut stands = self.look(asks, now, nodes);
                stands[index].1 = true; // whatever it has become meanwhile
                return Shared::Short(stands);
            };
            alone.push(taken);
        }
        self.note_debt();
        Shared::Taken(alone)
    }

    fn look(&self, asks: &[Ask<'_>], now: u64, nodes: u64) -> SmallVec<[(Alone, bool); 2]> {
        let stands = asks.iter().map(|ask| {
            let window = now / window::length(ask.limit);
            let left = self.with(ask.limit, ask.subject, window, |state| {
                state.roll(window);
                (state.left(ask.limit, nodes), state.window)
            });
            let (left, window) = left.unwrap_or((0, window));
            (Alone { left, window }, left < u64::from(ask.cost))
        });
        stands.collect()
    }

    fn put_back(&self, asks: &[Ask<'_>], taken: &[Alone]) {
        for (ask, taken) in asks.iter().zip(taken) {
            self.repay((ask.limit.id, ask.subject), taken.window, ask.cost.into());
        }
    }

    /// Takes off a debt of a window what needs no paying any more. Says how much that was.
    pub(super) fn repay(&self, key: Key, window: u64, cost: u64) -> u64 {
        self.changed(&key, window, |state| {
            let repaid = cost.min(state.debt);
            state.debt -= repaid;
            repaid
        })
    }

    /// Takes off what was counted there for this node and given back.
    pub(super) fn given_back(&self, key: Key, window: u64, cost: u64) {
        self.changed(&key, window, |state| {
            state.counted = state.counted.saturating_sub(cost);
            state.used = state.used.saturating_sub(cost);
            0
        });
    }

    /// Charges what could not be told to Redis.
    pub(super) fn owe(&self, limit: &LimitSpec, subject: u128, now: u64, cost: u64) {
        let window = now / window::length(limit);
        let owed = self.with(limit, subject, window, |state| {
            state.roll(window);
            state.debt += cost;
        });
        if owed.is_ok() {
            self.note_debt();
        }
    }

    /// Forgets what was spent.
    pub(super) fn reset(&self, key: Key) {
        let guard = self.table.guard();
        if let Some(entry) = self.table.get(&key, &guard) {
            let mut state = entry.0.lock();
            (state.counted, state.debt, state.used) = (0, 0, 0);
        }
    }

    /// Whether anything may be owed since this was asked last.
    pub(super) fn owes(&self) -> bool {
        self.owing.swap(false, Ordering::AcqRel)
    }

    /// The counters with a debt. Walks over all of them.
    pub(super) fn debtors(&self) -> Vec<Debtor> {
        let guard = self.table.guard();
        self.table.all(&guard).filter_map(|(key, entry)| entry.0.lock().debtor(*key)).collect()
    }

    fn note_debt(&self) {
        // Looked at first, as this is one word for all workers.
        if !self.owing.load(Ordering::Acquire) {
            self.owing.store(true, Ordering::Release);
        }
    }

    /// The debt of a counter, which counts as paid unless it is dropped unpaid.
    pub(super) fn debt(&self, debtor: Debtor) -> Option<Debt<'_>> {
        let guard = self.table.guard();
        let mut state = self.table.get(&debtor.key, &guard)?.0.lock();
        let cost = std::mem::take(&mut state.debt);
        state.counted += cost;
        (cost > 0).then_some(Debt { window: state.window, cost, debtor, known: self, paid: false })
    }

    /// Changes a counter, if there is one and its window is this.
    fn changed(&self, key: &Key, window: u64, change: impl FnOnce(&mut State) -> u64) -> u64 {
        let guard = self.table.guard();
        let Some(entry) = self.table.get(key, &guard) else { return 0 };
        let mut state = entry.0.lock();
        if state.window == window { change(&mut state) } else { 0 }
    }

    /// Changes a counter, made with this window if need be.
    fn with<R>(
        &self,
        limit: &LimitSpec,
        subject: u128,
        window: u64,
        change: impl FnOnce(&mut State) -> R,
    ) -> Result<R, Full> {
        let (key, length, guard) = ((limit.id, subject), window::length(limit), self.table.guard());
        loop {
            let entry = self.table.slot(key, || Entry::new(length, window), &guard)?;
            let mut state = entry.0.lock();
            if state.gone {
                drop(state);
                self.table.bury(&key, &guard);
                continue;
            }
            return Ok(change(&mut state));
        }
    }
}

impl Debt<'_> {
    pub(super) fn paid(mut self) {
        self.paid = true;
    }
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        if self.paid {
            return;
        }
        self.known.changed(&self.debtor.key, self.window, |state| {
            state.counted = state.counted.saturating_sub(self.cost);
            state.debt += self.cost;
            0
        });
        self.known.note_debt();
    }
}

impl Entry {
    fn new(length: u64, window: u64) -> Self {
        Entry(Mutex::new(State { length, window, counted: 0, debt: 0, used: 0, gone: false }))
    }
}

impl State {
    fn forward(&mut self, window: u64) {
        if window > self.window {
            (self.window, self.counted, self.debt, self.used) = (window, 0, 0, 0);
        }
    }

    /// As a counter is rolled by `window.rs`; but Redis' time is only guessed here, so that a little ahead says nothing.
    fn roll(&mut self, window: u64) {
        self.forward(window);
        let ahead = self.window - window;
        if ahead > 1 && ahead.saturating_mul(self.length) > GUESS {
            self.window = window;
        }
    }

    fn debtor(&self, key: Key) -> Option<Debtor> {
        (self.debt > 0 && !self.gone).then_some(Debtor { key, length: self.length })
    }

    fn left(&self, limit: &LimitSpec, nodes: u64) -> u64 {
        let share = (limit.limit / nodes.max(1)).max(1).min(limit.limit);
        let here = share.saturating_sub(self.counted.saturating_add(self.debt));
        let everywhere = limit.limit.saturating_sub(self.used.saturating_add(self.debt));
        here.min(everywhere)
    }
}

impl Slot for Entry {
    fn retire(&self, now: u64) -> bool {
        let mut state = self.0.lock();
        let window = now / state.length;
        if window > state.window {
            state.gone = true;
        } else {
            state.roll(window);
        }
        state.gone
    }

    fn is_gone(&self) -> bool {
        self.0.lock().gone
    }
}
