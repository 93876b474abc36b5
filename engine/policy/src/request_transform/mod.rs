//! `request-transform`: what a request becomes on its way to the API.

mod config;
mod runtime;
mod target;
#[cfg(test)]
mod tests;

pub use config::RequestTransformConfig;

use std::sync::Arc;

use tidegate_model::{Problem, Problems};

use crate::expression::Names;
use crate::transform::{Body, Headers, Side, compile, template};
use crate::{Attachment, Behaviour, BodyNeed, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// The kind.
pub struct RequestTransform;

impl PolicyKind for RequestTransform {
    type Config = RequestTransformConfig;

    const INFO: KindInfo = KindInfo {
        name: "request-transform",
        title: "Transform requests",
        summary: "Changes requests on their way to the API: headers, query, path, JSON bodies.",
        combine: Combine::All,
        by_principal: true,
        decides: false,
        page: include_str!("README.md"),
    };

    fn build(config: RequestTransformConfig, _: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let RequestTransformConfig { headers, query, path, body } = &config;
        if headers.is_empty() && query.is_empty() && path.is_none() && body.is_none() {
            problems.add("missing_field", "there is nothing to do: give `headers`, `query`, `path` or `body`");
        }
        let headers =
            problems.within("headers", |problems| Headers::build(Side::Request, headers, Names::REQUEST, problems));
        let query = problems
            .within("query", |problems| compile(query, Names::REQUEST, problems, |name| Ok(Box::<str>::from(name))));
        let path = path.as_ref().and_then(|path| {
            if !path.starts_with('/') && !path.starts_with("${request.path}") {
                problems.add_at("path", "invalid_value", "a path starts with `/`, or with `${request.path}`");
            }
            if path.contains(['?', '#']) && !path.contains("${") {
                problems.add_at("path", "invalid_value", "a path holds no query: use `query`");
            }
            template("path", path, Names::REQUEST, &mut problems)
        });
        let body = body.as_ref();
        let body = body.and_then(|body| problems.within("body", |problems| Body::build(body, false, problems)));
        let request_body = body.as_ref().map_or(BodyNeed::None, |body| BodyNeed::Buffer(body.max));
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(runtime::Transform { headers, query, path, body })),
            phase: Phase::Transform,
            needs: Needs { request_body, response_body: BodyNeed::None },
        })
    }
}
