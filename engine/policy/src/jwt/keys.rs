//! The keys of a policy: fixed, published by an issuer, or for another process to open.

use std::sync::{Arc, OnceLock};

use super::KeySet;
use super::key_set::Candidates;
use super::token::Token;
use super::url::KeySetUrl;
use crate::{Awaited, Ports, PublishedKeys};

/// Where keys come from.
pub(super) enum Keys {
    Fixed(Arc<KeySet>),
    Published(Published),
    /// A secret among them is not opened in this process: nothing can be decided here.
    Elsewhere,
}

/// A key set that an issuer publishes; opened at the first request.
pub(super) struct Published {
    pub(super) at: KeySetUrl,
    pub(super) opened: OnceLock<Arc<dyn PublishedKeys>>,
}

/// What keys say of a token.
pub(super) enum Look {
    /// One of them signed it.
    Signed,
    /// None did, nor would a newer set help.
    Forged,
    /// None did; a newer set may.
    Missing,
    /// To find out takes long.
    Slow(Candidates),
}

impl Keys {
    /// The set at hand; none before it came.
    pub(super) fn current(&self, ports: &Ports) -> Option<Arc<KeySet>> {
        match self {
            Keys::Fixed(set) => Some(set.clone()),
            Keys::Published(published) => published.opened(ports).current(),
            Keys::Elsewhere => None,
        }
    }

    /// The version of the set at hand: what is remembered of tokens holds for one version.
    pub(super) fn version(&self, ports: &Ports) -> Option<u64> {
        match self {
            Keys::Fixed(set) => Some(set.version()),
            Keys::Published(published) => published.opened(ports).version(),
            Keys::Elsewhere => None,
        }
    }

    /// Waits for a set that is newer than the one that was looked at.
    pub(super) async fn newer(&self, than: Option<u64>, ports: &Ports) -> Awaited {
        match self {
            Keys::Fixed(_) => Awaited::NothingNew,
            Keys::Published(published) => published.opened(ports).newer(than).await,
            Keys::Elsewhere => Awaited::Unreachable,
        }
    }
}

impl Published {
    fn opened(&self, ports: &Ports) -> &dyn PublishedKeys {
        &**self.opened.get_or_init(|| ports.key_sets.open(&self.at))
    }
}

/// Looks at a token with a set of keys.
pub(super) fn look(set: &KeySet, token: &Token<'_>) -> Look {
    let candidates = set.candidates(token);
    if candidates.keys.iter().any(|key| key.is_slow(token.algorithm)) {
        return Look::Slow(candidates);
    }
    let signed = candidates.keys.iter().any(|key| key.signed(token));
    candidates.verdict(signed)
}

impl Candidates {
    pub(super) fn verdict(&self, signed: bool) -> Look {
        match (signed, self.named) {
            (true, _) => Look::Signed,
            (false, true) => Look::Forged,
            (false, false) => Look::Missing,
        }
    }
}
