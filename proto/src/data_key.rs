//! The fleet's data key on its way to a node, and at rest there: wrapped for the key of the node's certificate.
//!
//! An ephemeral ECDH on P-256, HKDF-SHA-256, AES-256-GCM: `ephemeral public key (65) || ciphertext and tag (48)`. The key is
//! used once, so the nonce is fixed.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

/// The key that secrets in documents are sealed with.
pub type DataKey = [u8; 32];

/// The data key on its way to a node of the same process: set by the control plane before it serves.
pub type Handed = std::sync::Arc<std::sync::OnceLock<DataKey>>;

const POINT: usize = 65;

/// The key can't be wrapped for this public key, or can't be unwrapped with this private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the data key does not fit the node's key")]
pub struct WrongKey;

/// Wraps the data key for a node. `node_key` is its public key as an uncompressed point.
pub fn wrap(data_key: &DataKey, node_key: &[u8]) -> Result<Vec<u8>, WrongKey> {
    let ephemeral = PrivateKey::generate(&ECDH_P256).map_err(|_| WrongKey)?;
    let public = ephemeral.compute_public_key().map_err(|_| WrongKey)?;
    let sealer = shared(&ephemeral, node_key, public.as_ref(), node_key)?;
    let mut out = data_key.to_vec();
    sealer.seal_in_place_append_tag(nonce(), Aad::empty(), &mut out).map_err(|_| WrongKey)?;
    Ok([public.as_ref(), &out].concat())
}

/// Unwraps the data key with the node's private key: PKCS #8, DER.
pub fn unwrap(wrapped: &[u8], node_key: &[u8]) -> Result<DataKey, WrongKey> {
    let (public, sealed) = wrapped.split_at_checked(POINT).ok_or(WrongKey)?;
    let private = PrivateKey::from_private_key_der(&ECDH_P256, node_key).map_err(|_| WrongKey)?;
    let own = private.compute_public_key().map_err(|_| WrongKey)?;
    let opener = shared(&private, public, public, own.as_ref())?;
    let mut sealed = sealed.to_vec();
    let opened = opener.open_in_place(nonce(), Aad::empty(), &mut sealed).map_err(|_| WrongKey)?;
    (&*opened).try_into().map_err(|_| WrongKey)
}

fn shared(own: &PrivateKey, peer: &[u8], ephemeral: &[u8], node: &[u8]) -> Result<LessSafeKey, WrongKey> {
    agree(own, UnparsedPublicKey::new(&ECDH_P256, peer), WrongKey, |secret| {
        let key = Salt::new(HKDF_SHA256, b"tidegate data key v1").extract(secret);
        let info = [ephemeral, node];
        let key = key.expand(&info, &AES_256_GCM).map_err(|_| WrongKey)?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    })
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};

    fn pair() -> (Vec<u8>, Vec<u8>) {
        let key = PrivateKey::generate(&ECDH_P256).expect("a key");
        let der: EcPrivateKeyRfc5915Der<'_> = key.as_der().expect("its form");
        (der.as_ref().to_vec(), key.compute_public_key().expect("its public half").as_ref().to_vec())
    }

    #[test]
    fn only_the_node_it_was_wrapped_for_unwraps_it() {
        let ((private, public), (other, _)) = (pair(), pair());
        let wrapped = wrap(&[7; 32], &public).expect("wrapped");
        assert_eq!(unwrap(&wrapped, &private), Ok([7; 32]));
        assert_eq!(unwrap(&wrapped, &other), Err(WrongKey));
        for length in 0..wrapped.len() {
            assert_eq!(unwrap(&wrapped[..length], &private), Err(WrongKey));
        }
    }
}
