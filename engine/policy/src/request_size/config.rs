//! The config of `request-size`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::ByteSize;

/// Refuses requests whose body is larger than a bound.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSizeConfig {
    /// The largest body that is let through.
    pub max: ByteSize,
    /// How bodies are looked at that don't say their length. Default: `stream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
}

/// How bodies are looked at that don't say their length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// As they pass: nothing is held in memory, and the API may see the first part of a body that is then cut.
    #[default]
    Stream,
    /// Whole, before the API sees anything of them.
    Buffer,
}
