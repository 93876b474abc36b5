//! The config of `rate-limit`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::Span;

use crate::OnStoreLoss;

/// Limits how often a caller may use an API.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimitConfig {
    /// All of these hold at once; a request that one of them refuses counts in none.
    #[schemars(length(min = 1, max = 8))]
    pub limits: Vec<Limit>,
    /// What happens while shared counters can't be reached. Default: `share`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_store_loss: Option<OnStoreLoss>,
    /// Which headers tell the caller what is left. Default: `standard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<HeaderStyle>,
}

/// One limit.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Its name, in headers and messages: `burst`, `daily`.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// How many requests are admitted in a window.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub limit: u64,
    /// How long a window is. Windows begin at multiples of their length since 1970 (UTC): those of `1h` on the hour.
    pub window: Span,
    /// Who is counted. Default: `consumer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<Per>,
}

/// Who is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Each consumer; callers without one by their address.
    #[default]
    Consumer,
    /// Each credential; callers without one by their address.
    Credential,
    /// Each address. Such a limit acts before credentials are looked at.
    Ip,
    /// All callers of a route together.
    Route,
    /// All callers of a service together.
    Service,
}

/// Which headers tell the caller what is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderStyle {
    /// None; a refusal still says `Retry-After`.
    Off,
    /// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).
    #[default]
    Standard,
    /// Those and `X-RateLimit-Limit`, `X-RateLimit-Remaining`, `X-RateLimit-Reset` for old clients.
    StandardAndLegacy,
}

impl Limit {
    /// Who is counted.
    pub fn per(&self) -> Per {
        self.per.unwrap_or_default()
    }
}
