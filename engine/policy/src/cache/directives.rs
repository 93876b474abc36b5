//! `Cache-Control` (RFC 9111 §5.2), read from what requests and answers say.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderName, PRAGMA};

/// The most of `Cache-Control` that is read; what is longer is taken for `no-store`.
const BYTES_MAX: usize = 4096;

/// What is said. Seconds in milliseconds, so that all times here are of one unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Directives {
    pub(super) is_said: bool,
    pub(super) no_store: bool,
    pub(super) no_cache: bool,
    pub(super) private: bool,
    pub(super) public: bool,
    pub(super) must_revalidate: bool,
    pub(super) proxy_revalidate: bool,
    pub(super) only_if_cached: bool,
    pub(super) max_age: Option<i64>,
    pub(super) s_maxage: Option<i64>,
    pub(super) min_fresh: Option<i64>,
    /// Without a value: however stale.
    pub(super) max_stale: Option<i64>,
    pub(super) stale_while_revalidate: Option<i64>,
    pub(super) stale_if_error: Option<i64>,
}

impl Directives {
    /// Of an answer.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut read = Directives::default();
        let mut left = BYTES_MAX;
        for value in headers.get_all(CACHE_CONTROL) {
            read.is_said = true;
            match (left.checked_sub(value.len()), value.to_str()) {
                (Some(rest), Ok(text)) => {
                    left = rest;
                    members(text).for_each(|(name, value)| read.take(name, value));
                }
                // what can't be read may say anything
                _ => read.no_store = true,
            }
        }
        read
    }

    /// Of a request: `Pragma: no-cache` counts where there is no `Cache-Control` (§5.4).
    pub(super) fn of_request(headers: &HeaderMap) -> Self {
        let mut read = Directives::of(headers);
        if !read.is_said {
            read.no_cache = words(headers, &PRAGMA).any(|word| word.eq_ignore_ascii_case("no-cache"));
        }
        read
    }

    fn take(&mut self, name: &str, value: Option<&str>) {
        // of one that is said twice the first counts (§4.2.1)
        let set = |place: &mut Option<i64>| {
            place.get_or_insert(millis(value));
        };
        match &*name.to_ascii_lowercase() {
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache = true,
            "private" => self.private = true,
            "public" => self.public = true,
            "must-revalidate" => self.must_revalidate = true,
            "proxy-revalidate" => self.proxy_revalidate = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => set(&mut self.max_age),
            "s-maxage" => set(&mut self.s_maxage),
            "min-fresh" => set(&mut self.min_fresh),
            "max-stale" if value.is_none() => self.max_stale = Some(i64::MAX),
            "max-stale" => set(&mut self.max_stale),
            "stale-while-revalidate" => set(&mut self.stale_while_revalidate),
            "stale-if-error" => set(&mut self.stale_if_error),
            _ => {}
        }
    }
}

/// Seconds (§1.2.2): what is no number is none, what is too large is the largest.
fn millis(value: Option<&str>) -> i64 {
    let value = value.unwrap_or("");
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return 0;
    }
    value.parse::<i64>().unwrap_or(i64::MAX).min(1 << 31) * 1000
}

/// The members of a list of `name`, `name=token` and `name="text"`. A comma in a text does not end it.
fn members(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let mut quoted = false;
            let mut escaped = false;
            let end = rest.find(|c| {
                let ends = c == ',' && !quoted;
                quoted ^= c == '"' && !escaped;
                escaped = c == '\\' && quoted && !escaped;
                ends
            });
            let (member, more) = end.map_or((rest, ""), |end| (&rest[..end], &rest[end + 1..]));
            rest = more;
            let member = member.trim();
            if !member.is_empty() {
                let (name, value) = member.split_once('=').map_or((member, None), |(name, value)| {
                    let value = value.trim();
                    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
                    (name.trim(), Some(bare.unwrap_or(value)))
                });
                return Some((name, value));
            }
        }
    })
}

/// The words of a header that is a list.
pub(super) fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|word| !word.is_empty())
}
