//! The config of `basic-auth`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lets in who shows the username and password of a consumer (RFC 7617).
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuthConfig {
    /// What `WWW-Authenticate` names as the protected area; browsers show it. Default: `tidegate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub realm: Option<String>,
    /// Whether the header `Authorization` goes upstream too. Default: no, it is taken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_credentials: Option<bool>,
}
