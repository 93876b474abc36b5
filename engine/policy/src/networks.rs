//! A set of networks: sorted ranges, merged, so that a look-up is one binary search however many there are.

use std::net::IpAddr;

use tidegate_model::Network;

/// A set of networks. Those that overlap or repeat are one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl Networks {
    /// Of these.
    pub fn new(networks: &[Network]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network.range() {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((u32::from(first), u32::from(last))),
                (first, last) => v6.push((bits(first), bits(last))),
            }
        }
        Networks { v4: merged(v4, |last| last.checked_add(1)), v6: merged(v6, |last| last.checked_add(1)) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether an address is in one of them; IPv4 within IPv6 is IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&self.v4, u32::from(address)),
            IpAddr::V6(address) => holds(&self.v6, u128::from(address)),
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => address.into(),
    }
}

/// Ranges that touch become one.
fn merged<T: Copy + Ord>(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut kept: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match kept.last_mut() {
            Some((_, end)) if next(*end).is_none_or(|next| first <= next) => *end = (*end).max(last),
            _ => kept.push((first, last)),
        }
    }
    kept.into()
}

fn holds<T: Copy + Ord>(ranges: &[(T, T)], address: T) -> bool {
    let at = ranges.partition_point(|(first, _)| *first <= address);
    at.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| address <= *last)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn set(networks: &[&str]) -> Networks {
        Networks::new(&networks.iter().map(|text| text.parse().expect("a network")).collect::<Vec<_>>())
    }

    #[test]
    fn what_overlaps_repeats_or_touches_is_one_range() {
        let all = set(&["10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "10.1.0.0/16", "192.0.2.1", "::/1", "8000::/1"]);
        assert_eq!((all.v4.len(), all.v6.len()), (2, 1));
        assert_eq!(set(&["10.0.0.0/8", "192.0.2.1", "::/0"]), all);
        assert_eq!(set(&["0.0.0.0/0", "255.255.255.255"]).v4.len(), 1);
    }

    proptest! {
        #[test]
        fn it_says_what_looking_at_each_says(
            v4 in prop::collection::vec((any::<u32>(), 0u8..=32), 0..40),
            v6 in prop::collection::vec((any::<u128>(), 0u8..=128), 0..40),
            addresses in prop::collection::vec(any::<u128>(), 0..40),
        ) {
            let mut networks: Vec<Network> = Vec::new();
            for (base, length) in v4 {
                let base = base & !u32::MAX.checked_shr(length.into()).unwrap_or(0);
                networks.push(format!("{}/{length}", Ipv4Addr::from(base)).parse().expect("a network"));
            }
            for (base, length) in v6 {
                let base = base & !u128::MAX.checked_shr(length.into()).unwrap_or(0);
                networks.push(format!("{}/{length}", Ipv6Addr::from(base)).parse().expect("a network"));
            }
            let set = Networks::new(&networks);
            // the borders of each, and whatever else
            let borders = networks.iter().flat_map(|network| <[IpAddr; 2]>::from(network.range()));
            let others = addresses.into_iter().flat_map(|bits| {
                [IpAddr::from(Ipv6Addr::from(bits)), IpAddr::from(Ipv4Addr::from(bits as u32))]
            });
            let beside = |address: IpAddr| match address {
                IpAddr::V4(a) => [u32::from(a).wrapping_sub(1), u32::from(a).wrapping_add(1)].map(|b| IpAddr::from(Ipv4Addr::from(b))),
                IpAddr::V6(a) => [u128::from(a).wrapping_sub(1), u128::from(a).wrapping_add(1)].map(|b| IpAddr::from(Ipv6Addr::from(b))),
            };
            for address in borders.flat_map(|a| [[a; 2], beside(a)].concat()).chain(others) {
                prop_assert_eq!(set.contains(address), networks.iter().any(|network| network.contains(address)), "{}", address);
            }
        }
    }
}
