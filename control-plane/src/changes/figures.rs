//! What became of the changes that were asked for.

use std::time::Duration;

use tidegate_telemetry::buckets::Histogram;

use super::{ChangeError, Committed};
use crate::telemetry::Words;

/// What became of them, and how long it took.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) outcomes: Words<11>,
    pub(crate) time: Histogram,
}

impl Default for Figures {
    fn default() -> Self {
        let outcomes = Words::new([
            "made",
            "unchanged",
            "repeated",
            "invalid",
            "not_found",
            "conflict",
            "precondition_failed",
            "too_large",
            "busy",
            "store_unavailable",
            "internal",
        ]);
        Figures { outcomes, time: Histogram::default() }
    }
}

impl Figures {
    pub(super) fn note(&self, done: &Result<Committed, ChangeError>, took: Duration) {
        self.time.observe(took);
        self.outcomes.count(match done {
            Ok(committed) if committed.repeated => "repeated",
            Ok(committed) if committed.classes.is_empty() => "unchanged",
            Ok(_) => "made",
            Err(ChangeError::Invalid(_)) => "invalid",
            Err(ChangeError::NotFound { .. }) => "not_found",
            Err(ChangeError::Conflict(_)) => "conflict",
            Err(ChangeError::Precondition { .. }) => "precondition_failed",
            Err(ChangeError::TooLarge { .. }) => "too_large",
            Err(ChangeError::Busy) => "busy",
            Err(ChangeError::StoreUnavailable(_)) => "store_unavailable",
            Err(ChangeError::Internal(_)) => "internal",
        });
    }
}
