//! The config of `cors`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::{HeaderName, Method, Pattern, Span};

/// Says which other sites' scripts may call, by the fetch standard.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorsConfig {
    /// Sites that may: `https://app.example`, `https://*.app.example` for all below it, `null` for documents without a site, or `*` alone for
    /// any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub origins: Vec<String>,
    /// Sites that may: those whose whole origin fits one of these regular expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub origin_patterns: Vec<Pattern>,
    /// Methods that scripts may use. Capitals matter. Default: GET, HEAD, POST, PUT, PATCH, DELETE.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub methods: Option<Vec<Method>>,
    /// Headers that scripts may send. Absent: whichever they ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub request_headers: Option<Vec<HeaderName>>,
    /// Headers of replies that scripts may read, beside those that they always may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub expose_headers: Vec<HeaderName>,
    /// Whether browsers send cookies and the like along, and let scripts see what comes back. Not with any site. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<bool>,
    /// How long browsers may keep what a preflight said. Default: `10m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
    /// Whether public sites may call into the private network that this gateway is in. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_network: Option<bool>,
    /// Whether what the API says in `Access-Control-*` headers stays, where it says anything. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_upstream: Option<bool>,
}
