//! A store that tells how long it took, and how often it failed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use tidegate_model::Id;
use tidegate_telemetry::buckets::Histogram;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Append, Appended, Loaded, LockedHead, LogEntry, NodePosition, Store, StoreError};

/// What calls are told apart by.
pub const OPERATIONS: [&str; 3] = ["append", "read", "positions"];

#[derive(Clone, Copy)]
enum Operation {
    Append,
    Read,
    Positions,
}

/// How long calls took and how many failed, in the order of [`OPERATIONS`].
#[derive(Debug, Default)]
pub struct StoreFigures {
    /// How long they took.
    pub time: [Histogram; OPERATIONS.len()],
    /// How many failed: the database did not answer, or refused.
    pub errors: [AtomicU64; OPERATIONS.len()],
}

impl StoreFigures {
    async fn of<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let done = call.await;
        self.time[operation as usize].observe(began.elapsed());
        // a name that is taken is an answer
        if done.as_ref().is_err_and(|error| !matches!(error, StoreError::NameTaken { .. })) {
            self.errors[operation as usize].fetch_add(1, Ordering::Relaxed);
        }
        done
    }
}

/// A store whose calls are measured.
pub struct Measured {
    store: Arc<dyn Store>,
    figures: Arc<StoreFigures>,
}

impl Measured {
    /// Measures the calls of this one.
    pub fn of(store: Arc<dyn Store>) -> (Arc<dyn Store>, Arc<StoreFigures>) {
        let figures = Arc::<StoreFigures>::default();
        (Arc::new(Measured { store, figures: figures.clone() }), figures)
    }
}

#[async_trait]
impl Store for Measured {
    async fn load(&self) -> Result<Loaded, StoreError> {
        self.figures.of(Operation::Read, self.store.load()).await
    }

    async fn since(&self, after: u64, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        self.figures.of(Operation::Read, self.store.since(after, limit)).await
    }

    async fn append(&self, entry: Append<'_>) -> Result<Appended, StoreError> {
        self.figures.of(Operation::Append, self.store.append(entry)).await
    }

    async fn lock_head(&self) -> Result<Box<dyn LockedHead>, StoreError> {
        self.figures.of(Operation::Append, self.store.lock_head()).await
    }

    async fn entry(&self, revision: u64) -> Result<Option<LogEntry>, StoreError> {
        self.figures.of(Operation::Read, self.store.entry(revision)).await
    }

    async fn entries_before(&self, before: Option<u64>, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        self.figures.of(Operation::Read, self.store.entries_before(before, limit)).await
    }

    async fn revision_of_change(&self, change_id: &str) -> Result<Option<u64>, StoreError> {
        self.figures.of(Operation::Read, self.store.revision_of_change(change_id)).await
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.store.wakeups()
    }

    async fn put_positions(&self, positions: &[NodePosition]) -> Result<(), StoreError> {
        self.figures.of(Operation::Positions, self.store.put_positions(positions)).await
    }

    async fn positions(&self) -> Result<Vec<NodePosition>, StoreError> {
        self.figures.of(Operation::Positions, self.store.positions()).await
    }

    async fn note_uses(&self, uses: &[(Id, u32)]) -> Result<(), StoreError> {
        self.store.note_uses(uses).await
    }

    async fn uses(&self, credentials: &[Id]) -> Result<HashMap<Id, u32>, StoreError> {
        self.figures.of(Operation::Read, self.store.uses(credentials)).await
    }

    async fn insert_once(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.store.insert_once(name, value).await
    }

    async fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.fact(name).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
