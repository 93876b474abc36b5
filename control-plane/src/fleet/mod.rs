//! Which nodes there are, how far each is, and who still has to confirm a change.
//!
//! Each replica keeps the positions of the nodes that are connected to it in memory and writes what changed to one table in
//! batches; what concerns nodes of other replicas is read from there. Loss of the table: nodes of other replicas seem to
//! stand still and then silent; those of this one are told right.

mod positions;
mod status;
mod table;
mod uses;
mod wait;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tidegate_model::{Class, Id, Kind, Position, Problem};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

pub use positions::{NOT_PERSISTED, NodePosition, NodeProblem, Positions};
pub use status::{NodeState, NodeStatus};
use uses::Uses;

pub use table::Table;
pub use wait::{Behind, Confirmation, Reason, Want};

use crate::config_stream::Source;

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// A node that was not heard for so long is silent.
    pub silent_after: Duration,
    /// Positions that change within this time are written together.
    pub batch: Duration,
    /// Between two looks at the table while somebody waits.
    pub poll: Duration,
    /// Between two looks while nobody waits, and two attempts to write.
    pub refresh: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Timings {
            silent_after: Duration::from_secs(30),
            batch: Duration::from_millis(20),
            poll: Duration::from_millis(20),
            refresh: Duration::from_secs(2),
        }
    }
}

/// Questions that wait for one node's stream.
const QUESTIONS_MAX: usize = 16;

/// All nodes, as seen from this replica.
pub struct Fleet {
    replica: String,
    source: Arc<dyn Source>,
    positions: Arc<dyn Positions>,
    uses: Uses,
    timings: Timings,
    here: Mutex<Here>,
    dirty: Notify,
    /// Moves with each change of a position here.
    changed: watch::Sender<u64>,
    size: watch::Sender<u32>,
    elsewhere: tokio::sync::Mutex<Elsewhere>,
}

#[derive(Default)]
struct Here {
    nodes: HashMap<Id, Connected>,
    dirty: HashSet<Id>,
}

struct Connected {
    position: NodePosition,
    questions: mpsc::Sender<Question>,
    replaced: CancellationToken,
    /// The stream ended; kept until that is written.
    gone: bool,
}

/// The table, as last read.
#[derive(Default)]
struct Elsewhere {
    read_at: Option<Instant>,
    positions: Arc<Vec<NodePosition>>,
}

/// Something that only a node knows.
pub(crate) struct Question {
    pub(crate) query: String,
    pub(crate) arguments: String,
    pub(crate) answer: oneshot::Sender<Result<String, AskError>>,
}

/// What a stream gets when its node joins.
pub(crate) struct Joined {
    /// What the node is asked.
    pub(crate) questions: mpsc::Receiver<Question>,
    /// The node has a newer stream.
    pub(crate) replaced: CancellationToken,
}

/// Why a node gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Its stream does not end at this replica.
    #[error("the node is not connected to this control plane")]
    NotConnected,
    /// It took too long.
    #[error("the node did not answer in time")]
    TimedOut,
    /// It does not know, or does not know the question.
    #[error("the node could not answer: {0}")]
    Refused(String),
}

impl Fleet {
    /// An empty one. `replica` tells this control plane from the others.
    pub fn new(
        replica: String,
        source: Arc<dyn Source>,
        positions: Arc<dyn Positions>,
        timings: Timings,
    ) -> Arc<Fleet> {
        Arc::new(Fleet {
            replica,
            source,
            positions,
            timings,
            here: Mutex::default(),
            uses: Uses::default(),
            dirty: Notify::new(),
            changed: watch::Sender::new(0),
            size: watch::Sender::new(1),
            elsewhere: tokio::sync::Mutex::default(),
        })
    }

    /// Writes positions until told to stop, and once more then.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut refresh = tokio::time::interval(self.timings.refresh);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut uses = tokio::time::interval(uses::WRITTEN_EVERY);
        uses.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = refresh.tick() => self.count().await,
                _ = uses.tick() => self.write_uses().await,
                () = self.dirty.notified() => {
                    tokio::time::sleep(self.timings.batch).await;
                    if !self.flush().await {
                        tokio::time::sleep(self.timings.refresh).await;
                        self.dirty.notify_one();
                    }
                }
            }
        }
        self.flush().await;
        self.write_uses().await;
    }

    /// How many nodes are alive, all replicas together; at least one.
    pub fn size(&self) -> watch::Receiver<u32> {
        self.size.subscribe()
    }

    /// How many streams end here.
    pub fn streams(&self) -> usize {
        self.here.lock().nodes.values().filter(|node| !node.gone).count()
    }

    /// Asks a node that is connected here.
    pub async fn ask(&self, node: Id, query: &str, arguments: &str, timeout: Duration) -> Result<String, AskError> {
        let (answer, answered) = oneshot::channel();
        let questions = {
            let here = self.here.lock();
            let connected = here.nodes.get(&node).filter(|node| !node.gone).ok_or(AskError::NotConnected)?;
            connected.questions.clone()
        };
        let question = Question { query: query.to_owned(), arguments: arguments.to_owned(), answer };
        let asked = async {
            questions.send(question).await.map_err(|_| AskError::NotConnected)?;
            answered.await.unwrap_or(Err(AskError::NotConnected))
        };
        tokio::time::timeout(timeout, asked).await.unwrap_or(Err(AskError::TimedOut))
    }

    /// A stream of a node begins. An older one of the same node is told to end.
    pub(crate) fn join(
        &self,
        node: Id,
        session: Uuid,
        version: String,
        address: String,
        labels: BTreeMap<String, String>,
    ) -> Joined {
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        let replaced = CancellationToken::new();
        let position = NodePosition {
            node,
            replica: self.replica.clone(),
            session,
            epoch: Uuid::nil(),
            identity: 0,
            traffic: 0,
            version,
            address,
            labels,
            problems: Vec::new(),
            last_seen: now(),
        };
        let connected = Connected { position, questions, replaced: replaced.clone(), gone: false };
        let former = {
            let mut here = self.here.lock();
            here.dirty.insert(node);
            here.nodes.insert(node, connected)
        };
        if let Some(former) = former {
            former.replaced.cancel();
        }
        self.moved();
        Joined { questions: asked, replaced }
    }

    /// A stream ended.
    pub(crate) fn leave(&self, node: Id, session: Uuid) {
        self.update(node, session, |connected| connected.gone = true);
    }

    /// A node gave a sign.
    pub(crate) fn seen(&self, node: Id, session: Uuid) {
        self.update(node, session, |_| {});
    }

    /// A node is at a revision.
    pub(crate) fn applied(&self, node: Id, session: Uuid, class: Class, at: Position, persisted: bool) {
        self.update(node, session, |connected| {
            let position = &mut connected.position;
            if position.epoch != at.epoch {
                // what it has of the other class is of another log: it counts for nothing here
                (position.epoch, position.identity, position.traffic) = (at.epoch, 0, 0);
            }
            match class {
                Class::Identity => position.identity = at.revision,
                Class::Traffic => position.traffic = at.revision,
                Class::Control => {}
            }
            position.problems.retain(|problem| problem.class != class.as_str());
            if !persisted {
                let problem = Problem {
                    resource: None,
                    pointer: String::new(),
                    code: NOT_PERSISTED.into(),
                    detail: "the node can't write its configuration to its disk".into(),
                };
                let class = class.as_str().to_owned();
                position.problems.push(NodeProblem { class, revision: at.revision, problem });
            }
        });
    }

    /// A node refused a revision.
    pub(crate) fn rejected(&self, node: Id, session: Uuid, class: Class, revision: u64, problems: Vec<Problem>) {
        /// What is kept of a long list.
        const PROBLEMS_MAX: usize = 20;
        self.update(node, session, |connected| {
            let class = class.as_str();
            let kept = &mut connected.position.problems;
            kept.retain(|problem| problem.class != class);
            let new = problems.into_iter().take(PROBLEMS_MAX);
            kept.extend(new.map(|problem| NodeProblem { class: class.to_owned(), revision, problem }));
        });
    }

    fn update(&self, node: Id, session: Uuid, change: impl FnOnce(&mut Connected)) {
        {
            let mut here = self.here.lock();
            let Some(connected) = here.nodes.get_mut(&node).filter(|c| c.position.session == session) else { return };
            connected.position.last_seen = now();
            change(connected);
            here.dirty.insert(node);
        }
        self.moved();
    }

    fn moved(&self) {
        self.changed.send_modify(|version| *version += 1);
        self.dirty.notify_one();
    }

    /// Writes what changed; `false` if that did not work.
    async fn flush(&self) -> bool {
        let (dirty, batch) = {
            let mut here = self.here.lock();
            let dirty = std::mem::take(&mut here.dirty);
            let batch: Vec<_> = dirty.iter().filter_map(|id| here.nodes.get(id)).map(|c| c.position.clone()).collect();
            here.nodes.retain(|id, connected| !(connected.gone && dirty.contains(id)));
            (dirty, batch)
        };
        if batch.is_empty() {
            return true;
        }
        let Err(error) = self.positions.put(batch).await else { return true };
        warn!("the positions of {} nodes could not be written: {error:#}", dirty.len());
        self.here.lock().dirty.extend(dirty);
        false
    }

    /// Counts the nodes that are alive.
    async fn count(&self) {
        let alive = self.nodes().await.into_iter().filter(|node| node.status != NodeState::Silent).count();
        let alive = u32::try_from(alive).unwrap_or(u32::MAX).max(1);
        self.size.send_if_modified(|size| std::mem::replace(size, alive) != alive);
    }

    /// Where all nodes are: those here as they are now, the others as the table has them, read again if it is older than
    /// `age`.
    async fn all_positions(&self, age: Duration) -> HashMap<Id, NodePosition> {
        let elsewhere = if self.all_are_here() { Arc::default() } else { self.read_table(age).await };
        let mut all: HashMap<Id, NodePosition> = elsewhere.iter().map(|p| (p.node, p.clone())).collect();
        for (id, connected) in &self.here.lock().nodes {
            let newer_elsewhere = all.get(id).is_some_and(|other| {
                other.session != connected.position.session && other.last_seen > connected.position.last_seen
            });
            if !newer_elsewhere {
                all.insert(*id, connected.position.clone());
            }
        }
        all
    }

    fn all_are_here(&self) -> bool {
        let config = self.source.head().config;
        let here = self.here.lock();
        config.all(Kind::Node).all(|node| here.nodes.get(&node.id).is_some_and(|connected| !connected.gone))
    }

    /// The table, for all who ask at about the same time.
    async fn read_table(&self, age: Duration) -> Arc<Vec<NodePosition>> {
        let mut elsewhere = self.elsewhere.lock().await;
        if elsewhere.read_at.is_none_or(|at| at.elapsed() >= age) {
            match self.positions.all().await {
                Ok(positions) => elsewhere.positions = Arc::new(positions),
                Err(error) => warn!("the positions of other nodes could not be read: {error:#}"),
            }
            elsewhere.read_at = Some(Instant::now());
        }
        elsewhere.positions.clone()
    }
}

fn now() -> i64 {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    i64::try_from(millis).unwrap_or(i64::MAX)
}
