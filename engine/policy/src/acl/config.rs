//! The config of `acl`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::{ToConsumer, ToGroup};

/// Decides by who calls. Who is in `deny` is refused, whatever `allow` says.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AclConfig {
    /// Who may; everybody else is refused. Absent: everybody who is not in `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Callers>,
    /// Who may not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Callers>,
    /// What becomes of who showed no credentials and has no consumer that stands for such callers. Default: `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<Anonymous>,
    /// Whether who is refused is told 404, as if there were no such route, in place of 403. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hide: Option<bool>,
}

/// Callers: any of these.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Callers {
    /// These consumers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub consumers: Vec<ToConsumer>,
    /// Who is in one of these groups, by its consumer or by its token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub groups: Vec<ToGroup>,
    /// Whose credential has one of these scopes. Several in one entry, with spaces between, are needed together: `orders:read orders:write`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub scopes: Vec<String>,
}

/// What becomes of who is nobody in particular.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Anonymous {
    /// Refused.
    #[default]
    Deny,
    /// Let through.
    Allow,
}
