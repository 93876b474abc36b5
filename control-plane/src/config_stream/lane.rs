//! One class on its way to one node: one message in flight, each starting where the last was acknowledged.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidegate_model::{Class, Digest, Position, Problem};
use tidegate_proto::convert::{class_to_wire, digest_from_wire};
use tidegate_proto::v1;
use tokio::sync::mpsc;
use tonic::Status;
use tracing::{debug, info, warn};

use super::publisher::{Known, Payload};
use super::session::{Ending, Shared};
use super::source::Head;

/// A node that can't be brought in step by so many tries in a row starts over with a new stream.
const RESYNCS_MAX: u32 = 3;

/// What a node answered to what was in flight.
pub(super) enum Reply {
    Applied(v1::Applied),
    Rejected(v1::Rejected),
    Resync(v1::Resync),
}

/// Where the node is in one class.
pub(super) struct Lane<'a> {
    pub(super) shared: &'a Shared,
    pub(super) class: Class,
    pub(super) replies: mpsc::Receiver<Reply>,
    /// What it acknowledged; nothing if the next must be a snapshot.
    pub(super) at: Option<Position>,
    /// No snapshot that is older helps: how far the node was in this history, or what it refused.
    pub(super) floor: u64,
    /// What it refused: the same is not sent again.
    pub(super) refused: Option<Position>,
    pub(super) resyncs: u32,
}

impl Lane<'_> {
    /// Keeps the node at the head until the stream ends.
    pub(super) async fn run(mut self, have: Option<(Position, Digest)>) -> Ending {
        match self.keep_up(have).await {
            Ok(never) => match never {},
            Err(ending) => ending,
        }
    }

    async fn keep_up(&mut self, have: Option<(Position, Digest)>) -> Result<std::convert::Infallible, Ending> {
        self.at = self.resume(have).await?;
        let mut heads = self.shared.publisher.subscribe();
        loop {
            let (at, refused) = (self.at, self.refused);
            let behind = |head: &Arc<Head>| {
                Some(head.position) != at
                    && Some(head.position) != refused
                    && !at.is_some_and(|at| self.is_ahead(at, head))
            };
            let head = heads.wait_for(behind).await.map_err(|_| Ending::Stopped)?.clone();
            self.send(&head).await?;
        }
    }

    /// Where to go on from, given what the node has.
    async fn resume(&mut self, have: Option<(Position, Digest)>) -> Result<Option<Position>, Ending> {
        let Some((at, digest)) = have else { return Ok(None) };
        self.floor = at.revision;
        let (publisher, node, class) = (&self.shared.publisher, self.shared.node, self.class);
        let mut known = publisher.knows(&at);
        if known == Known::Ahead {
            // this replica may be a little behind the one that the node was with
            let mut heads = publisher.subscribe();
            let caught_up = heads.wait_for(|head| head.position.revision >= at.revision);
            let _ = tokio::time::timeout(self.shared.timings.catch_up, caught_up).await;
            known = publisher.knows(&at);
        }
        if matches!(known, Known::Ahead | Known::OtherHistory) {
            // only the store can tell a node that is ahead from a replica that is behind
            if !publisher.confirm().await {
                return Err(Ending::Wait);
            }
            known = publisher.knows(&at);
        }
        match known {
            Known::OnTheWay => {}
            Known::LongAgo => return Ok(None),
            Known::Ahead | Known::OtherHistory => {
                let revision = at.revision;
                warn!(node.id = %node, config.revision = revision,
                    "node `{node}` has {class} at revision {revision} of another history; it starts over");
                self.floor = 0;
                return Ok(None);
            }
        }
        let head = publisher.subscribe().borrow().clone();
        if head.position == at {
            if head.config.digest(class) != digest {
                self.mismatch(at.revision);
                return Ok(None);
            }
            let up_to_date = v1::UpToDate { class: class_to_wire(class), at: Some(at.into()) };
            self.shared.out(up_to_date.into()).await?;
        }
        self.shared.fleet.applied(node, self.shared.session, class, at, true);
        Ok(Some(at))
    }

    /// Whether the node is further than this head, which is about to move there.
    fn is_ahead(&self, at: Position, head: &Head) -> bool {
        at.revision > head.position.revision && self.shared.publisher.knows(&at) == Known::OnTheWay
    }

    /// Sends one delta or snapshot and waits for its answer.
    async fn send(&mut self, head: &Arc<Head>) -> Result<(), Ending> {
        let publisher = &self.shared.publisher;
        let delta = match self.at {
            Some(at) => publisher.delta(self.class, at, head).await,
            None => None,
        };
        match delta {
            Some(delta) => {
                publisher.counts.deltas.fetch_add(1, Ordering::Relaxed);
                self.exchange(&delta).await
            }
            None => {
                let turn = publisher.turn().await;
                let snapshot = publisher.snapshot(self.class, self.floor, head).await;
                publisher.counts.snapshots.fetch_add(1, Ordering::Relaxed);
                self.exchange(&snapshot).await?;
                drop(turn);
                Ok(())
            }
        }
    }

    async fn exchange(&mut self, payload: &Payload) -> Result<(), Ending> {
        let class = class_to_wire(self.class);
        self.shared.out(v1::Begin::from(&payload.announced).into()).await?;
        for chunk in &payload.chunks {
            self.shared.publisher.counts.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            self.shared.out(v1::Chunk { class, changes: chunk.clone() }.into()).await?;
        }
        self.shared.out(v1::End { class }.into()).await?;
        let answer = tokio::time::timeout(self.shared.timings.answer, self.replies.recv());
        match answer.await {
            Err(_) => Err(Ending::Refused(Status::deadline_exceeded("the node did not answer"))),
            Ok(None) => Err(Ending::Gone),
            Ok(Some(Reply::Applied(applied))) => self.applied(payload, &applied),
            Ok(Some(Reply::Rejected(rejected))) => {
                self.rejected(payload, rejected);
                Ok(())
            }
            Ok(Some(Reply::Resync(resync))) => self.resync(&resync).await,
        }
    }

    fn applied(&mut self, payload: &Payload, applied: &v1::Applied) -> Result<(), Ending> {
        let to = payload.announced.to;
        let digest =
            digest_from_wire(&applied.digest).map_err(|e| Ending::Refused(Status::invalid_argument(e.to_string())))?;
        if applied.revision != to.revision {
            return Err(Ending::Refused(Status::invalid_argument("acknowledged what was not sent")));
        }
        self.resyncs = 0;
        self.refused = None;
        self.floor = to.revision;
        self.at = Some(to);
        if digest != payload.announced.digest {
            self.mismatch(to.revision);
            self.at = None;
            return Ok(());
        }
        let (node, revision) = (self.shared.node, to.revision);
        debug!(node.id = %node, config.revision = revision, took_us = applied.took_us,
            "node `{node}` is at revision {revision} of {}", self.class);
        self.shared.fleet.applied(node, self.shared.session, self.class, to, applied.persisted);
        Ok(())
    }

    fn rejected(&mut self, payload: &Payload, rejected: v1::Rejected) {
        let (node, revision) = (self.shared.node, payload.announced.to.revision);
        let problems: Vec<Problem> = rejected.problems.into_iter().map(Into::into).collect();
        let first = problems.first().map(Problem::to_string).unwrap_or_default();
        warn!(node.id = %node, config.revision = revision, problems = problems.len(),
            "node `{node}` refused revision {revision} of {}: {first}", self.class);
        self.shared.publisher.counts.rejected.fetch_add(1, Ordering::Relaxed);
        self.resyncs = 0;
        self.refused = Some(payload.announced.to);
        if payload.announced.from.is_none() {
            // a snapshot is kept for others for a while; this node needs one that is newer
            self.floor = self.floor.max(revision + 1);
        }
        self.shared.fleet.rejected(node, self.shared.session, self.class, revision, problems);
    }

    async fn resync(&mut self, resync: &v1::Resync) -> Result<(), Ending> {
        let node = self.shared.node;
        info!(node.id = %node, "node `{node}` asks to be brought in step in {}: {}", self.class, resync.reason);
        self.resyncs += 1;
        if self.resyncs > RESYNCS_MAX {
            return Err(Ending::Refused(Status::aborted("the node can't be brought in step")));
        }
        let have = match &resync.have {
            None => None,
            Some(have) => {
                let read = have.read().map_err(|e| Ending::Refused(Status::invalid_argument(e.to_string())))?;
                Some((read.1, read.2))
            }
        };
        self.at = self.resume(have).await?;
        Ok(())
    }

    fn mismatch(&self, revision: u64) {
        let node = self.shared.node;
        self.shared.publisher.counts.digest_mismatches.fetch_add(1, Ordering::Relaxed);
        warn!(node.id = %node, config.revision = revision,
            "what node `{node}` has of {} at revision {revision} is not what was committed; it gets a snapshot", self.class);
    }
}
