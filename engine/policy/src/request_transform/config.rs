//! The config of `request-transform`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::transform::{BodyTransform, Operation};

/// Changes requests on their way to the API: headers, query, path, JSON bodies.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestTransformConfig {
    /// What is done to headers, in order; each step sees what those before it made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub headers: Vec<Operation>,
    /// What is done to parameters of the query, in order. Those that are not named stay as they are, byte for byte.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub query: Vec<Operation>,
    /// The new path: text with `${...}` for the values of CEL expressions, such as `/v2${request.path}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The new body, made of a JSON body by jq.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyTransform>,
}
