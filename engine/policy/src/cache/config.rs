//! The config of `cache`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::{ByteSize, Span};

/// Keeps answers to GET and gives them out again (RFC 9111).
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// How long an answer is fresh that does not say so itself. Without it such an answer is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_ttl: Option<Span>,
    /// An answer is fresh for at least so long, if it is kept at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ttl: Option<Span>,
    /// An answer is fresh for at most so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ttl: Option<Span>,
    /// Whether an answer's own lifetime counts (`Cache-Control`, `Expires`). Where it does not, it is `default_ttl`; `private` and `no-store` hold all the same. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub respect_cache_control: Option<bool>,
    /// Which statuses are kept. Default: 200, 203, 301, 308, 404, 410.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), inner(range(min = 200, max = 599)))]
    pub statuses: Option<Vec<u16>>,
    /// The largest body that is kept. Larger ones pass. Default: `1MiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_object: Option<ByteSize>,
    /// Who gets answers to requests with credentials: an `Authorization` or `Cookie` header, or a principal that the gateway found. Default: `public-only`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorized: Option<Authorized>,
    /// Only these parameters of the query tell answers apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub query_only: Option<Vec<String>>,
    /// These parameters of the query don't tell answers apart: `utm_source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub query_without: Option<Vec<String>>,
    /// These headers of the request tell answers apart, beside those that an answer names in `Vary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub key_headers: Option<Vec<String>>,
    /// How long past its freshness an answer is given out while a new one is fetched, where it does not say so itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_while_revalidate: Option<Span>,
    /// How long past its freshness an answer is given out in the place of an error of the API, where it does not say so itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_if_error: Option<Span>,
    /// Keep answers with `Set-Cookie`, without the cookie. Default: false, they are not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_set_cookie: Option<bool>,
    /// Whether callers may ask for newer answers (`Cache-Control: no-cache`, `max-age`). Default: `respect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_directives: Option<ClientDirectives>,
    /// Of several requests for the same at the same time, one goes to the API and the others wait for it. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coalesce: Option<bool>,
    /// In which header the API names the tags of an answer, for purging: `Cache-Tag`, `Surrogate-Key`. Separated by spaces or commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub tag_header: Option<String>,
    /// Whether callers see that header. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tell_tags: Option<bool>,
    /// Whether callers are told what the cache did (`Cache-Status`, RFC 9211). Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_status: Option<bool>,
}

/// Who gets answers to requests with credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Authorized {
    /// Nobody: they pass by the cache.
    Never,
    /// Everybody, of answers that say so: `public`, `s-maxage` or `must-revalidate` (RFC 9111 §3.5). Others are not kept.
    #[default]
    PublicOnly,
    /// The same caller: same consumer, credential, scopes and headers.
    ByConsumer,
    /// Callers who are in the same groups.
    ByGroup,
}

/// Whether callers may ask for newer answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientDirectives {
    /// By `Cache-Control` and `Pragma` of the request.
    #[default]
    Respect,
    /// They get what is fresh, whatever they ask for.
    Ignore,
}
