//! `validate-response`: whether the API's answers are as they should be.

mod config;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::{Answers, OtherStatuses, ValidateResponseConfig};

use std::ops::RangeInclusive;
use std::sync::Arc;

use tidegate_model::{Problem, Problems};

use crate::json_schema::{BODY_BYTES, BODY_BYTES_MAX, Schemas, kinds};
use crate::{Attachment, Behaviour, BodyNeed, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// The kind.
pub struct ValidateResponse;

impl PolicyKind for ValidateResponse {
    type Config = ValidateResponseConfig;

    const INFO: KindInfo = KindInfo {
        name: "validate-response",
        title: "Validate responses",
        summary: "Replaces answers of the API that are not as they should be by 502, with all that is wrong.",
        combine: Combine::Replace,
        by_principal: true,
        decides: true,
        page: include_str!("README.md"),
    };

    fn build(config: ValidateResponseConfig, _: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let schemas = Schemas::new(&config.definitions, config.formats.unwrap_or_default(), &mut problems);
        let max = config.max.map_or(BODY_BYTES, |max| max.bytes());
        if max > BODY_BYTES_MAX {
            problems.add_at("max", "out_of_range", "must be at most `16MiB`: answers are held in memory");
        }
        let mut answers = Vec::new();
        problems.within("answers", |problems| {
            for (i, named) in config.answers.iter().enumerate() {
                problems.within(i, |problems| {
                    let statuses = statuses(&named.status).unwrap_or_else(|| {
                        problems.add_at("status", "invalid_value", "write a status or all of a class: `200`, `4xx`");
                        0..=0
                    });
                    let content = problems.within("content", |problems| kinds(&named.content, &schemas, problems));
                    answers.push(runtime::Expected { statuses, content });
                });
            }
        });
        let others_refused = config.other_statuses.unwrap_or_default() == OtherStatuses::Refuse;
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(runtime::Validator { answers: answers.into(), others_refused })),
            // answers pass the chain in reverse: what follows sees them as the API made them, and so does this
            phase: Phase::Transform,
            needs: Needs { request_body: BodyNeed::None, response_body: BodyNeed::Buffer(max) },
        })
    }
}

fn statuses(text: &str) -> Option<RangeInclusive<u16>> {
    if let Some(class) = text.to_ascii_lowercase().strip_suffix("xx") {
        let class = class.parse::<u16>().ok().filter(|class| (1..=5).contains(class))?;
        return Some(class * 100..=class * 100 + 99);
    }
    let status = text.parse::<u16>().ok().filter(|status| (200..=599).contains(status))?;
    Some(status..=status)
}
