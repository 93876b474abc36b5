//! The config of `auth`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidegate_model::ToConsumer;

/// Lets in who proves itself in one of several ways, in all of them, or not at all.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-one-of" = ["any_of", "all_of"]))]
pub struct AuthConfig {
    /// One of these is enough: the first whose credentials the request shows. Credentials that do not hold are refused, also if others
    /// would.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    pub any_of: Option<Vec<Member>>,
    /// Each of these is needed. The last one says who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    pub all_of: Option<Vec<Member>>,
    /// Who shows no credentials at all goes on as this consumer: its groups, limits and lists hold. Absent: it depends on `optional`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<ToConsumer>,
    /// Whether who shows no credentials at all goes on as nobody in particular. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// One way to prove itself.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// A policy kind that says who calls: `key-auth`, `jwt`, ...
    #[schemars(length(min = 1, max = 64))]
    pub kind: String,
    /// Its settings, by the schema of that kind. Absent: its defaults.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(extend("x-policy-config" = "kind"))]
    pub config: Map<String, Value>,
}
