//! What a node says of itself: `/livez`, `/readyz`, `/metrics`, `/status`. On its own listener and threads, so that looking
//! never slows traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::StatusCode;
use serde_json::json;
use tidegate_snapshot::Live;
use tidegate_telemetry::status::{Page, Pages};
use tidegate_telemetry::{Beside, Exposition, exposition, process};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::config_sync::SyncStatus;
use crate::ports::counters::NodeCounters;
use crate::ports::{ComputePool, KeySets, Responses};
use crate::pressure::Pressure;
use crate::telemetry::Sums;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::scrape::{self, Standing};

/// What there is to tell.
pub(crate) struct Node {
    pub(crate) live: Arc<Live>,
    pub(crate) sync: watch::Receiver<SyncStatus>,
    pub(crate) sums: Sums,
    pub(crate) counters: NodeCounters,
    pub(crate) callers: Arc<crate::callers::Callers>,
    pub(crate) key_sets: KeySets,
    pub(crate) compute: Arc<ComputePool>,
    pub(crate) responses: Arc<Responses>,
    pub(crate) pressure: Arc<Pressure>,
    pub(crate) access_log: Option<AccessLog>,
    /// What another part of the same process adds to the metrics.
    pub(crate) beside: Beside,
    pub(crate) draining: AtomicBool,
}

/// How often the ledger takes note of what workers met, also if nobody looks.
const SETTLE: std::time::Duration = std::time::Duration::from_secs(30);

impl Pages for Node {
    fn page<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Page> {
        let page = match path {
            "/livez" => Page::line("live"),
            "/readyz" => match self.unready() {
                None => Page::line("ready"),
                Some(why) => Page::line(why).status(StatusCode::SERVICE_UNAVAILABLE),
            },
            "/metrics" => return self.metrics().boxed(),
            "/status" => Page::new("application/json", self.status()),
            _ => Page::line("there are /livez, /readyz, /metrics and /status").status(StatusCode::NOT_FOUND),
        };
        std::future::ready(page).boxed()
    }
}

impl Node {
    /// Why no balancer should send anything here.
    fn unready(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Relaxed) {
            Some("draining")
        } else if !self.sync.borrow().ready {
            Some("no configuration yet")
        } else {
            None
        }
    }

    async fn metrics(&self) -> Page {
        let beside = self.beside.text().await;
        let mut text = Exposition::with_capacity(64 << 10);
        self.write_metrics(&mut text);
        text.append(&beside);
        Page::new(exposition::CONTENT_TYPE, text.into_text())
    }

    fn write_metrics(&self, out: &mut Exposition) {
        let snapshot = self.live.current();
        self.sums.write(out, &snapshot);
        let standing = Standing {
            revisions: snapshot.revisions(),
            sync: self.sync.borrow().clone(),
            counters: self.counters.status(),
            key_sets: self.key_sets.status(),
            compute: self.compute.status(),
            responses: self.responses.status(),
            log: self.access_log.as_ref().map(AccessLog::counts).unwrap_or_default(),
            memory: self.pressure.figures(),
            draining: self.draining.load(Ordering::Relaxed),
        };
        scrape::standing(out, &standing);
        process::write(out, env!("CARGO_PKG_VERSION"));
    }

    /// Keeps the ledger up to date until told to stop: what workers met is bounded also if nobody looks.
    pub(crate) async fn keep_ledger(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(SETTLE)).await.is_some() {
            let node = self.clone();
            let settled = tokio::task::spawn_blocking(move || {
                node.sums.settle(&node.live.current());
            });
            if let Err(error) = settled.await {
                error!(%error, "what workers counted could not be added up: {error}");
            }
        }
    }

    fn status(&self) -> String {
        let sync = self.sync.borrow().clone();
        let mut status = json!(sync);
        status["version"] = json!(env!("CARGO_PKG_VERSION"));
        let workers = self.sums.workers();
        status["workers"] = json!(workers.len());
        let connections: Vec<u64> = workers.iter().map(|cells| cells.connections_active.get()).collect();
        status["connections"] = json!(connections);
        status["memory"] = self.pressure.status();
        status["draining"] = json!(self.draining.load(Ordering::Relaxed));
        status["counters"] = json!(self.counters.status());
        status["key_sets"] = json!(self.key_sets.status());
        status["cache"] = json!(self.responses.status());
        status["compute"] = json!(self.compute.status());
        format!("{status:#}\n")
    }
}
