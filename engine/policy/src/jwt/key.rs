//! One key, ready to verify with: exactly the algorithms that fit what it is, and none that is weak.

use aws_lc_rs::hmac;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, Family, Means};
use super::token::{KID_BYTES_MAX, Token};

/// A key.
pub(super) struct Key {
    kid: Option<Box<str>>,
    /// One for each algorithm that it may be used with.
    verifiers: Box<[(Algorithm, Verifier)]>,
    /// How long a check takes, roughly.
    is_slow: bool,
}

enum Verifier {
    Public(ParsedPublicKey),
    Mac(Box<hmac::Key>),
}

/// Why a key is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyRefused {
    #[error("it can't be read: {0}")]
    Malformed(&'static str),
    #[error("it is weak: {0}")]
    Weak(String),
    #[error("{0}")]
    Unsupported(String),
    #[error("it holds the private half of a key; give the public half")]
    Private,
    #[error("it is not for signatures")]
    OtherUse,
}

/// The smallest and the largest RSA key.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// RSA keys above this many bits are checked off the worker (see README.md, costs).
const RSA_BITS_QUICK: usize = 4096;

impl Key {
    /// What it is called.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it may be used with an algorithm.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        self.verifiers.iter().any(|(own, _)| *own == algorithm)
    }

    /// Whether a check takes so long that it belongs off the worker (README.md, costs).
    pub(super) fn is_slow(&self, algorithm: Algorithm) -> bool {
        self.is_slow || algorithm == Algorithm::Es384
    }

    /// The same key by another name, if one is given.
    pub(super) fn called(self, kid: Option<&str>) -> Key {
        Key { kid: kid.map(Into::into).or(self.kid), ..self }
    }

    /// Whether a token was signed with this key.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        let Some((_, verifier)) = self.verifiers.iter().find(|(own, _)| *own == algorithm) else { return false };
        match verifier {
            Verifier::Public(key) => key.verify_sig(signed, signature).is_ok(),
            // in constant time
            Verifier::Mac(key) => hmac::verify(key, signed, signature).is_ok(),
        }
    }

    /// As [`Key::verifies`], of a token.
    pub(super) fn signed(&self, token: &Token<'_>) -> bool {
        self.verifies(token.algorithm, token.signed, &token.signature)
    }

    /// A public key in PEM: `PUBLIC KEY` (RFC 5280) or `RSA PUBLIC KEY` (RFC 8017).
    pub(super) fn from_pem(text: &str, kid: Option<&str>, only: &[Algorithm]) -> Result<Key, KeyRefused> {
        let (label, der) = pem(text)?;
        match label {
            "PUBLIC KEY" => Key::from_der(&der, kid, only),
            "RSA PUBLIC KEY" => Key::rsa(&der, kid, only),
            "CERTIFICATE" => Err(KeyRefused::Unsupported(
                "it is a certificate; give its key: `openssl x509 -pubkey -noout -in cert.pem`".into(),
            )),
            label if label.ends_with("PRIVATE KEY") => Err(KeyRefused::Private),
            label => Err(KeyRefused::Unsupported(format!("`{label}` is not a public key"))),
        }
    }

    fn from_der(der: &[u8], kid: Option<&str>, only: &[Algorithm]) -> Result<Key, KeyRefused> {
        if ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, der).is_ok() {
            return Key::public(Family::P256, der, kid, only);
        }
        if ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, der).is_ok() {
            return Key::public(Family::P384, der, kid, only);
        }
        if ParsedPublicKey::new(&ED25519, der).is_ok() {
            return Key::public(Family::Ed25519, der, kid, only);
        }
        Key::rsa(der, kid, only)
    }

    fn rsa(der: &[u8], kid: Option<&str>, only: &[Algorithm]) -> Result<Key, KeyRefused> {
        let key = rsa::PublicKey::from_der(der).map_err(|_| {
            KeyRefused::Unsupported("keys of RSA, of the curves P-256 and P-384, and Ed25519 are taken".into())
        })?;
        // RFC 8017 §A.1.1, as it was just written: a sequence of modulus and exponent
        let parts = element(key.as_ref()).and_then(|(sequence, _)| {
            let (n, rest) = element(sequence)?;
            Some((n, element(rest)?.0))
        });
        let (n, e) = parts.ok_or(KeyRefused::Malformed("modulus and exponent make no RSA key"))?;
        Key::rsa_parts(n, e, kid, only)
    }

    fn rsa_parts(n: &[u8], e: &[u8], kid: Option<&str>, only: &[Algorithm]) -> Result<Key, KeyRefused> {
        let (n, e) = (without_zeros(n), without_zeros(e));
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(KeyRefused::Weak(format!("RSA keys have from 2048 to 8192 bits, not {bits}")));
        }
        // 1 is no encryption at all; above 33 bits a check takes as long as a signature
        if e.len() > 5 || e == [1] || e.last().is_none_or(|last| last % 2 == 0) {
            return Err(KeyRefused::Weak("its exponent is not sane".into()));
        }
        let parts = RsaPublicKeyComponents { n, e };
        let mut verifiers = Vec::new();
        for algorithm in fitting(Family::Rsa, only) {
            let Means::Rsa(means) = algorithm.means() else { continue };
            let key = parts.to_parsed_public_key(means);
            let key = key.map_err(|_| KeyRefused::Malformed("modulus and exponent make no RSA key"))?;
            verifiers.push((algorithm, Verifier::Public(key)));
        }
        Key::of(kid, verifiers, bits > RSA_BITS_QUICK)
    }

    fn public(family: Family, bytes: &[u8], kid: Option<&str>, only: &[Algorithm]) -> Result<Key, KeyRefused> {
        let mut verifiers = Vec::new();
        for algorithm in fitting(family, only) {
            let Means::Point(means) = algorithm.means() else { continue };
            let key = ParsedPublicKey::new(means, bytes)
                .map_err(|_| KeyRefused::Malformed("it is not a point of its curve"))?;
            verifiers.push((algorithm, Verifier::Public(key)));
        }
        Key::of(kid, verifiers, false)
    }

    /// A secret, for HMAC.
    pub(super) fn from_secret(secret: &[u8], kid: Option<&str>, only: &[Algorithm]) -> Result<Key, KeyRefused> {
        let short = |algorithm: &Algorithm| secret.len() < algorithm.secret_bytes_min();
        let asked = only.iter().copied().find(|algorithm| algorithm.family() == Family::Secret && short(algorithm));
        let shortest = short(&Algorithm::Hs256).then_some(Algorithm::Hs256);
        if let Some(algorithm) = asked.or(shortest) {
            let (min, is) = (algorithm.secret_bytes_min(), secret.len());
            return Err(KeyRefused::Weak(format!("{algorithm} needs a secret of at least {min} bytes, this has {is}")));
        }
        let mut verifiers = Vec::new();
        for algorithm in fitting(Family::Secret, only).filter(|algorithm| !short(algorithm)) {
            let Means::Mac(means) = algorithm.means() else { continue };
            verifiers.push((algorithm, Verifier::Mac(Box::new(hmac::Key::new(means, secret)))));
        }
        Key::of(kid, verifiers, false)
    }

    /// A public key as JSON (RFC 7517). Secrets are none: a set that is published never makes an HMAC key.
    pub(super) fn from_jwk(jwk: &Map<String, Value>, only: &[Algorithm]) -> Result<Key, KeyRefused> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= KID_BYTES_MAX => Some(kid.as_str()),
            Some(_) => return Err(KeyRefused::Malformed("its `kid` is no text, or too long")),
        };
        let verify = Value::String("verify".into());
        let ops = jwk.get("key_ops").map(|ops| ops.as_array().is_some_and(|ops| ops.contains(&verify)));
        if text("use").is_some_and(|usage| usage != "sig") || ops == Some(false) {
            return Err(KeyRefused::OtherUse);
        }
        if jwk.contains_key("d") {
            return Err(KeyRefused::Private);
        }
        let own = match jwk.get("alg") {
            None => None,
            Some(name) => match name.as_str().and_then(Algorithm::named) {
                Some(algorithm) => Some(algorithm),
                None => return Err(KeyRefused::Unsupported(format!("its algorithm {name} is not known"))),
            },
        };
        let only: Vec<Algorithm> = match own {
            None => only.to_vec(),
            Some(own) if only.is_empty() || only.contains(&own) => vec![own],
            Some(own) => return Err(KeyRefused::Unsupported(format!("{own} is not among `algorithms`"))),
        };
        let part = |name: &str| {
            let text = text(name).ok_or(KeyRefused::Malformed("a part of it is missing"))?;
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| KeyRefused::Malformed("it is not base64url"))
        };
        match (text("kty"), text("crv")) {
            (Some("RSA"), _) => Key::rsa_parts(&part("n")?, &part("e")?, kid, &only),
            (Some("EC"), Some(curve @ ("P-256" | "P-384"))) => {
                let (family, length) = if curve == "P-256" { (Family::P256, 32) } else { (Family::P384, 48) };
                let (x, y) = (part("x")?, part("y")?);
                if x.len() != length || y.len() != length {
                    return Err(KeyRefused::Malformed("its coordinates do not have the length of its curve"));
                }
                Key::public(family, &[&[4], x.as_slice(), &y].concat(), kid, &only)
            }
            (Some("OKP"), Some("Ed25519")) => {
                let x = part("x")?;
                if x.len() != 32 {
                    return Err(KeyRefused::Malformed("a key of Ed25519 has 32 bytes"));
                }
                Key::public(Family::Ed25519, &x, kid, &only)
            }
            (Some("oct"), _) => {
                Err(KeyRefused::Unsupported("a secret is given as `secret`, so that it is sealed".into()))
            }
            _ => {
                Err(KeyRefused::Unsupported("keys of RSA, of the curves P-256 and P-384, and Ed25519 are taken".into()))
            }
        }
    }

    fn of(kid: Option<&str>, verifiers: Vec<(Algorithm, Verifier)>, is_slow: bool) -> Result<Key, KeyRefused> {
        if verifiers.is_empty() {
            return Err(KeyRefused::Unsupported("none of `algorithms` fits it".into()));
        }
        Ok(Key { kid: kid.map(Into::into), verifiers: verifiers.into(), is_slow })
    }
}

/// The algorithms of a family, and of those the ones that are asked for, if any are.
fn fitting(family: Family, only: &[Algorithm]) -> impl Iterator<Item = Algorithm> {
    let asked = |algorithm: &Algorithm| only.is_empty() || only.contains(algorithm);
    Algorithm::ALL.into_iter().filter(move |algorithm| algorithm.family() == family).filter(asked)
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    &number[first..]
}

/// The first block of a PEM text: its label and what it holds.
fn pem(text: &str) -> Result<(&str, Vec<u8>), KeyRefused> {
    const FORM: KeyRefused = KeyRefused::Malformed("it is not PEM (`-----BEGIN PUBLIC KEY-----`)");
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(FORM)?;
    let (label, rest) = rest.split_once("-----").ok_or(FORM)?;
    let (body, rest) = rest.split_once("-----END ").ok_or(FORM)?;
    if !rest.strip_prefix(label).is_some_and(|rest| rest.starts_with("-----")) {
        return Err(FORM);
    }
    let body: String = body.split_ascii_whitespace().collect();
    Ok((label, STANDARD.decode(body).map_err(|_| FORM)?))
}

/// The content of the first element of a DER text, and what follows it.
pub(super) fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = der.get(1..)?.split_first()?;
    let (length, rest) = match length {
        0..0x80 => (usize::from(length), rest),
        _ => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f)).filter(|(d, _)| d.len() <= 4)?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
    };
    rest.split_at_checked(length)
}
