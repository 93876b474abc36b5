//! A log in memory, and a table of positions: what the stream needs of the rest of a control plane.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tidegate_control_plane::config_stream::{CommitNodeError, Head, NewNode, Nodes, Source};
use tidegate_control_plane::fleet::{NodePosition, Positions};
use tidegate_model::{Chain, Change, Delta, GatewayConfig, Id, Instant, Kind, Position, State};
use tokio::sync::watch;
use uuid::Uuid;

/// A log that tests write, cut and exchange.
pub(crate) struct MemoryLog {
    inner: Mutex<Inner>,
    moved: watch::Sender<u64>,
    /// Whether the store would answer.
    pub(crate) reachable: AtomicBool,
    pub(crate) confirmations: AtomicU64,
}

#[derive(Clone)]
struct Inner {
    epoch: Uuid,
    /// By revision, from 1 on.
    entries: Vec<(Chain, Vec<Change>)>,
    /// No delta starts before this revision.
    ring_from: u64,
    config: GatewayConfig,
}

impl Inner {
    fn position(&self) -> Position {
        let chain = self.entries.last().map_or(Chain::default(), |(chain, _)| *chain);
        Position { epoch: self.epoch, revision: self.entries.len() as u64, chain }
    }

    fn cut(&mut self, revision: u64) {
        self.entries.truncate(revision as usize);
        self.ring_from = self.ring_from.min(revision);
        self.config = GatewayConfig::new();
        for (_, changes) in &self.entries {
            self.config = self.config.with(changes).expect("each document could be read");
        }
    }
}

impl MemoryLog {
    pub(crate) fn new() -> MemoryLog {
        let inner = Inner { epoch: Uuid::new_v4(), entries: Vec::new(), ring_from: 0, config: GatewayConfig::new() };
        MemoryLog {
            inner: Mutex::new(inner),
            moved: watch::Sender::new(0),
            reachable: AtomicBool::new(true),
            confirmations: AtomicU64::new(0),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.inner.lock().expect("no test panics in here"));
        self.moved.send_modify(|n| *n += 1);
        result
    }

    /// Commits without any check, so that what nodes refuse can be committed too.
    pub(crate) fn commit(&self, changes: Vec<Change>) -> u64 {
        self.change(|inner| {
            let revision = inner.entries.len() as u64 + 1;
            let changes: Vec<Change> = changes.into_iter().map(|change| at_revision(change, revision)).collect();
            inner.config = inner.config.with(&changes).expect("each document can be read");
            let chain = inner.position().chain.next(revision, &changes);
            inner.entries.push((chain, changes));
            revision
        })
    }

    pub(crate) fn put(&self, kind: Kind, id: u128, name: &str, document: &str) -> u64 {
        self.commit(vec![put(kind, id, name, document)])
    }

    pub(crate) fn delete(&self, kind: Kind, id: u128) -> u64 {
        self.commit(vec![Change { kind, id: Id::new(Uuid::from_u128(id)), after: None }])
    }

    pub(crate) fn position(&self) -> Position {
        self.inner.lock().expect("no test panics in here").position()
    }

    pub(crate) fn config(&self) -> GatewayConfig {
        self.inner.lock().expect("no test panics in here").config.clone()
    }

    /// The place of a revision.
    pub(crate) fn at(&self, revision: u64) -> Position {
        let inner = self.inner.lock().expect("no test panics in here");
        let chain = if revision == 0 { Chain::default() } else { inner.entries[revision as usize - 1].0 };
        Position { epoch: inner.epoch, revision, chain }
    }

    /// Deltas from before a revision can't be made any more.
    pub(crate) fn forget_before(&self, revision: u64) {
        self.change(|inner| inner.ring_from = revision);
    }

    /// Loses all after a revision, as a fail-over may.
    pub(crate) fn lose_after(&self, revision: u64) {
        self.change(|inner| inner.cut(revision));
    }

    /// Loses up to so many commits, but none that enrolled a node.
    pub(crate) fn lose_last(&self, commits: u64) {
        self.change(|inner| {
            let enrolled = inner.config.all(Kind::Node).map(|node| node.revision).max().unwrap_or(1);
            inner.cut(inner.position().revision.saturating_sub(commits).max(enrolled));
        });
    }

    /// As after a restore: the same content, another epoch.
    pub(crate) fn renew_epoch(&self) {
        self.change(|inner| inner.epoch = Uuid::new_v4());
    }
}

fn at_revision(change: Change, revision: u64) -> Change {
    Change { after: change.after.map(|state| State { revision, ..state }), ..change }
}

/// A change that makes or replaces a resource.
pub(crate) fn put(kind: Kind, id: u128, name: &str, document: &str) -> Change {
    let at = Instant::from_millis(0);
    let name = (!name.is_empty()).then(|| name.parse().expect("a name"));
    let state = State { name, revision: 0, created_at: at, updated_at: at, document: document.into() };
    Change { kind, id: Id::new(Uuid::from_u128(id)), after: Some(state) }
}

#[tonic::async_trait]
impl Source for MemoryLog {
    fn head(&self) -> Head {
        let inner = self.inner.lock().expect("no test panics in here");
        Head { position: inner.position(), config: inner.config.clone() }
    }

    async fn moved(&self, from: Position) {
        let mut moved = self.moved.subscribe();
        while self.position() == from {
            moved.changed().await.expect("the log outlives its watchers");
        }
    }

    fn chain_at(&self, revision: u64) -> Option<Chain> {
        let inner = self.inner.lock().expect("no test panics in here");
        match revision {
            _ if revision < inner.ring_from => None,
            0 => Some(Chain::default()),
            _ => inner.entries.get(revision as usize - 1).map(|(chain, _)| *chain),
        }
    }

    fn delta(&self, from: u64, to: u64) -> Option<Delta> {
        let inner = self.inner.lock().expect("no test panics in here");
        if from < inner.ring_from || to > inner.entries.len() as u64 {
            return None;
        }
        let mut last: HashMap<(Kind, Id), Change> = HashMap::new();
        for (_, changes) in &inner.entries[from as usize..to as usize] {
            last.extend(changes.iter().map(|change| ((change.kind, change.id), change.clone())));
        }
        Some(Delta { class: None, from, to, changes: last.into_values().collect() })
    }

    async fn confirm(&self) -> bool {
        self.confirmations.fetch_add(1, Ordering::Relaxed);
        self.reachable.load(Ordering::Relaxed)
    }
}

#[tonic::async_trait]
impl Nodes for MemoryLog {
    async fn commit(&self, node: NewNode) -> Result<Id, CommitNodeError> {
        if self.config().by_name(Kind::Node, &node.name).is_some() {
            return Err(CommitNodeError::NameTaken);
        }
        let document = serde_json::to_string(&node.node).expect("plain data");
        let id = Id::new(Uuid::now_v7());
        self.put(Kind::Node, id.as_u128(), node.name.as_str(), &document);
        Ok(id)
    }
}

/// The table of positions, of one or more replicas.
#[derive(Default)]
pub(crate) struct MemoryPositions {
    pub(crate) rows: Mutex<HashMap<Id, NodePosition>>,
    pub(crate) lost: AtomicBool,
    pub(crate) writes: AtomicU64,
}

#[tonic::async_trait]
impl Positions for MemoryPositions {
    async fn put(&self, positions: Vec<NodePosition>) -> anyhow::Result<()> {
        anyhow::ensure!(!self.lost.load(Ordering::Relaxed), "the store is away");
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.rows.lock().expect("no test panics in here").extend(positions.into_iter().map(|p| (p.node, p)));
        Ok(())
    }

    async fn all(&self) -> anyhow::Result<Vec<NodePosition>> {
        anyhow::ensure!(!self.lost.load(Ordering::Relaxed), "the store is away");
        Ok(self.rows.lock().expect("no test panics in here").values().cloned().collect())
    }
}
