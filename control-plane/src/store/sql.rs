//! The store over SQL, the same for both engines.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tidegate_model::Id;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::error::StoreError;
use super::session::{Failure, Pool, Session};
use super::statements;
use super::types::{Append, Appended, Chain, Change, Head, Loaded, LogEntry, NodePosition};
use super::{LockedHead, Store};

/// How long a writer waits for other writers.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Which writes exclude each other within this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Writes {
    /// All: the engine has one writer.
    OneByOne,
    /// Those of the log only.
    Together,
}

/// How a writer takes the lock of the head.
#[derive(Clone, Copy)]
enum Take {
    /// By moving it on from this revision, to this chain: if it is there.
    Advance(u64, Chain),
    /// Wherever it is.
    AsItIs,
}

impl Take {
    async fn run(self, session: &mut Session) -> Result<bool, Failure> {
        match self {
            Take::Advance(expected, chain) => statements::advance_head(session, expected, chain).await,
            Take::AsItIs => statements::touch_head(session).await.map(|()| true),
        }
    }
}

pub(super) struct SqlStore {
    readers: Pool,
    writers: Pool,
    writes: Writes,
    turn: Arc<Semaphore>,
    /// When a writer last found the database gone.
    lost_at: Mutex<Option<Instant>>,
    wake: watch::Sender<u64>,
    follower: Option<JoinHandle<()>>,
}

impl SqlStore {
    /// Takes over a database whose tables are there; makes it a log, if it is none yet.
    pub(super) async fn new(readers: Pool, writers: Pool, writes: Writes) -> Result<Self, StoreError> {
        let start = Head { epoch: Uuid::now_v7(), revision: 0, chain: Chain::START };
        statements::insert_head(&mut writers.session().await?, &start).await?;
        let turn = Arc::new(Semaphore::new(1));
        let (lost_at, wake) = (Mutex::new(None), watch::Sender::new(0));
        Ok(SqlStore { readers, writers, writes, turn, lost_at, wake, follower: None })
    }

    pub(super) fn wake(&self) -> watch::Sender<u64> {
        self.wake.clone()
    }

    /// Owns the task that watches for other replicas.
    pub(super) fn follow(&mut self, task: JoinHandle<()>) {
        self.follower = Some(task);
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        match timeout(LOCK_WAIT, self.turn.clone().acquire_owned()).await {
            Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
            Err(_) => Err(StoreError::Busy),
        }
    }

    /// A turn for a write beside the log, where the engine wants one.
    async fn turn_beside(&self) -> Result<Option<OwnedSemaphorePermit>, StoreError> {
        match self.writes {
            Writes::OneByOne => self.turn().await.map(Some),
            Writes::Together => Ok(None),
        }
    }

    /// A write transaction that holds the head's lock, and whether the head was as wanted when it was taken.
    async fn begin(&self, take: Take) -> Result<(Transaction, bool), StoreError> {
        let began = Instant::now();
        let turn = self.turn().await?;
        // Whoever had the turn before waited for the database long enough for all in the queue.
        if self.lost_at.lock().is_some_and(|lost_at| lost_at > began) {
            return Err(StoreError::Unavailable("another writer just found it gone".into()));
        }
        let begun = self.begin_in_turn(take, turn, began + LOCK_WAIT).await;
        if let Err(StoreError::Unavailable(_)) = &begun {
            *self.lost_at.lock() = Some(Instant::now());
        }
        begun
    }

    async fn begin_in_turn(
        &self,
        take: Take,
        turn: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<(Transaction, bool), StoreError> {
        loop {
            let mut session = self.writers.session().await?;
            session.begin_write().await?;
            match take.run(&mut session).await {
                Ok(taken) => return Ok((Transaction { session, wake: self.wake.clone(), _turn: turn }, taken)),
                Err(failure) => {
                    session.rollback().await;
                    if !failure.is_lock_wait() {
                        return Err(failure.into());
                    }
                }
            }
            if Instant::now() >= deadline {
                return Err(StoreError::Busy);
            }
        }
    }

    /// Entries with their changes.
    async fn filled(session: &mut Session, mut entries: Vec<LogEntry>) -> Result<Vec<LogEntry>, StoreError> {
        let revisions = || entries.iter().map(|entry| entry.revision);
        let (Some(from), Some(to)) = (revisions().min(), revisions().max()) else { return Ok(entries) };
        let mut changes = statements::changes(session, from, to).await?;
        for entry in &mut entries {
            entry.changes = changes.remove(&entry.revision).unwrap_or_default();
        }
        Ok(entries)
    }
}

impl Drop for SqlStore {
    fn drop(&mut self) {
        if let Some(follower) = &self.follower {
            follower.abort();
        }
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn load(&self) -> Result<Loaded, StoreError> {
        let mut session = self.readers.session().await?;
        session.begin_read().await?;
        let head = statements::head(&mut session).await?;
        let documents = statements::resources(&mut session).await?;
        session.commit().await?;
        Ok(Loaded { head, documents })
    }

    async fn since(&self, after: u64, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        let mut session = self.readers.session().await?;
        let entries = statements::revisions_after(&mut session, after, limit).await?;
        Self::filled(&mut session, entries).await
    }

    async fn append(&self, entry: Append<'_>) -> Result<Appended, StoreError> {
        let (transaction, advanced) = self.begin(Take::Advance(entry.expected, entry.chain)).await?;
        if advanced { transaction.write(&entry).await } else { transaction.stale(&entry).await }
    }

    async fn lock_head(&self) -> Result<Box<dyn LockedHead>, StoreError> {
        let (mut transaction, _) = self.begin(Take::AsItIs).await?;
        let revision = statements::head(&mut transaction.session).await?.revision;
        Ok(Box::new(Locked { transaction, revision }))
    }

    async fn entry(&self, revision: u64) -> Result<Option<LogEntry>, StoreError> {
        let Some(before) = revision.checked_sub(1) else { return Ok(None) };
        let next = self.since(before, 1).await?.pop();
        Ok(next.filter(|entry| entry.revision == revision))
    }

    async fn entries_before(&self, before: Option<u64>, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        let mut session = self.readers.session().await?;
        let entries = statements::revisions_before(&mut session, before.unwrap_or(u64::MAX), limit).await?;
        Self::filled(&mut session, entries).await
    }

    async fn revision_of_change(&self, change_id: &str) -> Result<Option<u64>, StoreError> {
        statements::revision_of_change(&mut self.readers.session().await?, change_id).await
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        let mut wakeups = self.wake.subscribe();
        wakeups.mark_changed();
        wakeups
    }

    async fn put_positions(&self, positions: &[NodePosition]) -> Result<(), StoreError> {
        let _turn = self.turn_beside().await?;
        let mut session = self.writers.session().await?;
        // Sorted, so that two replicas that write the same nodes never wait for each other in a circle.
        let mut positions: Vec<_> = positions.iter().collect();
        positions.sort_by_key(|position| position.node_id);
        session.begin_write().await?;
        for position in positions {
            if let Err(why) = statements::upsert_position(&mut session, position).await {
                session.rollback().await;
                return Err(why);
            }
        }
        session.commit().await
    }

    async fn positions(&self) -> Result<Vec<NodePosition>, StoreError> {
        statements::positions(&mut self.readers.session().await?).await
    }

    async fn note_uses(&self, uses: &[(Id, u32)]) -> Result<(), StoreError> {
        let _turn = self.turn_beside().await?;
        let mut session = self.writers.session().await?;
        // sorted, as above
        let mut uses = uses.to_vec();
        uses.sort_unstable();
        session.begin_write().await?;
        for (credential, hour) in uses {
            if let Err(why) = statements::upsert_use(&mut session, credential, hour).await {
                session.rollback().await;
                return Err(why);
            }
        }
        if let Err(why) = statements::forget_uses(&mut session).await {
            session.rollback().await;
            return Err(why);
        }
        session.commit().await
    }

    async fn uses(&self, credentials: &[Id]) -> Result<HashMap<Id, u32>, StoreError> {
        let mut session = self.readers.session().await?;
        let mut found = HashMap::new();
        for credential in credentials {
            let hour = statements::hour_of_use(&mut session, *credential).await?;
            found.extend(hour.map(|hour| (*credential, hour)));
        }
        Ok(found)
    }

    async fn insert_once(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let _turn = self.turn_beside().await?;
        let mut session = self.writers.session().await?;
        statements::insert_fact(&mut session, name, value).await?;
        let settled = statements::fact(&mut session, name).await?;
        settled.ok_or_else(|| StoreError::Corrupt(format!("the fact `{name}` is gone")))
    }

    async fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        statements::fact(&mut self.readers.session().await?, name).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        statements::nothing(&mut self.readers.session().await?).await
    }

    async fn close(&self) {
        if let Some(follower) = &self.follower {
            follower.abort();
        }
        self.readers.close().await;
        self.writers.close().await;
    }
}

/// A write transaction that holds the head's lock.
///
/// Every writer takes that lock first; so two never hold something that the other waits for, and whoever holds it sees
/// all there is.
struct Transaction {
    session: Session,
    wake: watch::Sender<u64>,
    _turn: OwnedSemaphorePermit,
}

impl Transaction {
    /// Writes the entry, after the head was advanced for it, and commits.
    async fn write(mut self, entry: &Append<'_>) -> Result<Appended, StoreError> {
        let revision = entry.expected + 1;
        match self.write_log_and_fold(entry, revision).await {
            Ok(true) => {
                self.session.notify().await?;
                self.session.commit().await?;
                self.wake.send_modify(|count| *count += 1);
                Ok(Appended::Done(revision))
            }
            Ok(false) => self.stale(entry).await,
            Err(why) => {
                self.session.rollback().await;
                Err(why)
            }
        }
    }

    /// Whether it was written; not if the change id is known.
    async fn write_log_and_fold(&mut self, entry: &Append<'_>, revision: u64) -> Result<bool, StoreError> {
        let session = &mut self.session;
        if !statements::insert_revision(session, entry).await? {
            return Ok(false);
        }
        for (ordinal, change) in entry.changes.iter().enumerate() {
            statements::insert_change(session, revision, ordinal, change).await?;
        }
        // Names that are given up become free before any is taken, whatever the order of the changes.
        for change in entry.changes {
            give_up_name(session, change).await?;
        }
        for Change { kind, id, before, after } in entry.changes {
            match (before, after) {
                (None, Some(new)) => statements::insert_resource(session, *kind, *id, new, revision, entry.at).await?,
                (Some(_), Some(new)) => {
                    statements::update_resource(session, *kind, *id, new, revision, entry.at).await?
                }
                (_, None) => {}
            }
        }
        Ok(true)
    }

    /// Undoes what there is, and tells why the entry could not be made: it was made before, or judged on an old state.
    async fn stale(mut self, entry: &Append<'_>) -> Result<Appended, StoreError> {
        let made = statements::revision_of_change(&mut self.session, entry.change_id).await;
        self.session.rollback().await;
        Ok(made?.map_or(Appended::Stale, Appended::Repeated))
    }
}

async fn give_up_name(session: &mut Session, change: &Change) -> Result<(), StoreError> {
    match (&change.before, &change.after) {
        (Some(_), None) => statements::delete_resource(session, change.kind, change.id).await,
        (Some(old), Some(new)) if old.name != new.name => statements::clear_name(session, change.kind, change.id).await,
        _ => Ok(()),
    }
}

struct Locked {
    transaction: Transaction,
    revision: u64,
}

#[async_trait]
impl LockedHead for Locked {
    fn revision(&self) -> u64 {
        self.revision
    }

    async fn append(mut self: Box<Self>, entry: Append<'_>) -> Result<Appended, StoreError> {
        let session = &mut self.transaction.session;
        if entry.expected == self.revision && statements::advance_head(session, entry.expected, entry.chain).await? {
            self.transaction.write(&entry).await
        } else {
            self.transaction.stale(&entry).await
        }
    }

    async fn release(self: Box<Self>) {
        self.transaction.session.rollback().await;
    }
}
