//! What is counted about the calls to Redis. One call is a round trip, so that shared atomics don't show.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tidegate_policy::TakeOutcome;

/// Upper ends of the histogram's buckets, in milliseconds; one more bucket holds the rest.
const BUCKETS_MS: [u64; 8] = [1, 2, 5, 10, 20, 50, 100, 500];

#[derive(Default)]
pub(super) struct Metrics {
    pub(super) shared: Outcomes,
    pub(super) alone: Outcomes,
    pub(super) calls: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) slow: AtomicU64,
    pub(super) crowded: AtomicU64,
    pub(super) opened: AtomicU64,
    pub(super) debt_paid: AtomicU64,
    waits: [AtomicU64; BUCKETS_MS.len() + 1],
}

/// Decisions by their outcome.
#[derive(Default)]
pub(super) struct Outcomes {
    taken: AtomicU64,
    denied: AtomicU64,
    unavailable: AtomicU64,
}

/// Decisions by their outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Decisions {
    /// Admitted.
    pub taken: u64,
    /// Refused, as the limit was used up.
    pub denied: u64,
    /// Refused, as nobody could say.
    pub unavailable: u64,
}

/// How many calls were answered within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Waits {
    /// Up to so many milliseconds; none for all that took longer.
    pub within_ms: Option<u64>,
    /// So many, those of the smaller ones not counted in.
    pub calls: u64,
}

/// Counts one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Metrics {
    pub(super) fn waited(&self, time: Duration) {
        let bucket = BUCKETS_MS.iter().position(|end| time <= Duration::from_millis(*end));
        count(&self.waits[bucket.unwrap_or(BUCKETS_MS.len())]);
    }

    pub(super) fn waits(&self) -> Vec<Waits> {
        let ends = BUCKETS_MS.iter().copied().map(Some).chain([None]);
        let waits = ends.zip(&self.waits);
        waits.map(|(within_ms, calls)| Waits { within_ms, calls: calls.load(Ordering::Relaxed) }).collect()
    }
}

impl Outcomes {
    pub(super) fn count(&self, outcome: &TakeOutcome) {
        count(match outcome {
            TakeOutcome::Taken(_) => &self.taken,
            TakeOutcome::Denied(_) => &self.denied,
            TakeOutcome::Unavailable { .. } => &self.unavailable,
        });
    }

    pub(super) fn read(&self) -> Decisions {
        Decisions {
            taken: self.taken.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
            unavailable: self.unavailable.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_counted_in_the_bucket_it_fits() {
        let metrics = Metrics::default();
        for micros in [400, 1_000, 1_001, 20_000, 900_000] {
            metrics.waited(Duration::from_micros(micros));
        }
        let counted: Vec<u64> = metrics.waits().iter().map(|wait| wait.calls).collect();
        assert_eq!(counted, [2, 1, 0, 0, 1, 0, 0, 0, 1]);
    }
}
