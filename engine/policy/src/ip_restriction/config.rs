//! The config of `ip-restriction`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::Network;

/// Decides by the address of the caller. An address in `deny` is refused, whatever `allow` says.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IpRestrictionConfig {
    /// Only callers from these networks. Absent: callers from anywhere that is not in `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10_000))]
    pub allow: Option<Vec<Network>>,
    /// No callers from these networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10_000))]
    pub deny: Option<Vec<Network>>,
}
