//! The way that a request took through trusted proxies, read from its end.
//!
//! Each proxy appends whom it got the request from. So the last entry is the word of our peer, the one before is the word of the
//! proxy that the last entry names, and so on: an entry counts as long as all entries right of it name trusted proxies. The
//! first that does not is the caller; what stands left of it, the caller wrote.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

use super::TrustedProxies;

/// What was read of a way, from its end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    /// From the caller to the proxy before our peer. Empty if nothing could be read: then the caller is our peer itself.
    pub(crate) hops: SmallVec<[IpAddr; 4]>,
    /// It ended at something that is no address, or was longer than what is read.
    pub(crate) is_cut: bool,
}

/// Follows entries from the last to the first. `None` is an entry that names no address: nothing left of it is believed.
pub(crate) fn follow(
    entries_from_last: impl Iterator<Item = Option<IpAddr>>,
    trusted: &TrustedProxies,
    hops_max: usize,
) -> Chain {
    let mut chain = Chain::default();
    for entry in entries_from_last {
        let Some(address) = entry.filter(|_| chain.hops.len() < hops_max) else {
            chain.is_cut = true;
            break;
        };
        chain.hops.push(address);
        if !trusted.contains(address) {
            break;
        }
    }
    chain.hops.reverse();
    chain
}

/// The members of a header that is a list of plain values, from the last to the first, of all of its lines.
pub(crate) fn members_from_last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter().rev();
    lines.flat_map(|line| line.as_bytes().rsplit(|b| *b == b',')).map(<[u8]>::trim_ascii).filter(|m| !m.is_empty())
}

/// An address as proxies write it: with or without a port, IPv6 with or without brackets (with them, if a port follows).
pub(crate) fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let address: IpAddr = if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        if !after.is_empty() && !after.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        inside.parse::<Ipv6Addr>().ok()?.into()
    } else {
        match text.split_once(':') {
            Some((v4, port)) if is_port(port) => v4.parse::<Ipv4Addr>().ok()?.into(),
            _ => text.parse().ok()?,
        }
    };
    Some(address.to_canonical())
}

/// A number, or a name as RFC 7239 lets proxies hide theirs: `_a1`.
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(hidden) => !hidden.is_empty() && hidden.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()),
    }
}
