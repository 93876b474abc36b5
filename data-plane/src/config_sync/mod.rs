//! Brings the configuration to this node and keeps it: over the stream while a control plane answers, from disk else.
//!
//! ```text
//! client (one task) -> stage (a thread per class): decode, compile, publish -> disk (a thread): append, sync -> acknowledge
//! ```
//! Loss of all control planes: nothing is lost but news; the node goes on with what it has, also after a restart. Age is
//! never a reason to stop.
//!
//! Invariant: what is live is, per class, exactly one revision of the log, and [`SyncStatus`] says which.

mod client;
mod conversation;
mod disk;
mod enrolment;
mod link;
mod secrets;
mod stage;
mod status;
#[cfg(test)]
mod tests;
mod tls;
mod update;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::callers::Callers;
use tidegate_policy::Registry;
use tidegate_proto::data_key::{DataKey, Handed};
use tidegate_snapshot::{Live, Snapshot};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

pub use status::{Refusal, Revisions, SyncCounts, SyncStatus};

use disk::{Disk, Loaded};
use secrets::NodeSecrets;
use stage::{Stage, Threads};
use status::Status;

/// How the node reaches a control plane.
#[derive(Debug, Clone)]
pub enum ControlLink {
    /// Over the network: any of these, `https://host[:port]`.
    Remote {
        /// In no order.
        endpoints: Vec<String>,
        /// Read when the node joins.
        join_token_file: Option<PathBuf>,
    },
    /// In this very process: each connection is a pipe sent here. Nothing is kept on disk, the control plane does that.
    InProcess(mpsc::Sender<DuplexStream>),
}

/// Answers what only this node knows: query and arguments (JSON) to a JSON text. `None`: not known here.
pub type Answers = Arc<dyn Fn(&str, &str) -> Option<Result<String, String>> + Send + Sync>;

/// What the node is told at its start.
#[derive(Clone)]
pub struct Config {
    /// The name it would like.
    pub name: String,
    /// What it says of itself.
    pub labels: BTreeMap<String, String>,
    /// Where it takes traffic, for people.
    pub address: String,
    /// The version of the program.
    pub version: String,
    /// What it understands beyond the first version of the stream.
    pub features: Vec<String>,
    /// Where key, certificate and configuration are kept.
    pub data_dir: PathBuf,
    /// How it reaches a control plane.
    pub link: ControlLink,
    /// The key of its secrets, where the control plane is in this process; else it is what the node was given when it joined.
    pub handed: Handed,
    /// The policy kinds that it runs.
    pub registry: Registry,
    /// Answers beyond `status`.
    pub answers: Answers,
    /// Whose uses of credentials are told.
    pub callers: Option<Arc<Callers>>,
    /// How long what may take.
    pub timings: Timings,
    /// Of the randomness in waiting; random itself if absent.
    pub seed: Option<u64>,
}

impl Config {
    /// One with the usual values.
    pub fn new(name: &str, data_dir: PathBuf, link: ControlLink) -> Self {
        Config {
            name: name.to_owned(),
            labels: BTreeMap::new(),
            address: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            features: Vec::new(),
            data_dir,
            link,
            handed: Handed::default(),
            registry: Registry::standard(),
            answers: Arc::new(|_, _| None),
            callers: None,
            timings: Timings::default(),
            seed: None,
        }
    }
}

impl Config {
    fn secrets(&self) -> NodeSecrets {
        NodeSecrets { handed: self.handed.clone(), data_dir: self.data_dir.clone() }
    }
}

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// To a connection, TLS included.
    pub connect: Duration,
    /// To the answer to a certificate request, and to the opening of a stream.
    pub enroll: Duration,
    /// Between two signs of life.
    pub alive_every: Duration,
    /// Between two times that uses of credentials are told.
    pub used_every: Duration,
    /// Between two pings on a connection.
    pub ping_every: Duration,
    /// From a ping to its answer.
    pub ping_answer: Duration,
    /// Before the first attempt after a loss, at most; doubles with each.
    pub backoff: Duration,
    /// Before any attempt, at most.
    pub backoff_max: Duration,
    /// About so long after the node was told that it is not enrolled.
    pub refused_pause: Duration,
    /// Between two attempts to renew the certificate.
    pub renewal_pause: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Timings {
            connect: Duration::from_secs(5),
            enroll: Duration::from_secs(10),
            alive_every: Duration::from_secs(10),
            used_every: Duration::from_secs(60),
            ping_every: Duration::from_secs(10),
            ping_answer: Duration::from_secs(20),
            backoff: Duration::from_millis(200),
            backoff_max: Duration::from_secs(4),
            refused_pause: Duration::from_secs(10),
            renewal_pause: Duration::from_secs(60),
        }
    }
}

/// Keeps the node's configuration.
pub struct ConfigSync {
    config: Config,
    live: Arc<Live>,
    status: Status,
    stage: Arc<Stage>,
    threads: Threads,
}

impl ConfigSync {
    /// Loads what is on disk, which may be nothing, and starts the threads. From then on [`ConfigSync::live`] can be served;
    /// [`ConfigSync::run`] keeps it up to date.
    ///
    /// # Errors
    /// The folder can't be used, or another process uses it.
    pub fn open(mut config: Config) -> std::io::Result<Arc<ConfigSync>> {
        config.registry = config.registry.clone().with_secrets(Arc::new(config.secrets()));
        let status = Status::new(config.name.clone());
        let (opened, loaded) = match &config.link {
            ControlLink::InProcess(_) => (None, Loaded::default()),
            ControlLink::Remote { .. } => {
                let (opened, loaded) = disk::open(&config.data_dir.join("config"))?;
                (Some(opened), loaded)
            }
        };
        let (snapshot, at, partial) = boot(&config, loaded, &status);
        let live = Arc::new(Live::new(Arc::new(snapshot)));
        let stage = Stage::new(live.clone(), at, partial, status.clone());
        let disk = match opened {
            None => None,
            Some(opened) => {
                let stage = stage.clone();
                Some(Disk::start(opened, Arc::new(move || stage.capture()), disk::RETRY)?)
            }
        };
        let threads = Threads::start(&stage, disk)?;
        Ok(Arc::new(ConfigSync { config, live, status, stage, threads }))
    }

    /// What to serve.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// How far the node is, and each change of that.
    pub fn status(&self) -> watch::Receiver<SyncStatus> {
        self.status.watch()
    }

    /// Leaves what is on disk to another process, once [`ConfigSync::run`] has ended. Waits for what is being written.
    pub(crate) fn release_disk(&self) {
        if let Some(disk) = self.threads.disk() {
            disk.release();
        }
    }

    /// Takes it back, before [`ConfigSync::run`] is called again.
    pub(crate) fn reclaim_disk(&self) {
        if let Some(disk) = self.threads.disk() {
            disk.reclaim();
        }
    }

    /// The key that secrets in documents are sealed with; `None` before the node joined.
    pub fn data_key(&self) -> Option<DataKey> {
        self.config.secrets().data_key()
    }
}

type Places = [Option<tidegate_model::Position>; 2];

/// Makes a snapshot of what was on disk: all that can be built serves, the rest is closed.
///
/// Tells where each class is, and which of them could not be read in full.
fn boot(config: &Config, loaded: Loaded, status: &Status) -> (Snapshot, Places, [bool; 2]) {
    let Loaded { changes, at, .. } = loaded;
    if at.iter().all(Option::is_none) {
        return (Snapshot::empty(config.registry.clone()), [None; 2], [false; 2]);
    }
    let revision = |class: tidegate_model::Class| at[class as usize].map_or(0, |(at, _)| at.revision);
    let revisions = tidegate_snapshot::Revisions {
        identity: revision(tidegate_model::Class::Identity),
        traffic: revision(tidegate_model::Class::Traffic),
    };
    let (snapshot, problems) = Snapshot::compile(&changes, revisions, config.registry.clone());
    for problem in &problems {
        warn!("from disk: {problem}; what it would serve answers 503");
    }
    let (mut places, mut partial) = ([None; 2], [false; 2]);
    for class in tidegate_proto::convert::CLASSES {
        let Some((at, digest)) = at[class as usize] else { continue };
        status.at(class, at);
        // what is not all there is served, but a control plane has to send it anew
        partial[class as usize] = snapshot.config().digest(class) != digest;
        places[class as usize] = (!partial[class as usize]).then_some(at);
    }
    info!(resources = changes.len(), identity = revisions.identity, traffic = revisions.traffic, "serving from disk");
    status.change(|status| status.closed_at_start = problems);
    (snapshot, places, partial)
}
