//! Where a request shows its token: finds it there, and takes it off without touching anything else.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};
use url::form_urlencoded;

use crate::RequestHead;

/// The places. All that are set are looked at, so that no second token goes by unseen.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) header: Option<HeaderName>,
    pub(super) cookie: Option<Box<str>>,
    pub(super) query: Option<Box<str>>,
}

/// What a request shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown<'a> {
    Nothing,
    Token(Cow<'a, [u8]>),
    Several,
}

impl<'a> Shown<'a> {
    fn and(&mut self, token: Cow<'a, [u8]>) {
        *self = match self {
            Shown::Nothing => Shown::Token(token),
            Shown::Token(_) | Shown::Several => Shown::Several,
        };
    }
}

impl Places {
    /// The token of a request.
    pub(super) fn shown<'a>(&self, head: &'a RequestHead) -> Shown<'a> {
        let mut shown = Shown::Nothing;
        if let Some(name) = &self.header {
            for token in head.headers.get_all(name).iter().filter_map(|value| of_header(name, value)) {
                shown.and(Cow::Borrowed(token));
            }
        }
        if let Some(name) = &self.cookie {
            for line in head.headers.get_all(COOKIE) {
                for token in crumbs(line).filter_map(|crumb| of_crumb(name, crumb)) {
                    shown.and(Cow::Borrowed(token));
                }
            }
        }
        if let (Some(name), Some(query)) = (&self.query, head.query()) {
            for part in query.split('&') {
                if let Some((_, token)) = pair(part).filter(|(own, _)| **own == **name) {
                    shown.and(Cow::Owned(token.into_owned().into_bytes()));
                }
            }
        }
        shown
    }

    /// Takes whatever stands in these places off.
    pub(super) fn strip(&self, head: &mut RequestHead) {
        if let Some(name) = &self.header {
            retain(head, name, |value| of_header(name, value).is_none().then(|| value.clone()));
        }
        if let Some(name) = &self.cookie {
            retain(head, &COOKIE, |line| without_crumb(name, line));
        }
        if let Some(name) = &self.query
            && let Some(target) = without_parameter(name, &head.target)
        {
            head.target = target;
        }
    }
}

/// `Authorization` is of many schemes, and ours is Bearer; another header may do without a scheme.
fn of_header<'v>(name: &HeaderName, value: &'v HeaderValue) -> Option<&'v [u8]> {
    let value = value.as_bytes().trim_ascii();
    let bearer = value.split_at_checked(6).filter(|(scheme, rest)| {
        scheme.eq_ignore_ascii_case(b"bearer") && rest.first().is_none_or(u8::is_ascii_whitespace)
    });
    match bearer {
        Some((_, token)) => Some(token.trim_ascii()),
        None => (*name != AUTHORIZATION).then_some(value),
    }
}

fn crumbs(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|b| *b == b';')
}

fn of_crumb<'v>(name: &str, crumb: &'v [u8]) -> Option<&'v [u8]> {
    let at = crumb.iter().position(|b| *b == b'=')?;
    let (own, value) = (crumb[..at].trim_ascii(), crumb[at + 1..].trim_ascii());
    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    (own == name.as_bytes()).then(|| unquoted.unwrap_or(value))
}

fn without_crumb(name: &str, line: &HeaderValue) -> Option<HeaderValue> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut all = 0;
    for crumb in crumbs(line) {
        all += 1;
        if of_crumb(name, crumb).is_none() {
            kept.push(crumb);
        }
    }
    if kept.len() == all {
        return Some(line.clone());
    }
    let kept = kept.join(&b';');
    HeaderValue::from_bytes(kept.trim_ascii_start()).ok().filter(|kept| !kept.is_empty())
}

/// However its name is escaped: the API behind unescapes it too.
fn pair(part: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(part.as_bytes()).next()
}

fn without_parameter(name: &str, target: &PathAndQuery) -> Option<PathAndQuery> {
    let query = target.query()?;
    let goes = |part: &&str| pair(part).is_some_and(|(own, _)| own == name);
    if !query.split('&').any(|part| goes(&part)) {
        return None;
    }
    let kept: Vec<&str> = query.split('&').filter(|part| !goes(part)).collect();
    let text = match kept.is_empty() {
        true => target.path().to_owned(),
        false => format!("{}?{}", target.path(), kept.join("&")),
    };
    // a part of what was a target is one
    PathAndQuery::try_from(text).ok()
}

/// Keeps of a header's lines what `keep` gives.
fn retain(head: &mut RequestHead, name: &HeaderName, keep: impl Fn(&HeaderValue) -> Option<HeaderValue>) {
    if !head.headers.contains_key(name) {
        return;
    }
    let kept: Vec<HeaderValue> = head.headers.get_all(name).iter().filter_map(keep).collect();
    head.headers.remove(name);
    for value in kept {
        head.headers.append(name, value);
    }
}
