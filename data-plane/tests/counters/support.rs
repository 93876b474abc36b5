//! What the suites of counters stand on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use tidegate_data_plane::ports::SystemClock;
use tidegate_data_plane::ports::counters::{Breaker, RedisCounters, RedisOptions};
use tidegate_model::Instant;
use tidegate_policy::{Ask, Clock, CounterStore, LimitSpec, OnStoreLoss, Take, TakeOutcome};
use tidegate_testkit::wait::wait_for;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// For what takes milliseconds when nothing else runs.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// A window that no test sees the end of: it ends in 2027, and then in 2030.
pub(crate) const LONG: Duration = Duration::from_secs(1000 * 86_400);

/// A clock that stands until it is set.
pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(crate) fn at(millis: i64) -> Arc<Self> {
        Arc::new(ManualClock(AtomicI64::new(millis)))
    }

    pub(crate) fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, time: Duration) {
        self.0.fetch_add(time.as_millis() as i64, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A store in Redis and the runtime its connection lives on, as on a node.
pub(crate) struct Shared {
    pub(crate) store: RedisCounters,
    shutdown: CancellationToken,
}

impl Shared {
    pub(crate) fn start(url: &str, options: RedisOptions) -> Shared {
        let shutdown = CancellationToken::new();
        let clock = Arc::new(SystemClock);
        let (handle, tasks) = (Handle::current(), TaskTracker::new());
        let store = RedisCounters::start(url, options, clock, &handle, &tasks, shutdown.clone()).unwrap();
        Shared { store, shutdown }
    }

    pub(crate) async fn until(&self, breaker: Breaker) {
        let what = format!("the breaker to be {breaker:?}");
        wait_for(&what, SOON, async || -> Result<()> {
            ensure!(self.store.status().breaker == breaker);
            Ok(())
        })
        .await
        .unwrap();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Nobody is hurried: for what must be exact on a machine under load.
pub(crate) fn patient() -> RedisOptions {
    RedisOptions { budget: SOON, first_wait: SOON, ..RedisOptions::default() }
}

pub(crate) fn limit(id: u128, limit: u64, window: Duration, on_store_loss: OnStoreLoss) -> Arc<LimitSpec> {
    Arc::new(LimitSpec { id, name: format!("l{id}").into(), limit, window, on_store_loss })
}

pub(crate) async fn take(store: &dyn CounterStore, asks: &[(&Arc<LimitSpec>, u128, u32)]) -> TakeOutcome {
    let asks: Vec<Ask<'_>> =
        asks.iter().map(|(limit, subject, cost)| Ask { limit, subject: *subject, cost: *cost }).collect();
    match store.try_take(&asks) {
        Take::Now(outcome) => outcome,
        Take::Wait(asked) => asked.await,
    }
}

/// Takes one after the other; says how many were taken before the first that wasn't.
pub(crate) async fn drain(store: &dyn CounterStore, limit: &Arc<LimitSpec>, subject: u128, most: usize) -> usize {
    for taken in 0..most {
        if !matches!(take(store, &[(limit, subject, 1)]).await, TakeOutcome::Taken(_)) {
            return taken;
        }
    }
    most
}

/// Waits until a counter stands at this.
pub(crate) async fn until_used(store: &dyn CounterStore, limit: &Arc<LimitSpec>, subject: u128, used: u64) {
    let what = format!("`{}` of {subject} to stand at {used}", limit.name);
    wait_for(&what, SOON, async || -> Result<()> {
        let reading = store.read(limit, subject).await;
        ensure!(reading.is_some_and(|reading| reading.used == used), "it reads {reading:?}");
        Ok(())
    })
    .await
    .unwrap();
}
