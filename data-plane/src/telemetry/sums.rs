//! What all workers counted, added up when somebody looks.

use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_snapshot::Snapshot;
use tidegate_telemetry::Exposition;

use super::cells::Cells;
use super::ledger::Ledger;
use super::scrape;
use crate::limits::Limits;

/// The cells of all workers, and what they add up to.
pub struct Sums {
    workers: Vec<Arc<Cells>>,
    ledger: Mutex<Ledger>,
}

impl Sums {
    /// Of so many workers.
    pub fn new(workers: Vec<Arc<Cells>>, limits: &Limits) -> Self {
        Sums { workers, ledger: Mutex::new(Ledger::new(limits)) }
    }

    /// Each worker's own.
    pub fn workers(&self) -> &[Arc<Cells>] {
        &self.workers
    }

    /// Takes note of what workers met. To be called now and then also if nobody looks: what they hold for this is bounded by it.
    pub fn settle(&self, snapshot: &Snapshot) {
        self.ledger.lock().settle(&self.workers, snapshot);
    }

    /// Writes all of it, under the names that this configuration gives.
    pub fn write(&self, out: &mut Exposition, snapshot: &Snapshot) {
        // who looks at the same time waits for as long as this takes
        let mut ledger = self.ledger.lock();
        ledger.settle(&self.workers, snapshot);
        scrape::workers(out, &self.workers, &mut ledger);
    }
}
