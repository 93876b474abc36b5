//! What can go wrong, by what the caller can do about it.

use std::error::Error;

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::migrate::MigrateError;
use tidegate_model::{Kind, Name};

/// The reason underneath, for the log.
pub type Source = Box<dyn Error + Send + Sync>;

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Try again when the database is back. Of an append it says nothing about what became of it: give it once more, with
    /// the same change id.
    #[error("the database did not answer")]
    Unavailable(#[source] Source),
    /// Try again in a moment.
    #[error("other writers hold the log")]
    Busy,
    /// Choose another name.
    #[error("the name `{name}` is taken by another {kind}")]
    NameTaken {
        /// What has the name already.
        kind: Kind,
        /// The name.
        name: Name,
    },
    /// Someone must look: what is stored, or was to be stored, does not fit the log.
    #[error("the database does not agree with its log: {0}")]
    Corrupt(String),
    /// Use a version of Tidegate that knows this database.
    #[error("the database has tables of another version")]
    Schema(#[source] MigrateError),
    /// Correct the address. It is not shown: it may hold a password.
    #[error("the address of the database can't be used")]
    Address(#[source] Source),
    /// A fault of ours.
    #[error("the database refused a statement")]
    Internal(#[source] Source),
}

/// The database is there, but silent.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(super) struct Silent(pub(super) std::time::Duration);

impl From<Silent> for StoreError {
    fn from(silent: Silent) -> Self {
        StoreError::Unavailable(silent.into())
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refusal) => match class_of(&**refusal) {
                Class::Unavailable => StoreError::Unavailable(error.into()),
                Class::Busy => StoreError::Busy,
                Class::Corrupt => StoreError::Corrupt(refusal.message().to_owned()),
                Class::Other => StoreError::Internal(error.into()),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => StoreError::Unavailable(error.into()),
            sqlx::Error::Configuration(_) => StoreError::Address(error.into()),
            _ => StoreError::Internal(error.into()),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            error => StoreError::Schema(error),
        }
    }
}

enum Class {
    Unavailable,
    Busy,
    Corrupt,
    Other,
}

/// SQLSTATE of Postgres has five characters, the result codes of SQLite are shorter.
fn class_of(refusal: &dyn DatabaseError) -> Class {
    let code = refusal.code().unwrap_or_default();
    if code.len() == 5 { postgres_class(&code) } else { sqlite_class(&code) }
}

fn postgres_class(code: &str) -> Class {
    match code {
        // A wait for a lock ended, a deadlock, a serialization failure.
        LOCK_NOT_AVAILABLE | "40P01" | "40001" => Class::Busy,
        // Shutting down or starting up; a standby that can't write; an idle transaction that was ended.
        "57P01" | "57P02" | "57P03" | "25006" | "25P03" => Class::Unavailable,
        "XX001" | "XX002" => Class::Corrupt,
        // Connection failures; out of disk, memory or connections; an I/O error of the server.
        _ if ["08", "53", "58"].contains(&&code[..2]) => Class::Unavailable,
        _ => Class::Other,
    }
}

fn sqlite_class(code: &str) -> Class {
    // The low byte is the class, the rest is detail.
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(5 | 6) => Class::Busy,                   // SQLITE_BUSY, SQLITE_LOCKED
        Ok(8 | 10 | 13 | 14) => Class::Unavailable, // SQLITE_READONLY, _IOERR, _FULL, _CANTOPEN
        Ok(11 | 26) => Class::Corrupt,              // SQLITE_CORRUPT, SQLITE_NOTADB
        _ => Class::Other,
    }
}

const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Whether a statement gave up its wait for a lock, rather than failed.
pub(super) fn waited_for_lock(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(refusal) if refusal.code().as_deref() == Some(LOCK_NOT_AVAILABLE))
}

/// A unique constraint: Postgres tells its name, SQLite the columns.
pub(super) struct Unique {
    pub(super) name: &'static str,
    pub(super) columns: &'static str,
}

impl Unique {
    /// Whether this constraint is why a statement failed.
    pub(super) fn refused(&self, error: &sqlx::Error) -> bool {
        let sqlx::Error::Database(refusal) = error else { return false };
        refusal.kind() == ErrorKind::UniqueViolation
            && match refusal.constraint() {
                Some(name) => name == self.name,
                None => refusal.message().ends_with(self.columns),
            }
    }
}
