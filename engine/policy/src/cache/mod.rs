//! `cache`: answers of the API, given out again (RFC 9111).
//!
//! It acts last on a request and first on an answer: what is kept is what the API said, before other policies changed it, and
//! these act on a kept answer as on any. What it decides is here; where answers are kept is a port ([`crate::ResponseStore`]).
//!
//! Invariant: an answer to a request with credentials is given to another caller only if the answer says so, or the config.

mod conditional;
mod config;
mod directives;
mod freshness;
mod keeper;
mod key;
mod lookup;
mod refresh;
mod runtime;
mod status;
#[cfg(test)]
mod tests;
mod vary;
#[cfg(test)]
mod world;

pub use config::{Authorized, CacheConfig, ClientDirectives};
pub use keeper::Keeper;
pub use refresh::Refresh;

use std::sync::Arc;

use http::HeaderName;
use tidegate_model::{Problem, Problems, Sha256, Span};

use self::key::Query;
use crate::{Attachment, Behaviour, BodyNeed, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// The largest body that a config may keep.
const OBJECT_BYTES_MAX: u64 = 64 << 20;
const OBJECT_BYTES: u64 = 1 << 20;
const STATUSES: [u16; 6] = [200, 203, 301, 308, 404, 410];
/// The longest that anything is fresh or stale: what is more is not worth a number.
const SPAN_DAYS_MAX: u64 = 366;

/// The kind.
pub struct Cache;

/// What the config says, ready to decide by.
pub(crate) struct Settings {
    policy: tidegate_model::Id,
    /// The policy and its config: another config finds nothing that this one kept.
    scope: Sha256,
    statuses: Box<[u16]>,
    default_ttl_ms: Option<i64>,
    min_ttl_ms: i64,
    max_ttl_ms: i64,
    respect_cache_control: bool,
    body_bytes_max: usize,
    authorized: Authorized,
    query: Query,
    key_headers: Box<[HeaderName]>,
    stale_while_revalidate_ms: i64,
    stale_if_error_ms: i64,
    drop_set_cookie: bool,
    client_directives: ClientDirectives,
    coalesce: bool,
    tag_header: Option<HeaderName>,
    tell_tags: bool,
    cache_status: bool,
}

impl PolicyKind for Cache {
    type Config = CacheConfig;

    const INFO: KindInfo = KindInfo {
        name: "cache",
        title: "Cache",
        summary: "Keeps answers of the API and gives them out again, by RFC 9111.",
        combine: Combine::Replace,
        by_principal: true,
        decides: false,
        page: include_str!("README.md"),
    };

    fn build(config: CacheConfig, attachment: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let settings = settings(&config, attachment, &mut problems);
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(runtime::Cacher(Arc::new(settings)))),
            phase: Phase::Cache,
            needs: Needs { request_body: BodyNeed::None, response_body: BodyNeed::Stream },
        })
    }
}

fn settings(config: &CacheConfig, attachment: &Attachment<'_>, problems: &mut Problems) -> Settings {
    let mut span = |field, span: Option<Span>| {
        let span = span?;
        if span.millis() > SPAN_DAYS_MAX * 86_400_000 {
            problems.add_at(field, "out_of_range", "must be at most `366d`");
        }
        Some(span.millis() as i64)
    };
    let default_ttl_ms = span("default_ttl", config.default_ttl);
    let min_ttl_ms = span("min_ttl", config.min_ttl).unwrap_or(0);
    let max_ttl_ms = span("max_ttl", config.max_ttl).unwrap_or(i64::MAX);
    let stale_while_revalidate_ms = span("stale_while_revalidate", config.stale_while_revalidate).unwrap_or(0);
    let stale_if_error_ms = span("stale_if_error", config.stale_if_error).unwrap_or(0);
    if min_ttl_ms > max_ttl_ms {
        problems.add_at("min_ttl", "conflict", "is longer than `max_ttl`");
    }
    let respect_cache_control = config.respect_cache_control.unwrap_or(true);
    if !respect_cache_control && default_ttl_ms.is_none() {
        problems.add_at("default_ttl", "required", "must be there where `respect_cache_control` is false");
    }
    let body_bytes_max = config.max_object.map_or(OBJECT_BYTES, |size| size.bytes());
    if body_bytes_max > OBJECT_BYTES_MAX {
        problems.add_at("max_object", "out_of_range", "must be at most `64MiB`");
    }
    let query = match (&config.query_only, &config.query_without) {
        (Some(_), Some(_)) => {
            problems.add_at("query_without", "conflict", "can't be there together with `query_only`");
            Query::All
        }
        (Some(names), None) => Query::Only(names.clone().into()),
        (None, Some(names)) => Query::Without(names.clone().into()),
        (None, None) => Query::All,
    };
    for (at, status) in config.statuses.iter().flatten().enumerate() {
        if matches!(status, 206 | 304) {
            let why = "is no whole answer, and can't be kept";
            problems.within("statuses", |p| p.add_at(at, "invalid_value", why));
        }
    }
    let header = |name: &str| HeaderName::from_bytes(name.as_bytes()).ok();
    let mut key_headers = Vec::new();
    for (at, name) in config.key_headers.iter().flatten().enumerate() {
        match header(name) {
            Some(name) => key_headers.push(name),
            None => problems.within("key_headers", |p| p.add_at(at, "invalid_value", "is no name of a header")),
        }
    }
    let tag_header = config.tag_header.as_deref().map(header);
    if tag_header == Some(None) {
        problems.add_at("tag_header", "invalid_value", "is no name of a header, such as `Cache-Tag`");
    }
    // a config is written with its fields in the order of the type: the same one is the same text
    let text = serde_json::to_vec(config).unwrap_or_default();
    Settings {
        policy: attachment.policy,
        scope: Sha256::of(&[attachment.policy.uuid().as_bytes(), &text[..]].concat()),
        statuses: config.statuses.clone().unwrap_or_else(|| STATUSES.into()).into(),
        default_ttl_ms,
        min_ttl_ms,
        max_ttl_ms,
        respect_cache_control,
        body_bytes_max: body_bytes_max as usize,
        authorized: config.authorized.unwrap_or_default(),
        query,
        key_headers: key_headers.into(),
        stale_while_revalidate_ms,
        stale_if_error_ms,
        drop_set_cookie: config.drop_set_cookie.unwrap_or(false),
        client_directives: config.client_directives.unwrap_or_default(),
        coalesce: config.coalesce.unwrap_or(true),
        tag_header: tag_header.flatten(),
        tell_tags: config.tell_tags.unwrap_or(false),
        cache_status: config.cache_status.unwrap_or(true),
    }
}
