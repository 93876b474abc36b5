//! The config of `mock`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::HeaderName;

/// Answers in the place of the API.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MockConfig {
    /// The status. Default: 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 200, max = 599))]
    pub status: Option<u16>,
    /// Headers of the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub headers: Vec<Header>,
    /// The body; `${...}` stands for an expression in CEL over the request. In JSON that may stand within texts, and is escaped as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub body: Option<String>,
    /// What `body` is. Default: `application/json` where it is JSON, else `text/plain; charset=utf-8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub content_type: Option<String>,
}

/// A header of the answer.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// Its value; `${...}` stands for an expression in CEL over the request.
    #[schemars(length(max = 4096))]
    pub value: String,
}
