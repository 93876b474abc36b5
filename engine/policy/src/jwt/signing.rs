//! Issuers of tokens, for tests.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
};
use aws_lc_rs::{hmac, signature};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::key::element;

pub(super) enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    pub(super) fn rsa(size: KeySize) -> Signer {
        Signer::Rsa(RsaKeyPair::generate(size).expect("a key"))
    }

    pub(super) fn p256() -> Signer {
        Signer::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    pub(super) fn p384() -> Signer {
        Signer::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"))
    }

    pub(super) fn ed() -> Signer {
        Signer::Ed(Ed25519KeyPair::generate().expect("a key"))
    }

    pub(super) fn jwk(&self, kid: &str) -> Value {
        let point = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({ "kty": "EC", "crv": curve, "kid": kid, "x": b64(x), "y": b64(y) })
        };
        match self {
            Signer::Rsa(key) => {
                let (n, rest) = element(element(key.public_key().as_ref()).expect("a sequence").0).expect("n");
                let n = n.strip_prefix(&[0]).unwrap_or(n);
                json!({ "kty": "RSA", "kid": kid, "n": b64(n), "e": b64(element(rest).expect("e").0) })
            }
            Signer::P256(key) => point("P-256", key.public_key().as_ref()),
            Signer::P384(key) => point("P-384", key.public_key().as_ref()),
            Signer::Ed(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(key.public_key().as_ref()) })
            }
            Signer::Secret(secret) => json!({ "kty": "oct", "kid": kid, "k": b64(secret) }),
        }
    }

    pub(super) fn pem(&self) -> String {
        let der = match self {
            Signer::Rsa(key) => key.public_key().as_der().expect("der").as_ref().to_vec(),
            Signer::P256(key) | Signer::P384(key) => key.public_key().as_der().expect("der").as_ref().to_vec(),
            Signer::Ed(key) => key.public_key().as_der().expect("der").as_ref().to_vec(),
            Signer::Secret(_) => panic!("a secret has no public half"),
        };
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    pub(super) fn sign(&self, algorithm: &str, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let ec = |key: &EcdsaKeyPair| key.sign(&random, text).expect("signed").as_ref().to_vec();
        match self {
            Signer::Rsa(key) => {
                let how: &'static dyn signature::RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(how, &random, text, &mut signature).expect("signed");
                signature
            }
            Signer::P256(key) | Signer::P384(key) => ec(key),
            Signer::Ed(key) => key.sign(text).as_ref().to_vec(),
            Signer::Secret(secret) => {
                let how = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(how, secret), text).as_ref().to_vec()
            }
        }
    }

    /// A token with this header and these claims, signed as its header says.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }

    /// The same of texts.
    pub(super) fn token_of(&self, header: &str, claims: &str) -> String {
        let read: Value = serde_json::from_str(header).unwrap_or_default();
        let text = format!("{}.{}", b64(header), b64(claims));
        let signature = self.sign(read["alg"].as_str().unwrap_or_default(), text.as_bytes());
        format!("{text}.{}", b64(signature))
    }
}
