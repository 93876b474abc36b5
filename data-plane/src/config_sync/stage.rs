//! Takes updates: decode, compile, publish, keep, acknowledge. Away from all request threads.
//!
//! Each class has a thread of its own, so that revoking a credential does not wait while 100,000 routes compile. Both start
//! from what is live; whoever is done later takes over what the other published meanwhile, which is right because what the
//! classes say of each other is not checked on a node.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidegate_model::{Class, Delta, Digest, Position, Problem, Problems};
use tidegate_proto::convert::{CLASSES, class_to_wire, digest_to_wire};
use tidegate_proto::v1;
use tidegate_snapshot::{Live, Snapshot, advance};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::disk::{Capture, Disk, Done};
use super::status::{Refusal, Status};
use super::update::Update;

/// How often snapshots that were replaced are looked at, until nobody holds them.
const COLLECT: Duration = Duration::from_millis(500);

/// What is told of a long list of problems.
const PROBLEMS_MAX: usize = 100;

/// An update and where its answer goes.
pub(super) struct Work {
    pub(super) update: Update,
    pub(super) replies: mpsc::Sender<v1::NodeMessage>,
}

/// What the node runs on.
pub(super) struct Stage {
    live: Arc<Live>,
    status: Status,
    state: Mutex<State>,
}

struct State {
    current: Arc<Snapshot>,
    at: [Option<Position>; 2],
    /// By class: it came from disk, but not all of it could be read.
    partial: [bool; 2],
    /// By class: whether its thread compiles.
    busy: [bool; 2],
    /// By class: what was published while the other one compiles.
    meanwhile: [Vec<Arc<Delta>>; 2],
}

/// What became of an update.
enum Outcome {
    Applied(Digest),
    Rejected(Vec<Problem>),
    /// It does not fit; where the class is, or nothing if only a snapshot helps.
    Resync(Option<(Position, Digest)>, String),
}

impl Stage {
    pub(super) fn new(live: Arc<Live>, at: [Option<Position>; 2], partial: [bool; 2], status: Status) -> Arc<Stage> {
        let current = live.current();
        let state = State { current, at, partial, busy: [false; 2], meanwhile: Default::default() };
        Arc::new(Stage { live, status, state: Mutex::new(state) })
    }

    /// What the node runs on now.
    pub(super) fn capture(&self) -> Capture {
        let state = self.state.lock();
        Capture { snapshot: state.current.clone(), at: state.at, whole: !state.partial.contains(&true) }
    }

    /// Where each class is that the node has.
    pub(super) fn have(&self) -> Vec<v1::Have> {
        let Capture { snapshot, at, .. } = self.capture();
        let have = |class: Class| Some(v1::Have::new(class, at[class as usize]?, snapshot.config().digest(class)));
        CLASSES.into_iter().filter_map(have).collect()
    }

    fn take(&self, update: &Update) -> Outcome {
        let class = update.announced.class;
        let base = {
            let mut state = self.state.lock();
            if let Some(from) = update.announced.from
                && state.at[class as usize] != Some(from)
            {
                let have = state.at[class as usize].map(|at| (at, state.current.config().digest(class)));
                return Outcome::Resync(have, format!("{class} is not at revision {}", from.revision));
            }
            state.busy[class as usize] = true;
            state.meanwhile[other(class) as usize].clear();
            state.current.clone()
        };
        let compiled = catch_unwind(AssertUnwindSafe(|| compile(&base, update)));
        let mut state = self.state.lock();
        state.busy[class as usize] = false;
        let meanwhile = std::mem::take(&mut state.meanwhile[other(class) as usize]);
        match compiled {
            Err(_) => {
                error!("revision {} of {class} could not be compiled: it panicked", update.announced.to.revision);
                Outcome::Rejected(problem("internal", "the node failed while it compiled this"))
            }
            Ok(Err(outcome)) => outcome,
            Ok(Ok((next, delta))) => self.publish(&mut state, update, next, delta, &meanwhile),
        }
    }

    fn publish(
        &self,
        state: &mut State,
        update: &Update,
        mut next: Snapshot,
        delta: Delta,
        meanwhile: &[Arc<Delta>],
    ) -> Outcome {
        let class = update.announced.class;
        for other in meanwhile {
            next = match advance(&next, other) {
                Ok(next) => next,
                Err(problems) => return Outcome::Rejected(problems),
            };
        }
        let next = Arc::new(next);
        self.live.publish(next.clone());
        state.current = next;
        state.at[class as usize] = Some(update.announced.to);
        state.partial[class as usize] = false;
        if state.busy[other(class) as usize] {
            state.meanwhile[class as usize].push(Arc::new(delta));
        }
        Outcome::Applied(update.announced.digest)
    }

    /// Takes updates of one class until there will be no more.
    fn work(self: &Arc<Self>, queue: &Receiver<Work>, disk: Option<&Disk>) {
        let mut retired = 0;
        loop {
            let work = if retired == 0 {
                queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                queue.recv_timeout(COLLECT)
            };
            match work {
                Ok(work) => self.one(work, disk),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            retired = self.live.collect();
        }
    }

    fn one(self: &Arc<Self>, Work { update, replies }: Work, disk: Option<&Disk>) {
        let started = Instant::now();
        let (class, to) = (update.announced.class, update.announced.to);
        let snapshot = update.announced.from.is_none();
        let outcome = self.take(&update);
        let took = started.elapsed();
        let reply: v1::NodeMessage = match outcome {
            Outcome::Applied(digest) => {
                info!(
                    config.revision = to.revision,
                    changes = update.announced.count,
                    took_ms = took.as_millis(),
                    "{class} is at revision {}",
                    to.revision
                );
                self.status.applied(class, to, snapshot);
                let status = self.status.clone();
                let applied = v1::Applied {
                    class: class_to_wire(class),
                    revision: to.revision,
                    digest: digest_to_wire(digest),
                    took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                    persisted: true,
                };
                let done: Done = Box::new(move |persisted| {
                    status.persisted(class, persisted);
                    reply(&replies, v1::Applied { persisted, ..applied }.into());
                });
                match disk {
                    Some(disk) => disk.keep(update, done),
                    None => done(true),
                }
                return;
            }
            Outcome::Rejected(problems) => {
                let first = problems.first().map(Problem::to_string).unwrap_or_default();
                warn!(
                    config.revision = to.revision,
                    problems = problems.len(),
                    "revision {} of {class} is refused, the last good one serves on: {first}",
                    to.revision
                );
                let rejected = v1::Rejected {
                    class: class_to_wire(class),
                    revision: to.revision,
                    problems: problems.iter().take(PROBLEMS_MAX).map(Into::into).collect(),
                };
                self.status.rejected(Refusal::new(class, to.revision, problems));
                rejected.into()
            }
            Outcome::Resync(have, reason) => {
                info!("revision {} of {class} does not fit: {reason}", to.revision);
                let have = have.map(|(at, digest)| v1::Have::new(class, at, digest));
                self.status.out_of_step(have.is_none());
                v1::Resync { class: class_to_wire(class), have, reason }.into()
            }
        };
        self::reply(&replies, reply);
    }
}

/// The answer is lost if the stream is gone; the next one says again where the node is.
fn reply(replies: &mpsc::Sender<v1::NodeMessage>, message: v1::NodeMessage) {
    let _ = replies.try_send(message);
}

fn compile(base: &Snapshot, update: &Update) -> Result<(Snapshot, Delta), Outcome> {
    let class = update.announced.class;
    let delta = update
        .delta(base.config())
        .map_err(|error| Outcome::Rejected(problem("malformed", &format!("the update can't be read: {error}"))))?;
    let next = advance(base, &delta).map_err(Outcome::Rejected)?;
    if next.config().digest(class) == update.announced.digest {
        return Ok((next, delta));
    }
    let why = "what the class adds up to is not what the control plane has";
    Err(match update.announced.from {
        Some(_) => Outcome::Resync(None, why.to_owned()),
        None => Outcome::Rejected(problem("digest_mismatch", why)),
    })
}

fn problem(code: &'static str, detail: &str) -> Vec<Problem> {
    let mut problems = Problems::new();
    problems.add(code, detail);
    problems.into_vec()
}

fn other(class: Class) -> Class {
    match class {
        Class::Identity => Class::Traffic,
        _ => Class::Identity,
    }
}

/// The threads. Dropped, they end after what they are at.
pub(super) struct Threads {
    queues: Option<[Sender<Work>; 2]>,
    threads: Vec<JoinHandle<()>>,
    /// Ends after those that use it.
    disk: Option<Arc<Disk>>,
}

impl Threads {
    pub(super) fn start(stage: &Arc<Stage>, disk: Option<Disk>) -> std::io::Result<Threads> {
        let disk = disk.map(Arc::new);
        let mut threads = Vec::new();
        let mut start = |class: Class| {
            let (to, queue) = channel();
            let (stage, disk) = (stage.clone(), disk.clone());
            let builder = std::thread::Builder::new().name(format!("config-{class}"));
            threads.push(builder.spawn(move || stage.work(&queue, disk.as_deref()))?);
            Ok::<_, std::io::Error>(to)
        };
        let queues = Some([start(Class::Identity)?, start(Class::Traffic)?]);
        Ok(Threads { queues, threads, disk })
    }

    /// Where it is kept on disk, if it is.
    pub(super) fn disk(&self) -> Option<&Disk> {
        self.disk.as_deref()
    }

    /// Hands an update to the thread of its class.
    pub(super) fn give(&self, work: Work) {
        let class = work.update.announced.class;
        if let Some(queues) = &self.queues
            && queues[class as usize].send(work).is_err()
        {
            error!("the thread that takes {class} ended");
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.queues = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a thread that takes the configuration panicked");
            }
        }
    }
}
