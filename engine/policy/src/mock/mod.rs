//! `mock`: an answer in the place of the API.

mod body;
mod config;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::{Header, MockConfig};

use std::sync::Arc;

use http::StatusCode;
use tidegate_model::{Problem, Problems};

use self::body::{Body, document, is_json};
use self::runtime::Text;
use crate::expression::{Names, Template};
use crate::{Attachment, Behaviour, Built, Combine, Content, KindInfo, Needs, Phase, PolicyKind, header_names};

/// The kind.
pub struct Mock;

const TEXT: &str = "text/plain; charset=utf-8";

impl PolicyKind for Mock {
    type Config = MockConfig;

    const INFO: KindInfo = KindInfo {
        name: "mock",
        title: "Mock",
        summary: "Answers in the place of the API.",
        combine: Combine::Replace,
        by_principal: true,
        decides: false,
        page: include_str!("README.md"),
    };

    fn build(config: MockConfig, _: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let status = StatusCode::from_u16(config.status.unwrap_or(200)).unwrap_or(StatusCode::OK);
        if config.body.is_some() && matches!(status.as_u16(), 204 | 205 | 304) {
            problems.add_at("body", "conflict", format!("an answer with status {} has no body", status.as_u16()));
        }
        if config.body.is_none() && config.content_type.is_some() {
            problems.add_at("content_type", "conflict", "says what `body` is, and there is none");
        }
        let text = config.body.as_deref().unwrap_or_default();
        let document = document(text);
        let content_type = match (&config.content_type, &document) {
            (Some(given), _) => given,
            (None, Some(_)) => "application/json",
            (None, None) => TEXT,
        };
        let body = match document {
            Some(document) if is_json(content_type) => problems.within("body", |p| Body::json(&document, p)),
            _ => problems.within("body", |p| Body::text(text, p)),
        };
        let content_type = problems.within("content_type", |p| header_names::value(content_type, p));
        let headers = problems.within("headers", |p| headers(&config.headers, p));
        let content_type = config.body.is_some().then_some(content_type).flatten();
        let ready =
            body.constant().map(|body| Content { content_type: content_type.clone(), body: body.to_owned().into() });
        let mock = runtime::Mock { status, headers, content_type, body, ready };
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(mock)),
            phase: Phase::Answer,
            needs: Needs::default(),
        })
    }
}

fn headers(all: &[Header], problems: &mut Problems) -> Box<[(http::HeaderName, Text)]> {
    let mut read = Vec::with_capacity(all.len());
    for (index, header) in all.iter().enumerate() {
        problems.within(index, |p| {
            let name = p.within("name", |p| header_names::settable(header.name.as_str(), p));
            let value = p.within("value", |p| text(&header.value, p));
            read.extend(name.zip(value));
        });
    }
    read.into()
}

fn text(text: &str, problems: &mut Problems) -> Option<Text> {
    let template = match Template::compile(text, Names::REQUEST) {
        Ok(template) => template,
        Err(problem) => {
            problems.add("invalid_expression", problem.to_string());
            return None;
        }
    };
    match template.constant() {
        Some(constant) => header_names::value(constant, problems).map(Text::Same),
        None => Some(Text::Written(template)),
    }
}
