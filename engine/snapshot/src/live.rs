//! Where a node publishes its newest snapshot.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::Snapshot;

/// The newest snapshot. Workers keep their own reference and renew it when [`Live::version`] moves, so that a request
/// touches nothing shared.
pub struct Live {
    newest: ArcSwap<Snapshot>,
    version: AtomicU64,
    /// Former snapshots that a worker may still hold: freed by [`Live::collect`], never by a request.
    retired: Mutex<Vec<Arc<Snapshot>>>,
}

impl Live {
    /// Starts with a snapshot.
    pub fn new(first: Arc<Snapshot>) -> Self {
        Live { newest: ArcSwap::new(first), version: AtomicU64::new(1), retired: Mutex::default() }
    }

    /// The newest.
    pub fn current(&self) -> Arc<Snapshot> {
        self.newest.load_full()
    }

    /// Moves with each [`Live::publish`].
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Makes this the newest.
    pub fn publish(&self, next: Arc<Snapshot>) {
        let former = self.newest.swap(next);
        self.version.fetch_add(1, Ordering::Release);
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).push(former);
        self.collect();
    }

    /// Frees the former snapshots that nobody holds any more; tells how many are still held. For the thread that publishes.
    pub fn collect(&self) -> usize {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let (free, held): (Vec<_>, Vec<_>) = retired.drain(..).partition(|snapshot| Arc::strong_count(snapshot) == 1);
        *retired = held;
        let left = retired.len();
        drop(retired);
        drop(free);
        left
    }
}
