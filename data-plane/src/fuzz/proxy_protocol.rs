//! The first bytes of a connection from a balancer, however they are cut.

use crate::listener::proxy_protocol::{HEAD_MAX, Parsed, parse};

/// Bytes that come in pieces are read as if they came at once, and never more of them are wanted than may be needed.
pub fn proxy_protocol(bytes: &[u8]) {
    let at_once = parse(bytes);
    for n in 0..bytes.len() {
        match parse(&bytes[..n]) {
            Ok(Parsed::More) => assert!(n < HEAD_MAX, "{n} bytes are not enough"),
            Ok(whole) => assert_eq!(Ok(whole), at_once, "{n}"),
            Err(_) => assert!(at_once.is_err(), "{n}"),
        }
    }
    if let Ok(Parsed::Whole { length, .. }) = at_once {
        // what was read beyond the header fits where the next bytes are looked at
        let before = (0..bytes.len()).rev().find(|n| parse(&bytes[..*n]) == Ok(Parsed::More));
        assert!(before.is_none_or(|before| before < length));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::listener::proxy_protocol::SIGNATURE;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), start in 0usize..3) {
            let start: &[u8] = [&b""[..], b"PROXY ", SIGNATURE][start];
            super::proxy_protocol(&[start, &bytes].concat());
        }
    }
}
