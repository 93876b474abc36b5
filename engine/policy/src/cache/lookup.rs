//! What becomes of a request: a kept answer, or a way to the API (RFC 9111 §4, §5.2.1).

use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE, HeaderMap, IF_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use http::{Method, StatusCode};

use super::conditional::Has;
use super::directives::Directives;
use super::status::Forward;
use super::{Authorized, ClientDirectives, Settings, conditional, key, vary};
use crate::{CacheKey, Lead, RequestContext, RequestHead, StoredAnswer, Subject};

/// A request that the cache has to do with.
pub(super) struct Asked {
    pub(super) key: CacheKey,
    pub(super) url: Box<str>,
    pub(super) is_head: bool,
    /// What comes for it is for its caller, unless it says otherwise.
    pub(super) has_credentials: bool,
    pub(super) has: Has,
    pub(super) directives: Directives,
    pub(super) headers: HeaderMap,
    pub(super) asked_ms: i64,
    /// What was let go of after this may be what comes.
    pub(super) epoch: u64,
}

/// A request on its way to the API.
pub(super) struct Fetching {
    pub(super) asked: Asked,
    pub(super) why: Forward,
    /// What is kept and not fresh.
    pub(super) stale: Option<Arc<StoredAnswer>>,
    /// The API is asked whether that still holds.
    pub(super) revalidates: bool,
    pub(super) lead: Option<Box<dyn Lead>>,
}

/// What the cache has for a request.
pub(super) enum Found {
    /// Fresh, or as stale as the caller takes it.
    Fresh(Arc<StoredAnswer>),
    /// To be given out while a new one is fetched.
    Stale(Arc<StoredAnswer>),
    /// Nothing to give out; perhaps something to ask the API about.
    Nothing(Forward, Option<Arc<StoredAnswer>>),
}

/// What of a request concerns a cache.
pub(super) enum Concern {
    /// It may be answered from what is kept.
    Asks(Box<Asked>),
    /// It changes what it names (§4.4).
    Changes(CacheKey),
    /// It passes.
    Passes(Forward),
}

pub(super) fn concern(settings: &Settings, head: &RequestHead, cx: &RequestContext) -> Concern {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return match head.method.is_safe() {
            true => Concern::Passes(Forward::Method),
            false => Concern::Changes(key::of(settings, head, cx)),
        };
    }
    let headers = &head.headers;
    // part of an answer, and what the API alone can judge
    let is_special =
        [&RANGE, &IF_RANGE, &IF_MATCH, &IF_UNMODIFIED_SINCE].iter().any(|name| headers.contains_key(*name));
    let has_credentials = headers.contains_key(AUTHORIZATION)
        || headers.contains_key(COOKIE)
        || !matches!(cx.principal.subject, Subject::Anonymous);
    // what an API makes of a GET with a body is not known by its head
    if cx.seen.has_body || is_special || has_credentials && settings.authorized == Authorized::Never {
        return Concern::Passes(Forward::Bypass);
    }
    let is_keyed = matches!(settings.authorized, Authorized::ByConsumer | Authorized::ByGroup);
    let directives = match settings.client_directives {
        ClientDirectives::Respect => Directives::of_request(headers),
        ClientDirectives::Ignore => Directives::default(),
    };
    let key = key::of(settings, head, cx);
    Concern::Asks(Box::new(Asked {
        key,
        epoch: cx.ports.responses.epoch(&key),
        url: key::url(head),
        is_head: head.method == Method::HEAD,
        has_credentials: has_credentials && !is_keyed,
        has: Has::of(headers),
        directives,
        headers: headers.clone(),
        asked_ms: cx.ports.clock.now().millis(),
    }))
}

/// Looks for an answer.
pub(super) fn find(asked: &Asked, cx: &RequestContext) -> Found {
    let variants = cx.ports.responses.find(&asked.key);
    let nothing = if variants.is_empty() { Forward::UriMiss } else { Forward::VaryMiss };
    let Some(answer) = vary::select(&variants, &asked.headers) else { return Found::Nothing(nothing, None) };
    let now = cx.ports.clock.now().millis();
    let (age, left, said) = (answer.age_ms(now), answer.left_ms(now), &asked.directives);
    let too_old = said.max_age.is_some_and(|max| age > max);
    let not_long_enough = said.min_fresh.is_some_and(|min| left < min);
    if said.no_cache || left > 0 && (too_old || not_long_enough) {
        return Found::Nothing(Forward::Request, Some(answer));
    }
    if left > 0 {
        return Found::Fresh(answer);
    }
    let past = -left;
    if !answer.must_revalidate && !too_old && said.max_stale.is_some_and(|max| past <= max) {
        return Found::Fresh(answer);
    }
    let wants_fresh = too_old || not_long_enough;
    if !wants_fresh && past <= answer.stale_while_revalidate_ms && answer.stale_while_revalidate_ms > 0 {
        return Found::Stale(answer);
    }
    Found::Nothing(Forward::Stale, Some(answer))
}

impl Asked {
    /// On its way to the API: asks it, where something is kept, whether that still holds.
    pub(super) fn fetch(self, why: Forward, stale: Option<Arc<StoredAnswer>>, headers: &mut HeaderMap) -> Fetching {
        // an answer to HEAD says nothing of a body, so nothing is learnt from it
        let revalidates = !self.is_head
            && stale.as_ref().is_some_and(|answer| {
                (answer.status == StatusCode::OK || answer.status == StatusCode::NON_AUTHORITATIVE_INFORMATION)
                    && conditional::ask(headers, answer)
            });
        Fetching { asked: self, why, stale, revalidates, lead: None }
    }

    /// Whether others may wait for what comes of it.
    pub(super) fn is_shared(&self) -> bool {
        !self.is_head && !self.directives.no_store && !self.directives.no_cache
    }
}
