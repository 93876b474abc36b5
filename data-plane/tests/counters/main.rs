//! Counters of limits: one suite for both stores, then what is particular to each, then Redis lost and found.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails its test")]

mod local;
mod losses;
mod redis;
mod suite;
mod support;
