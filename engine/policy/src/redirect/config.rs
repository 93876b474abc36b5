//! The config of `redirect`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::RedirectStatus;

/// Sends callers elsewhere.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-one-of" = ["location", "https"]))]
pub struct RedirectConfig {
    /// Where to: a path (`/new/${captures.id}`), or a URL whose host is fixed (`https://new.example/${captures.rest}`). `${...}` stands for an
    /// expression in CEL over the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub location: Option<String>,
    /// Sends callers by http to the same URL by https; callers by https pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https: Option<bool>,
    /// 301 and 308 are for good, 302 and 307 for now; 307 and 308 keep the method; 303 makes it GET. Default: 302, with `https` 308.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RedirectStatus>,
    /// Whether the query of the request stays, byte for byte. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_query: Option<bool>,
    /// Whether the host may be made of what the request says. Whoever writes the link says then where it leads. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any_host: Option<bool>,
}
