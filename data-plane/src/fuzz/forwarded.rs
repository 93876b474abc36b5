//! Whom a request is from behind a trusted proxy, whatever the caller writes.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderValue, Version};

use crate::edge::{Caller, Edge, Network, Peer, TrustedHeaders};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const CALLER: &str = "192.0.2.9";

/// Whatever a caller writes before what the trusted proxy appends: the caller is whom the proxy names, on the same line or on one of its own.
pub fn forwarded(bytes: &[u8]) {
    for (headers, names, appended) in [
        (TrustedHeaders::Forwarded, ["forwarded"], format!("for={CALLER};proto=https")),
        (
            TrustedHeaders::Forwarded,
            ["forwarded"],
            format!("For=\"{CALLER}:4711\" ; host=\"a:1\";PROTO=https;x=\"a,\\\";b\""),
        ),
        (TrustedHeaders::XForwarded, ["x-forwarded-for"], CALLER.to_owned()),
        (TrustedHeaders::XForwarded, ["x-forwarded-for"], format!("{CALLER}:4711")),
    ] {
        let edge = Edge { headers, trusted: [network("10.0.0.0/8")].into_iter().collect(), ..Edge::default() };
        let mut same_line = bytes.to_vec();
        same_line.extend_from_slice(b", ");
        same_line.extend_from_slice(appended.as_bytes());
        for lines in [vec![bytes.to_vec(), appended.into_bytes()], vec![same_line]] {
            let mut map = HeaderMap::new();
            for line in lines {
                let Ok(line) = HeaderValue::from_bytes(&line) else { return };
                map.append(names[0], line);
            }
            let of = |peer: IpAddr| Caller::of(&Peer::new(peer, &edge.trusted), Version::HTTP_11, &map, &edge, 8);
            assert_eq!(of(PEER).address.to_string(), CALLER, "{map:?}");
            assert_eq!(of([192, 0, 2, 1].into()).address.to_string(), "192.0.2.1", "a stranger is believed: {map:?}");
        }
    }
}

fn network(text: &str) -> Network {
    text.parse().expect("a network")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_a_caller_writes_the_proxy_is_believed(line in prop_oneof!["[ -~]{0,40}", "[,;=\"\\\\ for1.]{0,30}"]) {
            super::forwarded(line.as_bytes());
        }
    }
}
