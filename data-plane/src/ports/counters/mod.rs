//! Counters of limits: in this process, or in Redis and shared by the fleet.
//!
//! Both are exact over all who share them, all or nothing over the asks of one request, with windows as in `window.rs`. The
//! suite in `tests/counters.rs` runs against each.

mod local;
mod redis;
mod table;
mod window;

use std::sync::Arc;

use serde::Serialize;
use tidegate_policy::{Clock, CounterStore};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use local::{LocalCounters, LocalStatus};
pub use redis::{Breaker, Decisions, InvalidRedis, RedisCounters, RedisOptions, RedisStatus, Waits};

/// Where shared counters live.
#[derive(Clone, PartialEq, Eq)]
pub enum Counters {
    /// In this process.
    Local,
    /// In Redis, at this URL: `redis://host:port`, `rediss://` for TLS, `user:password@` before the host.
    Redis(String),
}

/// How much a node keeps in mind by default.
pub const COUNTERS_MAX: usize = 1_000_000;

/// The counters of a node and the tasks that keep them going.
pub struct NodeCounters {
    store: Store,
    tasks: TaskTracker,
}

enum Store {
    Local(Arc<LocalCounters>),
    Redis(RedisCounters),
}

/// What the status page shows.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "store", rename_all = "kebab-case")]
pub enum CountersStatus {
    /// Counted in this process.
    Local(LocalStatus),
    /// Counted in Redis.
    Redis(RedisStatus),
}

impl NodeCounters {
    /// Starts what is needed on the control runtime. Doesn't wait for Redis: a node also starts without it.
    ///
    /// # Errors
    /// If the URL of Redis is none.
    pub fn build(
        counters: &Counters,
        options: RedisOptions,
        clock: Arc<dyn Clock>,
        handle: &Handle,
        shutdown: &CancellationToken,
    ) -> Result<NodeCounters, InvalidRedis> {
        let tasks = TaskTracker::new();
        let store = match counters {
            Counters::Local => {
                let store = Arc::new(LocalCounters::new(clock, options.counters_max));
                let (swept, shutdown) = (store.clone(), shutdown.clone());
                tasks.spawn_on(async move { swept.keep_swept(shutdown).await }, handle);
                Store::Local(store)
            }
            Counters::Redis(url) => {
                Store::Redis(RedisCounters::start(url, options, clock, handle, &tasks, shutdown.clone())?)
            }
        };
        tasks.close();
        Ok(NodeCounters { store, tasks })
    }

    /// The port for a worker.
    pub fn port(&self) -> Arc<dyn CounterStore> {
        match &self.store {
            Store::Local(store) => store.clone(),
            Store::Redis(store) => Arc::new(store.clone()),
        }
    }

    /// Tells how many nodes share a limit while Redis is away.
    pub fn set_nodes(&self, nodes: usize) {
        match &self.store {
            Store::Local(_) => {}
            Store::Redis(store) => store.set_nodes(nodes),
        }
    }

    /// How things stand.
    pub fn status(&self) -> CountersStatus {
        match &self.store {
            Store::Local(store) => CountersStatus::Local(store.status()),
            Store::Redis(store) => CountersStatus::Redis(store.status()),
        }
    }

    /// Ends once the tasks have, after the shutdown was told.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}

/// Without the password.
impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Counters::Local => f.write_str("Local"),
            Counters::Redis(url) => f.debug_tuple("Redis").field(&redis::without_secrets(url)).finish(),
        }
    }
}
