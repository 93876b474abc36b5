//! `redirect`: callers are sent elsewhere.

mod config;
mod location;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::RedirectConfig;

use std::sync::Arc;

use http::StatusCode;
use tidegate_model::{Problem, Problems, RedirectStatus};

use self::location::{Bound, Location};
use self::runtime::{Redirect as Sending, To};
use crate::expression::{Names, Template};
use crate::{Attachment, Behaviour, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// The kind.
pub struct Redirect;

impl PolicyKind for Redirect {
    type Config = RedirectConfig;

    const INFO: KindInfo = KindInfo {
        name: "redirect",
        title: "Redirect",
        summary: "Sends callers elsewhere.",
        combine: Combine::Replace,
        by_principal: true,
        decides: false,
        page: include_str!("README.md"),
    };

    fn build(config: RedirectConfig, attachment: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let any_host = config.any_host.unwrap_or(false);
        let to = match &config.location {
            Some(text) => problems.within("location", |p| read(text, any_host, p)).map(To::Location),
            None => Some(To::Https),
        };
        if config.https == Some(false) && config.location.is_none() {
            problems.add_at("https", "invalid_value", "must be true, or give `location`");
        }
        if config.https.is_some() && config.any_host.is_some() {
            problems.add_at("any_host", "conflict", "is about `location`");
        }
        let preset = if config.https.is_some() { 308 } else { 302 };
        let status = config.status.map_or(preset, RedirectStatus::code);
        let Some(to) = to else { return Err(problems.into_vec()) };
        let sending = Sending {
            to,
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND),
            keep_query: config.keep_query.unwrap_or(true),
        };
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(sending)),
            phase: if attachment.for_some { Phase::Authorize } else { Phase::Screen },
            needs: Needs::default(),
        })
    }
}

fn read(text: &str, any_host: bool, problems: &mut Problems) -> Option<Location> {
    let template = match Template::compile(text, Names::REQUEST) {
        Ok(template) => Some(template),
        Err(problem) => {
            problems.add("invalid_expression", problem.to_string());
            None
        }
    };
    let bound = match Bound::of(text) {
        Ok(bound) => Some(bound),
        Err(_) if any_host => Some(Bound::Nowhere),
        Err(why) => {
            problems.add("invalid_value", why);
            None
        }
    };
    Some(Location { template: template?, bound: bound? })
}
