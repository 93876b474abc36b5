//! The config of `security-headers`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::{HeaderName, Span};

/// Sets headers that tell browsers to be careful, and takes off those that tell too much. A field that is absent has its default; an
/// empty text leaves the header alone.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityHeadersConfig {
    /// `Strict-Transport-Security`: only by https from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hsts: Option<Hsts>,
    /// `X-Content-Type-Options`. Default: `nosniff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type_options: Option<String>,
    /// `X-Frame-Options`. Default: `DENY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_options: Option<String>,
    /// `Referrer-Policy`. Default: `no-referrer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer_policy: Option<String>,
    /// `Content-Security-Policy`. Default: none, as only the API knows what its pages need.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub content_security_policy: Option<String>,
    /// `Content-Security-Policy-Report-Only`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub content_security_policy_report_only: Option<String>,
    /// `Permissions-Policy`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub permissions_policy: Option<String>,
    /// `Cross-Origin-Opener-Policy`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_origin_opener_policy: Option<String>,
    /// `Cross-Origin-Embedder-Policy`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_origin_embedder_policy: Option<String>,
    /// `Cross-Origin-Resource-Policy`. Default: none; with `same-origin` no other site may embed what the API serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_origin_resource_policy: Option<String>,
    /// What becomes of a header that the API sets itself. Default: `keep`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Upstreams>,
    /// Headers of the API that are taken off. Default: `server`, `x-powered-by`, `x-aspnet-version`, `x-aspnetmvc-version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub remove: Option<Vec<HeaderName>>,
}

/// How `Strict-Transport-Security` is set.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hsts {
    /// For how long browsers keep to it; `0s` makes them forget. Default: `365d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
    /// Also for all hosts below. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_subdomains: Option<bool>,
    /// Asks to be put on the lists that browsers ship, which is hard to take back; needs `include_subdomains` and at least `365d`.
    /// Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preload: Option<bool>,
    /// When it is set. Default: `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
}

/// When `Strict-Transport-Security` is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Where the caller came by https, to us or to a trusted proxy in front. By plain http browsers ignore it.
    #[default]
    Https,
    /// Always: where what is in front does not say how the caller came.
    Always,
    /// Never.
    Never,
}

/// What becomes of a header that the API sets itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Upstreams {
    /// It stays.
    #[default]
    Keep,
    /// It is replaced.
    Override,
}
