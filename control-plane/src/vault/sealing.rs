//! Seals what is stored, so that a copy of the database tells no secret.

use aws_lc_rs::rand;
use tidegate_model::{Secret, Sha256};
use tidegate_policy::{SecretError, Secrets};
use tidegate_proto::sealed;
use zeroize::Zeroizing;

/// A key that seals: AES-256-GCM, a random nonce each time. What a text is for is bound to it.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A key of these bytes.
    pub fn new(bytes: [u8; 32]) -> DataKey {
        DataKey(Zeroizing::new(bytes))
    }

    /// A new key.
    pub fn random() -> DataKey {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).expect("the system gives randomness");
        DataKey::new(bytes)
    }

    /// The key itself, to hand it on.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Nonce, sealed text, tag.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        sealed::seal(&self.0, purpose, plain)
    }

    /// What was sealed, if it was with this key and for this purpose.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        sealed::open(&self.0, purpose, sealed)
    }

    /// A secret of a document as it is stored: `sealed:v1:<base64>`.
    pub fn seal_secret(&self, plain: &str) -> String {
        sealed::seal_secret(&self.0, plain)
    }

    /// A secret of a document, if this key sealed it.
    pub fn open_secret(&self, sealed: &str) -> Option<Zeroizing<String>> {
        sealed::open_secret(&self.0, sealed)
    }
}

/// Opens the secrets of configs that are judged here, so that a weak one is refused when it is written. References are for the
/// nodes: what lies beside a control plane is not what they would find.
impl Secrets for DataKey {
    fn open(&self, secret: &Secret) -> Result<Zeroizing<String>, SecretError> {
        match secret {
            Secret::Plain(text) => Ok(Zeroizing::new(text.to_string())),
            Secret::Sealed(text) => self
                .open_secret(text)
                .ok_or_else(|| SecretError::Unreadable("it was sealed with the data key of another cluster".into())),
            Secret::Env(_) | Secret::File(_) => Err(SecretError::Elsewhere),
        }
    }
}

/// What is shown of a secret: a reference as it is, of a sealed one that it is set and a fingerprint. Given back unchanged in
/// a write, it stands for the secret that is there.
pub fn mask(stored: &str) -> String {
    if stored.starts_with("env://") || stored.starts_with("file://") {
        return stored.to_owned();
    }
    let fingerprint = Sha256::of(stored.as_bytes()).to_string();
    format!("set:{}", &fingerprint[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_with_its_key_and_for_its_purpose() {
        let key = DataKey::new([7; 32]);
        let sealed = key.seal("a", b"hunter2");
        assert_eq!(key.open("a", &sealed).as_deref().map(Vec::as_slice), Some(b"hunter2".as_slice()));
        assert_ne!(key.seal("a", b"hunter2"), sealed, "a nonce is never used twice");
        assert!(key.open("b", &sealed).is_none());
        assert!(DataKey::new([8; 32]).open("a", &sealed).is_none());
        for cut in [0, 5, sealed.len() - 1] {
            assert!(key.open("a", &sealed[..cut]).is_none());
        }
    }

    #[test]
    fn a_secret_of_a_document_is_an_envelope() {
        let key = DataKey::random();
        let sealed = key.seal_secret("hunter2");
        assert!(sealed.starts_with("sealed:v1:") && !sealed.contains("hunter2"));
        assert_eq!(key.open_secret(&sealed).as_deref().map(String::as_str), Some("hunter2"));
        assert!(mask(&sealed).starts_with("set:") && mask("env://A") == "env://A");
    }
}
