//! A range of IP addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::scalar::text_scalar;

/// A range of IP addresses, written `10.0.0.0/8`, `2001:db8::/32`, or one address. IPv4 within IPv6 (`::ffff:10.0.0.0/104`) is
/// IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    base: IpAddr,
    length: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Not by the grammar.
    #[error("`{0}` is not a network; write it like `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.7`")]
    Form(String),
    /// A prefix that no address has.
    #[error("`{given}` says a prefix longer than the {max} bits of its address")]
    Length {
        /// As it was written.
        given: String,
        /// The longest there is.
        max: u8,
    },
    /// The address is not the first of the network: one of both is a slip.
    #[error("`{given}` has bits set behind its prefix; the network is `{network}`")]
    HostBits {
        /// As it was written.
        given: String,
        /// What it would be without them.
        network: Network,
    },
}

impl Network {
    /// The first and the last address.
    pub fn range(self) -> (IpAddr, IpAddr) {
        match self.base {
            IpAddr::V4(base) => {
                let last = u32::from(base) | u32::MAX.checked_shr(self.length.into()).unwrap_or(0);
                (self.base, Ipv4Addr::from(last).into())
            }
            IpAddr::V6(base) => {
                let last = u128::from(base) | u128::MAX.checked_shr(self.length.into()).unwrap_or(0);
                (self.base, Ipv6Addr::from(last).into())
            }
        }
    }

    /// Whether an address is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        let (first, last) = self.range();
        let address = address.to_canonical();
        address.is_ipv4() == first.is_ipv4() && RangeInclusive::new(first, last).contains(&address)
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let form = || InvalidNetwork::Form(text.to_owned());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| form())?;
        let max = if base.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => max,
            Some(digits) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => return Err(form()),
            Some(digits) => match digits.parse() {
                Ok(length) if length <= max => length,
                _ => return Err(InvalidNetwork::Length { given: text.to_owned(), max }),
            },
        };
        let masked: IpAddr = match base {
            IpAddr::V4(base) => {
                Ipv4Addr::from(u32::from(base) & !u32::MAX.checked_shr(length.into()).unwrap_or(0)).into()
            }
            IpAddr::V6(base) => {
                Ipv6Addr::from(u128::from(base) & !u128::MAX.checked_shr(length.into()).unwrap_or(0)).into()
            }
        };
        let plain = |base: IpAddr| match (base, base.to_canonical()) {
            (IpAddr::V6(_), canonical @ IpAddr::V4(_)) if length >= 96 => {
                Network { base: canonical, length: length - 96 }
            }
            _ => Network { base, length },
        };
        if masked != base {
            return Err(InvalidNetwork::HostBits { given: text.to_owned(), network: plain(masked) });
        }
        Ok(plain(base))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.base.is_ipv4() { 32 } else { 128 };
        match self.length {
            length if length == whole => self.base.fmt(f),
            length => write!(f, "{}/{length}", self.base),
        }
    }
}

text_scalar!(Network, "Network", "network", "A range of IP addresses by its prefix, or one address.", "10.0.0.0/8");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read_and_a_slip_is_told() {
        for (text, is) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("::1", "::1"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(text.parse::<Network>().map(|n| n.to_string()).as_deref(), Ok(is), "{text}");
        }
        for (text, told) in [
            ("10.1.2.3/8", "the network is `10.0.0.0/8`"),
            ("2001:db8::1/32", "the network is `2001:db8::/32`"),
            ("::ffff:10.1.2.3/104", "the network is `10.0.0.0/8`"),
            ("10.0.0.0/33", "the 32 bits"),
            ("::/129", "the 128 bits"),
            ("10.0.0.0/999", "the 32 bits"),
            ("10.0.0/8", "is not a network"),
            ("10.0.0.0/", "is not a network"),
            ("10.0.0.0/+8", "is not a network"),
            ("010.0.0.0/8", "is not a network"),
            ("example.com", "is not a network"),
            ("", "is not a network"),
        ] {
            let error = text.parse::<Network>().expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_network_holds_the_addresses_of_its_prefix() {
        let holds = |network: &str, address: &str| {
            network.parse::<Network>().expect("a network").contains(address.parse().expect("an address"))
        };
        assert!(holds("10.0.0.0/8", "10.255.255.255") && holds("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.0") && !holds("10.0.0.0/8", "9.255.255.255"));
        assert!(holds("0.0.0.0/0", "255.255.255.255") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "::1") && !holds("::/0", "192.0.2.1"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.8"));
    }
}
