//! The config of `response-transform`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::transform::{BodyTransform, Operation};

/// Changes answers on their way to the caller: status, headers, JSON bodies.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseTransformConfig {
    /// Which answers are changed. Default: `upstream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<On>,
    /// The new status: 200 to 599, but none that has no body (204, 205, 304).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 200, max = 599))]
    pub status: Option<u16>,
    /// What is done to headers, in order; each step sees what those before it made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub headers: Vec<Operation>,
    /// The new body, made of a JSON body by jq.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyTransform>,
}

/// Which answers are changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    /// Those of the API.
    #[default]
    Upstream,
    /// Those that the gateway makes itself too: refusals, errors.
    All,
}
