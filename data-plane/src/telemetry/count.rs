//! Numbers that one thread writes and any may read: adding costs a load and a store, and no lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread writes and any may read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds; by the one thread that writes.
    pub fn add(&self, n: u64) {
        self.set(self.get().wrapping_add(n));
    }

    /// Sets; by the one thread that writes.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts by key, where the keys are few and show themselves as they come: codes of replies, kinds of policies. What does not
/// fit is counted together.
#[derive(Debug)]
pub struct Tally<K, const N: usize> {
    slots: [(OnceLock<K>, Count); N],
    other: Count,
}

impl<K: Copy + Eq, const N: usize> Default for Tally<K, N> {
    fn default() -> Self {
        Tally { slots: std::array::from_fn(|_| Default::default()), other: Count::default() }
    }
}

impl<K: Copy + Eq, const N: usize> Tally<K, N> {
    /// One more; by the one thread that writes.
    pub(crate) fn add(&self, key: K) {
        for (slot, count) in &self.slots {
            if *slot.get_or_init(|| key) == key {
                return count.add(1);
            }
        }
        self.other.add(1);
    }

    /// Each key that came, with its count; `None` for those that did not fit, if there are any.
    pub(crate) fn each(&self) -> impl Iterator<Item = (Option<K>, u64)> {
        let known = self.slots.iter().map_while(|(slot, count)| Some((Some(*slot.get()?), count.get())));
        let other = self.other.get();
        known.chain((other > 0).then_some((None, other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_do_not_fit_are_counted_together() {
        let tally = Tally::<&str, 2>::default();
        for key in ["a", "b", "a", "c", "d"] {
            tally.add(key);
        }
        assert_eq!(tally.each().collect::<Vec<_>>(), [(Some("a"), 2), (Some("b"), 1), (None, 2)]);
    }
}
