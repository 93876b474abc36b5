//! API keys and tokens: how they look, how they are checked before any look-up, what is kept of them.
//!
//! `tg_` and 49 letters and digits: 43 carry 256 random bits, the last 6 are a checksum, so that a mistyped key is told from a
//! revoked one and a scanner for leaked secrets recognises them. What is kept is the SHA-256 of the whole text; with 256
//! random bits nothing slower is needed.

use std::fmt;
use std::str::FromStr;

use crate::scalar::text_scalar;
use aws_lc_rs::digest;

/// What a token is for; told by its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// `tg_`: a consumer's API key.
    ApiKey,
    /// `tgo_`: an operator's token for the admin API.
    Operator,
    /// `tgj_`: lets a new node join.
    Join,
}

impl TokenKind {
    /// The prefix, with its underscore.
    pub const fn prefix(self) -> &'static str {
        match self {
            TokenKind::ApiKey => "tg_",
            TokenKind::Operator => "tgo_",
            TokenKind::Join => "tgj_",
        }
    }
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BODY: usize = 43;
const CHECK: usize = 6;

/// Writes a token from 256 random bits.
pub fn write_token(kind: TokenKind, random: &[u8; 32]) -> String {
    let mut token = String::with_capacity(kind.prefix().len() + BODY + CHECK);
    token.push_str(kind.prefix());
    let mut number = *random;
    let mut digits = [b'0'; BODY];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[divide(&mut number, 62) as usize];
    }
    token.extend(digits.iter().map(|b| *b as char));
    let check = checksum(token.as_bytes());
    token.extend(check.iter().map(|b| *b as char));
    token
}

/// Whether a text can be a token of this kind: prefix, length and checksum. Costs no look-up.
pub fn is_well_formed(kind: TokenKind, text: &str) -> bool {
    let length = kind.prefix().len() + BODY + CHECK;
    text.len() == length
        && text.is_ascii()
        && text.starts_with(kind.prefix())
        && checksum(&text.as_bytes()[..length - CHECK]) == text.as_bytes()[length - CHECK..]
}

/// What may be shown of a token later on: its last four characters, and its prefix if that is one of ours.
pub fn hint(token: &str) -> String {
    let ours = [TokenKind::ApiKey, TokenKind::Operator, TokenKind::Join].map(TokenKind::prefix);
    let prefix = ours.into_iter().find(|prefix| token.starts_with(prefix)).unwrap_or("");
    let tail = token.get(token.len().saturating_sub(4)..).unwrap_or("");
    format!("{prefix}…{tail}")
}

/// Divides a big-endian 256-bit number in place; gives the remainder.
fn divide(number: &mut [u8; 32], by: u32) -> u32 {
    let mut rest = 0u32;
    for byte in number.iter_mut() {
        let value = rest << 8 | u32::from(*byte);
        *byte = (value / by) as u8;
        rest = value % by;
    }
    rest
}

fn checksum(text: &[u8]) -> [u8; CHECK] {
    let hash = digest::digest(&digest::SHA256, text);
    let mut value = hash.as_ref()[..4].iter().fold(0u64, |v, b| v << 8 | u64::from(*b));
    let mut check = [0; CHECK];
    for digit in check.iter_mut().rev() {
        *digit = ALPHABET[(value % 62) as usize];
        value /= 62;
    }
    check
}

/// A SHA-256 digest, written as 64 hexadecimal digits: what is kept of a key, a token, a certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest; write 64 hexadecimal digits")]
pub struct InvalidSha256;

impl Sha256 {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Sha256(out)
    }
}

impl FromStr for Sha256 {
    type Err = InvalidSha256;

    fn from_str(text: &str) -> Result<Self, InvalidSha256> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(InvalidSha256);
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |d: u8| (d as char).to_digit(16).ok_or(InvalidSha256);
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Sha256(out))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

text_scalar!(
    Sha256,
    "Sha256",
    "sha256",
    "64 hexadecimal digits.",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_well_formed_and_a_slip_is_seen() {
        let key = write_token(TokenKind::ApiKey, &[7; 32]);
        assert_eq!(key.len(), 52);
        assert!(is_well_formed(TokenKind::ApiKey, &key));
        assert!(!is_well_formed(TokenKind::Operator, &key));
        let mut slip = key.clone().into_bytes();
        slip[20] = if slip[20] == b'x' { b'y' } else { b'x' };
        assert!(!is_well_formed(TokenKind::ApiKey, std::str::from_utf8(&slip).expect("ascii")));
        assert_eq!(hint(&key), format!("tg_…{}", &key[48..]));
        assert_eq!(hint("some-long_key-of-theirs"), "…eirs");
    }

    #[test]
    fn all_256_bits_are_in_the_text() {
        let of = |bytes: [u8; 32]| write_token(TokenKind::ApiKey, &bytes);
        let mut low = [0; 32];
        low[31] = 1;
        let mut high = [0; 32];
        high[0] = 0x80;
        assert_ne!(of(low), of([0; 32]));
        assert_ne!(of(high), of([0; 32]));
        assert_ne!(of([0xff; 32])[3..46], of([0; 32])[3..46]);
    }
}
