//! The `Forwarded` header (RFC 7239), read from its end.
//!
//! From the end, as all that is believed stands there: a caller that opens a quote and does not close it must not be able to
//! swallow what the proxies behind it append.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::FORWARDED;

use super::{Scheme, chain};

/// What one proxy says of whom it got the request from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// `None` for `unknown`, a hidden name, or if it is not said.
    pub(crate) from: Option<IpAddr>,
    pub(crate) scheme: Option<Scheme>,
    /// As it was written; not checked.
    pub(crate) host: Option<&'a [u8]>,
}

/// The elements of all lines, from the last to the first; `None` is one that can't be read.
pub(crate) fn elements_from_last(headers: &HeaderMap) -> impl Iterator<Item = Option<Element<'_>>> {
    let texts = headers.get_all(FORWARDED).iter().rev().flat_map(|line| Split(Some(line.as_bytes())));
    texts.map(<[u8]>::trim_ascii).filter(|text| !text.is_empty()).map(element)
}

/// A line's elements, from the last to the first.
struct Split<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.0.take()?;
        let mut end = line.len();
        while let Some(at) = line[..end].iter().rposition(|b| matches!(b, b',' | b'"')) {
            if line[at] == b',' {
                self.0 = Some(&line[..at]);
                return Some(&line[at + 1..]);
            }
            // an end of a quoted text; without a beginning it is a part of no element that can be read
            end = opening_quote(&line[..at]).unwrap_or(at);
        }
        Some(line)
    }
}

/// The last quote that is not escaped.
fn opening_quote(text: &[u8]) -> Option<usize> {
    let mut end = text.len();
    loop {
        let at = text[..end].iter().rposition(|b| *b == b'"')?;
        let slashes = text[..at].iter().rev().take_while(|b| **b == b'\\').count();
        if slashes % 2 == 0 {
            return Some(at);
        }
        end = at;
    }
}

/// `for=192.0.2.1;proto=https;host="a:8080"`: pairs, each name once.
fn element(text: &[u8]) -> Option<Element<'_>> {
    let mut element = Element::default();
    let mut seen = [false; 4];
    let mut rest = text;
    loop {
        let equals = rest.iter().position(|b| *b == b'=')?;
        let name = rest[..equals].trim_ascii_start();
        let (value, after) = value(&rest[equals + 1..])?;
        let known: [&[u8]; 4] = [b"for", b"proto", b"host", b"by"];
        match known.iter().position(|known| name.eq_ignore_ascii_case(known)) {
            Some(index) if std::mem::replace(&mut seen[index], true) => return None,
            Some(0) => element.from = chain::address(value),
            Some(1) => element.scheme = Scheme::parse(value),
            Some(2) => element.host = Some(value),
            Some(_) => {}
            None if !name.is_empty() && name.iter().all(|b| is_token(*b)) => {}
            None => return None,
        }
        match after.trim_ascii_start() {
            [] => return Some(element),
            [b';', next @ ..] => rest = next,
            _ => return None,
        }
    }
}

/// A value, and what follows it. What is escaped in a quoted text stays so: no address, scheme or host has a backslash.
fn value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if let [b'"', quoted @ ..] = text {
        let mut at = 0;
        loop {
            match quoted.get(at)? {
                b'"' => return Some((&quoted[..at], &quoted[at + 1..])),
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
    }
    let end = text.iter().position(|b| !is_token(*b)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
