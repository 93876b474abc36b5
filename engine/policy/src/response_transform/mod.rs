//! `response-transform`: what an answer becomes on its way to the caller.

mod config;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::{On, ResponseTransformConfig};

use std::sync::Arc;

use http::StatusCode;
use tidegate_model::{Problem, Problems};

use crate::expression::Names;
use crate::transform::{Body, Headers, Side};
use crate::{Attachment, Behaviour, BodyNeed, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// The kind.
pub struct ResponseTransform;

impl PolicyKind for ResponseTransform {
    type Config = ResponseTransformConfig;

    const INFO: KindInfo = KindInfo {
        name: "response-transform",
        title: "Transform responses",
        summary: "Changes answers on their way to the caller: status, headers, JSON bodies.",
        combine: Combine::All,
        by_principal: true,
        decides: false,
        page: include_str!("README.md"),
    };

    fn build(config: ResponseTransformConfig, _: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let ResponseTransformConfig { on, status, headers, body } = &config;
        if status.is_none() && headers.is_empty() && body.is_none() {
            problems.add("missing_field", "there is nothing to do: give `status`, `headers` or `body`");
        }
        let templates = headers.iter().filter_map(|operation| operation.value.as_ref());
        let mut texts = templates.chain(body.as_ref().map(|body| &body.jq));
        let wants_request = texts.any(|text| text.contains("request"));
        let headers =
            problems.within("headers", |problems| Headers::build(Side::Response, headers, Names::RESPONSE, problems));
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        if status.is_some_and(runtime::is_bodiless) {
            problems.add_at("status", "invalid_value", "a status without a body can't be given: answers have one");
        }
        let body = body.as_ref();
        let body = body.and_then(|body| problems.within("body", |problems| Body::build(body, true, problems)));
        let response_body = body.as_ref().map_or(BodyNeed::None, |body| BodyNeed::Buffer(body.max));
        let on = on.unwrap_or_default();
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(runtime::Transform { on, status, headers, body, wants_request })),
            phase: Phase::Transform,
            needs: Needs { request_body: BodyNeed::None, response_body },
        })
    }
}
