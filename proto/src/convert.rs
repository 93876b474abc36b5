//! From the wire's types to the model's and back.

use std::borrow::Cow;

use bytes::Bytes;
use prost::Message;
use tidegate_model as model;
use tidegate_model::{Chain, Digest, Id, Instant};

use crate::{CHUNK_BYTES, v1};

/// What came over the wire is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not a message at all.
    #[error("not a message")]
    Encoding(#[from] prost::DecodeError),
    /// A part is missing or has a form that it can't have.
    #[error("`{0}` is missing or malformed")]
    Part(&'static str),
}

impl v1::Class {
    /// The class in the model's words, if it is one.
    pub fn model(self) -> Option<model::Class> {
        match self {
            v1::Class::Identity => Some(model::Class::Identity),
            v1::Class::Traffic => Some(model::Class::Traffic),
            v1::Class::Unspecified => None,
        }
    }
}

/// The classes that travel.
pub const CLASSES: [model::Class; 2] = [model::Class::Identity, model::Class::Traffic];

/// A class as the wire has it. `control` never travels.
pub fn class_to_wire(class: model::Class) -> i32 {
    let class = match class {
        model::Class::Identity => v1::Class::Identity,
        model::Class::Traffic => v1::Class::Traffic,
        model::Class::Control => v1::Class::Unspecified,
    };
    class.into()
}

/// A class from the wire.
pub fn class_from_wire(class: i32) -> Result<model::Class, Malformed> {
    v1::Class::try_from(class).ok().and_then(v1::Class::model).ok_or(Malformed::Part("class"))
}

impl From<model::Position> for v1::Position {
    fn from(at: model::Position) -> Self {
        v1::Position { epoch: at.epoch.as_bytes().to_vec(), revision: at.revision, chain: at.chain.0.to_vec() }
    }
}

impl TryFrom<&v1::Position> for model::Position {
    type Error = Malformed;

    fn try_from(at: &v1::Position) -> Result<Self, Malformed> {
        Ok(model::Position {
            epoch: uuid(&at.epoch).ok_or(Malformed::Part("epoch"))?,
            revision: at.revision,
            chain: Chain(at.chain.as_slice().try_into().map_err(|_| Malformed::Part("chain"))?),
        })
    }
}

fn uuid(bytes: &[u8]) -> Option<uuid::Uuid> {
    uuid::Uuid::from_slice(bytes).ok()
}

/// A digest as the wire has it.
pub fn digest_to_wire(digest: Digest) -> Vec<u8> {
    digest.0.to_be_bytes().to_vec()
}

/// A digest from the wire.
pub fn digest_from_wire(bytes: &[u8]) -> Result<Digest, Malformed> {
    Ok(Digest(u128::from_be_bytes(bytes.try_into().map_err(|_| Malformed::Part("digest"))?)))
}

impl v1::Have {
    /// Says where a class is.
    pub fn new(class: model::Class, at: model::Position, digest: Digest) -> Self {
        v1::Have { class: class_to_wire(class), at: Some(at.into()), digest: digest_to_wire(digest) }
    }

    /// What it says.
    pub fn read(&self) -> Result<(model::Class, model::Position, Digest), Malformed> {
        let at = self.at.as_ref().ok_or(Malformed::Part("at"))?;
        Ok((class_from_wire(self.class)?, at.try_into()?, digest_from_wire(&self.digest)?))
    }
}

/// What a [`v1::Begin`] announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The class.
    pub class: model::Class,
    /// Where it leads from; `None` for a snapshot.
    pub from: Option<model::Position>,
    /// Where it leads to.
    pub to: model::Position,
    /// How many changes there will be.
    pub count: u64,
    /// What the class adds up to afterwards.
    pub digest: Digest,
}

impl From<&Announced> for v1::Begin {
    fn from(announced: &Announced) -> Self {
        v1::Begin {
            class: class_to_wire(announced.class),
            from: announced.from.map(Into::into),
            to: Some(announced.to.into()),
            count: announced.count,
            digest: digest_to_wire(announced.digest),
        }
    }
}

impl TryFrom<&v1::Begin> for Announced {
    type Error = Malformed;

    fn try_from(begin: &v1::Begin) -> Result<Self, Malformed> {
        Ok(Announced {
            class: class_from_wire(begin.class)?,
            from: begin.from.as_ref().map(TryInto::try_into).transpose()?,
            to: begin.to.as_ref().ok_or(Malformed::Part("to"))?.try_into()?,
            count: begin.count,
            digest: digest_from_wire(&begin.digest)?,
        })
    }
}

impl From<&model::Change> for v1::Change {
    fn from(change: &model::Change) -> Self {
        let after = change.after.as_ref().map(|state| v1::State {
            name: state.name.as_ref().map(model::Name::to_string).unwrap_or_default(),
            revision: state.revision,
            created_at: state.created_at.millis(),
            updated_at: state.updated_at.millis(),
            document: state.document.to_string(),
        });
        v1::Change { kind: change.kind.to_string(), id: change.id.uuid().as_bytes().to_vec(), after }
    }
}

impl TryFrom<v1::Change> for model::Change {
    type Error = Malformed;

    fn try_from(change: v1::Change) -> Result<Self, Malformed> {
        let after = change.after.map(|state| {
            let name = match state.name.as_str() {
                "" => None,
                name => Some(name.parse().map_err(|_| Malformed::Part("name"))?),
            };
            Ok::<_, Malformed>(model::State {
                name,
                revision: state.revision,
                created_at: Instant::from_millis(state.created_at),
                updated_at: Instant::from_millis(state.updated_at),
                document: state.document.into(),
            })
        });
        Ok(model::Change {
            kind: change.kind.parse().map_err(|_| Malformed::Part("kind"))?,
            id: Id::new(uuid(&change.id).ok_or(Malformed::Part("id"))?),
            after: after.transpose()?,
        })
    }
}

/// Changes in the form they travel in: one encoded [`v1::Changes`] after the other, of about [`CHUNK_BYTES`] each.
pub struct Chunks<I>(pub I);

impl<I: Iterator<Item = model::Change>> Iterator for Chunks<I> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut chunk = Vec::new();
        for change in self.0.by_ref() {
            // a `Changes` is a sequence of these: encoding it piece by piece gives the same bytes
            let one = v1::Changes { changes: vec![(&change).into()] };
            one.encode(&mut chunk).expect("a Vec takes all");
            if chunk.len() >= CHUNK_BYTES {
                break;
            }
        }
        (!chunk.is_empty()).then(|| chunk.into())
    }
}

/// The changes of a chunk, appended to `to`.
pub fn read_chunk(chunk: &[u8], to: &mut Vec<model::Change>) -> Result<(), Malformed> {
    for change in v1::Changes::decode(chunk)?.changes {
        to.push(change.try_into()?);
    }
    Ok(())
}

impl From<&model::Problem> for v1::Problem {
    fn from(problem: &model::Problem) -> Self {
        let subject = problem.resource.as_ref();
        v1::Problem {
            kind: subject.map(|s| s.kind.to_string()).unwrap_or_default(),
            id: subject.map(|s| s.id.to_string()).unwrap_or_default(),
            name: subject.and_then(|s| s.name.as_ref()).map(model::Name::to_string).unwrap_or_default(),
            pointer: problem.pointer.clone(),
            code: problem.code.to_string(),
            detail: problem.detail.clone(),
        }
    }
}

/// Never fails: a resource that this side does not know is left out of the problem, not the problem.
impl From<v1::Problem> for model::Problem {
    fn from(problem: v1::Problem) -> Self {
        let resource = match (problem.kind.parse(), problem.id.parse()) {
            (Ok(kind), Ok(id)) => Some(model::Subject { kind, id, name: problem.name.parse().ok() }),
            _ => None,
        };
        model::Problem { resource, pointer: problem.pointer, code: Cow::Owned(problem.code), detail: problem.detail }
    }
}

macro_rules! messages {
    ($outer:ident, $module:ident: $($variant:ident),*) => {
        $(impl From<v1::$variant> for v1::$outer {
            fn from(message: v1::$variant) -> Self {
                v1::$outer { message: Some(v1::$module::Message::$variant(message)) }
            }
        })*
    };
}

messages!(NodeMessage, node_message: Hello, Applied, Rejected, Resync, Answer, Alive, Used);
messages!(ControlMessage, control_message: UpToDate, Begin, Chunk, End, Ask, Wait, Fleet, Move);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidegate_model::{Change, Kind, State};

    fn change() -> impl Strategy<Value = Change> {
        let state = ("[a-z][a-z0-9.-]{0,40}", any::<u64>(), any::<i64>(), "[ -~]{0,40}", any::<bool>());
        (0..Kind::ALL.len(), any::<u128>(), prop::option::of(state)).prop_map(|(kind, id, state)| Change {
            kind: Kind::ALL[kind],
            id: Id::new(uuid::Uuid::from_u128(id)),
            after: state.map(|(name, revision, at, document, named)| State {
                name: named.then(|| name.parse().expect("a name")),
                revision,
                created_at: Instant::from_millis(at),
                updated_at: Instant::from_millis(at.wrapping_add(1)),
                document: document.repeat(40).into(),
            }),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn changes_come_out_as_they_went_in(changes in prop::collection::vec(change(), 0..600)) {
            let chunks: Vec<Bytes> = Chunks(changes.iter().cloned()).collect();
            let mut out = Vec::new();
            for chunk in &chunks {
                prop_assert!(chunk.len() < CHUNK_BYTES + 10_000);
                read_chunk(chunk, &mut out).expect("what was encoded decodes");
            }
            prop_assert_eq!(out, changes);
        }
    }

    #[test]
    fn no_changes_are_no_chunks() {
        assert_eq!(Chunks(std::iter::empty()).count(), 0);
    }

    #[test]
    fn a_problem_keeps_all_its_parts() {
        let problem = model::Problem {
            resource: Some(model::Subject {
                kind: Kind::Route,
                id: Id::new(uuid::Uuid::from_u128(5)),
                name: "orders".parse().ok(),
            }),
            pointer: "/service".into(),
            code: "not_found".into(),
            detail: "there is no service `x`".into(),
        };
        assert_eq!(model::Problem::from(v1::Problem::from(&problem)), problem);
    }
}
