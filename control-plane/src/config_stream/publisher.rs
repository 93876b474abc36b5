//! What is sent, built and encoded once for all who need the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tidegate_model::{Class, Kind, Position};
use tidegate_proto::convert::{Announced, Chunks};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::source::{Head, Source};

/// At most so many snapshots are under way at once.
const SNAPSHOTS_AT_ONCE: usize = 32;

/// A snapshot serves all who come within this time; deltas bring them to the head.
const SNAPSHOT_REUSED_FOR: Duration = Duration::from_secs(30);

/// A delta with more changes than this is compared with what a snapshot would have.
const LARGE_DELTA: usize = 10_000;

/// A delta or a snapshot of one class, ready to be sent.
pub(super) struct Payload {
    pub(super) announced: Announced,
    pub(super) chunks: Vec<Bytes>,
}

impl Payload {
    fn new(announced: Announced, changes: impl Iterator<Item = tidegate_model::Change>) -> Arc<Payload> {
        Arc::new(Payload { announced, chunks: Chunks(changes).collect() })
    }
}

/// What the stream did so far; for `/metrics`.
#[derive(Debug, Default)]
pub struct Counts {
    /// Deltas sent.
    pub deltas: AtomicU64,
    /// Snapshots sent.
    pub snapshots: AtomicU64,
    /// Bytes of changes sent.
    pub bytes: AtomicU64,
    /// Deltas and snapshots that were encoded.
    pub encoded: AtomicU64,
    /// Refusals by nodes.
    pub rejected: AtomicU64,
    /// Nodes whose digest was not the expected one.
    pub digest_mismatches: AtomicU64,
}

/// By class, from where, to where. `None` once it is known that only a snapshot helps.
type Deltas = HashMap<(Class, Position, Position), Arc<OnceCell<Option<Arc<Payload>>>>>;

/// A snapshot and when it was asked for last.
type Kept = Option<(Instant, Arc<Payload>)>;

/// Follows the log and builds what the sessions send.
pub(super) struct Publisher {
    source: Arc<dyn Source>,
    head: watch::Sender<Arc<Head>>,
    deltas: Mutex<Deltas>,
    snapshots: [tokio::sync::Mutex<Kept>; 2],
    sending_snapshots: Semaphore,
    pub(super) counts: Arc<Counts>,
}

impl Publisher {
    pub(super) fn new(source: Arc<dyn Source>) -> Publisher {
        let head = watch::Sender::new(Arc::new(source.head()));
        Publisher {
            source,
            head,
            deltas: Mutex::default(),
            snapshots: Default::default(),
            sending_snapshots: Semaphore::new(SNAPSHOTS_AT_ONCE),
            counts: Arc::default(),
        }
    }

    /// Follows the log until told to stop.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        loop {
            let at = self.head.borrow().position;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.source.moved(at) => {}
            }
            // those for the former head are not asked for any more
            self.deltas.lock().clear();
            self.head.send_replace(Arc::new(self.source.head()));
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Head>> {
        self.head.subscribe()
    }

    /// The head as it is now; what is subscribed to may be a moment behind.
    pub(super) fn latest(&self) -> Head {
        self.source.head()
    }

    pub(super) async fn confirm(&self) -> bool {
        self.source.confirm().await
    }

    /// Whether a place lies on the way to the head and the way from there is known.
    pub(super) fn knows(&self, at: &Position) -> Known {
        let head = self.source.head().position;
        if at.epoch != head.epoch {
            Known::OtherHistory
        } else if at.revision > head.revision {
            Known::Ahead
        } else {
            match self.source.chain_at(at.revision) {
                Some(chain) if chain == at.chain => Known::OnTheWay,
                Some(_) => Known::OtherHistory,
                None => Known::LongAgo,
            }
        }
    }

    /// A turn to send a snapshot.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        self.sending_snapshots.acquire().await.expect("it is never closed")
    }

    /// What leads from a place to the head; `None` if that takes a snapshot.
    pub(super) async fn delta(
        self: &Arc<Self>,
        class: Class,
        from: Position,
        head: &Arc<Head>,
    ) -> Option<Arc<Payload>> {
        if self.knows(&from) != Known::OnTheWay {
            return None;
        }
        let cell = self.deltas.lock().entry((class, from, head.position)).or_default().clone();
        let build = || {
            let (publisher, head) = (self.clone(), head.clone());
            blocking(move || publisher.build_delta(class, from, &head))
        };
        cell.get_or_init(build).await.clone()
    }

    fn build_delta(&self, class: Class, from: Position, head: &Head) -> Option<Arc<Payload>> {
        let to = head.position;
        let changes = if from.revision == to.revision {
            Vec::new()
        } else {
            self.source.delta(from.revision, to.revision)?.of_class(class).changes
        };
        // the log may have been exchanged meanwhile
        if self.source.chain_at(from.revision) != Some(from.chain)
            || self.source.chain_at(to.revision) != Some(to.chain)
        {
            return None;
        }
        if changes.len() > LARGE_DELTA && changes.len() > size(head, class) / 2 {
            return None;
        }
        self.counts.encoded.fetch_add(1, Ordering::Relaxed);
        let digest = head.config.digest(class);
        let announced = Announced { class, from: Some(from), to, count: changes.len() as u64, digest };
        Some(Payload::new(announced, changes.into_iter()))
    }

    /// All of a class. May be a little older than the head, but not than `floor`: a node never goes back.
    pub(super) async fn snapshot(self: &Arc<Self>, class: Class, floor: u64, head: &Arc<Head>) -> Arc<Payload> {
        let mut kept = self.snapshots[class as usize].lock().await;
        if let Some((made, payload)) = kept.as_ref()
            && made.elapsed() < SNAPSHOT_REUSED_FOR
            && payload.announced.to.revision >= floor
            && self.knows(&payload.announced.to) == Known::OnTheWay
        {
            return payload.clone();
        }
        let (publisher, head) = (self.clone(), head.clone());
        let payload = blocking(move || {
            publisher.counts.encoded.fetch_add(1, Ordering::Relaxed);
            let (count, digest) = (size(&head, class) as u64, head.config.digest(class));
            let announced = Announced { class, from: None, to: head.position, count, digest };
            Payload::new(announced, head.config.states(&[class]))
        })
        .await;
        *kept = Some((Instant::now(), payload.clone()));
        payload
    }

    /// Lets go of snapshots that are too old to be sent.
    pub(super) async fn forget_old_snapshots(&self) {
        for kept in &self.snapshots {
            let mut kept = kept.lock().await;
            if kept.as_ref().is_some_and(|(made, _)| made.elapsed() >= SNAPSHOT_REUSED_FOR) {
                *kept = None;
            }
        }
    }
}

/// How a place lies to the log as this replica knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// A delta leads from there to the head.
    OnTheWay,
    /// On the way, as far as can be told, but too far back.
    LongAgo,
    /// Later than the head.
    Ahead,
    /// Not on the way.
    OtherHistory,
}

fn size(head: &Head, class: Class) -> usize {
    Kind::ALL.into_iter().filter(|kind| kind.class() == class).map(|kind| head.config.count(kind)).sum()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // only while the runtime ends, which drops the caller too
            Err(_) => std::future::pending().await,
        },
    }
}
