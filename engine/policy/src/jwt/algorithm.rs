//! The algorithms that a token may be signed with (RFC 7518 §3.1, RFC 8037), and which of them fit a key.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, VerificationAlgorithm,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// RSA PKCS #1 v1.5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSA PKCS #1 v1.5 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSA PKCS #1 v1.5 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSA PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSA PSS with SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSA PSS with SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
    /// HMAC with SHA-384.
    #[serde(rename = "HS384")]
    Hs384,
    /// HMAC with SHA-512.
    #[serde(rename = "HS512")]
    Hs512,
}

/// What a key is. Each algorithm fits exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
    Secret,
}

/// With what a signature is checked.
#[derive(Clone, Copy)]
pub(super) enum Means {
    Rsa(&'static RsaParameters),
    Point(&'static dyn VerificationAlgorithm),
    Mac(hmac::Algorithm),
}

impl Algorithm {
    pub(super) const ALL: [Algorithm; 12] = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
        Algorithm::Hs256,
        Algorithm::Hs384,
        Algorithm::Hs512,
    ];

    /// By the `alg` of a token or a key, letter by letter.
    pub(super) fn named(name: &str) -> Option<Algorithm> {
        // RFC 9864 calls EdDSA on this curve by the curve's name
        if name == "Ed25519" {
            return Some(Algorithm::EdDsa);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ps384 => "PS384",
            Algorithm::Ps512 => "PS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Hs256 => "HS256",
            Algorithm::Hs384 => "HS384",
            Algorithm::Hs512 => "HS512",
        }
    }

    pub(super) const fn family(self) -> Family {
        match self {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => Family::Rsa,
            Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => Family::Rsa,
            Algorithm::Es256 => Family::P256,
            Algorithm::Es384 => Family::P384,
            Algorithm::EdDsa => Family::Ed25519,
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => Family::Secret,
        }
    }

    /// The fewest bytes of a secret: those of the hash (RFC 7518 §3.2). 0 where there is no secret.
    pub(super) const fn secret_bytes_min(self) -> usize {
        match self {
            Algorithm::Hs256 => 32,
            Algorithm::Hs384 => 48,
            Algorithm::Hs512 => 64,
            _ => 0,
        }
    }

    pub(super) fn means(self) -> Means {
        match self {
            Algorithm::Rs256 => Means::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => Means::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => Means::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Ps256 => Means::Rsa(&RSA_PSS_2048_8192_SHA256),
            Algorithm::Ps384 => Means::Rsa(&RSA_PSS_2048_8192_SHA384),
            Algorithm::Ps512 => Means::Rsa(&RSA_PSS_2048_8192_SHA512),
            Algorithm::Es256 => Means::Point(&ECDSA_P256_SHA256_FIXED),
            Algorithm::Es384 => Means::Point(&ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDsa => Means::Point(&ED25519),
            Algorithm::Hs256 => Means::Mac(hmac::HMAC_SHA256),
            Algorithm::Hs384 => Means::Mac(hmac::HMAC_SHA384),
            Algorithm::Hs512 => Means::Mac(hmac::HMAC_SHA512),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
