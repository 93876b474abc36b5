//! Answers that are kept (policy `cache`): one table for all workers of a node, in memory.
//!
//! It is cut into shards by what was asked for, each behind a lock that is held for a look or a change and never while anybody
//! waits. All of it is lost with the process; nothing else depends on it.
//!
//! Invariant: what is kept never takes more than `cache_bytes_max`, by [`StoredAnswer::weight`].

mod shard;
#[cfg(test)]
mod tests;
mod turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde::Serialize;
use tidegate_model::Sha256;
use tidegate_policy::{CacheKey, Purge, ResponseStore, StoredAnswer, Turn, Variants};

use self::shard::Shard;
use self::turns::Turns;
use crate::limits::Limits;

const SHARDS: usize = 32;

/// Answers that are kept.
pub struct Responses {
    shards: Box<[Place]>,
    turns: Arc<Turns>,
    sums: Sums,
    bytes_max: u64,
    entries_max: usize,
    variants_max: usize,
    held_max: usize,
}

#[derive(Default)]
struct Place {
    shard: Mutex<Shard>,
    epoch: AtomicU64,
}

/// What is there, and what happened. Changed where something is kept or let go of, not where it is found.
#[derive(Default)]
struct Sums {
    bytes: AtomicU64,
    entries: AtomicUsize,
    held: AtomicUsize,
    stored: AtomicU64,
    evicted: AtomicU64,
    purged: AtomicU64,
    refused: AtomicU64,
}

/// How it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ResponsesStatus {
    /// What it takes of memory.
    pub bytes: u64,
    /// Keys under which answers are kept.
    pub entries: usize,
    /// Answers that were kept.
    pub stored: u64,
    /// Answers that made room for others.
    pub evicted: u64,
    /// Keys that were purged, or let go of as their target changed.
    pub purged: u64,
    /// Bodies that were not kept for want of room.
    pub refused: u64,
    /// Requests that waited for another one's answer.
    pub waited: u64,
    /// Requests that could not, as too many are waited for.
    pub crowded: u64,
}

impl Responses {
    /// Within a node's limits.
    pub fn new(limits: &Limits) -> Self {
        Responses {
            shards: (0..SHARDS).map(|_| Place::default()).collect(),
            turns: Arc::new(Turns::new(limits)),
            sums: Sums::default(),
            bytes_max: limits.cache_bytes_max as u64,
            entries_max: limits.cache_entries_max,
            variants_max: limits.cache_variants_max.max(1),
            held_max: limits.cache_held_bytes_max,
        }
    }

    /// Lets go of what is meant. How many keys it was.
    pub fn purge(&self, purge: &Purge) -> u64 {
        let mut gone = 0;
        for place in &self.shards {
            // before: what is under way was said before the purge
            place.epoch.fetch_add(1, Ordering::AcqRel);
            let freed = place.shard.lock().remove_if(|answer| purge.means(answer));
            gone += freed.entries as u64;
            self.freed(freed);
        }
        self.sums.purged.fetch_add(gone, Ordering::Relaxed);
        gone
    }

    /// How it stands.
    pub fn status(&self) -> ResponsesStatus {
        let sums = &self.sums;
        ResponsesStatus {
            bytes: sums.bytes.load(Ordering::Relaxed),
            entries: sums.entries.load(Ordering::Relaxed),
            stored: sums.stored.load(Ordering::Relaxed),
            evicted: sums.evicted.load(Ordering::Relaxed),
            purged: sums.purged.load(Ordering::Relaxed),
            refused: sums.refused.load(Ordering::Relaxed),
            waited: self.turns.waited(),
            crowded: self.turns.crowded(),
        }
    }

    fn at(&self, target: &Sha256) -> usize {
        usize::from(target.0[0]) % SHARDS
    }

    fn freed(&self, freed: shard::Freed) {
        self.sums.bytes.fetch_sub(freed.bytes, Ordering::Relaxed);
        self.sums.entries.fetch_sub(freed.entries, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.sums.bytes.load(Ordering::Relaxed) > self.bytes_max
            || self.sums.entries.load(Ordering::Relaxed) > self.entries_max
    }

    /// Lets go of what was asked for least lately: of the shard that grew, but for what made it grow, then of the others.
    fn make_room(&self, grown: usize) {
        for (turn, at) in (0..=SHARDS).map(|turn| (turn, (grown + turn) % SHARDS)) {
            let mut shard = self.shards[at].shard.lock();
            while self.is_over() && shard.len() > usize::from(turn == 0) {
                let freed = shard.evict();
                self.sums.evicted.fetch_add(freed.entries as u64, Ordering::Relaxed);
                self.freed(freed);
            }
            if !self.is_over() {
                return;
            }
        }
    }
}

impl ResponseStore for Responses {
    fn find(&self, key: &CacheKey) -> Variants {
        self.shards[self.at(&key.target)].shard.lock().find(key)
    }

    fn epoch(&self, key: &CacheKey) -> u64 {
        self.shards[self.at(&key.target)].epoch.load(Ordering::Acquire)
    }

    fn keep(&self, key: CacheKey, answer: StoredAnswer, epoch: u64) {
        // one that would take most of the room for itself passes
        if answer.weight() > self.bytes_max / 4 {
            self.sums.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let at = self.at(&key.target);
        {
            let mut shard = self.shards[at].shard.lock();
            if self.epoch(&key) != epoch {
                return;
            }
            let grown = shard.keep(key, Arc::new(answer), self.variants_max);
            self.sums.bytes.fetch_add(grown.bytes_more, Ordering::Relaxed);
            self.sums.bytes.fetch_sub(grown.bytes_less, Ordering::Relaxed);
            self.sums.entries.fetch_add(usize::from(grown.is_new), Ordering::Relaxed);
            self.sums.stored.fetch_add(1, Ordering::Relaxed);
        }
        if self.is_over() {
            self.make_room(at);
        }
    }

    fn forget(&self, target: &Sha256) {
        let place = &self.shards[self.at(target)];
        place.epoch.fetch_add(1, Ordering::AcqRel);
        let freed = place.shard.lock().forget(target);
        self.sums.purged.fetch_add(freed.entries as u64, Ordering::Relaxed);
        self.freed(freed);
    }

    fn turn(&self, key: &CacheKey) -> Turn {
        self.turns.take(key)
    }

    fn hold(&self, bytes: usize) -> bool {
        let held = self.sums.held.fetch_add(bytes, Ordering::Relaxed);
        if held + bytes <= self.held_max {
            return true;
        }
        self.sums.held.fetch_sub(bytes, Ordering::Relaxed);
        self.sums.refused.fetch_add(1, Ordering::Relaxed);
        false
    }

    fn let_go(&self, bytes: usize) {
        self.sums.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}
