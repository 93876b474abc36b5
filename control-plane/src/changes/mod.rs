//! The one door for changes: judges a set on the state at hand, writes it to the log, and keeps the fold of the log.
//!
//! Entry points: [`Changes::commit`] to change something, [`Changes::current`] to read, [`Changes::subscribe`] and
//! [`Changes::ring`] to follow.
//!
//! Invariant: what is published is a committed revision, each after the one before it; never a part of one.
//!
//! Without the store, reads go on from memory and changes fail; when it is back, the log is followed from where it was left.

mod apply;
mod error;
mod figures;
mod fold;
mod follow;
mod ring;
mod set;
mod streamed;

pub use apply::{Effect, visit_all_secrets};
pub use error::{ChangeError, Conflict};
pub use fold::Folded;
pub use ring::{Bounds, Ring, RingEntry};
pub use set::{Actor, ChangeSet, Expected, ITEMS_MAX, Item, Wish, is_named};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::Utc;
use parking_lot::{RwLock, RwLockReadGuard};
use tidegate_model::{Class, Id, Instant, Kind, Problem, Reference, Resource, Spec};
use tidegate_policy::Registry;
use tidegate_snapshot::Snapshot;
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use crate::store::{self, Append, Appended, Content, LockedHead, LogEntry, Store, StoreError};
use crate::vault::DataKey;
use apply::{Given, Plan, apply};
use figures::Figures;

/// How often a set is judged anew before it is given up.
const ROUNDS_MAX: u32 = 8;
/// After so many times that another writer was faster, the head is taken first.
const ROUNDS_FREE: u32 = 3;
/// How many may wait for their turn.
const WAITING_MAX: u64 = 512;
/// How long one may wait for its turn.
const TURN_MAX: Duration = Duration::from_secs(5);

/// The changes of one replica, and what they add up to. A handle: clones are the same.
#[derive(Clone)]
pub struct Changes(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    registry: Registry,
    data_key: Arc<DataKey>,
    published: watch::Sender<Arc<Folded>>,
    ring: RwLock<Ring>,
    /// Held while the fold goes from one revision to the next.
    folding: Mutex<()>,
    /// Held by the one who commits.
    turn: Mutex<()>,
    waiting: AtomicU64,
    store_up: AtomicBool,
    /// Counts commits that found the store away: who came before such a one need not try for itself.
    store_losses: AtomicU64,
    figures: Figures,
}

/// A set that was made.
#[derive(Debug)]
pub struct Committed {
    /// The revision; the current one if there was nothing to change.
    pub revision: u64,
    /// What became of each item.
    pub outcomes: Vec<Outcome>,
    /// The classes that it changed.
    pub classes: Vec<Class>,
    /// Whether it had been made before, under the same change id.
    pub repeated: bool,
}

/// What became of an item.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What happened.
    pub effect: Effect,
    /// The resource as it is then; of a deleted one, as it was.
    pub resource: Arc<Resource>,
}

impl Changes {
    /// Reads the whole configuration from the store.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn load(
        store: Arc<dyn Store>,
        registry: Registry,
        data_key: Arc<DataKey>,
        bounds: Bounds,
    ) -> Result<Changes, StoreError> {
        let registry = registry.with_secrets(data_key.clone());
        let (folded, problems) = Folded::from_loaded(&store.load().await?, registry.clone());
        follow::tell_problems(&folded, &problems);
        let ring = RwLock::new(Ring::new(folded.position, bounds));
        Ok(Changes(Arc::new(Inner {
            store,
            registry,
            data_key,
            published: watch::Sender::new(Arc::new(folded)),
            ring,
            folding: Mutex::new(()),
            turn: Mutex::new(()),
            waiting: AtomicU64::new(0),
            store_up: AtomicBool::new(true),
            store_losses: AtomicU64::new(0),
            figures: Figures::default(),
        })))
    }

    /// The configuration as this replica knows it.
    pub fn current(&self) -> Arc<Folded> {
        self.0.published.borrow().clone()
    }

    /// Each next revision, or a later one.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Folded>> {
        self.0.published.subscribe()
    }

    /// The last entries of the log. It is at least as new as [`Changes::current`]. Not to be held for long.
    pub fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.0.ring.read()
    }

    /// Whether the store answered when it was asked last.
    pub fn store_is_up(&self) -> bool {
        self.0.store_up.load(Ordering::Relaxed)
    }

    /// The policy kinds that configurations are judged with.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Makes a set of changes, all of it in one revision, or nothing of it.
    ///
    /// It is judged on the newest state with the code that nodes run. If another replica was faster, it is judged again.
    ///
    /// # Errors
    /// Why nothing was changed; but see [`ChangeError::StoreUnavailable`].
    pub async fn commit(&self, by: &Actor, set: ChangeSet) -> Result<Committed, ChangeError> {
        let began = tokio::time::Instant::now();
        let done = self.take_turn(by, set).await;
        self.0.figures.note(&done, began.elapsed());
        done
    }

    /// What became of changes so far.
    pub(crate) fn figures(&self) -> &Figures {
        &self.0.figures
    }

    async fn take_turn(&self, by: &Actor, set: ChangeSet) -> Result<Committed, ChangeError> {
        let inner = &*self.0;
        let losses = inner.store_losses.load(Ordering::Acquire);
        let _waiting = Waiting::enter(&inner.waiting).ok_or(ChangeError::Busy)?;
        let _turn = tokio::time::timeout(TURN_MAX, inner.turn.lock()).await.map_err(|_| ChangeError::Busy)?;
        if inner.store_losses.load(Ordering::Acquire) != losses {
            return Err(ChangeError::StoreUnavailable("another change found it away a moment ago".into()));
        }
        let made = inner.commit(by, &set).await;
        inner.note_store(&made);
        made
    }
}

impl Inner {
    async fn commit(&self, by: &Actor, set: &ChangeSet) -> Result<Committed, ChangeError> {
        if let Some(id) = &set.change_id
            && let Some(revision) = self.store.revision_of_change(id).await?
        {
            return self.repeated(set, revision).await;
        }
        let ids: Vec<Id> = set.items.iter().map(|_| Id::new(Uuid::now_v7())).collect();
        let change_id = set.change_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
        for round in 0..ROUNDS_MAX {
            let head = match round {
                0..ROUNDS_FREE => None,
                _ => Some(self.take_head().await?),
            };
            let now = self.published.borrow().clone();
            let (draft, head) = match self.draft(&now, by, set, &ids, &change_id) {
                Ok(draft) if !draft.changes.is_empty() => (draft, head),
                other => {
                    if let Some(head) = head {
                        head.release().await;
                    }
                    return other.map(|draft| draft.made(&now, now.revision()));
                }
            };
            let appended = match head {
                None => self.store.append(draft.append()).await,
                Some(head) => head.append(draft.append()).await,
            };
            match appended {
                Ok(Appended::Done(revision)) => {
                    let committed = draft.made(&now, revision);
                    self.install(draft.next, draft.changes, draft.entry).await;
                    return Ok(committed);
                }
                Ok(Appended::Repeated(revision)) => return self.repeated(set, revision).await,
                // the name went to another writer's resource, which is not folded in yet
                Ok(Appended::Stale) | Err(StoreError::NameTaken { .. }) => self.catch_up().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(ChangeError::Busy)
    }

    /// Keeps other writers off, and folds in what they wrote before.
    async fn take_head(&self) -> Result<Box<dyn LockedHead>, ChangeError> {
        let head = self.store.lock_head().await?;
        let caught_up = self.catch_up().await;
        let now = self.published.borrow().revision();
        if let Err(error) = caught_up {
            head.release().await;
            return Err(error.into());
        }
        if now != head.revision() {
            // the log is not the one that was followed: it lost commits, or was put back from a backup
            head.release().await;
            self.reload("the log is behind what was read of it").await?;
            return Ok(self.store.lock_head().await?);
        }
        Ok(head)
    }

    /// Judges a set on a state: what would be written, and the state after it.
    fn draft(
        &self,
        now: &Folded,
        by: &Actor,
        set: &ChangeSet,
        ids: &[Id],
        change_id: &str,
    ) -> Result<Draft, ChangeError> {
        let at = Utc::now().timestamp_millis();
        let given = Given {
            ids,
            revision: now.revision() + 1,
            at: Instant::from_millis(at),
            registry: &self.registry,
            seal: &|plain| self.stored_secret(plain),
        };
        let Plan { changes, effects } = apply(now.config(), set, &given)?;
        if changes.is_empty() {
            let entry = LogEntry { revision: now.revision(), ..empty_entry() };
            return Ok(Draft { changes, effects, entry, next: now.clone(), kinds: kinds(set) });
        }
        let snapshot = now.judge(&changes).map_err(|found| ChangeError::Invalid(placed(found, set, &effects)))?;
        let entry = LogEntry {
            revision: now.revision() + 1,
            chain: store::Chain(now.next_chain(&changes).0),
            change_id: change_id.to_owned(),
            actor: by.name.clone(),
            address: by.address.clone(),
            request_id: by.request_id.clone(),
            message: set.message.clone(),
            at,
            changes: changes.iter().map(|change| logged(now, &snapshot, change)).collect(),
        };
        let next = now.next(snapshot, &changes);
        Ok(Draft { changes, effects, entry, next, kinds: kinds(set) })
    }

    fn stored_secret(&self, plain: &str) -> String {
        match plain.parse() {
            Ok(tidegate_model::Secret::Plain(plain)) => self.data_key.seal_secret(&plain),
            // references, what is sealed already, and what the schema will refuse
            _ => plain.to_owned(),
        }
    }

    /// Answers as the first time.
    async fn repeated(&self, set: &ChangeSet, revision: u64) -> Result<Committed, ChangeError> {
        let entry = self.store.entry(revision).await?.ok_or_else(|| {
            StoreError::Corrupt(format!("revision {revision} is not there, though a change id leads to it"))
        })?;
        if self.published.borrow().revision() < revision {
            self.catch_up().await?;
        }
        let now = self.published.borrow().clone();
        let outcomes = set.items.iter().map(|item| outcome_in(&entry, item, &now)).collect::<Option<Vec<_>>>();
        let outcomes = outcomes.ok_or(Conflict::ChangeIdUsed(revision))?;
        let classes = classes(entry.changes.iter().map(|change| change.kind));
        Ok(Committed { revision, outcomes, classes, repeated: true })
    }

    fn note_store<T>(&self, made: &Result<T, ChangeError>) {
        match made {
            Err(ChangeError::StoreUnavailable(_)) => {
                self.store_losses.fetch_add(1, Ordering::AcqRel);
                self.store_up.store(false, Ordering::Relaxed);
            }
            // judged in memory: says nothing of the store
            Err(_) => {}
            Ok(_) => self.store_up.store(true, Ordering::Relaxed),
        }
    }
}

/// A set, judged, and the state after it.
struct Draft {
    changes: Vec<tidegate_model::Change>,
    effects: Vec<(Id, Effect)>,
    kinds: Vec<Kind>,
    entry: LogEntry,
    next: Folded,
}

impl Draft {
    fn append(&self) -> Append<'_> {
        let entry = &self.entry;
        Append {
            expected: entry.revision - 1,
            chain: entry.chain,
            change_id: &entry.change_id,
            actor: &entry.actor,
            address: entry.address.as_deref(),
            request_id: entry.request_id.as_deref(),
            message: entry.message.as_deref(),
            at: entry.at,
            changes: &entry.changes,
        }
    }

    fn made(&self, before: &Folded, revision: u64) -> Committed {
        let outcome = |(kind, (id, effect)): (&Kind, &(Id, Effect))| {
            let at = if *effect == Effect::Deleted { before } else { &self.next };
            let resource = at.config().get(*kind, *id).expect("the plan was made of these two states");
            Outcome { effect: *effect, resource: resource.clone() }
        };
        let outcomes = self.kinds.iter().zip(&self.effects).map(outcome).collect();
        let classes = classes(self.changes.iter().map(|change| change.kind));
        Committed { revision, outcomes, classes, repeated: false }
    }
}

fn classes(kinds: impl Iterator<Item = Kind>) -> Vec<Class> {
    let mut classes: Vec<Class> = kinds.map(Kind::class).collect();
    classes.sort_unstable();
    classes.dedup();
    classes
}

fn kinds(set: &ChangeSet) -> Vec<Kind> {
    set.items.iter().map(|item| item.kind).collect()
}

fn empty_entry() -> LogEntry {
    LogEntry {
        revision: 0,
        chain: store::Chain::START,
        change_id: String::new(),
        actor: String::new(),
        address: None,
        request_id: None,
        message: None,
        at: 0,
        changes: Vec::new(),
    }
}

/// A change as the log keeps it: what was, and what is from then on.
fn logged(now: &Folded, next: &Snapshot, change: &tidegate_model::Change) -> store::Change {
    let content =
        |resource: &Arc<Resource>| Content { name: resource.name.clone(), document: resource.document.to_string() };
    store::Change {
        kind: change.kind,
        id: change.id,
        before: now.config().get(change.kind, change.id).map(content),
        after: next.config().get(change.kind, change.id).map(content),
    }
}

/// Says of problems where in the set they are; those of other resources name them.
fn placed(problems: Vec<Problem>, set: &ChangeSet, effects: &[(Id, Effect)]) -> Vec<Problem> {
    let place = |mut problem: Problem| {
        let Some(subject) = problem.resource.clone() else { return problem };
        let item = set.items.iter().zip(effects).position(|(i, (id, _))| i.kind == subject.kind && *id == subject.id);
        match item {
            Some(index) => {
                problem.resource = None;
                if set.items.len() > 1 {
                    problem.pointer = format!("/changes/{index}{}", problem.pointer);
                }
            }
            None => {
                problem.detail = problem.to_string();
                problem.pointer = String::new();
            }
        }
        problem
    };
    problems.into_iter().map(place).collect()
}

/// What an entry of the log did for an item of the set that it was made of; nothing if it was made of another.
fn outcome_in(entry: &LogEntry, item: &Item, now: &Folded) -> Option<Outcome> {
    let name_in = |wish: &serde_json::Value| wish.get("name").and_then(|name| set::read_name(name).ok());
    let name_of = |content: &Option<Content>| content.as_ref().and_then(|content| content.name.clone());
    let change = entry.changes.iter().find(|change| {
        let (before, after) = (name_of(&change.before), name_of(&change.after));
        change.kind == item.kind
            && match &item.wish {
                Wish::Create(document) => {
                    change.before.is_none() && after == name_in(document) && same_hash(document, change)
                }
                Wish::Put(Reference::Name(name), _) => after.as_ref() == Some(name),
                Wish::Patch(Reference::Name(name), _) => change.after.is_some() && before.as_ref() == Some(name),
                Wish::Delete(Reference::Name(name)) => change.after.is_none() && before.as_ref() == Some(name),
                Wish::Put(Reference::Id(id), _) | Wish::Patch(Reference::Id(id), _) => {
                    change.after.is_some() && change.id == *id
                }
                Wish::Delete(Reference::Id(id)) => change.after.is_none() && change.id == *id,
            }
    })?;
    let effect = match (&change.before, &change.after) {
        (None, _) => Effect::Created,
        (Some(_), Some(_)) => Effect::Updated,
        (Some(_), None) => Effect::Deleted,
    };
    let content = change.after.as_ref().or(change.before.as_ref())?;
    let document: serde_json::Value = serde_json::from_str(&content.document).ok()?;
    let at = Instant::from_millis(entry.at);
    let resource = Resource {
        id: change.id,
        name: content.name.clone(),
        revision: entry.revision,
        created_at: now.config().get(change.kind, change.id).map_or(at, |resource| resource.created_at),
        updated_at: at,
        document: content.document.as_str().into(),
        spec: Spec::decode(change.kind, &document).ok()?,
    };
    Some(Outcome { effect, resource: Arc::new(resource) })
}

/// Whether what has no name is the same credential or token.
fn same_hash(wish: &serde_json::Value, change: &store::Change) -> bool {
    const FIELDS: [&str; 4] = ["key_hash", "token_hash", "username", "password_hash"];
    let Some(after) = &change.after else { return false };
    // of a thousand keys all but one are told apart without being read
    let hash = FIELDS.iter().filter(|field| field.ends_with("_hash")).find_map(|field| wish.get(field)?.as_str());
    if hash.is_some_and(|hash| !after.document.contains(hash)) {
        return false;
    }
    let made: serde_json::Value = serde_json::from_str(&after.document).unwrap_or_default();
    FIELDS.into_iter().all(|field| wish.get(field) == made.get(field))
}

/// One of those who wait for their turn.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicU64) -> Option<Waiting<'a>> {
        let before = count.fetch_add(1, Ordering::AcqRel);
        let entered = Waiting(count);
        (before < WAITING_MAX).then_some(entered)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
