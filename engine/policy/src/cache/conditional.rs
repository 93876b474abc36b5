//! What a caller has already (RFC 9111 §4.3.2), and asking the API whether what is kept still holds (§4.3.1, §4.3.4).

use http::header::{
    AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG,
    EXPIRES, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, SET_COOKIE, TRAILER, VARY,
};
use http::{HeaderMap, StatusCode};

use super::directives::words;
use super::freshness::date;
use crate::StoredAnswer;

/// What a request says that its caller has already.
#[derive(Debug, Clone, Default)]
pub(super) struct Has {
    tags: Option<Vec<Box<str>>>,
    since_ms: Option<i64>,
}

impl Has {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let tags = headers.contains_key(IF_NONE_MATCH);
        let tags = tags.then(|| words(headers, &IF_NONE_MATCH).map(Box::from).collect());
        Has { tags, since_ms: date(headers, &IF_MODIFIED_SINCE) }
    }

    pub(super) fn anything(&self) -> bool {
        self.tags.is_some() || self.since_ms.is_some()
    }

    /// Whether the caller has this answer. A date counts only where no tag is named.
    pub(super) fn has(&self, answer: &StoredAnswer) -> bool {
        if answer.status != StatusCode::OK {
            return false;
        }
        match &self.tags {
            Some(tags) => {
                let own = answer.headers.get(ETAG).and_then(|tag| tag.to_str().ok()).map(opaque);
                tags.iter().any(|tag| &**tag == "*" || Some(opaque(tag)) == own)
            }
            None => {
                let changed = date(&answer.headers, &LAST_MODIFIED).or_else(|| date(&answer.headers, &DATE));
                matches!((self.since_ms, changed), (Some(since), Some(changed)) if changed <= since)
            }
        }
    }
}

/// A tag without its weakness: what a caller has is compared weakly (RFC 9110 §8.8.3.2).
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The headers of a 304.
pub(super) fn not_modified(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in [&AGE, &CACHE_CONTROL, &CONTENT_LOCATION, &DATE, &ETAG, &EXPIRES, &LAST_MODIFIED, &VARY] {
        for value in headers.get_all(name) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// Has a request ask whether what is kept still holds, in the place of what its caller asked. Whether it can.
pub(super) fn ask(headers: &mut HeaderMap, answer: &StoredAnswer) -> bool {
    let (tag, changed) = (answer.headers.get(ETAG), answer.headers.get(LAST_MODIFIED));
    if tag.is_none() && changed.is_none() {
        return false;
    }
    let mut set = |name, value: Option<&HeaderValue>| match value {
        Some(value) => drop(headers.insert(name, value.clone())),
        None => drop(headers.remove(name)),
    };
    set(IF_NONE_MATCH, tag);
    set(IF_MODIFIED_SINCE, changed);
    true
}

/// What is kept, with what a 304 says of it now (§3.2).
pub(super) fn freshened(kept: &HeaderMap, now: &HeaderMap) -> HeaderMap {
    let mut headers = kept.clone();
    for name in now.keys() {
        let of_the_body = [&CONTENT_LENGTH, &CONTENT_ENCODING, &CONTENT_TYPE, &CONTENT_RANGE, &SET_COOKIE, &TRAILER];
        if of_the_body.contains(&name) {
            continue;
        }
        headers.remove(name);
        for value in now.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    headers
}
