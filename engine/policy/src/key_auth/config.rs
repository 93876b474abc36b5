//! The config of `key-auth`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lets in who shows an API key of a consumer.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyAuthConfig {
    /// The header that carries the key; short for `headers` with one name. Default, where no place is named: `x-api-key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub header: Option<String>,
    /// Headers that carry the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    pub headers: Option<Vec<String>>,
    /// Schemes of the header `Authorization` that carry the key. Of `bearer`, only tokens that begin with `tg_` are taken for keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2))]
    pub authorization: Option<Vec<Scheme>>,
    /// Parameters of the query that carry the key. URLs are written down in many places: prefer headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    pub query: Option<Vec<String>>,
    /// Cookies that carry the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    pub cookies: Option<Vec<String>>,
    /// Whether the key goes upstream too. Default: no, it is taken off wherever it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_key: Option<bool>,
    /// What `WWW-Authenticate` names as the protected area. Default: `tidegate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub realm: Option<String>,
}

/// A scheme of the header `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// `Authorization: Bearer tg_...`. Other bearer tokens are none of this policy's business.
    Bearer,
    /// `Authorization: ApiKey ...`.
    ApiKey,
}
