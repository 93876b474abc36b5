//! Opens the secrets of configs, where a policy is built.

use tidegate_model::Secret;
use zeroize::Zeroizing;

/// Opens secrets: sealed ones with the data key of the fleet, references where they point.
pub trait Secrets: Send + Sync {
    /// What a secret holds.
    ///
    /// # Errors
    /// It can't be had in this process.
    fn open(&self, secret: &Secret) -> Result<Zeroizing<String>, SecretError>;
}

/// Why a secret can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// This process does not open such secrets: a control plane does not look where the nodes' references point. A policy
    /// is built all the same, and decides nothing here.
    #[error("it is for another process to open")]
    Elsewhere,
    /// It should be here and is not: told as a problem.
    #[error("{0}")]
    Unreadable(String),
}

/// Opens none.
pub(crate) struct NoSecrets;

impl Secrets for NoSecrets {
    fn open(&self, secret: &Secret) -> Result<Zeroizing<String>, SecretError> {
        match secret {
            // as an operator wrote it, before it was sealed
            Secret::Plain(text) => Ok(Zeroizing::new(text.to_string())),
            Secret::Sealed(_) | Secret::Env(_) | Secret::File(_) => Err(SecretError::Elsewhere),
        }
    }
}
