//! When credentials were used last, as nodes tell it: gathered here, written now and then.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_model::{Id, Kind};
use tracing::warn;

use super::Fleet;

/// How often what came is written.
pub(super) const WRITTEN_EVERY: Duration = Duration::from_secs(5);
/// Of how many credentials it is kept until then. What comes beyond is lost, and told again by its node within the next hour.
const KEPT_MAX: usize = 1_000_000;
/// How many are written in one transaction.
const BATCH: usize = 5_000;

/// What is not written yet.
#[derive(Default)]
pub(super) struct Uses(Mutex<HashMap<Id, u32>>);

impl Uses {
    fn note(&self, credential: Id, hour: u32) {
        let mut kept = self.0.lock();
        if kept.len() < KEPT_MAX || kept.contains_key(&credential) {
            let latest = kept.entry(credential).or_default();
            *latest = hour.max(*latest);
        }
    }

    fn take(&self) -> Vec<(Id, u32)> {
        let mut kept = self.0.lock();
        let some: Vec<Id> = kept.keys().take(BATCH).copied().collect();
        some.into_iter().filter_map(|id| Some((id, kept.remove(&id)?))).collect()
    }
}

impl Fleet {
    /// A node says that these were used. An hour that is not yet is a clock that is wrong.
    pub(crate) fn used(&self, uses: impl Iterator<Item = (Id, u32)>) {
        let now = chrono::Utc::now().timestamp() / 3600;
        for (credential, hour) in uses.filter(|(_, hour)| i64::from(*hour) <= now + 1) {
            self.uses.note(credential, hour);
        }
    }

    /// Writes what came, of credentials that there are. What could not be written is kept.
    pub(super) async fn write_uses(&self) {
        loop {
            let mut uses = self.uses.take();
            let config = self.source.head().config;
            uses.retain(|(credential, _)| config.get(Kind::Credential, *credential).is_some());
            if uses.is_empty() {
                return;
            }
            if let Err(error) = self.positions.note_uses(uses.clone()).await {
                warn!("when {} credentials were used could not be written: {error:#}", uses.len());
                uses.into_iter().for_each(|(credential, hour)| self.uses.note(credential, hour));
                return;
            }
        }
    }
}
