//! The config of `key-auth`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lets in who shows an API key of a consumer.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyAuthConfig {
    /// The header that carries the key. It is taken off before the request goes upstream. Default: `x-api-key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub header: Option<String>,
    /// What `WWW-Authenticate` names as the protected area. Default: `tidegate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub realm: Option<String>,
}
