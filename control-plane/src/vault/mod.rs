//! Keeps what must not be seen: the secret key of a cluster, its certificate authority, and the key that seals secrets.
//!
//! The secret key is a file and the root of all: what else there is, is derived from it or sealed under it and settled in the
//! store by whoever comes first, so that replicas which start together on an empty database agree.
//!
//! - [`SecretKey`] is that file. It never leaves the control planes; sessions are signed with a key derived from it.
//! - [`ClusterSecrets`] are the certificate authority of the nodes and the data key.
//! - [`DataKey`] seals secrets in documents; nodes are given it when they enrol.

mod authority;
mod sealing;
mod secret_key;

pub(crate) use authority::node_of_certificate;
pub use authority::{
    Authority, AuthorityError, AuthorityParts, Issued, NODE_CERTIFICATE_LIFE, NodeRequest, SERVER_CERTIFICATE_LIFE,
};
pub use sealing::{DataKey, mask};
pub use secret_key::SecretKey;
pub(crate) use secret_key::write_private;

use crate::store::{Store, StoreError};

const AUTHORITY: &str = "certificate-authority";
const DATA_KEY: &str = "data-key";

/// What all replicas of a cluster share, settled by the first of them.
pub struct ClusterSecrets {
    /// Signs the certificates of nodes and, where none is given, of the admin listener.
    pub authority: Authority,
    /// Seals secrets in documents.
    pub data_key: DataKey,
}

/// Why a secret can't be had.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file can't be read or made.
    #[error("the secret key file `{path}` can't be {what}")]
    File {
        /// Which file.
        path: String,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("the secret key file `{path}` must hold 64 hexadecimal digits")]
    Form {
        /// Which file.
        path: String,
    },
    /// The file is of another cluster.
    #[error(
        "the secret key does not open what this database was set up with; give the key file that it was started with"
    )]
    WrongKey,
    /// What was settled is damaged.
    #[error("the {0} of the cluster can't be read")]
    Damaged(&'static str),
    /// A key or a certificate can't be made or used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClusterSecrets {
    /// Settles the secrets of the cluster, or reads them as another replica settled them.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`] if they were sealed under another secret key.
    pub async fn settle(store: &dyn Store, key: &SecretKey) -> Result<ClusterSecrets, VaultError> {
        let sealing = key.sealing();
        let data_key = match store.fact(DATA_KEY).await? {
            Some(sealed) => sealed,
            None => store.insert_once(DATA_KEY, &sealing.seal(DATA_KEY, DataKey::random().bytes())).await?,
        };
        let data_key = sealing.open(DATA_KEY, &data_key).ok_or(VaultError::WrongKey)?;
        let data_key = DataKey::new(data_key.as_slice().try_into().map_err(|_| VaultError::Damaged("data key"))?);

        let authority = match store.fact(AUTHORITY).await? {
            Some(sealed) => sealed,
            None => store.insert_once(AUTHORITY, &Authority::generate()?.seal(&sealing)).await?,
        };
        let authority = Authority::new(&AuthorityParts::open(&authority, &sealing)?)?;
        Ok(ClusterSecrets { authority, data_key })
    }
}
