//! `maintenance`: 503 in the place of an API that is being worked on.

mod config;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::MaintenanceConfig;

use std::sync::Arc;

use tidegate_model::{Problem, Problems};

use crate::{
    Attachment, Behaviour, Built, Combine, Content, KindInfo, Needs, Networks, Phase, PolicyKind, header_names,
};

/// The kind.
pub struct Maintenance;

impl PolicyKind for Maintenance {
    type Config = MaintenanceConfig;

    const INFO: KindInfo = KindInfo {
        name: "maintenance",
        title: "Maintenance",
        summary: "Answers 503 in the place of an API that is being worked on.",
        combine: Combine::Replace,
        by_principal: true,
        decides: true,
        page: include_str!("README.md"),
    };

    fn build(config: MaintenanceConfig, attachment: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let content_type = config.content_type.as_deref().unwrap_or("text/plain; charset=utf-8");
        let content_type = problems.within("content_type", |p| header_names::value(content_type, p));
        if config.content_type.is_some() && config.body.is_none() {
            problems.add_at("content_type", "conflict", "says what `body` is, and there is none");
        }
        let maintenance = runtime::Maintenance {
            until: config.until,
            retry_after: config.retry_after.map(|span| seconds(span.millis())),
            allow: Networks::new(&config.allow),
            content: config.body.map(|body| Content { content_type, body: body.into() }),
        };
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(maintenance)),
            phase: if attachment.for_some { Phase::Authorize } else { Phase::Screen },
            needs: Needs::default(),
        })
    }
}

/// Whole seconds, none too few.
fn seconds(millis: u64) -> u64 {
    millis.div_ceil(1000)
}
