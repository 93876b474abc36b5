//! Whose word counts: networks of trusted proxies, as a table of ranges that is made once.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// A network of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Not an address and a prefix.
    #[error("it is not a network, such as `10.0.0.0/8`, `192.0.2.7` or `2001:db8::/32`")]
    Form,
    /// Bits are set behind the prefix: a slip, and it can't be known which.
    #[error("it has bits set behind its prefix; write `{0}`, or `{1}` for the one address")]
    HostBits(Network, IpAddr),
}

impl Network {
    /// The first and the last address, as numbers.
    fn range<T: Copy + Number>(self, address: T) -> (T, T) {
        let hosts = T::below(T::BITS - u32::from(self.prefix));
        (address.without(hosts), address.with(hosts))
    }

    /// Whether it holds every address of its family.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork::Form)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(text) if (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok().filter(|prefix| *prefix <= bits).ok_or(InvalidNetwork::Form)?
            }
            Some(_) => return Err(InvalidNetwork::Form),
        };
        // an IPv4 address in the clothes of IPv6 is one of IPv4: that is how callers are seen
        let network = match (address.to_canonical(), prefix) {
            (IpAddr::V4(v4), 96..) if address.is_ipv6() => Network { address: v4.into(), prefix: prefix - 96 },
            _ => Network { address, prefix },
        };
        let first: IpAddr = match network.address {
            IpAddr::V4(v4) => Ipv4Addr::from_bits(network.range(v4.to_bits()).0).into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(network.range(v6.to_bits()).0).into(),
        };
        if first != network.address {
            let meant = Network { address: first, ..network };
            return Err(InvalidNetwork::HostBits(meant, network.address));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// What is done with addresses as numbers.
trait Number {
    const BITS: u32;
    /// The lowest so many bits.
    fn below(bits: u32) -> Self;
    fn with(self, bits: Self) -> Self;
    fn without(self, bits: Self) -> Self;
}

macro_rules! number {
    ($type:ty) => {
        impl Number for $type {
            const BITS: u32 = <$type>::BITS;

            fn below(bits: u32) -> Self {
                <$type>::MAX.checked_shr(Self::BITS - bits).unwrap_or(0)
            }

            fn with(self, bits: Self) -> Self {
                self | bits
            }

            fn without(self, bits: Self) -> Self {
                self & !bits
            }
        }
    };
}

number!(u32);
number!(u128);

/// The networks of proxies that are trusted. Looking an address up takes steps by the logarithm of how many there are.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    v4: Arc<[(u32, u32)]>,
    v6: Arc<[(u128, u128)]>,
}

impl TrustedProxies {
    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether this address is one of a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(v4) => within(&self.v4, v4.to_bits()),
            IpAddr::V6(v6) => within(&self.v6, v6.to_bits()),
        }
    }
}

impl FromIterator<Network> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network.address {
                IpAddr::V4(address) => v4.push(network.range(address.to_bits())),
                IpAddr::V6(address) => v6.push(network.range(address.to_bits())),
            }
        }
        TrustedProxies { v4: merged(v4), v6: merged(v6) }
    }
}

/// In order, and none within another: prefixes nest or are apart, so that is all there is to merge.
fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Arc<[(T, T)]> {
    ranges.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    ranges.dedup_by(|inner, outer| inner.1 <= outer.1);
    ranges.into()
}

fn within<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    after > 0 && address <= ranges[after - 1].1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn networks_are_read_or_refused_with_what_would_be_right() {
        for (text, printed) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ] {
            assert_eq!(text.parse::<Network>().map(|n| n.to_string()).as_deref(), Ok(printed), "{text}");
        }
        for text in
            ["", "a", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0/8", "/8", "10.0.0.0/8/8", "::1%eth0"]
        {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork::Form), "{text}");
        }
        let why = "10.1.2.3/8".parse::<Network>().expect_err("a slip").to_string();
        assert_eq!(why, "it has bits set behind its prefix; write `10.0.0.0/8`, or `10.1.2.3` for the one address");
    }

    #[test]
    fn an_address_is_found_in_whatever_form_it_comes() {
        let trusted: TrustedProxies =
            ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "2001:db8::/32"].iter().map(|n| n.parse().expect(n)).collect();
        for inside in ["10.0.0.0", "10.255.255.255", "10.1.9.9", "192.0.2.7", "::ffff:10.9.9.9", "2001:db8::1"] {
            assert!(trusted.contains(inside.parse().expect(inside)), "{inside}");
        }
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.8", "::1", "::10.0.0.1", "2001:db9::"] {
            assert!(!trusted.contains(outside.parse().expect(outside)), "{outside}");
        }
        let all_of_v6: TrustedProxies = ["::/0"].iter().map(|n| n.parse().expect(n)).collect();
        assert!(!all_of_v6.contains([10, 0, 0, 1].into()), "all of IPv6 is not all of IPv4");
        assert!(!TrustedProxies::default().contains([127, 0, 0, 1].into()));
    }

    proptest! {
        #[test]
        fn the_table_says_what_looking_at_each_network_says(
            networks in proptest::collection::vec((any::<u32>(), 0u8..=32), 0..20),
            addresses in proptest::collection::vec(any::<u32>(), 1..20),
        ) {
            let networks: Vec<Network> = networks
                .into_iter()
                .map(|(bits, prefix)| Network { address: Ipv4Addr::from_bits(bits & !u32::below(32 - u32::from(prefix))).into(), prefix })
                .collect();
            let table: TrustedProxies = networks.iter().copied().collect();
            // also what lies at the borders
            let borders = networks.iter().flat_map(|n| match n.address {
                IpAddr::V4(v4) => { let (a, b) = n.range(v4.to_bits()); [a.wrapping_sub(1), a, b, b.wrapping_add(1)] }
                IpAddr::V6(_) => [0; 4],
            });
            for address in addresses.into_iter().chain(borders) {
                let naive = networks.iter().any(|n| match n.address {
                    IpAddr::V4(v4) => u64::from(address ^ v4.to_bits()) >> (32 - u32::from(n.prefix)) == 0,
                    IpAddr::V6(_) => false,
                });
                prop_assert_eq!(table.contains(Ipv4Addr::from_bits(address).into()), naive);
            }
        }
    }
}
