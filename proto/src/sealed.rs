//! Secrets of documents, as control planes seal them and nodes open them: AES-256-GCM under the fleet's data key, a random
//! nonce each time. What a text is for is bound to it.
//!
//! Form: `nonce (12) || ciphertext and tag`; in a document `sealed:v1:` and that in base64.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::data_key::DataKey;

/// What secrets of documents are sealed for.
const DOCUMENT: &str = "document";
const ENVELOPE: &str = "sealed:v1:";

/// Seals a text for a purpose.
pub fn seal(key: &DataKey, purpose: &str, plain: &[u8]) -> Vec<u8> {
    let mut text = plain.to_vec();
    let sealed = cipher(key).seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut text);
    let nonce = sealed.expect("the text is far below the limit of the cipher");
    [nonce.as_ref().as_slice(), &text].concat()
}

/// What was sealed, if it was with this key and for this purpose.
pub fn open(key: &DataKey, purpose: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = Zeroizing::new(text.to_vec());
    let length = cipher(key).open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

/// A secret of a document as it is stored and sent.
pub fn seal_secret(key: &DataKey, plain: &str) -> String {
    format!("{ENVELOPE}{}", STANDARD.encode(seal(key, DOCUMENT, plain.as_bytes())))
}

/// A secret of a document, if this key sealed it.
pub fn open_secret(key: &DataKey, sealed: &str) -> Option<Zeroizing<String>> {
    let bytes = STANDARD.decode(sealed.strip_prefix(ENVELOPE)?).ok()?;
    let plain = open(key, DOCUMENT, &bytes)?;
    std::str::from_utf8(&plain).ok().map(|text| Zeroizing::new(text.to_owned()))
}

fn cipher(key: &DataKey) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, key).expect("the key has 32 bytes")
}
