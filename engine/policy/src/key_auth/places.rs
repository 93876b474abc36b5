//! Where a key may stand in a request: finds it there, and takes it off without touching anything else.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_model::TokenKind;

use super::config::Scheme;
use crate::RequestHead;

/// The places, in the order in which they are looked at.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) headers: Box<[HeaderName]>,
    pub(super) authorization: Box<[Scheme]>,
    pub(super) query: Box<[String]>,
    pub(super) cookies: Box<[String]>,
}

/// What a request shows.
pub(super) enum Shown<'a> {
    /// Nothing.
    Nothing,
    /// One key, in as many places as may be.
    Key(Cow<'a, [u8]>),
    /// Keys that differ.
    Several,
}

impl<'a> Shown<'a> {
    fn and(self, key: Cow<'a, [u8]>) -> Shown<'a> {
        match self {
            Shown::Nothing => Shown::Key(key),
            Shown::Key(other) if other == key => Shown::Key(other),
            Shown::Key(_) | Shown::Several => Shown::Several,
        }
    }
}

impl Places {
    /// The key of a request. All places are looked at, so that no second key goes by unseen.
    pub(super) fn shown<'a>(&self, head: &'a RequestHead) -> Shown<'a> {
        let mut shown = Shown::Nothing;
        for name in &self.headers {
            for value in head.headers.get_all(name) {
                shown = shown.and(Cow::Borrowed(value.as_bytes()));
            }
        }
        if !self.authorization.is_empty() {
            for key in head.headers.get_all(AUTHORIZATION).iter().filter_map(|value| self.key_of_scheme(value)) {
                shown = shown.and(Cow::Borrowed(key));
            }
        }
        if !self.query.is_empty() {
            for (name, value) in head.query().unwrap_or("").split('&').map(pair) {
                if self.is_parameter(name) {
                    shown = shown.and(decoded(value));
                }
            }
        }
        if !self.cookies.is_empty() {
            for line in head.headers.get_all(COOKIE) {
                for value in line.as_bytes().split(|b| *b == b';').filter_map(|crumb| self.key_of_cookie(crumb)) {
                    shown = shown.and(Cow::Borrowed(value));
                }
            }
        }
        shown
    }

    /// Takes whatever stands in these places off.
    pub(super) fn strip(&self, head: &mut RequestHead) {
        for name in &self.headers {
            head.headers.remove(name);
        }
        if !self.authorization.is_empty() {
            rewrite(&mut head.headers, &AUTHORIZATION, |value| match self.key_of_scheme(value) {
                Some(_) => Line::Goes,
                None => Line::Stays,
            });
        }
        if !self.cookies.is_empty() {
            rewrite(&mut head.headers, &COOKIE, |value| self.cookie_without(value));
        }
        if !self.query.is_empty()
            && let Some(target) = self.target_without(&head.target)
        {
            head.target = target;
        }
    }

    fn key_of_scheme<'v>(&self, value: &'v HeaderValue) -> Option<&'v [u8]> {
        let value = value.as_bytes().trim_ascii();
        let end = value.iter().position(|b| *b == b' ')?;
        let (scheme, key) = (&value[..end], value[end..].trim_ascii());
        self.authorization
            .iter()
            .any(|known| match known {
                Scheme::ApiKey => scheme.eq_ignore_ascii_case(b"apikey"),
                Scheme::Bearer => {
                    scheme.eq_ignore_ascii_case(b"bearer") && key.starts_with(TokenKind::ApiKey.prefix().as_bytes())
                }
            })
            .then_some(key)
    }

    fn key_of_cookie<'v>(&self, crumb: &'v [u8]) -> Option<&'v [u8]> {
        let crumb = crumb.trim_ascii();
        let end = crumb.iter().position(|b| *b == b'=')?;
        let (name, value) = (crumb[..end].trim_ascii(), crumb[end + 1..].trim_ascii());
        let known = self.cookies.iter().any(|known| known.as_bytes() == name);
        known.then(|| value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value))
    }

    fn cookie_without(&self, value: &HeaderValue) -> Line {
        let crumbs = || value.as_bytes().split(|b| *b == b';');
        if crumbs().all(|crumb| self.key_of_cookie(crumb).is_none()) {
            return Line::Stays;
        }
        let kept: Vec<&[u8]> = crumbs().filter(|crumb| self.key_of_cookie(crumb).is_none()).collect();
        match HeaderValue::from_bytes(kept.join(&b';').trim_ascii_start()) {
            Ok(kept) if !kept.is_empty() => Line::Becomes(kept),
            _ => Line::Goes,
        }
    }

    /// A name is known however it is escaped: the API behind unescapes it too.
    fn is_parameter(&self, name: &str) -> bool {
        let name = decoded(name);
        self.query.iter().any(|known| known.as_bytes() == &*name)
    }

    fn target_without(&self, target: &PathAndQuery) -> Option<PathAndQuery> {
        let query = target.query()?;
        let goes = |part: &&str| self.is_parameter(pair(part).0);
        if !query.split('&').any(|part| goes(&part)) {
            return None;
        }
        let kept: Vec<&str> = query.split('&').filter(|part| !goes(part)).collect();
        let mut text = String::with_capacity(target.as_str().len());
        text.push_str(target.path());
        if !kept.is_empty() {
            text.push('?');
            text.push_str(&kept.join("&"));
        }
        // a part of what was a target is one
        PathAndQuery::try_from(text).ok()
    }
}

/// What becomes of a header line.
enum Line {
    Stays,
    Becomes(HeaderValue),
    Goes,
}

fn rewrite(headers: &mut HeaderMap, name: &HeaderName, fate: impl Fn(&HeaderValue) -> Line) {
    let fates: Vec<(HeaderValue, Line)> = headers.get_all(name).iter().map(|v| (v.clone(), fate(v))).collect();
    if fates.iter().all(|(_, line)| matches!(line, Line::Stays)) {
        return;
    }
    headers.remove(name);
    for (value, line) in fates {
        match line {
            Line::Stays => drop(headers.append(name, value)),
            Line::Becomes(value) => drop(headers.append(name, value)),
            Line::Goes => {}
        }
    }
}

fn pair(part: &str) -> (&str, &str) {
    part.split_once('=').unwrap_or((part, ""))
}

/// As forms write it: `%41` is `A`, `+` is a space. What is no escape stays.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.bytes().any(|b| b == b'%' || b == b'+') {
        return Cow::Borrowed(text.as_bytes());
    }
    let digit = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                at += 1;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}
