//! Failed attempts by address: a table of fixed size, without locks.
//!
//! Sets of four places. Who never failed is looked up by reads alone; a place is written when an attempt failed. Writers that meet may
//! lose one count between them, which is one guess. When a set is full of addresses that failed lately, the one that failed least goes.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::Limits;

const WAYS: usize = 4;

pub(super) struct Failures {
    places: Box<[Place]>,
    /// Drawn for each process: nobody can choose addresses that push another out.
    hash: RandomState,
    began: Instant,
    /// 0 is no bound.
    limit: u32,
    window: Duration,
}

#[derive(Default)]
struct Place {
    /// The hash of the address; 0 is nobody.
    who: AtomicU64,
    /// When its window began, in seconds, above how many attempts failed in it.
    state: AtomicU64,
}

/// What became of a failure that was noted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    Noted,
    /// In the place of another address that failed lately.
    Instead,
}

impl Failures {
    pub(super) fn new(limits: &Limits) -> Failures {
        let sets = limits.auth_failure_addresses_max.div_ceil(WAYS).max(1);
        Failures {
            places: (0..sets * WAYS).map(|_| Place::default()).collect(),
            hash: RandomState::new(),
            began: Instant::now(),
            limit: limits.auth_failures_max,
            window: limits.auth_failures_window,
        }
    }

    /// For how long attempts of this address are not looked at.
    pub(super) fn blocked(&self, client: IpAddr) -> Option<Duration> {
        if self.limit == 0 {
            return None;
        }
        let (who, set) = self.set_of(client);
        let place = set.iter().find(|place| place.who.load(Ordering::Relaxed) == who)?;
        let (from, count) = split(place.state.load(Ordering::Relaxed));
        let left = self.left(from)?;
        (count >= self.limit).then_some(left)
    }

    pub(super) fn failed(&self, client: IpAddr) -> Failed {
        if self.limit == 0 {
            return Failed::Noted;
        }
        let (who, set) = self.set_of(client);
        let now = self.began.elapsed().as_secs() as u32;
        let fresh = joined(now, 1);
        if let Some(place) = set.iter().find(|place| place.who.load(Ordering::Relaxed) == who) {
            let state = place.state.load(Ordering::Relaxed);
            let (from, count) = split(state);
            let next = if self.left(from).is_none() { fresh } else { joined(from, count.saturating_add(1)) };
            if place.state.compare_exchange(state, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
                // another failure was noted at the same moment: at worst a window begins one later
                place.state.fetch_add(1, Ordering::Relaxed);
            }
            return Failed::Noted;
        }
        // one that is free, else one whose window is over, else the one that failed least
        let weight = |place: &Place| {
            let (from, count) = split(place.state.load(Ordering::Relaxed));
            if place.who.load(Ordering::Relaxed) == 0 || self.left(from).is_none() { 0 } else { count }
        };
        let Some(place) = set.iter().min_by_key(|place| weight(place)) else { return Failed::Noted };
        let outcome = if weight(place) == 0 { Failed::Noted } else { Failed::Instead };
        place.state.store(fresh, Ordering::Relaxed);
        place.who.store(who, Ordering::Relaxed);
        outcome
    }

    /// How much of a window is left.
    fn left(&self, from: u32) -> Option<Duration> {
        let end = Duration::from_secs(u64::from(from)) + self.window;
        end.checked_sub(self.began.elapsed()).filter(|left| !left.is_zero())
    }

    fn set_of(&self, client: IpAddr) -> (u64, &[Place]) {
        let who = self.hash.hash_one(network(client)).max(1);
        let sets = self.places.len() / WAYS;
        let at = (who >> 8) as usize % sets * WAYS;
        (who, &self.places[at..at + WAYS])
    }
}

/// Of IPv6 the first 64 bits: whoever has one address has all of those.
fn network(client: IpAddr) -> u128 {
    match client.to_canonical() {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address) >> 64 << 64 | 1 << 32,
    }
}

fn split(state: u64) -> (u32, u32) {
    ((state >> 32) as u32, state as u32)
}

fn joined(from: u32, count: u32) -> u64 {
    u64::from(from) << 32 | u64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(limit: u32, addresses: usize) -> Failures {
        Failures::new(&Limits {
            auth_failures_max: limit,
            auth_failures_window: Duration::from_secs(60),
            auth_failure_addresses_max: addresses,
            ..Limits::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_blocked_from_the_limit_to_the_end_of_its_window() {
        let table = failures(3, 1024);
        for _ in 0..2 {
            assert_eq!(table.failed(ip("192.0.2.1")), Failed::Noted);
            assert_eq!(table.blocked(ip("192.0.2.1")), None);
        }
        tokio::time::advance(Duration::from_secs(20)).await;
        table.failed(ip("192.0.2.1"));
        assert_eq!(table.blocked(ip("192.0.2.1")), Some(Duration::from_secs(40)));
        assert_eq!(table.blocked(ip("::ffff:192.0.2.1")), Some(Duration::from_secs(40)), "the same, told otherwise");
        assert_eq!(table.blocked(ip("192.0.2.2")), None);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(table.blocked(ip("192.0.2.1")), None);
        table.failed(ip("192.0.2.1"));
        assert_eq!(table.blocked(ip("192.0.2.1")), None, "counted from one again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_ipv6_is_one_address() {
        let table = failures(2, 1024);
        table.failed(ip("2001:db8::1"));
        table.failed(ip("2001:db8::2:3"));
        assert!(table.blocked(ip("2001:db8::ffff:1:2:3")).is_some());
        assert_eq!(table.blocked(ip("2001:db8:0:1::1")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_full_table_those_who_failed_most_stay() {
        let table = failures(3, 4);
        for _ in 0..9 {
            table.failed(ip("192.0.2.1"));
        }
        let instead = (0..200u8).filter(|n| table.failed(IpAddr::from([10, 0, 0, *n])) == Failed::Instead).count();
        assert_eq!(instead, 197);
        assert!(table.blocked(ip("192.0.2.1")).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn no_bound_is_no_bound() {
        let table = failures(0, 4);
        for _ in 0..1000 {
            table.failed(ip("192.0.2.1"));
        }
        assert_eq!(table.blocked(ip("192.0.2.1")), None);
    }

    #[test]
    fn threads_that_meet_lose_next_to_nothing() {
        let table = failures(1_000_000, 4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        table.failed(ip("192.0.2.1"));
                    }
                });
            }
        });
        let (_, set) = table.set_of(ip("192.0.2.1"));
        let counted: u32 = set.iter().map(|place| split(place.state.load(Ordering::Relaxed)).1).sum();
        assert!((3_900..=4_000).contains(&counted), "{counted}");
    }
}
