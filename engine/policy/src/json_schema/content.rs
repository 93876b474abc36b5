//! Which content types a body may have, and what its schema is then.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::Problems;

use super::{Schema, SchemaText, Schemas};

/// A content type, and what a body of it looks like.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The content type without its parameters: `application/json`; `text/*`; `application/*+json` for all that end so.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 200))]
    pub content_type: String,
    /// What a body looks like: a JSON Schema. Without one, a body of this type is let through as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaText>,
}

/// A content type, built.
pub(crate) struct ContentKind {
    prefix: Box<str>,
    suffix: Box<str>,
    exact: bool,
    pub(crate) schema: Option<Arc<Schema>>,
}

/// Builds them; `problems` stands at the list.
pub(crate) fn kinds(contents: &[Content], schemas: &Schemas<'_>, problems: &mut Problems) -> Box<[ContentKind]> {
    let mut kinds = Vec::new();
    for (i, content) in contents.iter().enumerate() {
        problems.within(i, |problems| {
            let text = content.content_type.to_ascii_lowercase();
            let (prefix, suffix) = text.split_once('*').unwrap_or((&text, ""));
            let plain = |c: char| c.is_ascii_alphanumeric() || "/!#$&-^_.+".contains(c);
            if !text.contains('/') || !prefix.chars().chain(suffix.chars()).all(plain) {
                let example =
                    "write a type without parameters, such as `application/json`, `text/*` or `application/*+json`";
                problems.add_at("type", "invalid_value", example);
            }
            let schema = content.schema.as_ref();
            let schema =
                schema.and_then(|schema| problems.within("schema", |problems| schemas.compile(schema, problems)));
            let exact = !text.contains('*');
            kinds.push(ContentKind {
                prefix: prefix.into(),
                suffix: suffix.into(),
                exact,
                schema: schema.map(Arc::new),
            });
        });
    }
    kinds.into()
}

/// Whether the content type of a body is among those that are let through.
pub(crate) enum Fits<'a> {
    /// It is.
    Yes(&'a ContentKind),
    /// It is not.
    No,
    /// It is, but in letters that are not JSON's.
    Charset,
}

/// The first that fits what the headers say.
pub(crate) fn find<'a>(kinds: &'a [ContentKind], headers: &HeaderMap) -> Fits<'a> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Fits::No };
    let Ok(value) = value.to_str() else { return Fits::No };
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let essence = essence.trim();
    let starts = |text: &str, with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    let ends = |text: &str, with: &str| {
        let from = text.len().checked_sub(with.len());
        from.and_then(|from| text.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case(with))
    };
    let found = kinds.iter().find(|kind| {
        let length = kind.prefix.len() + kind.suffix.len();
        let fits = if kind.exact { essence.len() == length } else { essence.len() > length };
        fits && starts(essence, &kind.prefix) && ends(essence, &kind.suffix)
    });
    match found {
        None => Fits::No,
        Some(kind) if kind.schema.is_some() && !is_utf8(parameters) => Fits::Charset,
        Some(kind) => Fits::Yes(kind),
    }
}

fn is_utf8(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset")
            || ["utf-8", "utf8", "us-ascii"].iter().any(|known| value.eq_ignore_ascii_case(known))
    })
}

/// Whether a body is compressed or otherwise coded.
pub(crate) fn coded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}
