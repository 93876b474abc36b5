//! Tokens that were verified a moment ago, so that a caller who comes again costs one hash. One per worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use aws_lc_rs::digest;
use serde_json::Value;
use smallvec::SmallVec;

use super::claims::Times;

/// What a token says, once its signature and all that does not change with time held.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) claims: Arc<Value>,
    pub(super) scopes: SmallVec<[Box<str>; 2]>,
    pub(super) groups: SmallVec<[Box<str>; 2]>,
    pub(super) subject: Arc<str>,
    pub(super) times: Times,
}

/// Stands for a token, the policy that looked at it, and the key set it was verified with: with another set it is unknown, so
/// that a key takes its tokens along. The token itself is not kept.
pub(super) type Mark = [u8; 32];

pub(super) fn mark(policy: u64, key_set: u64, token: &[u8]) -> Mark {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&policy.to_le_bytes());
    hash.update(&key_set.to_le_bytes());
    hash.update(token);
    let mut mark = [0; 32];
    mark.copy_from_slice(hash.finish().as_ref());
    mark
}

/// The most tokens of a generation, and the most bytes that they had as text.
const TOKENS_MAX: usize = 1024;
const BYTES_MAX: usize = 512 << 10;

/// Two generations: once the young one is full, the old one goes.
#[derive(Default)]
pub(crate) struct VerifiedTokens(RefCell<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Mark, (Rc<Verified>, usize)>,
    old: HashMap<Mark, (Rc<Verified>, usize)>,
    bytes: usize,
}

impl VerifiedTokens {
    pub(super) fn get(&self, mark: &Mark) -> Option<Rc<Verified>> {
        let mut known = self.0.borrow_mut();
        if let Some((found, _)) = known.young.get(mark) {
            return Some(found.clone());
        }
        let (found, bytes) = known.old.remove(mark)?;
        known.insert(*mark, found.clone(), bytes);
        Some(found)
    }

    pub(super) fn insert(&self, mark: Mark, verified: Rc<Verified>, bytes: usize) {
        self.0.borrow_mut().insert(mark, verified, bytes);
    }
}

impl Generations {
    fn insert(&mut self, mark: Mark, verified: Rc<Verified>, bytes: usize) {
        if self.young.len() >= TOKENS_MAX || self.bytes + bytes > BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.young.insert(mark, (verified, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified() -> Rc<Verified> {
        Rc::new(Verified {
            claims: Arc::new(Value::Null),
            scopes: SmallVec::new(),
            groups: SmallVec::new(),
            subject: "s".into(),
            times: Times::default(),
        })
    }

    #[test]
    fn what_is_used_stays_and_the_number_is_bounded() {
        let tokens = VerifiedTokens::default();
        let one = mark(0, 0, b"used");
        tokens.insert(one, verified(), 10);
        for n in 0..10_000u64 {
            tokens.insert(mark(n, 1, b"other"), verified(), 600);
            assert!(tokens.get(&one).is_some(), "it was used after each");
        }
        let known = tokens.0.borrow();
        assert!(known.young.len() <= TOKENS_MAX && known.old.len() <= TOKENS_MAX);
        let bytes: usize = known.young.values().chain(known.old.values()).map(|(_, bytes)| bytes).sum();
        assert!(bytes <= 2 * BYTES_MAX, "{bytes}");
    }

    #[test]
    fn another_policy_or_key_set_knows_nothing_of_it() {
        let tokens = VerifiedTokens::default();
        tokens.insert(mark(1, 1, b"t"), verified(), 1);
        assert!(tokens.get(&mark(1, 1, b"t")).is_some());
        for other in [mark(2, 1, b"t"), mark(1, 2, b"t"), mark(1, 1, b"u")] {
            assert!(tokens.get(&other).is_none());
        }
    }
}
