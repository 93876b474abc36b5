//! What goes into the store and comes out of it.

use std::fmt;
use std::str::FromStr;

use tidegate_model::{Id, Kind, Name};
use uuid::Uuid;

/// Binds a revision to all before it: a hash of the former chain and this revision's changes. The store only keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// The chain of revision 0, which has no changes.
    pub const START: Chain = Chain([0; 32]);
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({self})")
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a chain")]
pub struct InvalidChain(pub String);

impl FromStr for Chain {
    type Err = InvalidChain;

    fn from_str(text: &str) -> Result<Self, InvalidChain> {
        let invalid = || InvalidChain(text.to_owned());
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| invalid())?;
        let mut chain = [0; 32];
        for (byte, pair) in chain.iter_mut().zip(digits.as_chunks::<2>().0) {
            let [high, low] = pair.map(digit);
            *byte = high.ok_or_else(invalid)? << 4 | low.ok_or_else(invalid)?;
        }
        Ok(Chain(chain))
    }
}

/// Where the log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Which log this is; another one after the database was made anew or put back from a backup.
    pub epoch: Uuid,
    /// The last revision; 0 before the first change.
    pub revision: u64,
    /// The chain of that revision.
    pub chain: Chain,
}

/// The fold of the log, as one moment saw it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The revision that the documents amount to.
    pub head: Head,
    /// All resources there are, in no order.
    pub documents: Vec<StoredDocument>,
}

/// One resource, as its last change left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// What it is.
    pub kind: Kind,
    /// Which one it is.
    pub id: Id,
    /// Its name, if it has one.
    pub name: Option<Name>,
    /// Its document, JSON text.
    pub document: String,
    /// The revision that changed it last.
    pub revision: u64,
    /// When it was made; milliseconds since 1970.
    pub created_at: i64,
    /// When it was changed last; milliseconds since 1970.
    pub updated_at: i64,
}

/// What a resource holds: before a change, or after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its name, if it has one.
    pub name: Option<Name>,
    /// Its document, JSON text.
    pub document: String,
}

/// What one revision did to one resource: made it, changed it or deleted it. Never nothing on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// Which one it is.
    pub id: Id,
    /// What it held; nothing if it is made here.
    pub before: Option<Content>,
    /// What it holds now; nothing if it is deleted.
    pub after: Option<Content>,
}

impl Change {
    /// The name to show for it: the new one, or the last one of what was deleted.
    pub fn name(&self) -> Option<&Name> {
        self.after.as_ref().or(self.before.as_ref())?.name.as_ref()
    }
}

/// A revision to be made.
#[derive(Debug, Clone, Copy)]
pub struct Append<'a> {
    /// The revision it was judged on. It becomes the one after.
    pub expected: u64,
    /// The chain of the new revision.
    pub chain: Chain,
    /// The same for the same wish: a commit whose answer was lost is not made twice.
    pub change_id: &'a str,
    /// Who wants it.
    pub actor: &'a str,
    /// From where.
    pub address: Option<&'a str>,
    /// In which request.
    pub request_id: Option<&'a str>,
    /// Why, in their words.
    pub message: Option<&'a str>,
    /// When; milliseconds since 1970.
    pub at: i64,
    /// What it does, at most once to each resource.
    pub changes: &'a [Change],
}

/// What became of an [`Append`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Appended {
    /// It is this revision now, and lasting.
    Done(u64),
    /// Another writer was faster: nothing was written; judge again, on the new state.
    Stale,
    /// This change id made this revision before; nothing was written.
    Repeated(u64),
}

/// A revision that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number; the one after the former's.
    pub revision: u64,
    /// Its chain.
    pub chain: Chain,
    /// The wish it came from.
    pub change_id: String,
    /// Who wanted it.
    pub actor: String,
    /// From where.
    pub address: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Why, in their words.
    pub message: Option<String>,
    /// When; milliseconds since 1970.
    pub at: i64,
    /// What it did, in the order it was given.
    pub changes: Vec<Change>,
}

/// How far a node is, as the replica that it is connected to last heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePosition {
    /// Which node.
    pub node_id: Id,
    /// The control plane that wrote this.
    pub replica: String,
    /// The stream between the two.
    pub session: String,
    /// The log its revisions are of; nil before it has any.
    pub epoch: Uuid,
    /// The revision of identity that it runs on.
    pub identity_revision: u64,
    /// The revision of traffic that it runs on.
    pub traffic_revision: u64,
    /// The version of its program.
    pub version: String,
    /// Where it connects from.
    pub address: String,
    /// Its labels, a JSON object.
    pub labels: String,
    /// What is wrong on it, a JSON array.
    pub problems: String,
    /// When it was last heard; milliseconds since 1970.
    pub last_seen: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_reads_back_from_its_text() {
        let chain = Chain(std::array::from_fn(|i| u8::try_from(i * 8).expect("below 256")));
        assert_eq!(chain.to_string().parse(), Ok(chain));
    }

    #[test]
    fn what_is_no_chain_is_refused() {
        for bad in ["", "00", &"g".repeat(64), &"0".repeat(63), &"ä".repeat(32)] {
            assert_eq!(bad.parse::<Chain>(), Err(InvalidChain(bad.to_owned())));
        }
    }
}
