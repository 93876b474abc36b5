//! What a route asks of headers and query.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use regex::bytes::Regex;
use smallvec::SmallVec;
use tidegate_model::{Match, Test};

/// What a route asks of headers and query: all of it must hold.
#[derive(Default)]
pub(crate) struct Predicates {
    pub(crate) headers: Box<[(HeaderName, Wanted)]>,
    pub(crate) query: Box<[(Box<str>, Wanted)]>,
}

pub(crate) enum Wanted {
    /// One of the values is this.
    Exact(Box<str>),
    /// There is a value, or there is none.
    Present(bool),
    /// One of the values fits this, whole.
    Regex(Arc<Regex>),
}

impl Predicates {
    pub(crate) fn new(matches: &Match) -> Self {
        let headers = matches.headers.iter();
        let headers = headers.filter_map(|header| Some((header.name.as_str().parse().ok()?, wanted(header.test()))));
        let query = matches.query.iter().map(|parameter| (parameter.name.as_str().into(), wanted(parameter.test())));
        Predicates { headers: headers.collect(), query: query.collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty()
    }

    pub(crate) fn hold(&self, headers: &HeaderMap, query: Option<&str>) -> bool {
        self.headers.iter().all(|(name, wanted)| {
            let mut values = headers.get_all(name).iter();
            match wanted {
                Wanted::Present(present) => values.next().is_some() == *present,
                Wanted::Exact(exact) => values.any(|value| value.as_bytes() == exact.as_bytes()),
                Wanted::Regex(regex) => values.any(|value| regex.is_match(value.as_bytes())),
            }
        }) && self.query.iter().all(|(name, wanted)| {
            let mut values = values_of(query.unwrap_or(""), name);
            match wanted {
                Wanted::Present(present) => values.next().is_some() == *present,
                Wanted::Exact(exact) => values.any(|value| decoded(value).eq(exact.bytes())),
                Wanted::Regex(regex) => values.any(|value| {
                    let value: SmallVec<[u8; 128]> = decoded(value).collect();
                    regex.is_match(&value)
                }),
            }
        })
    }
}

fn wanted(test: Test<'_>) -> Wanted {
    match test {
        Test::Exact(exact) => Wanted::Exact(exact.into()),
        Test::Present(present) => Wanted::Present(present),
        Test::Regex(pattern) => Wanted::Regex(pattern.compiled().clone()),
    }
}

/// The values of a parameter, as they were sent. A parameter without `=` has an empty one.
fn values_of<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    query.split('&').filter(|pair| !pair.is_empty()).filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        decoded(key).eq(name.bytes()).then_some(value)
    })
}

/// As forms are decoded: `+` is a space, `%XX` a byte; a `%` without two digits stands for itself.
fn decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        rest = tail;
        Some(match first {
            b'+' => b' ',
            b'%' => match tail {
                [high, low, tail @ ..] => match (hex(*high), hex(*low)) {
                    (Some(high), Some(low)) => {
                        rest = tail;
                        high << 4 | low
                    }
                    _ => b'%',
                },
                _ => b'%',
            },
            other => other,
        })
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

impl std::fmt::Debug for Predicates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(self.headers.iter().map(|(n, w)| (n, w)))
            .entries(self.query.iter().map(|(n, w)| (n, w)))
            .finish()
    }
}

impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wanted::Exact(exact) => write!(f, "= {exact:?}"),
            Wanted::Present(present) => write!(f, "present {present}"),
            Wanted::Regex(regex) => write!(f, "~ {:?}", regex.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_as_forms_are() {
        for (sent, plain) in
            [("a%20b", "a b"), ("a+b", "a b"), ("%2B", "+"), ("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%c3%A4", "ä")]
        {
            assert_eq!(decoded(sent).collect::<Vec<u8>>(), plain.as_bytes(), "{sent}");
        }
        let values = |query| values_of(query, "a b").collect::<Vec<_>>();
        assert_eq!(values("a+b=1&x=2&a%20b&&a b=%33&=4&A+b=5"), ["1", "", "%33"]);
        assert!(values("").is_empty());
    }
}
