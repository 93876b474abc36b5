//! One part of the table: keys in the order in which they were asked for last.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use slab::Slab;
use smallvec::SmallVec;
use tidegate_model::Sha256;
use tidegate_policy::{CacheKey, StoredAnswer, Variants};

#[derive(Default)]
pub(super) struct Shard {
    by_key: HashMap<CacheKey, usize, RandomState>,
    by_target: HashMap<Sha256, SmallVec<[usize; 1]>, RandomState>,
    entries: Slab<Entry>,
    /// Asked for last, and least lately.
    first: Option<usize>,
    last: Option<usize>,
}

struct Entry {
    key: CacheKey,
    variants: Variants,
    bytes: u64,
    before: Option<usize>,
    behind: Option<usize>,
}

/// What was let go of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Freed {
    pub(super) bytes: u64,
    pub(super) entries: usize,
}

/// What was kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Grown {
    pub(super) bytes_more: u64,
    pub(super) bytes_less: u64,
    pub(super) is_new: bool,
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn find(&mut self, key: &CacheKey) -> Variants {
        let Some(&at) = self.by_key.get(key) else { return Variants::new() };
        if self.first != Some(at) {
            self.unlink(at);
            self.link(at);
        }
        self.entries[at].variants.clone()
    }

    /// Keeps an answer, the newest behind the others.
    pub(super) fn keep(&mut self, key: CacheKey, answer: Arc<StoredAnswer>, variants_max: usize) -> Grown {
        let bytes_more = answer.weight();
        let Some(&at) = self.by_key.get(&key) else {
            let variants = Variants::from_iter([answer]);
            let at = self.entries.insert(Entry { key, variants, bytes: bytes_more, before: None, behind: None });
            self.by_key.insert(key, at);
            self.by_target.entry(key.target).or_default().push(at);
            self.link(at);
            return Grown { bytes_more, bytes_less: 0, is_new: true };
        };
        let entry = &mut self.entries[at];
        let mut bytes_less = 0;
        if let Some(same) = entry.variants.iter().position(|other| other.vary == answer.vary) {
            bytes_less += entry.variants.remove(same).weight();
        }
        if entry.variants.len() >= variants_max {
            bytes_less += entry.variants.remove(0).weight();
        }
        entry.variants.push(answer);
        entry.bytes = entry.bytes + bytes_more - bytes_less;
        Grown { bytes_more, bytes_less, is_new: false }
    }

    /// Lets go of all that was said of a target.
    pub(super) fn forget(&mut self, target: &Sha256) -> Freed {
        let all = self.by_target.get(target).cloned().unwrap_or_default();
        self.remove_all(&all)
    }

    /// Lets go of the keys under which such an answer is kept.
    pub(super) fn remove_if(&mut self, meant: impl Fn(&StoredAnswer) -> bool) -> Freed {
        let meant = |entry: &Entry| entry.variants.iter().any(|answer| meant(answer));
        let all: Vec<usize> = self.entries.iter().filter(|(_, entry)| meant(entry)).map(|(at, _)| at).collect();
        self.remove_all(&all)
    }

    /// Lets go of what was asked for least lately.
    pub(super) fn evict(&mut self) -> Freed {
        self.last.map_or(Freed::default(), |at| self.remove_all(&[at]))
    }

    fn remove_all(&mut self, all: &[usize]) -> Freed {
        let mut freed = Freed::default();
        for &at in all {
            self.unlink(at);
            let entry = self.entries.remove(at);
            self.by_key.remove(&entry.key);
            if let Some(places) = self.by_target.get_mut(&entry.key.target) {
                places.retain(|place| *place != at);
                if places.is_empty() {
                    self.by_target.remove(&entry.key.target);
                }
            }
            freed.bytes += entry.bytes;
            freed.entries += 1;
        }
        freed
    }

    fn link(&mut self, at: usize) {
        let former = self.first.replace(at);
        self.entries[at].before = None;
        self.entries[at].behind = former;
        match former {
            Some(former) => self.entries[former].before = Some(at),
            None => self.last = Some(at),
        }
    }

    fn unlink(&mut self, at: usize) {
        let (before, behind) = (self.entries[at].before, self.entries[at].behind);
        match before {
            Some(before) => self.entries[before].behind = behind,
            None => self.first = behind,
        }
        match behind {
            Some(behind) => self.entries[behind].before = before,
            None => self.last = before,
        }
    }
}
