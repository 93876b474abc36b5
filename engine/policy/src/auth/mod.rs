//! `auth`: authenticators of other kinds combined, any of them or all, and who shows nothing.

mod config;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::{AuthConfig, Member};

use std::sync::Arc;

use tidegate_model::{Problem, Problems};

use self::runtime::{Combined, Without};
use crate::{Attachment, Authenticator, Behaviour, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// The kind.
pub struct Auth;

const NAME: &str = "auth";

impl PolicyKind for Auth {
    type Config = AuthConfig;

    const INFO: KindInfo = KindInfo {
        name: NAME,
        title: "Combined authentication",
        summary: "Lets in who proves itself in one of several ways, in all of them, or not at all.",
        combine: Combine::Replace,
        by_principal: false,
        decides: true,
        page: include_str!("README.md"),
    };

    fn build(config: AuthConfig, attachment: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let (field, members) = match (&config.any_of, &config.all_of) {
            (Some(members), _) => ("any_of", &**members),
            (None, members) => ("all_of", members.as_deref().unwrap_or_default()),
        };
        let mut built = Vec::with_capacity(members.len());
        for (index, member) in members.iter().enumerate() {
            let at = |p: &mut Problems| p.within(index, |p| authenticator(member, attachment, p));
            built.extend(problems.within(field, at));
        }
        if config.anonymous.is_some() && config.optional == Some(false) {
            let detail = "who shows no credentials can't be both refused and be a consumer; leave `optional` out";
            problems.add_at("optional", "conflict", detail);
        }
        let without = match (&config.anonymous, config.optional) {
            // one that is not resolved, or not there, matches nobody
            (Some(consumer), _) => consumer.id().map_or(Without::Refused, Without::Consumer),
            (None, Some(true)) => Without::Nobody,
            (None, _) => Without::Refused,
        };
        let needs = built.iter().fold(Needs::default(), |sum, (_, needs)| sum.and(*needs));
        let members = built.into_iter().map(|(member, _)| member).collect();
        let combined = Combined { members, all: config.any_of.is_none(), without };
        problems.or(Built {
            behaviour: Behaviour::Authenticator(Arc::new(combined)),
            phase: Phase::Authenticate,
            needs,
        })
    }
}

/// Builds a member; what is wrong with it is noted.
fn authenticator(
    member: &Member,
    attachment: &Attachment<'_>,
    problems: &mut Problems,
) -> Option<(Arc<dyn Authenticator>, Needs)> {
    let Some(kind) = attachment.registry.get(&member.kind) else {
        problems.add_at("kind", "unknown_kind", format!("there is no policy kind `{}`", member.kind));
        return None;
    };
    if member.kind == NAME {
        problems.add_at("kind", "invalid_value", "combinations don't nest; name the members here");
        return None;
    }
    match kind.build(&member.config, attachment) {
        Ok(Built { behaviour: Behaviour::Authenticator(authenticator), needs, .. }) => Some((authenticator, needs)),
        Ok(_) => {
            let detail = format!("`{}` does not say who calls; attach it as a policy of its own", member.kind);
            problems.add_at("kind", "invalid_value", detail);
            None
        }
        Err(found) => {
            problems.within("config", |p| p.extend(found));
            None
        }
    }
}
