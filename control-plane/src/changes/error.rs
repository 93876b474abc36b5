//! Why a change was not made.

use tidegate_model::{Kind, Name, Problem, Reference};

use crate::store::{Source, StoreError};

/// Why a change was not made, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Correct the documents.
    #[error("the change has {} problems", .0.len())]
    Invalid(Vec<Problem>),
    /// What is to be changed is not there.
    #[error("there is no {kind} `{reference}`")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// How it was pointed at.
        reference: Reference,
    },
    /// It does not go together with what is there.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// What was expected is not so: someone else was faster.
    #[error("{kind} `{label}` is not as expected: {is}")]
    Precondition {
        /// What it is.
        kind: Kind,
        /// Its name or id.
        label: String,
        /// How it is.
        is: String,
    },
    /// More than one set may hold.
    #[error("a set holds at most {max} items")]
    TooLarge {
        /// How many it may hold.
        max: usize,
    },
    /// Try again in a moment.
    #[error("too many changes are being made at once")]
    Busy,
    /// Try again when the database is back. The change may have been made all the same; with the same change id that is safe.
    #[error("the database does not answer; nothing can be changed until it does")]
    StoreUnavailable(#[source] Source),
    /// A fault of ours.
    #[error("the change could not be made")]
    Internal(#[source] Source),
}

/// What a change does not go together with.
#[derive(Debug, thiserror::Error)]
pub enum Conflict {
    /// Choose another name.
    #[error("there is another {kind} `{name}`")]
    NameTaken {
        /// What has the name.
        kind: Kind,
        /// The name.
        name: Name,
    },
    /// Choose another id.
    #[error("the id `{0}` is that of a {1}")]
    IdTaken(tidegate_model::Id, Kind),
    /// Change or delete those first.
    #[error("{kind} `{label}` is in use by {}", users(.by, *.more))]
    InUse {
        /// What was to be deleted.
        kind: Kind,
        /// Its name or id.
        label: String,
        /// The first that refer to it, as people call them.
        by: Vec<String>,
        /// How many more there are.
        more: usize,
    },
    /// Make another one first.
    #[error("no operator with the role `admin` and a token would be left")]
    LastAdmin,
    /// Choose another change id.
    #[error("this idempotency key was used for another change, in revision {0}")]
    ChangeIdUsed(u64),
}

impl Conflict {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Conflict::NameTaken { .. } => "name_taken",
            Conflict::IdTaken(..) => "id_taken",
            Conflict::InUse { .. } => "in_use",
            Conflict::LastAdmin => "last_admin",
            Conflict::ChangeIdUsed(_) => "idempotency_key_used",
        }
    }
}

fn users(by: &[String], more: usize) -> String {
    let named = by.join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(source) => ChangeError::StoreUnavailable(source),
            StoreError::Busy => ChangeError::Busy,
            error => ChangeError::Internal(Box::new(error)),
        }
    }
}
