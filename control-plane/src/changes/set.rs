//! What someone wants changed.

use serde_json::Value;
use tidegate_model::{Kind, Name, Reference};

/// The most items of one set.
pub const ITEMS_MAX: usize = 10_000;

/// What someone wants changed: all of it in one revision, or nothing. The only shape of a write.
#[derive(Debug, Clone, Default)]
pub struct ChangeSet {
    /// At most one for each resource. They may name each other's new resources.
    pub items: Vec<Item>,
    /// Why, in their words.
    pub message: Option<String>,
    /// The same for the same wish: a set whose answer was lost can be asked for again and is not made twice.
    pub change_id: Option<String>,
}

/// One resource of a [`ChangeSet`].
#[derive(Debug, Clone)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// What is wanted.
    pub wish: Wish,
    /// What must be so for it.
    pub expected: Expected,
}

/// What is wanted of a resource. Documents are flat objects as the admin API reads and writes them: the `name` beside the
/// fields, references by name or id; what the API adds when it answers (`id`, `revision`, ...) is passed over.
#[derive(Debug, Clone)]
pub enum Wish {
    /// A new one.
    Create(Value),
    /// This document, whether the resource is there or not. Put by id, another name renames it.
    Put(Reference, Value),
    /// What is there, merged with this (RFC 7396).
    Patch(Reference, Value),
    /// That it is gone, and with it what belongs to it.
    Delete(Reference),
}

/// What must be so for a change to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    #[default]
    Anything,
    /// The resource is there.
    Exists,
    /// It is not.
    Absent,
    /// One of these revisions changed it last.
    Revision(Vec<u64>),
}

/// On whose behalf a change is made; goes into the log.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    /// Their name.
    pub name: String,
    /// From where.
    pub address: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
}

impl ChangeSet {
    /// A set of one.
    pub fn one(kind: Kind, wish: Wish) -> ChangeSet {
        ChangeSet { items: vec![Item { kind, wish, expected: Expected::Anything }], ..ChangeSet::default() }
    }

    /// The same set, made once only under this id.
    #[must_use]
    pub fn with_change_id(mut self, id: impl Into<String>) -> ChangeSet {
        self.change_id = Some(id.into());
        self
    }
}

impl Actor {
    /// The control plane itself.
    pub fn system() -> Actor {
        Actor { name: "tidegate".into(), ..Actor::default() }
    }
}

impl Wish {
    /// The resource that is meant, if it can be there already.
    pub fn target(&self) -> Option<&Reference> {
        match self {
            Wish::Create(_) => None,
            Wish::Put(target, _) | Wish::Patch(target, _) | Wish::Delete(target) => Some(target),
        }
    }
}

/// Whether resources of a kind have names. Credentials and tokens have labels, which need not be unique.
pub fn is_named(kind: Kind) -> bool {
    !matches!(kind, Kind::Credential | Kind::OperatorToken | Kind::JoinToken)
}

/// The name of the name that a document gives, or why it is none.
pub(super) fn read_name(value: &Value) -> Result<Name, String> {
    match value {
        Value::String(text) => text.parse().map_err(|error: tidegate_model::InvalidName| error.to_string()),
        _ => Err("must be a text".to_owned()),
    }
}
