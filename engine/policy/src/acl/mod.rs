//! `acl`: who may, by consumer, group and scope.

mod config;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::{AclConfig, Anonymous, Callers};

use std::sync::Arc;

use tidegate_model::{Problem, Problems, ToConsumer, ToGroup};

use self::runtime::Set;
use crate::{Attachment, Behaviour, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// The kind.
pub struct Acl;

impl PolicyKind for Acl {
    type Config = AclConfig;

    const INFO: KindInfo = KindInfo {
        name: "acl",
        title: "Access list",
        summary: "Decides who may by consumer, group and scope.",
        combine: Combine::All,
        by_principal: true,
        decides: true,
        page: include_str!("README.md"),
    };

    fn build(config: AclConfig, _: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let allow = config.allow.as_ref().map(|callers| problems.within("allow", |p| set(callers, p)));
        let deny = config.deny.as_ref().map(|callers| problems.within("deny", |p| set(callers, p)));
        if allow.is_none() && deny.is_none() {
            problems.add("missing_field", "give `allow`, `deny` or both");
        }
        let acl = runtime::Acl {
            allow,
            deny: deny.unwrap_or_default(),
            anonymous: config.anonymous.unwrap_or_default(),
            hide: config.hide.unwrap_or(false),
        };
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(acl)),
            phase: Phase::Authorize,
            needs: Needs::default(),
        })
    }
}

fn set(callers: &Callers, problems: &mut Problems) -> Set {
    if callers.consumers.is_empty() && callers.groups.is_empty() && callers.scopes.is_empty() {
        problems.add("out_of_range", "must name at least one consumer, group or scope");
    }
    let mut scopes = Vec::new();
    for (index, entry) in callers.scopes.iter().enumerate() {
        let all: Box<[Box<str>]> = entry.split(' ').filter(|scope| !scope.is_empty()).map(Into::into).collect();
        if all.is_empty() {
            problems.within("scopes", |p| p.add_at(index, "invalid_value", "must name at least one scope"));
        }
        scopes.push(all);
    }
    Set {
        consumers: callers.consumers.iter().filter_map(ToConsumer::id).collect(),
        groups: callers.groups.iter().filter_map(ToGroup::id).collect(),
        scopes: scopes.into(),
    }
}
