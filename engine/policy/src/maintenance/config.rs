//! The config of `maintenance`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::{Instant, Network, Span};

/// Answers 503 in the place of an API that is being worked on.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceConfig {
    /// From when on it lets everything pass again. Absent: until the policy is disabled or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// What callers are told to wait (`Retry-After`). Default: what is left until `until`, else nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Span>,
    /// Callers from these networks are let through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10_000))]
    pub allow: Vec<Network>,
    /// What callers are told. Default: a problem document with the code `maintenance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub body: Option<String>,
    /// What `body` is. Default: `text/plain; charset=utf-8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub content_type: Option<String>,
}
