//! The last entries of the log, kept at hand for nodes that are a little behind.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tidegate_model::{Chain, Change, Delta, Position};

use crate::store::LogEntry;

/// The last entries of the log; bounded by number and by size.
pub struct Ring {
    /// The position before the oldest entry.
    base: Position,
    entries: VecDeque<Arc<RingEntry>>,
    bytes: usize,
    bounds: Bounds,
}

/// How much a [`Ring`] keeps.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most entries.
    pub entries: usize,
    /// The most bytes, roughly.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { entries: 10_000, bytes: 64 << 20 }
    }
}

/// One entry.
pub struct RingEntry {
    /// The position that it led to.
    pub position: Position,
    /// What it changed, as the engine has it.
    pub changes: Vec<Change>,
    /// As the log has it.
    pub entry: LogEntry,
    bytes: usize,
}

impl Ring {
    pub(super) fn new(base: Position, bounds: Bounds) -> Ring {
        Ring { base, entries: VecDeque::new(), bytes: 0, bounds }
    }

    pub(super) fn push(&mut self, position: Position, changes: Vec<Change>, entry: LogEntry) {
        let bytes = size_of_entry(&entry);
        self.bytes += bytes;
        self.entries.push_back(Arc::new(RingEntry { position, changes, entry, bytes }));
        while self.entries.len() > self.bounds.entries || (self.bytes > self.bounds.bytes && self.entries.len() > 1) {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.bytes;
            self.base = oldest.position;
        }
    }

    /// The oldest position that a delta can lead from.
    pub fn oldest(&self) -> Position {
        self.base
    }

    /// The last position.
    pub fn newest(&self) -> Position {
        self.entries.back().map_or(self.base, |entry| entry.position)
    }

    /// The chain at a revision, if it is not too long ago.
    pub fn chain_at(&self, revision: u64) -> Option<Chain> {
        if revision == self.base.revision { Some(self.base.chain) } else { Some(self.entry(revision)?.position.chain) }
    }

    /// One entry, if it is not too long ago.
    pub fn entry(&self, revision: u64) -> Option<&Arc<RingEntry>> {
        let index = revision.checked_sub(self.base.revision)?.checked_sub(1)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// What leads from one revision to a later one, of all classes; each resource once, as it was last. `None` if either
    /// is not here.
    pub fn delta(&self, from: u64, to: u64) -> Option<Delta> {
        let first = from.checked_sub(self.base.revision)?;
        if to < from || to > self.newest().revision {
            return None;
        }
        let between = self.entries.iter().skip(usize::try_from(first).ok()?).take(usize::try_from(to - from).ok()?);
        let mut place = HashMap::new();
        let mut changes: Vec<Change> = Vec::new();
        for change in between.flat_map(|entry| &entry.changes) {
            match place.entry((change.kind, change.id)) {
                std::collections::hash_map::Entry::Occupied(at) => changes[*at.get()] = change.clone(),
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(changes.len());
                    changes.push(change.clone());
                }
            }
        }
        Some(Delta { class: None, from, to, changes })
    }
}

fn size_of_entry(entry: &LogEntry) -> usize {
    // twice what is after: as the log has it, and as the engine has it
    let content = |content: &Option<crate::store::Content>| content.as_ref().map_or(0, |c| c.document.len() + 64);
    256 + entry.changes.iter().map(|c| 128 + content(&c.before) + 2 * content(&c.after)).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use tidegate_model::{Id, Instant, Kind, State};
    use uuid::Uuid;

    use super::*;

    fn position(revision: u64) -> Position {
        Position { epoch: Uuid::nil(), revision, chain: Chain([u8::try_from(revision).expect("small"); 32]) }
    }

    fn ring(bounds: Bounds, last: u64) -> Ring {
        let mut ring = Ring::new(position(3), bounds);
        for revision in 4..=last {
            let at = Instant::from_millis(0);
            let state = State { name: None, revision, created_at: at, updated_at: at, document: "{}".into() };
            let id = Id::new(Uuid::from_u128(u128::from(revision % 2)));
            let change = Change { kind: Kind::Consumer, id, after: Some(state) };
            let entry = LogEntry {
                revision,
                chain: crate::store::Chain([0; 32]),
                change_id: String::new(),
                actor: String::new(),
                address: None,
                request_id: None,
                message: None,
                at: 0,
                changes: vec![],
            };
            ring.push(position(revision), vec![change], entry);
        }
        ring
    }

    #[test]
    fn a_delta_has_each_resource_once_as_it_was_last() {
        let ring = ring(Bounds::default(), 9);
        let delta = ring.delta(4, 8).expect("it is there");
        let revisions: Vec<u64> = delta.changes.iter().filter_map(|c| Some(c.after.as_ref()?.revision)).collect();
        assert_eq!(revisions, [7, 8]);
        assert!(ring.delta(3, 9).is_some() && ring.delta(9, 9).is_some_and(|d| d.changes.is_empty()));
        assert!(ring.delta(2, 9).is_none() && ring.delta(4, 10).is_none() && ring.delta(8, 4).is_none());
        assert_eq!(ring.chain_at(3), Some(position(3).chain));
        assert_eq!(ring.chain_at(6), Some(position(6).chain));
        assert_eq!((ring.chain_at(2), ring.chain_at(10)), (None, None));
    }

    #[test]
    fn old_entries_go_when_there_is_no_room() {
        let few = ring(Bounds { entries: 2, bytes: usize::MAX }, 9);
        assert_eq!((few.oldest().revision, few.newest().revision), (7, 9));
        let small = ring(Bounds { entries: 100, bytes: 600 }, 9);
        assert_eq!((small.oldest().revision, small.newest().revision), (7, 9));
        assert!(ring(Bounds { entries: 100, bytes: 1 }, 9).delta(8, 9).is_some(), "the last one always stays");
    }
}
