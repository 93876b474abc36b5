//! What is known of the configuration's way to this node: for `/status`, `/readyz`, metrics and tests.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tidegate_model::{Class, Id, Position, Problem};
use tokio::sync::watch;
use uuid::Uuid;

/// How far the node is, and with whom it speaks.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SyncStatus {
    /// Its id, once it is enrolled. A node of a standalone process does not know it.
    pub node_id: Option<Id>,
    /// Its name: as it was enrolled, before that as it was configured.
    pub name: String,
    /// Where it is in the log.
    pub position: Revisions,
    /// Which log; `None` before it has any of it.
    pub epoch: Option<Uuid>,
    /// Whether a stream is open.
    pub connected: bool,
    /// Which control plane it ends at, or was tried last.
    pub control_plane: Option<String>,
    /// Whether there is a configuration to serve.
    pub ready: bool,
    /// Whether all of it is on disk.
    pub persisted: bool,
    /// What was refused and not healed since, by class.
    pub refused: Vec<Refusal>,
    /// What could not be built when the node started from disk; its routes answer 503.
    pub closed_at_start: Vec<Problem>,
    /// How many nodes are alive, all together.
    pub fleet_nodes: u32,
    /// When a control plane was last heard; milliseconds since 1970.
    pub last_heard_ms: Option<i64>,
    /// Why there is no stream, if there is none.
    pub trouble: Option<String>,
    /// Counts since the start.
    pub counts: SyncCounts,
    /// By class: what it runs on could not be written to disk.
    #[serde(skip)]
    unkept: [bool; 2],
}

/// A revision per class; `None` before there is any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Revisions {
    /// Consumers, groups, credentials.
    pub identity: Option<u64>,
    /// Services, routes, upstreams, policies.
    pub traffic: Option<u64>,
}

/// A revision that was refused.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refusal {
    /// `identity` or `traffic`.
    pub class: &'static str,
    /// Which.
    pub revision: u64,
    /// Why.
    pub problems: Vec<Problem>,
}

impl Refusal {
    pub(super) fn new(class: Class, revision: u64, problems: Vec<Problem>) -> Self {
        Refusal { class: class.as_str(), revision, problems }
    }
}

/// What happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SyncCounts {
    /// Updates taken.
    pub applied: u64,
    /// Updates refused.
    pub rejected: u64,
    /// Snapshots among those taken.
    pub snapshots: u64,
    /// Updates that did not fit.
    pub out_of_step: u64,
    /// Those whose sum was not the expected one.
    pub digest_mismatches: u64,
    /// Streams opened.
    pub streams: u64,
}

/// The one place where the status is kept.
#[derive(Clone)]
pub(super) struct Status(watch::Sender<SyncStatus>);

impl Status {
    pub(super) fn new(name: String) -> Self {
        Status(watch::Sender::new(SyncStatus { name, persisted: true, fleet_nodes: 1, ..SyncStatus::default() }))
    }

    pub(super) fn watch(&self) -> watch::Receiver<SyncStatus> {
        self.0.subscribe()
    }

    pub(super) fn get(&self) -> SyncStatus {
        self.0.borrow().clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut SyncStatus)) {
        self.0.send_modify(change);
    }

    pub(super) fn at(&self, class: Class, at: Position) {
        self.change(|status| status.move_to(class, at));
    }

    pub(super) fn applied(&self, class: Class, to: Position, snapshot: bool) {
        self.change(|status| {
            status.move_to(class, to);
            status.refused.retain(|refusal| refusal.class != class.as_str());
            status.counts.applied += 1;
            status.counts.snapshots += u64::from(snapshot);
        });
    }

    pub(super) fn rejected(&self, refusal: Refusal) {
        self.change(|status| {
            status.refused.retain(|former| former.class != refusal.class);
            status.refused.push(refusal);
            status.counts.rejected += 1;
        });
    }

    pub(super) fn out_of_step(&self, by_digest: bool) {
        self.change(|status| {
            status.counts.out_of_step += 1;
            status.counts.digest_mismatches += u64::from(by_digest);
        });
    }

    pub(super) fn persisted(&self, class: Class, persisted: bool) {
        self.change(|status| {
            status.unkept[class as usize] = !persisted;
            status.persisted = !status.unkept.contains(&true);
        });
    }

    pub(super) fn heard(&self) {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        self.change(|status| status.last_heard_ms = i64::try_from(millis).ok());
    }
}

impl SyncStatus {
    fn move_to(&mut self, class: Class, at: Position) {
        match class {
            Class::Identity => self.position.identity = Some(at.revision),
            Class::Traffic => self.position.traffic = Some(at.revision),
            Class::Control => {}
        }
        self.epoch = Some(at.epoch);
        self.ready = self.position.identity.is_some() && self.position.traffic.is_some();
    }
}
