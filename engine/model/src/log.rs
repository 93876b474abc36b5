//! The configuration as a log: positions in it, the chain that tells two histories apart, what a revision changed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest::{self, Context};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Class, Id, Instant, Kind, Name, Sha256};

/// What one revision did to one resource; also how a resource travels and is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// Which one.
    pub id: Id,
    /// The resource from then on; `None` if it was deleted.
    pub after: Option<State>,
}

/// A resource as the log holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its name.
    pub name: Option<Name>,
    /// The revision that wrote it.
    pub revision: u64,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// Its document, references as ids: JSON text.
    pub document: Arc<str>,
}

/// What leads a configuration from one revision to a later one: each resource at most once, the last state wins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delta {
    /// The class it is about; `None` if about all of them.
    pub class: Option<Class>,
    /// Leads from here.
    pub from: u64,
    /// To here.
    pub to: u64,
    /// In no particular order.
    pub changes: Vec<Change>,
}

/// A place in the log of one store.
///
/// Two positions with equal epoch and revision but unequal chains are of two histories: after a fail-over that lost
/// commits, or a restored backup. Such a node starts over from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Which store: new after the first start and after a restore.
    pub epoch: Uuid,
    /// How far.
    pub revision: u64,
    /// The history that led there.
    pub chain: Chain,
}

/// A hash over a whole history: each revision's chain is made of the one before and of its changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// The chain of the next revision.
    #[must_use]
    pub fn next(self, revision: u64, changes: &[Change]) -> Chain {
        let mut hash = Context::new(&digest::SHA256);
        hash.update(&self.0);
        hash.update(&revision.to_be_bytes());
        for change in changes {
            hash_change(&mut hash, change);
        }
        let mut out = [0; 32];
        out.copy_from_slice(hash.finish().as_ref());
        Chain(out)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Sha256(self.0).fmt(f)
    }
}

impl FromStr for Chain {
    type Err = crate::InvalidSha256;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|Sha256(bytes)| Chain(bytes))
    }
}

impl Serialize for Chain {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a class of a configuration adds up to: the sum of the hashes of its resources, whatever led there.
///
/// Kept up in constant time per change; control plane and node compare it at each acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(pub u128);

impl Digest {
    /// With one more resource.
    #[must_use]
    pub fn with(self, kind: Kind, id: Id, state: &State) -> Digest {
        Digest(self.0.wrapping_add(resource_hash(kind, id, state)))
    }

    /// With one less.
    #[must_use]
    pub fn without(self, kind: Kind, id: Id, state: &State) -> Digest {
        Digest(self.0.wrapping_sub(resource_hash(kind, id, state)))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

fn resource_hash(kind: Kind, id: Id, state: &State) -> u128 {
    let mut hash = Context::new(&digest::SHA256);
    hash_state(&mut hash, kind, id, Some(state));
    hash.finish().as_ref()[..16].iter().fold(0, |sum, b| sum << 8 | u128::from(*b))
}

fn hash_change(hash: &mut Context, change: &Change) {
    hash_state(hash, change.kind, change.id, change.after.as_ref());
}

/// Every part is preceded by its length, so that no two states give the same bytes.
fn hash_state(hash: &mut Context, kind: Kind, id: Id, state: Option<&State>) {
    let mut part = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(kind.as_str().as_bytes());
    part(&id.as_u128().to_be_bytes());
    match state {
        None => part(&[0]),
        Some(state) => {
            part(&[1]);
            part(state.name.as_ref().map_or("", Name::as_str).as_bytes());
            part(&state.revision.to_be_bytes());
            part(state.document.as_bytes());
        }
    }
}

impl Delta {
    /// The part of one class.
    #[must_use]
    pub fn of_class(&self, class: Class) -> Delta {
        let changes = self.changes.iter().filter(|c| c.kind.class() == class).cloned().collect();
        Delta { class: Some(class), from: self.from, to: self.to, changes }
    }
}
