//! When credentials were used last, by the hour: noted by workers, told to the control plane.
//!
//! A worker tells the node of a credential once an hour; all else it knows itself. What could not be told yet is kept, up to a bound.

use std::cell::RefCell;
use std::collections::HashMap;

use parking_lot::Mutex;
use tidegate_model::{Id, Instant};

const HOUR_MS: i64 = 3_600_000;
/// How many credentials a worker has in mind; beyond, it begins anew, and tells some of them once more.
const SEEN_MAX: usize = 65_536;

/// A credential, and the hour in which it was used: hours since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Which.
    pub credential: Id,
    /// The hour.
    pub hour: u32,
}

pub(super) fn hour_of(now: Instant) -> u32 {
    u32::try_from(now.millis() / HOUR_MS).unwrap_or(0)
}

/// What one worker has told.
#[derive(Default)]
pub(super) struct Seen(RefCell<HashMap<Id, u32>>);

impl Seen {
    pub(super) fn is_new(&self, credential: Id, hour: u32) -> bool {
        let mut seen = self.0.borrow_mut();
        if seen.get(&credential) == Some(&hour) {
            return false;
        }
        if seen.len() >= SEEN_MAX {
            seen.clear();
        }
        seen.insert(credential, hour);
        true
    }

    pub(super) fn forget(&self, credential: Id) {
        self.0.borrow_mut().remove(&credential);
    }
}

/// What the node has to tell.
pub struct Uses {
    untold: Mutex<HashMap<Id, u32>>,
    max: usize,
}

impl Uses {
    pub(super) fn new(max: usize) -> Uses {
        Uses { untold: Mutex::default(), max }
    }

    /// `false` if there is no room.
    pub(super) fn note(&self, used: Used) -> bool {
        let mut untold = self.untold.lock();
        if untold.len() >= self.max && !untold.contains_key(&used.credential) {
            return false;
        }
        let hour = untold.entry(used.credential).or_default();
        *hour = used.hour.max(*hour);
        true
    }

    /// Takes up to so many, to tell them.
    pub fn take(&self, most: usize) -> Vec<Used> {
        let mut untold = self.untold.lock();
        let some: Vec<Id> = untold.keys().take(most).copied().collect();
        some.into_iter().filter_map(|id| Some(Used { credential: id, hour: untold.remove(&id)? })).collect()
    }

    /// Puts back what could not be told.
    pub fn put_back(&self, used: &[Used]) {
        for each in used {
            self.note(*each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn used(n: u128, hour: u32) -> Used {
        Used { credential: Id::new(Uuid::from_u128(n)), hour }
    }

    #[test]
    fn a_credential_is_told_once_an_hour_and_the_latest_hour_stays() {
        let seen = Seen::default();
        let of = |n: u128, hour| seen.is_new(used(n, 0).credential, hour);
        assert_eq!([of(1, 7), of(1, 7), of(2, 7), of(1, 8), of(1, 8)], [true, false, true, true, false]);
        let uses = Uses::new(2);
        assert!(uses.note(used(1, 7)) && uses.note(used(1, 8)) && uses.note(used(2, 7)));
        assert!(!uses.note(used(3, 7)), "there is no room");
        let mut taken = uses.take(10);
        taken.sort_by_key(|used| used.hour);
        assert_eq!(taken, [used(2, 7), used(1, 8)]);
        uses.note(used(1, 9));
        uses.put_back(&taken);
        assert_eq!(uses.take(10).into_iter().map(|used| used.hour).max(), Some(9), "what is older does not win");
    }
}
