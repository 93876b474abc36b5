//! A set of keys, fixed in the config or as an issuer publishes it (RFC 7517).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use smallvec::SmallVec;

use super::json;
use super::key::{Key, KeyRefused};
use super::token::Token;

/// Keys that tokens are verified with.
pub struct KeySet {
    version: u64,
    keys: Box<[Arc<Key>]>,
    skipped: Skipped,
}

/// How many keys of a published set are not used, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Weak ones, and those whose private half was published.
    pub weak: usize,
    /// Those that are for something else, or of a kind that is not known here.
    pub other: usize,
}

/// Why a document is no set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySet {
    /// It is something else.
    #[error("it is not a JSON Web Key Set: an object with an array `keys`")]
    Form,
    /// There is nothing in it to verify with.
    #[error("it holds no key that tokens can be verified with; {} are weak, {} of another kind", .0.weak, .0.other)]
    NoKey(Skipped),
}

/// The most keys of a set; what is beyond is skipped.
pub const KEYS_MAX: usize = 128;

/// Of keys that could have signed a token, at most so many are tried.
const TRIES_MAX: usize = 4;

static VERSIONS: AtomicU64 = AtomicU64::new(1);

impl KeySet {
    /// Reads what an issuer publishes. What can't be used is skipped and counted.
    ///
    /// # Errors
    /// It is no set, or nothing of it can be used.
    pub fn read(document: &[u8]) -> Result<KeySet, InvalidKeySet> {
        let document = json::object(document).ok_or(InvalidKeySet::Form)?;
        let listed = document.get("keys").and_then(Value::as_array).ok_or(InvalidKeySet::Form)?;
        let mut skipped = Skipped { weak: 0, other: listed.len().saturating_sub(KEYS_MAX) };
        let mut keys = Vec::new();
        for jwk in listed.iter().take(KEYS_MAX) {
            match jwk.as_object().map(|jwk| Key::from_jwk(jwk, &[])) {
                Some(Ok(key)) => keys.push(key),
                Some(Err(KeyRefused::Weak(_) | KeyRefused::Private)) => skipped.weak += 1,
                Some(Err(_)) | None => skipped.other += 1,
            }
        }
        if keys.is_empty() {
            return Err(InvalidKeySet::NoKey(skipped));
        }
        Ok(KeySet { skipped, ..KeySet::of(keys) })
    }

    pub(super) fn of(keys: Vec<Key>) -> KeySet {
        let version = VERSIONS.fetch_add(1, Ordering::Relaxed);
        KeySet { version, keys: keys.into_iter().map(Arc::new).collect(), skipped: Skipped::default() }
    }

    /// Tells it from any other set of this process.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What of the published set is not used.
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// The keys that may have signed a token: those that it names, else those without a name. A token that names none may be
    /// by any. What does not fit its algorithm is not among them.
    pub(super) fn candidates(&self, token: &Token<'_>) -> Candidates {
        let fitting = || self.keys.iter().filter(|key| key.fits(token.algorithm));
        let Some(kid) = token.kid.as_deref() else {
            return Candidates { keys: fitting().take(TRIES_MAX).cloned().collect(), named: false };
        };
        let named = self.keys.iter().any(|key| key.kid() == Some(kid));
        let wanted = named.then_some(kid);
        let keys = fitting().filter(|key| key.kid() == wanted).take(TRIES_MAX).cloned().collect();
        Candidates { keys, named }
    }
}

/// Keys that may have signed a token.
pub(super) struct Candidates {
    pub(super) keys: SmallVec<[Arc<Key>; TRIES_MAX]>,
    /// Whether the token names one of the set. If it was not signed by that one, a newer set would not help.
    pub(super) named: bool,
}
