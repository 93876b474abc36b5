//! Follows the log: folds in what this replica and others wrote, each entry once and in order.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidegate_model::{Change, Problem};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::fold::Folded;
use super::ring::Ring;
use super::{Changes, Inner};
use crate::store::{LogEntry, StoreError};

/// Entries read at once.
const PAGE: u32 = 500;
/// How often it is looked whether the log still is the one that was followed.
const HISTORY_CHECK: Duration = Duration::from_secs(10);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

impl Changes {
    /// Follows the log until it is told to stop.
    pub async fn follow(self, shutdown: CancellationToken) {
        let mut wakeups = self.0.store.wakeups();
        let mut retry = RETRY_FIRST;
        let mut checked = Instant::now();
        loop {
            let woken = async {
                if retry == RETRY_FIRST {
                    // a store that is closed wakes nobody
                    if wakeups.changed().await.is_err() {
                        shutdown.cancelled().await;
                    }
                } else {
                    tokio::time::sleep(retry).await;
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = woken => {}
                () = tokio::time::sleep_until(checked + HISTORY_CHECK) => {}
            }
            let mut followed = self.0.catch_up().await;
            if followed.is_ok() && checked.elapsed() >= HISTORY_CHECK {
                followed = self.0.check_history().await;
                checked = Instant::now();
            }
            match followed {
                Ok(()) => {
                    if !self.0.store_up.swap(true, Ordering::Relaxed) {
                        info!("the database answers again");
                    }
                    retry = RETRY_FIRST;
                }
                Err(why) => {
                    if self.0.store_up.swap(false, Ordering::Relaxed) {
                        warn!(error = %crate::error_chain(&why), "the log can't be followed; reads go on, changes do not");
                    }
                    retry = (retry * 2).min(RETRY_MAX);
                }
            }
        }
    }
}

impl Inner {
    /// Folds in all that the log has and the fold has not.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        let _folding = self.folding.lock().await;
        loop {
            let now = self.published.borrow().clone();
            let entries = self.store.since(now.revision(), PAGE).await?;
            let last = entries.len() < PAGE as usize;
            for entry in entries {
                let now = self.published.borrow().clone();
                if entry.revision <= now.revision() {
                    continue;
                }
                match fold_in(&now, &entry) {
                    Ok((next, changes)) => self.publish(next, changes, entry),
                    Err(why) => return self.reload_held(&why).await,
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Publishes what this replica wrote itself, if following the log did not do so already.
    pub(super) async fn install(&self, next: Folded, changes: Vec<Change>, entry: LogEntry) {
        let _folding = self.folding.lock().await;
        let now = self.published.borrow().position;
        if now.epoch == next.position.epoch && now.revision + 1 == next.revision() {
            self.publish(next, changes, entry);
        }
    }

    /// Starts over from what the store holds now.
    pub(super) async fn reload(&self, why: &str) -> Result<(), StoreError> {
        let _folding = self.folding.lock().await;
        self.reload_held(why).await
    }

    async fn reload_held(&self, why: &str) -> Result<(), StoreError> {
        let (folded, problems) = Folded::from_loaded(&self.store.load().await?, self.registry.clone());
        error!(config.revision = folded.revision(), "the configuration was read anew: {why}");
        tell_problems(&folded, &problems);
        {
            let mut ring = self.ring.write();
            *ring = Ring::new(folded.position, super::Bounds::default());
        }
        self.published.send_replace(Arc::new(folded));
        Ok(())
    }

    /// Whether the log still leads through the revision that the fold is at: after a fail-over that lost commits, or a
    /// restored backup, it does not.
    pub(super) async fn check_history(&self) -> Result<(), StoreError> {
        let now = self.published.borrow().position;
        if now.revision == 0 {
            return Ok(());
        }
        let same = self.store.entry(now.revision).await?.is_some_and(|entry| entry.chain.0 == now.chain.0);
        if same { Ok(()) } else { self.reload("the log is not the one that was followed").await }
    }

    /// The ring goes first, so that who sees a revision finds it there.
    fn publish(&self, next: Folded, changes: Vec<Change>, entry: LogEntry) {
        self.ring.write().push(next.position, changes, entry);
        self.published.send_replace(Arc::new(next));
    }
}

fn fold_in(now: &Folded, entry: &LogEntry) -> Result<(Folded, Vec<Change>), String> {
    let changes = now.changes_of(entry);
    if entry.revision != now.revision() + 1 || entry.chain.0 != now.next_chain(&changes).0 {
        return Err(format!("revision {} does not follow from what was read before", entry.revision));
    }
    let judged = now.judge(&changes);
    let snapshot = judged.map_err(|problems| {
        let first = problems.first().map(Problem::to_string).unwrap_or_default();
        format!("revision {} was accepted by another control plane, not by this one: {first}", entry.revision)
    })?;
    Ok((now.next(snapshot, &changes), changes))
}

pub(super) fn tell_problems(folded: &Folded, problems: &[Problem]) {
    for problem in problems.iter().take(20) {
        error!(config.revision = folded.revision(), "the stored configuration has a problem: {problem}");
    }
}
