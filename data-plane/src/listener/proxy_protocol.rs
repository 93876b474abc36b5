//! The PROXY protocol, versions 1 and 2: a balancer that passes bytes on says first whom they are from.
//!
//! Reads what is needed and keeps nothing: at most the first [`ADDRESSES_END`] bytes are looked at, what a version 2 header holds
//! behind its addresses is skipped, 64 KiB by its format at most. It is asked for or it is not; it is never looked whether it happens to
//! come, as then every caller could send one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a version 2 header begins with: it can't be the beginning of a request.
pub(crate) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version, family and length.
const FIXED: usize = 16;

/// How far addresses of IP reach into a version 2 header. Those of Unix sockets reach further, but say nothing that is used.
const ADDRESSES_END: usize = FIXED + 36;

/// The longest header of version 1, with its line end.
const LINE_MAX: usize = 107;

/// The most bytes that [`parse`] ever needs.
pub(crate) const HEAD_MAX: usize = LINE_MAX;

/// What the first bytes of a connection say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Not enough yet.
    More,
    /// The header is whole as far as it matters.
    Whole {
        /// Whom the connection is from; `None` if it is the balancer itself, or if no address of IP is said.
        from: Option<IpAddr>,
        /// How long the header is; what it still lacks is to be skipped.
        length: usize,
    },
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("it does not begin with a PROXY protocol header")]
    NoHeader,
    #[error("its PROXY protocol header is malformed")]
    Form,
    #[error("its PROXY protocol header is of a version or family that is not known")]
    Unknown,
}

/// Reads the first bytes of a connection.
pub(crate) fn parse(head: &[u8]) -> Result<Parsed, Malformed> {
    let starts = |with: &[u8]| {
        let n = head.len().min(with.len());
        head[..n] == with[..n]
    };
    if starts(SIGNATURE) {
        if head.len() < FIXED { Ok(Parsed::More) } else { binary(head) }
    } else if starts(b"PROXY ") {
        match head.iter().take(LINE_MAX).position(|b| *b == b'\n') {
            Some(end) => {
                let line = head[..end].strip_suffix(b"\r").ok_or(Malformed::Form)?;
                Ok(Parsed::Whole { from: text(line)?, length: end + 1 })
            }
            None if head.len() < LINE_MAX => Ok(Parsed::More),
            None => Err(Malformed::Form),
        }
    } else {
        Err(Malformed::NoHeader)
    }
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 4711 443`, without its line end.
fn text(line: &[u8]) -> Result<Option<IpAddr>, Malformed> {
    let line = std::str::from_utf8(line).map_err(|_| Malformed::Form)?;
    let mut words = line.split(' ').skip(1);
    let mut word = || words.next().ok_or(Malformed::Form);
    let family = word()?;
    if family == "UNKNOWN" {
        // whatever follows
        return Ok(None);
    }
    let (from, to, ports) = (word()?, word()?, [word()?, word()?]);
    if words.next().is_some() || !ports.into_iter().all(is_port) {
        return Err(Malformed::Form);
    }
    let from: IpAddr = match family {
        "TCP4" => both::<Ipv4Addr>(from, to).ok_or(Malformed::Form)?.into(),
        "TCP6" => both::<Ipv6Addr>(from, to).ok_or(Malformed::Form)?.into(),
        _ => return Err(Malformed::Unknown),
    };
    Ok(Some(from.to_canonical()))
}

/// The first, if both can be read.
fn both<T: std::str::FromStr>(from: &str, to: &str) -> Option<T> {
    to.parse::<T>().ok().and_then(|_| from.parse().ok())
}

fn is_port(text: &str) -> bool {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits && (text.len() == 1 || !text.starts_with('0')) && text.parse::<u16>().is_ok()
}

fn binary(head: &[u8]) -> Result<Parsed, Malformed> {
    let (version, command) = (head[12] >> 4, head[12] & 15);
    let (family, transport) = (head[13] >> 4, head[13] & 15);
    let rest = usize::from(u16::from_be_bytes([head[14], head[15]]));
    let whole = |from| Ok(Parsed::Whole { from, length: FIXED + rest });
    match (version, command) {
        // the balancer speaks for itself, to see whether we live; what else it says is to be ignored
        (2, 0) => return whole(None),
        (2, 1) => {}
        _ => return Err(Malformed::Unknown),
    }
    // streams, and datagrams, which the format has too
    if transport > 2 {
        return Err(Malformed::Unknown);
    }
    let addresses = match family {
        0 => 0,
        1 => 12,
        2 => 36,
        3 => 216,
        _ => return Err(Malformed::Unknown),
    };
    if rest < addresses {
        return Err(Malformed::Form);
    }
    let Some(from) = (match family {
        1 => head.get(FIXED..FIXED + 12).map(|a| Some(Ipv4Addr::new(a[0], a[1], a[2], a[3]).into())),
        2 => head.get(FIXED..ADDRESSES_END).map(|a| {
            let from: [u8; 16] = a[..16].try_into().expect("16 bytes are 16 bytes");
            Some(IpAddr::from(from).to_canonical())
        }),
        _ => Some(None),
    }) else {
        return Ok(Parsed::More);
    };
    whole(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).expect("a header is short").to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, body].concat()
    }

    fn whole(from: Option<&str>, length: usize) -> Result<Parsed, Malformed> {
        Ok(Parsed::Whole { from: from.map(|a| a.parse().expect("an address")), length })
    }

    #[test]
    fn lines_of_version_1() {
        for (line, from) in [
            ("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", Some("192.0.2.1")),
            ("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", Some("2001:db8::1")),
            ("PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n", Some("10.0.0.1")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 whatever it may be\r\n", None),
        ] {
            assert_eq!(parse(line.as_bytes()), whole(from, line.len()), "{line}");
            let followed = format!("{line}GET / HTTP/1.1\r\n");
            assert_eq!(parse(followed.as_bytes()), whole(from, line.len()), "{line}");
        }
        for (line, why) in [
            ("GET / HTTP/1.1\r\n", Malformed::NoHeader),
            ("proxy TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", Malformed::NoHeader),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Malformed::NoHeader),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\n", Malformed::Form),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n", Malformed::Form),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443 \r\n", Malformed::Form),
            ("PROXY  TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", Malformed::Form),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 +1 443\r\n", Malformed::Form),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", Malformed::Form),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 01 1\r\n", Malformed::Form),
            ("PROXY TCP4 192.0.2 192.0.2.2 1 1\r\n", Malformed::Form),
            ("PROXY TCP4 192.0.2.01 192.0.2.2 1 1\r\n", Malformed::Form),
            ("PROXY TCP4 ::1 ::1 1 1\r\n", Malformed::Form),
            ("PROXY TCP6 10.0.0.1 ::1 1 1\r\n", Malformed::Form),
            ("PROXY UDP4 192.0.2.1 192.0.2.2 1 1\r\n", Malformed::Unknown),
            ("PROXY \r\n", Malformed::Form),
        ] {
            assert!(matches!(parse(line.as_bytes()), Err(said) if said == why || why == Malformed::Form), "{line:?}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "a".repeat(100));
        assert_eq!(parse(long.as_bytes()), Err(Malformed::Form));
    }

    #[test]
    fn headers_of_version_2() {
        let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2];
        let mut v6 = [0; 36];
        v6[0] = 0x20;
        v6[15] = 1;
        let with_more = [&v4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        for (header, from) in [
            (v2(1, 0x11, &v4), Some("192.0.2.1")),
            (v2(1, 0x12, &v4), Some("192.0.2.1")),
            (v2(1, 0x11, &with_more), Some("192.0.2.1")),
            (v2(1, 0x21, &v6), Some("2000::1")),
            (v2(1, 0x31, &[b'a'; 216]), None),
            (v2(1, 0x00, &[]), None),
            (v2(1, 0x00, &[1, 2, 3]), None),
            (v2(0, 0x11, &v4), None),
            (v2(0, 0xff, &[]), None),
        ] {
            let length = header.len();
            assert_eq!(parse(&header), whole(from, length), "{header:?}");
            assert_eq!(parse(&[&header[..], b"GET"].concat()), whole(from, length), "{header:?}");
        }
        for (header, why) in [
            (v2(1, 0x11, &v4[..11]), Malformed::Form),
            (v2(1, 0x21, &v4), Malformed::Form),
            (v2(1, 0x31, &[0; 215]), Malformed::Form),
            (v2(1, 0x41, &[]), Malformed::Unknown),
            (v2(1, 0x13, &v4), Malformed::Unknown),
            (v2(2, 0x11, &v4), Malformed::Unknown),
            ([&SIGNATURE[..], &[0x11, 0x11, 0, 12], &v4].concat(), Malformed::Unknown),
        ] {
            assert_eq!(parse(&header), Err(why), "{header:?}");
        }
    }
}
