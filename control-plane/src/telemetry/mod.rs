//! What a control plane tells of itself, on its status listener: `/livez`, `/readyz`, `/metrics`.
//!
//! Each part counts for itself; this room reads all of them when somebody looks, by the table in [`catalogue`].

pub mod catalogue;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::StatusCode;
use tidegate_model::Kind;
use tidegate_telemetry::buckets::{BOUNDS, Histogram};
use tidegate_telemetry::status::{Page, Pages};
use tidegate_telemetry::{Exposition, Family, exposition, process};

use self::catalogue as metric;
use crate::admin_api::Api;
use crate::changes::Changes;
use crate::config_stream::ConfigStream;
use crate::fleet::{Fleet, NodeState};
use crate::store::{OPERATIONS, StoreFigures};

/// Counts by a word out of a few.
#[derive(Debug)]
pub(crate) struct Words<const N: usize> {
    words: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Words<N> {
    pub(crate) const fn new(words: [&'static str; N]) -> Self {
        Words { words, counts: [const { AtomicU64::new(0) }; N] }
    }

    /// One more of a word; one that is not in the list is not counted.
    pub(crate) fn count(&self, word: &str) {
        let place = self.words.iter().position(|known| *known == word);
        debug_assert!(place.is_some(), "`{word}` is not in the list");
        if let Some(place) = place {
            self.counts[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn write(&self, out: &mut Exposition, family: &'static Family) {
        let mut family = out.family(family);
        for (word, count) in self.words.iter().zip(&self.counts) {
            family.sample(&[word], count.load(Ordering::Relaxed));
        }
    }
}

/// The parts that have something to tell.
pub(crate) struct Telemetry {
    pub(crate) changes: Changes,
    pub(crate) store: Arc<StoreFigures>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) stream: Arc<ConfigStream>,
    pub(crate) api: Arc<Api>,
}

impl Telemetry {
    /// All but what is true of any process.
    pub(crate) async fn write(&self, out: &mut Exposition) {
        let now = self.changes.current();
        out.single(&metric::REVISION, now.revision());
        let mut resources = out.family(&metric::RESOURCES);
        for kind in Kind::ALL {
            resources.sample(&[kind.as_str()], now.config().count(kind) as u64);
        }
        let commits = self.changes.figures();
        commits.outcomes.write(out, &metric::COMMITS);
        histogram(out, &metric::COMMIT_TIME, &[(&[], &commits.time)]);
        out.single(&metric::STORE_UP, u64::from(self.changes.store_is_up()));
        let store: Vec<_> = OPERATIONS.iter().zip(&self.store.time).map(|(name, time)| ([*name], time)).collect();
        let series: Vec<(&[&str], &Histogram)> = store.iter().map(|(label, time)| (&label[..], *time)).collect();
        histogram(out, &metric::STORE_TIME, &series);
        let mut errors = out.family(&metric::STORE_ERRORS);
        for (name, count) in OPERATIONS.iter().zip(&self.store.errors) {
            errors.sample(&[name], count.load(Ordering::Relaxed));
        }
        self.nodes(out, now.revision()).await;
        let mut requests = out.family(&metric::REQUESTS);
        for ((operation, status), count) in self.api.requests() {
            requests.sample(&[operation, &status.to_string()], count);
        }
        histogram(out, &metric::REQUEST_TIME, &[(&[], self.api.request_time())]);
        self.api.denied().write(out, &metric::DENIED);
    }

    async fn nodes(&self, out: &mut Exposition, head: u64) {
        let nodes = self.fleet.nodes().await;
        let mut family = out.family(&metric::NODES);
        for (name, state) in [
            ("current", NodeState::Current),
            ("behind", NodeState::Behind),
            ("rejected", NodeState::Rejected),
            ("silent", NodeState::Silent),
        ] {
            family.sample(&[name], nodes.iter().filter(|node| node.status == state).count() as u64);
        }
        let lags = nodes.iter().filter(|node| node.status != NodeState::Silent);
        let lags = lags.map(|node| head.saturating_sub(node.identity_revision.min(node.traffic_revision)));
        out.single(&metric::NODES_LAG, lags.max().unwrap_or(0));
        out.single(&metric::STREAMS, self.fleet.streams() as u64);
        let sent = self.stream.counts();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        out.family(&metric::SENT).sample(&["delta"], read(&sent.deltas)).sample(&["snapshot"], read(&sent.snapshots));
        out.single(&metric::SENT_BYTES, read(&sent.bytes));
        out.family(&metric::REFUSED)
            .sample(&["rejected"], read(&sent.rejected))
            .sample(&["digest"], read(&sent.digest_mismatches));
    }
}

fn histogram(out: &mut Exposition, family: &'static Family, series: &[(&[&str], &Histogram)]) {
    let mut family = out.family(family);
    for (labels, time) in series {
        let (buckets, sum) = time.read();
        family.histogram(labels, &BOUNDS, &buckets, sum);
    }
}

impl Pages for Telemetry {
    fn page<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Page> {
        let page = match path {
            "/livez" => Page::line("live"),
            "/readyz" if self.api.is_draining() => Page::line("draining").status(StatusCode::SERVICE_UNAVAILABLE),
            // without the database it is ready all the same: reads and nodes are served
            "/readyz" => Page::line("ready"),
            "/metrics" => {
                let text = async {
                    let mut out = Exposition::with_capacity(16 << 10);
                    self.write(&mut out).await;
                    process::write(&mut out, env!("CARGO_PKG_VERSION"));
                    Page::new(exposition::CONTENT_TYPE, out.into_text())
                };
                return text.boxed();
            }
            _ => Page::line("there are /livez, /readyz and /metrics").status(StatusCode::NOT_FOUND),
        };
        std::future::ready(page).boxed()
    }
}
