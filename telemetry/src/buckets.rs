//! Durations in buckets: the bounds that all histograms have, so that they can be added up.

use std::sync::atomic::{AtomicU64, Ordering};

/// The upper bounds of the buckets of durations, in microseconds; one more bucket holds the rest.
pub const BOUNDS_US: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
];

/// The same in seconds, as text.
pub const BOUNDS: [&str; BOUNDS_US.len()] = [
    "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30",
    "60",
];

/// How many buckets there are.
pub const BUCKETS: usize = BOUNDS_US.len() + 1;

/// By how many bits a duration has, the first bucket that it may fit.
const FIRST: [u8; 65] = {
    let mut first = [0; 65];
    let mut bits = 1;
    while bits <= 64 {
        let least = 1u64 << (bits - 1);
        let mut bucket = 0;
        while bucket < BOUNDS_US.len() && BOUNDS_US[bucket] < least {
            bucket += 1;
        }
        first[bits] = bucket as u8;
        bits += 1;
    }
    first
};

/// The bucket of a duration: bounds more than double as a rule, so that it is one of the first two it may fit.
pub fn bucket(micros: u64) -> usize {
    let mut bucket = usize::from(FIRST[(64 - micros.leading_zeros()) as usize]);
    while bucket < BOUNDS_US.len() && BOUNDS_US[bucket] < micros {
        bucket += 1;
    }
    bucket
}

/// Durations, noted by any thread.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

impl Histogram {
    /// One more.
    pub fn observe(&self, time: std::time::Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many fell into each bucket, and their sum in microseconds.
    pub fn read(&self) -> ([u64; BUCKETS], u64) {
        let buckets = std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed));
        (buckets, self.sum_micros.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let by_search = |micros: u64| BOUNDS_US.iter().position(|b| micros <= *b).unwrap_or(BOUNDS_US.len());
        for bound in BOUNDS_US {
            for micros in [bound - 1, bound, bound + 1] {
                assert_eq!(bucket(micros), by_search(micros), "{micros}");
            }
        }
        for micros in (0..64).map(|bit| 1u64 << bit).chain([0, u64::MAX]) {
            assert_eq!(bucket(micros), by_search(micros), "{micros}");
        }
    }

    #[test]
    fn bounds_read_as_they_are() {
        for (micros, text) in BOUNDS_US.into_iter().zip(BOUNDS) {
            let seconds: f64 = text.parse().expect("a number");
            assert_eq!((seconds * 1e6).round() as u64, micros);
        }
    }
}
