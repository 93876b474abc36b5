//! One canonical form of a request's path.
//!
//! Routing, policies, limits and rewriting see this form, and the same bytes go upstream. Most ways past a gateway's rules
//! are two views of one path; here there is one view.

use std::borrow::Cow;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathRefused {
    /// It does not start with `/`.
    #[error("the path does not start with `/`")]
    NotAbsolute,
    /// `%2F`, `%5C`, `%00` or a backslash: servers disagree on what they mean.
    #[error("the path holds an encoded slash, a backslash or a NUL")]
    Ambiguous,
    /// A `%` without two hexadecimal digits.
    #[error("the path holds a broken percent-encoding")]
    BrokenEncoding,
    /// A byte that a path can't hold.
    #[error("the path holds a character that must be encoded")]
    Character,
    /// A dot segment with parameters (`..;x`), which some servers take for a dot segment, or parameters (`;`) where the route
    /// takes none.
    #[error("the path holds a `;`, which servers read in different ways")]
    Parameters,
    /// `..` above the root.
    #[error("the path leads above its root")]
    AboveRoot,
}

/// Brings a path (without query) into its canonical form (RFC 3986 §6.2.2): unreserved characters decoded, other
/// encodings in capitals, `//` merged, dot segments removed. Borrowed, and nothing allocated, where it already is.
///
/// # Errors
/// What can't be made unambiguous is refused.
pub fn canonical_path(path: &str) -> Result<Cow<'_, str>, PathRefused> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(PathRefused::NotAbsolute);
    }
    let mut clean = true;
    let mut previous = 0;
    for &b in bytes {
        match CLASS[b as usize] {
            PLAIN => {}
            SLASH => clean &= previous != b'/',
            // a dot matters only where it may be a dot segment
            DOT => clean &= previous != b'/',
            PERCENT => clean = false,
            BACKSLASH => return Err(PathRefused::Ambiguous),
            _ => return Err(PathRefused::Character),
        }
        previous = b;
    }
    if clean { Ok(Cow::Borrowed(path)) } else { rewrite(bytes).map(Cow::Owned) }
}

fn rewrite(bytes: &[u8]) -> Result<String, PathRefused> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        if b != b'%' {
            decoded.push(b);
            continue;
        }
        let [high, low, tail @ ..] = tail else { return Err(PathRefused::BrokenEncoding) };
        let (Some(h), Some(l)) = (hex(*high), hex(*low)) else { return Err(PathRefused::BrokenEncoding) };
        rest = tail;
        match h << 4 | l {
            b'/' | b'\\' | 0 => return Err(PathRefused::Ambiguous),
            c if c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~') => decoded.push(c),
            _ => decoded.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]),
        }
    }
    let mut out = Vec::with_capacity(decoded.len());
    let mut segments = decoded[1..].split(|b| *b == b'/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"." | b".." => {
                if segment == b".." {
                    if out.is_empty() {
                        return Err(PathRefused::AboveRoot);
                    }
                    let cut = out.iter().rposition(|b| *b == b'/').unwrap_or(0);
                    out.truncate(cut);
                }
                if last {
                    out.push(b'/');
                }
            }
            b"" if !last => {}
            [b'.', b';', ..] | [b'.', b'.', b';', ..] => return Err(PathRefused::Parameters),
            _ => {
                out.push(b'/');
                out.extend_from_slice(segment);
            }
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    String::from_utf8(out).map_err(|_| PathRefused::Character)
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|d| d as u8)
}

const REFUSED: u8 = 0;
const PLAIN: u8 = 1;
const SLASH: u8 = 2;
const DOT: u8 = 3;
const PERCENT: u8 = 4;
const BACKSLASH: u8 = 5;

/// What each byte means in a path: `pchar` of RFC 3986 and what needs a closer look.
static CLASS: [u8; 256] = {
    let mut class = [REFUSED; 256];
    let plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~!$&'()*+,;=:@";
    let mut i = 0;
    while i < plain.len() {
        class[plain[i] as usize] = PLAIN;
        i += 1;
    }
    // not allowed by the RFC, sent by browsers, and without a second meaning
    class[b'|' as usize] = PLAIN;
    class[b'[' as usize] = PLAIN;
    class[b']' as usize] = PLAIN;
    class[b'^' as usize] = PLAIN;
    class[b'/' as usize] = SLASH;
    class[b'.' as usize] = DOT;
    class[b'%' as usize] = PERCENT;
    class[b'\\' as usize] = BACKSLASH;
    class
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        for (path, canonical) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a.b/c..d", "/a.b/c..d"),
            ("/a/.b", "/a/.b"),
            ("//a///b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/..a", "/..a"),
            ("/%61%2d", "/a-"),
            ("/%2e%2e", ""),
            ("/a/%2e%2E/b", "/b"),
            ("/%c3%a4", "/%C3%A4"),
            ("/a/", "/a/"),
            ("/a//", "/a/"),
            ("/a%20b", "/a%20b"),
            ("/%25", "/%25"),
            ("/a;v=1/..a;b", "/a;v=1/..a;b"),
        ] {
            match canonical {
                "" => assert_eq!(canonical_path(path), Err(PathRefused::AboveRoot), "{path}"),
                _ => assert_eq!(canonical_path(path).as_deref(), Ok(canonical), "{path}"),
            }
        }
    }

    #[test]
    fn what_servers_disagree_on_is_refused() {
        use PathRefused::*;
        for (path, why) in [
            ("", NotAbsolute),
            ("a", NotAbsolute),
            ("*", NotAbsolute),
            ("/a%2fb", Ambiguous),
            ("/a%5Cb", Ambiguous),
            ("/a\\b", Ambiguous),
            ("/%00", Ambiguous),
            ("/%", BrokenEncoding),
            ("/%4", BrokenEncoding),
            ("/%zz", BrokenEncoding),
            ("/a b", Character),
            ("/a\u{7f}", Character),
            ("/ä", Character),
            ("/..", AboveRoot),
            ("/a/../..", AboveRoot),
            ("/a?b", Character),
            ("/a#b", Character),
            ("/a/..;/b", Parameters),
            ("/a/.;x=1/b", Parameters),
            ("/a/%2e%2E;/b", Parameters),
        ] {
            assert_eq!(canonical_path(path), Err(why), "{path}");
        }
    }
}
