//! What a request says of its host.

use std::borrow::Cow;

/// A host as a request names it: `name[:port]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Host<'a> {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    pub(crate) name: &'a str,
    pub(crate) port: Option<u16>,
}

impl<'a> Host<'a> {
    /// Strict: what two servers could read in two ways is no host.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Host<'a>> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= 255 + 6)?;
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let end = rest.find(']')? + 1;
                rest[..end - 1].parse::<std::net::Ipv6Addr>().ok()?;
                (&text[..=end], &text[end + 1..])
            }
            None => {
                let end = text.bytes().position(|b| !IN_NAME[b as usize]).unwrap_or(text.len());
                (&text[..end], &text[end..])
            }
        };
        let port = match port.strip_prefix(':') {
            Some(digits) if digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
            None if port.is_empty() => None,
            None => return None,
        };
        let dots = name.starts_with('.') || name.contains("..");
        (!name.is_empty() && !dots).then_some(Host { name, port })
    }

    /// What routes are matched with: lower case, no port, no dot at the end.
    pub(crate) fn for_routing(self) -> Cow<'a, str> {
        let name = self.name.strip_suffix('.').unwrap_or(self.name);
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        }
    }

    /// Whether both name the same place of this scheme.
    pub(crate) fn is(self, other: Host<'_>, default_port: u16) -> bool {
        let port = |host: Host<'_>| host.port.unwrap_or(default_port);
        self.name.eq_ignore_ascii_case(other.name) && port(self) == port(other)
    }
}

/// Letters, digits, `-`, `.` and `_`.
static IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = (b as u8).is_ascii_alphanumeric() || matches!(b as u8, b'-' | b'.' | b'_');
        b += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_what_is_none() {
        for (text, name, port) in [
            ("a", "a", None),
            ("API.example.com:8080", "API.example.com", Some(8080)),
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("[::1]:80", "[::1]", Some(80)),
            ("[::1]", "[::1]", None),
            ("a.", "a.", None),
            ("a_b-c", "a_b-c", None),
        ] {
            assert_eq!(Host::parse(text.as_bytes()), Some(Host { name, port }), "{text}");
        }
        for text in [
            "", ":80", "a,b", "a b", " a", "a/b", "u@a", "a:b", "a:", "a:80:80", "a:123456", "a:65536", "a:+1", "[::1",
            "::1", "[::1]a", "[a]", ".a", "a..b", "a\\b", "a?b", "a#b", "a%41", "ä",
        ] {
            assert_eq!(Host::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn routing_sees_one_form() {
        let routed = |text: &'static str| Host::parse(text.as_bytes()).expect("a host").for_routing();
        assert_eq!(routed("API.Example.com.:80"), "api.example.com");
        assert_eq!(routed("a"), "a");
    }
}
