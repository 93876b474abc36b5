//! Whether an answer may be kept, and for how long (RFC 9111 §3, §4.2).

use std::time::UNIX_EPOCH;

use http::header::{AGE, DATE, ETAG, EXPIRES, HeaderName, LAST_MODIFIED, SET_COOKIE};
use http::{HeaderMap, StatusCode};

use super::Settings;
use super::directives::Directives;
use crate::StoredAnswer;

/// When an answer is fresh, and what may be done past that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) initial_age_ms: i64,
    pub(super) fresh_ms: i64,
    pub(super) must_revalidate: bool,
    pub(super) stale_while_revalidate_ms: i64,
    pub(super) stale_if_error_ms: i64,
}

/// When it was asked for, and when the answer came, by the node's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) asked_ms: i64,
    pub(super) came_ms: i64,
}

/// The terms on which an answer to a GET is kept; `None` if it is not to be.
pub(super) fn terms(
    settings: &Settings,
    status: StatusCode,
    headers: &HeaderMap,
    has_credentials: bool,
    times: Times,
) -> Option<Terms> {
    let said = Directives::of(headers);
    let kept = settings.statuses.contains(&status.as_u16())
        && !said.no_store
        && !said.private
        && (settings.drop_set_cookie || !headers.contains_key(SET_COOKIE))
        && (!has_credentials || said.public || said.s_maxage.is_some() || said.must_revalidate);
    if !kept {
        return None;
    }
    let initial_age_ms = initial_age(headers, times);
    let has_validator = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
    let own = if settings.respect_cache_control { lifetime(&said, headers, times) } else { None };
    let clamped = |ms: i64| ms.max(settings.min_ttl_ms).min(settings.max_ttl_ms);
    // who says that each use is to be asked for is not overruled by a least lifetime
    let asks_each_time = settings.respect_cache_control && said.no_cache;
    let fresh_ms = if asks_each_time { 0 } else { clamped(own.or(settings.default_ttl_ms)?) };
    let forbids_stale = asks_each_time || said.must_revalidate || said.proxy_revalidate;
    // `s-maxage` forbids it too (§5.2.2.10), unless the answer itself says how stale it may be
    let default = |ms: i64| if said.s_maxage.is_some() && settings.respect_cache_control { 0 } else { ms };
    let terms = Terms {
        initial_age_ms,
        fresh_ms,
        must_revalidate: forbids_stale || said.s_maxage.is_some(),
        stale_while_revalidate_ms: match forbids_stale {
            true => 0,
            false => said.stale_while_revalidate.unwrap_or(default(settings.stale_while_revalidate_ms)),
        },
        stale_if_error_ms: match forbids_stale {
            true => 0,
            false => said.stale_if_error.unwrap_or(default(settings.stale_if_error_ms)),
        },
    };
    let is_of_use = fresh_ms > initial_age_ms
        || has_validator
        || fresh_ms + terms.stale_while_revalidate_ms.max(terms.stale_if_error_ms) > initial_age_ms;
    is_of_use.then_some(terms)
}

/// How long it says that it is fresh (§4.2.1).
fn lifetime(said: &Directives, headers: &HeaderMap, times: Times) -> Option<i64> {
    if let Some(ms) = said.s_maxage.or(said.max_age) {
        return Some(ms);
    }
    if !headers.contains_key(EXPIRES) {
        // it may be kept, and is to be asked for each time
        return said.no_cache.then_some(0);
    }
    // what is no date has expired (§5.3)
    let expires = date(headers, &EXPIRES).unwrap_or(0);
    Some((expires - date(headers, &DATE).unwrap_or(times.came_ms)).max(0))
}

/// How old it was when it came (§4.2.3).
fn initial_age(headers: &HeaderMap, times: Times) -> i64 {
    let apparent = date(headers, &DATE).map_or(0, |date| (times.came_ms - date).max(0));
    let told = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse::<u32>().ok()).unwrap_or(0);
    let corrected = i64::from(told) * 1000 + (times.came_ms - times.asked_ms).max(0);
    apparent.max(corrected)
}

/// A date of a header, in milliseconds.
pub(super) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    let at = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()?;
    i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

impl StoredAnswer {
    /// How old it is (§4.2.3). A clock that was set back makes nothing younger than it came.
    pub fn age_ms(&self, now_ms: i64) -> i64 {
        self.initial_age_ms.saturating_add((now_ms - self.received_ms).max(0))
    }

    /// How long it is fresh still; negative, how long it is not.
    pub fn left_ms(&self, now_ms: i64) -> i64 {
        self.fresh_ms - self.age_ms(now_ms)
    }
}
