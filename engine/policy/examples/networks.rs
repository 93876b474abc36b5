//! How long it takes to look up an address among 10 networks and among 10,000: `cargo run --release -p tidegate-policy --example
//! networks`. Both are measured in turns, so that what disturbs the machine disturbs both. What is printed is the median of
//! the rounds, in nanoseconds.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use tidegate_policy::Networks;

const ROUNDS: usize = 101;
const LOOKUPS: u32 = 10_000;

/// So many networks that do not touch, half of them of IPv6.
fn networks(count: u32) -> Networks {
    let of = |n: u32| match n % 2 {
        0 => format!("{}/28", Ipv4Addr::from(0x0b00_0000 + n * 64)),
        _ => format!("{}/56", Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(n) << 74)),
    };
    let all: Vec<_> = (0..count).map(|n| of(n).parse().expect("a network")).collect();
    Networks::new(&all)
}

/// Callers from everywhere: spread so that the branches of a search can't be foreseen.
fn addresses(count: u32) -> Vec<IpAddr> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u32
    };
    let mut address = || {
        let n = next() % count;
        match n % 2 {
            0 => IpAddr::from(Ipv4Addr::from(0x0b00_0000 + n * 64 + next() % 32)),
            _ => IpAddr::from(Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(n) << 74 | u128::from(next()))),
        }
    };
    (0..LOOKUPS).map(|_| address()).collect()
}

fn main() {
    let cases = [10, 100, 1_000, 10_000].map(|count| (count, networks(count), addresses(count)));
    let mut seen: Vec<Vec<f64>> = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for ((_, networks, addresses), seen) in cases.iter().zip(&mut seen) {
            let begun = Instant::now();
            let within = addresses.iter().filter(|address| networks.contains(black_box(**address))).count();
            black_box(within);
            seen.push(begun.elapsed().as_nanos() as f64 / f64::from(LOOKUPS));
        }
    }
    for ((count, ..), mut seen) in cases.into_iter().zip(seen) {
        seen.sort_by(f64::total_cmp);
        println!("{count:>6} networks: {:.1} ns a look-up", seen[ROUNDS / 2]);
    }
}
