//! A bounded map of counters: read without locks, grown by requests, shrunk by a sweep.
//!
//! Invariant: a slot that has been retired is never counted in again. Whoever still holds one sees that it is gone and asks
//! the map for another; so nothing that was taken is lost with a slot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use papaya::{HashMap, LocalGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A limit's id and who is counted.
pub(super) type Key = (u128, u128);

/// At least this long between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// A sweep that was asked for comes no sooner than this after the last.
const SWEEP_AGAIN: Duration = Duration::from_millis(100);
/// A sweep may take one part in so many of the time.
const SWEEP_SHARE: u32 = 20;

/// A counter in a table.
pub(super) trait Slot: Send + Sync + 'static {
    /// Ends the slot if it says nothing any more about a window that is still open. `true` once it is gone, for good.
    fn retire(&self, now: u64) -> bool;
    /// Whether it has ended.
    fn is_gone(&self) -> bool;
}

/// The table has no room for another counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

pub(super) struct Table<S> {
    map: HashMap<Key, S, RandomState>,
    counters_max: usize,
    refused: AtomicU64,
    dropped: AtomicU64,
    /// Told when there was no room.
    crowded: Notify,
}

impl<S: Slot> Table<S> {
    pub(super) fn new(counters_max: usize) -> Self {
        Table {
            map: HashMap::with_hasher(RandomState::default()),
            counters_max,
            refused: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            crowded: Notify::new(),
        }
    }

    /// Keeps what is found from being freed while it is looked at.
    pub(super) fn guard(&self) -> LocalGuard<'_> {
        self.map.guard()
    }

    pub(super) fn get<'g>(&'g self, key: &Key, guard: &'g LocalGuard<'_>) -> Option<&'g S> {
        self.map.get(key, guard)
    }

    /// The slot of a key, made if need be.
    pub(super) fn slot<'g>(
        &'g self,
        key: Key,
        make: impl FnOnce() -> S,
        guard: &'g LocalGuard<'_>,
    ) -> Result<&'g S, Full> {
        if let Some(slot) = self.map.get(&key, guard) {
            return Ok(slot);
        }
        if self.map.len() >= self.counters_max {
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.crowded.notify_one();
            return Err(Full);
        }
        Ok(self.map.get_or_insert_with(key, make, guard))
    }

    /// Takes a slot that is gone out of the map, so that the next who asks gets a new one.
    pub(super) fn bury(&self, key: &Key, guard: &LocalGuard<'_>) {
        if matches!(self.map.remove_if(key, |_, slot| slot.is_gone(), guard), Ok(Some(_))) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Drops the counters of windows that have ended.
    ///
    /// It also ends the growing of the map. That is spread over the requests that add to it, so that none of them waits for a
    /// million counters to be moved; but until it has ended, looking one up takes longer (0.1 µs becomes 2 at a million).
    pub(super) fn sweep(&self, now: u64) {
        let guard = self.map.guard();
        for (key, slot) in self.map.iter(&guard) {
            if slot.retire(now) {
                self.bury(key, &guard);
            }
        }
    }

    /// Sweeps every second, sooner when there is no room, and never more than a twentieth of the time.
    /// Off the runtime's threads: a million counters take a while.
    pub(super) async fn keep_swept(self: Arc<Self>, now: impl Fn() -> u64, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.crowded.notified() => {}
                () = tokio::time::sleep(SWEEP_EVERY) => {}
            }
            let began = Instant::now();
            let (table, now) = (self.clone(), now());
            if tokio::task::spawn_blocking(move || table.sweep(now)).await.is_err() {
                return;
            }
            let pause = (began.elapsed() * SWEEP_SHARE).max(SWEEP_AGAIN);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    pub(super) fn all<'g>(&'g self, guard: &'g LocalGuard<'_>) -> impl Iterator<Item = (&'g Key, &'g S)> {
        self.map.iter(guard)
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// How often there was no room.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
