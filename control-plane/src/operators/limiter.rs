//! Slows down who guesses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_model::Instant;

/// How many failures are borne at once, and how long it takes until another one is.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    burst: f64,
    per_millis: f64,
}

/// Ten at once from an address, then one in six seconds.
const ADDRESS: Allowance = Allowance { burst: 10.0, per_millis: 1.0 / 6_000.0 };
/// A thousand at once from anywhere, then ten a second.
const EVERYWHERE: Allowance = Allowance { burst: 1_000.0, per_millis: 1.0 / 100.0 };
/// The most addresses that are remembered; those whose failures are forgiven make room.
const ADDRESSES_MAX: usize = 10_000;

/// Counts failures by address and in all, in memory. A network of IPv6 (/64) is one address.
#[derive(Default)]
pub struct Limiter(Mutex<Failures>);

#[derive(Default)]
struct Failures {
    everywhere: Level,
    by_address: HashMap<IpAddr, Level>,
}

/// How much of an allowance is used, at a time.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    used: f64,
    at: i64,
}

impl Limiter {
    /// Whether an address may try.
    ///
    /// # Errors
    /// When to come back.
    pub fn admits(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let failures = self.0.lock();
        let level = failures.by_address.get(&network(from)).copied().unwrap_or_default();
        level.at_time(now, ADDRESS).admits(ADDRESS)
    }

    /// Notes a failure.
    ///
    /// # Errors
    /// It was one too many; when to come back.
    pub fn fail(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut failures = self.0.lock();
        let everywhere = failures.everywhere.at_time(now, EVERYWHERE);
        let before = failures.by_address.get(&network(from)).copied().unwrap_or_default().at_time(now, ADDRESS);
        everywhere.admits(EVERYWHERE).and(before.admits(ADDRESS))?;
        failures.everywhere = everywhere.one_more();
        if failures.by_address.len() >= ADDRESSES_MAX {
            failures.by_address.retain(|_, level| level.at_time(now, ADDRESS).used > 0.0);
        }
        if failures.by_address.len() < ADDRESSES_MAX {
            failures.by_address.insert(network(from), before.one_more());
        }
        Ok(())
    }
}

impl Level {
    fn at_time(self, now: Instant, allowance: Allowance) -> Level {
        let forgiven = (now.millis() - self.at).max(0) as f64 * allowance.per_millis;
        Level { used: (self.used - forgiven).max(0.0), at: now.millis() }
    }

    fn admits(self, allowance: Allowance) -> Result<(), Duration> {
        let over = self.used + 1.0 - allowance.burst;
        if over <= 0.0 { Ok(()) } else { Err(Duration::from_millis((over / allowance.per_millis).ceil() as u64)) }
    }

    fn one_more(self) -> Level {
        Level { used: self.used + 1.0, ..self }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_millis(1_000_000_000_000 + seconds * 1_000)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn after_ten_failures_an_address_waits_and_others_do_not() {
        let (limiter, a, b) = (Limiter::default(), address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..10 {
            assert_eq!(limiter.admits(a, at(0)), Ok(()));
            assert_eq!(limiter.fail(a, at(0)), Ok(()));
        }
        assert_eq!(limiter.admits(a, at(0)), Err(Duration::from_secs(6)));
        assert_eq!(limiter.fail(a, at(3)), Err(Duration::from_secs(3)));
        assert_eq!(limiter.admits(b, at(0)), Ok(()));
        assert_eq!(limiter.admits(a, at(6)), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let limiter = Limiter::default();
        for n in 0..10 {
            assert_eq!(limiter.fail(address(&format!("2001:db8::{n}")), at(0)), Ok(()));
        }
        assert!(limiter.fail(address("2001:db8::ffff"), at(0)).is_err());
        assert!(limiter.fail(address("2001:db8:0:1::1"), at(0)).is_ok());
    }

    #[test]
    fn guessing_from_everywhere_is_bounded_too() {
        let limiter = Limiter::default();
        let admitted = (0..2_000u32).filter(|n| limiter.fail(IpAddr::from(n.to_be_bytes()), at(0)).is_ok()).count();
        assert_eq!(admitted, 1_000);
    }
}
