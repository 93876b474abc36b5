//! Who is at the other end of a connection.

use std::net::IpAddr;

use http::HeaderValue;

use super::TrustedProxies;

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Never an IPv4 address in the clothes of IPv6.
    pub(crate) address: IpAddr,
    /// The same, ready for a header.
    pub(crate) header: HeaderValue,
    pub(crate) trust: Trust,
}

/// Whether the word of a peer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It speaks for itself, and nothing that it says of itself is believed.
    Stranger,
    /// It is a trusted proxy, and speaks for others.
    Proxy,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, trusted: &TrustedProxies) -> Self {
        Peer {
            trust: if trusted.contains(address) { Trust::Proxy } else { Trust::Stranger },
            ..Peer::stranger(address)
        }
    }

    /// One that speaks for itself, whatever its address.
    pub(crate) fn stranger(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let header = HeaderValue::try_from(address.to_string()).expect("an address is of header characters");
        Peer { address, header, trust: Trust::Stranger }
    }
}
