//! `ip-restriction`: who may, by the address of the caller.

mod config;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::IpRestrictionConfig;

use std::sync::Arc;

use tidegate_model::{Problem, Problems};

use crate::{Attachment, Behaviour, Built, Combine, KindInfo, Needs, Networks, Phase, PolicyKind};

/// The kind.
pub struct IpRestriction;

impl PolicyKind for IpRestriction {
    type Config = IpRestrictionConfig;

    const INFO: KindInfo = KindInfo {
        name: "ip-restriction",
        title: "IP restriction",
        summary: "Decides who may by the address of the caller.",
        combine: Combine::All,
        by_principal: true,
        decides: true,
        page: include_str!("README.md"),
    };

    fn build(config: IpRestrictionConfig, attachment: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        if config.allow.is_none() && config.deny.is_none() {
            problems.add("missing_field", "give `allow`, `deny` or both");
        }
        let restriction = runtime::Restriction {
            allow: config.allow.as_deref().map(Networks::new),
            deny: Networks::new(config.deny.as_deref().unwrap_or_default()),
        };
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(restriction)),
            phase: if attachment.for_some { Phase::Authorize } else { Phase::Screen },
            needs: Needs::default(),
        })
    }
}
