//! What is kept of a password: argon2id, in the PHC form. Slow on purpose, about 20 ms and 19 MiB each time.

use std::fmt;
use std::str::FromStr;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::scalar::text_scalar;

/// What hashing costs today: 19 MiB, two passes, one lane.
const COST: Cost = Cost { memory_kib: 19 << 10, passes: 2, lanes: 1 };
/// What a hash from elsewhere may cost: it is the gateway that pays at each check.
const COST_MAX: Cost = COST;
const SALT_BYTES: std::ops::RangeInclusive<usize> = 8..=64;
const HASH_BYTES: usize = 32;
const TEXT_MAX: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// What a password is recognised by: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PasswordHash(Box<str>);

/// Why a text is no hash of a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a hash of a password; write `$argon2id$v=19$m=...,t=...,p=...$salt$hash` of at most {} KiB, {} passes and {} lane",
    COST_MAX.memory_kib,
    COST_MAX.passes,
    COST_MAX.lanes
)]
pub struct InvalidPasswordHash;

impl PasswordHash {
    /// How much memory one hash takes while it is made or compared.
    pub const MEMORY_BYTES_MAX: usize = (COST_MAX.memory_kib as usize) << 10;

    /// Hashes a password. The salt is drawn by who calls: the engine has no randomness.
    pub fn of(password: &[u8], salt: &[u8; 16]) -> PasswordHash {
        let hash = work(COST, password, salt).expect("these are parameters that argon2 takes");
        let Cost { memory_kib, passes, lanes } = COST;
        let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
        PasswordHash(format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}").into())
    }

    /// A hash that no password has: to spend on unknown users what known ones cost.
    pub fn of_nobody() -> PasswordHash {
        let Cost { memory_kib, passes, lanes } = COST;
        let (salt, hash) = (STANDARD_NO_PAD.encode([0; 16]), STANDARD_NO_PAD.encode([0; HASH_BYTES]));
        PasswordHash(format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}").into())
    }

    /// Whether this is the password. Takes its time; not to be called on a worker.
    pub fn fits(&self, password: &[u8]) -> bool {
        let Some((cost, salt, hash)) = read(&self.0) else { return false };
        work(cost, password, &salt).is_some_and(|made| verify_slices_are_equal(&made, &hash).is_ok())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn work(cost: Cost, password: &[u8], salt: &[u8]) -> Option<[u8; HASH_BYTES]> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(HASH_BYTES)).ok()?;
    let mut out = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(password, salt, &mut out).ok()?;
    Some(out)
}

fn read(text: &str) -> Option<(Cost, Vec<u8>, Vec<u8>)> {
    let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
    let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut numbers = cost.split(',').zip(["m=", "t=", "p="]).map(|(part, name)| part.strip_prefix(name)?.parse().ok());
    let cost = Cost { memory_kib: numbers.next()??, passes: numbers.next()??, lanes: numbers.next()?? };
    let (salt, hash) = (STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?);
    let within = (8 * cost.lanes..=COST_MAX.memory_kib).contains(&cost.memory_kib)
        && (1..=COST_MAX.passes).contains(&cost.passes)
        && (1..=COST_MAX.lanes).contains(&cost.lanes);
    let fits = within && parts.next().is_none() && SALT_BYTES.contains(&salt.len()) && hash.len() == HASH_BYTES;
    fits.then_some((cost, salt, hash))
}

impl FromStr for PasswordHash {
    type Err = InvalidPasswordHash;

    fn from_str(text: &str) -> Result<Self, InvalidPasswordHash> {
        let fits = text.len() <= TEXT_MAX && read(text).is_some();
        if fits { Ok(PasswordHash(text.into())) } else { Err(InvalidPasswordHash) }
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Of use to who guesses: logs must not have it.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

text_scalar!(
    PasswordHash,
    "PasswordHash",
    "password-hash",
    "An argon2id hash in the PHC form. Never shown.",
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_hash_and_no_other_does() {
        let hash = PasswordHash::of("gr\u{fc}n:und blau".as_bytes(), &[7; 16]);
        assert_eq!(hash.as_str().parse(), Ok(hash.clone()));
        assert!(hash.fits("gr\u{fc}n:und blau".as_bytes()));
        assert!(!hash.fits(b"gr\xfcn:und blau"));
        assert!(!hash.fits(b""));
        assert!(!PasswordHash::of_nobody().fits(b""));
        assert_eq!(format!("{hash:?}"), "PasswordHash");
    }

    #[test]
    fn a_hash_that_is_another_thing_or_costs_too_much_is_refused() {
        for bad in [
            "",
            "$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=1048576,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=19456,t=200,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
            "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA$",
            "$2b$12$abcdefghijklmnopqrstuv",
        ] {
            assert_eq!(bad.parse::<PasswordHash>(), Err(InvalidPasswordHash), "{bad}");
        }
        let cheap = "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert!(cheap.parse::<PasswordHash>().is_ok());
    }
}
