//! `validate-request`: whether parameters and body are as they should be.

mod config;
mod parameters;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::{Body, ListStyle, Others, Parameter, Part, Scalar, ValidateRequestConfig};

use std::sync::Arc;

use http::HeaderValue;
use tidegate_model::{Problem, Problems};

use crate::json_schema::{BODY_BYTES, BODY_BYTES_MAX, Schemas, kinds};
use crate::{Attachment, Behaviour, BodyNeed, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// The kind.
pub struct ValidateRequest;

impl PolicyKind for ValidateRequest {
    type Config = ValidateRequestConfig;

    const INFO: KindInfo = KindInfo {
        name: "validate-request",
        title: "Validate requests",
        summary: "Refuses requests whose parameters or body are not as they should be, with all that is wrong.",
        combine: Combine::Replace,
        by_principal: true,
        decides: true,
        page: include_str!("README.md"),
    };

    fn build(config: ValidateRequestConfig, _: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let schemas = Schemas::new(&config.definitions, config.formats.unwrap_or_default(), &mut problems);
        let others = config.other_query_parameters.unwrap_or_default();
        let parameters = parameters::Parameters::build(&config.parameters, others, &schemas, &mut problems);
        let mut request_body = BodyNeed::None;
        let body = config.body.map(|body| {
            let max = body.max.map_or(BODY_BYTES, |max| max.bytes());
            if max > BODY_BYTES_MAX {
                problems.within("body", |problems| {
                    problems.add_at("max", "out_of_range", "must be at most `16MiB`: bodies are held in memory");
                });
            }
            request_body = BodyNeed::Buffer(max);
            let content = problems.within("body", |problems| {
                problems.within("content", |problems| kinds(&body.content, &schemas, problems))
            });
            let types: Vec<&str> = body.content.iter().map(|content| content.content_type.as_str()).collect();
            let accepted = HeaderValue::try_from(types.join(", ")).unwrap_or(HeaderValue::from_static("*/*"));
            runtime::Body { content, required: body.required.unwrap_or(false), accepted }
        });
        if parameters.is_empty() && body.is_none() && problems.is_empty() {
            problems.add("missing_field", "there is nothing to look at: give `body`, `parameters` or both");
        }
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(runtime::Validator { parameters, body })),
            // after the limits, which count what is refused here; before what changes the request
            phase: Phase::Limit,
            needs: Needs { request_body, response_body: BodyNeed::None },
        })
    }
}
