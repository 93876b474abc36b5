//! Keeps the configuration: a log of revisions, and the documents they amount to.
//!
//! Revisions are given out by one row, the head, whose lock a writer holds to its commit; so they become visible in
//! order and without gaps, and `where revision > $last` misses none. A writer says which revision it judged on; if
//! that is no longer the head, nothing is written and it judges again.
//!
//! Invariant: [`Store::append`] and [`LockedHead::append`] are the only ways to write configuration, and they write the log.
//!
//! Boundary: SQL lives here and nowhere else. Two engines, one set of statements: Postgres for a cluster, SQLite for
//! one process; what differs is in `session` and in how each is opened. Loss of the database: reads of the
//! configuration do not come here, writes fail with [`StoreError::Unavailable`] within two seconds, and all works
//! again when it is back.

mod error;
mod measured;
mod migrations;
mod postgres;
mod session;
mod sql;
mod sqlite;
mod statements;
mod types;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use tidegate_model::Id;
use tokio::sync::watch;

pub use error::{Source, StoreError};
pub use measured::{Measured, OPERATIONS, StoreFigures};
pub use types::{
    Append, Appended, Chain, Change, Content, Head, InvalidChain, Loaded, LogEntry, NodePosition, StoredDocument,
};

/// Opens a database by its address, `postgres://...` or `sqlite:///path`, and brings its tables up to date.
///
/// The first to open an empty one makes it a log with an epoch of its own.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(postgres::open(url).await?)),
        Some(("sqlite", _)) => Ok(Arc::new(sqlite::open(url).await?)),
        _ => Err(StoreError::Address("it starts with neither `postgres://` nor `sqlite://`".into())),
    }
}

/// Where the configuration is kept, and what the replicas of a control plane share beside it.
///
/// Every future may be dropped at any point; what it began is then undone, but for an append that was being committed.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The head and all resources, as one moment saw them.
    async fn load(&self) -> Result<Loaded, StoreError>;

    /// The entries after a revision, oldest first, at most `limit`. Fewer than that means: there are no more now.
    async fn since(&self, after: u64, limit: u32) -> Result<Vec<LogEntry>, StoreError>;

    /// Makes a revision out of changes, all or nothing, if the head still is at `entry.expected`. When this answers
    /// [`Appended::Done`], the revision survives the loss of power.
    ///
    /// A failed append may have been made all the same, if the answer to its commit was lost; giving it again with the same
    /// change id tells.
    async fn append(&self, entry: Append<'_>) -> Result<Appended, StoreError>;

    /// Takes the head, so that no other writer can be faster: for a writer that was stale too often. Waits up to 5
    /// seconds for others, then [`StoreError::Busy`].
    async fn lock_head(&self) -> Result<Box<dyn LockedHead>, StoreError>;

    /// One revision, if it was made.
    async fn entry(&self, revision: u64) -> Result<Option<LogEntry>, StoreError>;

    /// The entries before a revision, or the last ones; newest first, at most `limit`.
    async fn entries_before(&self, before: Option<u64>, limit: u32) -> Result<Vec<LogEntry>, StoreError>;

    /// The revision that a change id made, if it did.
    async fn revision_of_change(&self, change_id: &str) -> Result<Option<u64>, StoreError>;

    /// A counter that moves when the log may have grown, here or in another replica: within milliseconds as a rule, 2
    /// seconds after it at the latest. A new receiver is marked as changed, so that the first look is not left out.
    fn wakeups(&self) -> watch::Receiver<u64>;

    /// Writes where nodes are.
    async fn put_positions(&self, positions: &[NodePosition]) -> Result<(), StoreError>;

    /// Where all nodes are that were ever written, by id.
    async fn positions(&self) -> Result<Vec<NodePosition>, StoreError>;

    /// Notes the hours in which credentials were used; the latest stays. Forgets those of credentials that are gone.
    async fn note_uses(&self, uses: &[(Id, u32)]) -> Result<(), StoreError>;

    /// The hours in which these credentials were used last, as far as is known.
    async fn uses(&self, credentials: &[Id]) -> Result<HashMap<Id, u32>, StoreError>;

    /// Settles a fact of the cluster: the first writer wins, and all, also the losers, read what it wrote.
    async fn insert_once(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// A fact of the cluster, if it is settled.
    async fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Ends what runs in the background and closes the connections. All calls fail from then on.
    async fn close(&self);
}

/// The head, held against other writers. Dropped, it is let go with nothing written.
#[async_trait]
pub trait LockedHead: Send {
    /// Where the head is, and stays. All revisions up to it can be read with [`Store::since`].
    fn revision(&self) -> u64;

    /// Makes the next revision and lets go. Stale only if `entry.expected` is not [`LockedHead::revision`].
    async fn append(self: Box<Self>, entry: Append<'_>) -> Result<Appended, StoreError>;

    /// Lets go with nothing written; cheaper than a drop, which costs the connection.
    async fn release(self: Box<Self>);
}
