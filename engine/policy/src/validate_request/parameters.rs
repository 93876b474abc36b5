//! Parameters of the path, the query and the headers: from text to values, and what is wrong with them.

use std::borrow::Cow;

use http::HeaderName;
use serde_json::{Number, Value};
use tidegate_model::Problems;

use super::config::{ListStyle, Others, Parameter, Part, Scalar};
use crate::expression::decode;
use crate::json_schema::{Place, Report, Schema, Schemas};
use crate::{RequestContext, RequestHead};

/// How many query parameters are looked at; more are refused.
const QUERY_PARAMETERS_MAX: usize = 1_000;

/// All the parameters that a policy looks at.
pub(super) struct Parameters {
    all: Box<[Built]>,
    others: Others,
    looks_at_query: bool,
}

struct Built {
    part: Part,
    name: Box<str>,
    header: Option<HeaderName>,
    required: bool,
    kind: Scalar,
    list: Option<ListStyle>,
    schema: Option<Schema>,
}

impl Parameters {
    /// Builds them; what is wrong is noted at `parameters`.
    pub(super) fn build(
        parameters: &[Parameter],
        others: Others,
        schemas: &Schemas<'_>,
        problems: &mut Problems,
    ) -> Parameters {
        let mut all: Vec<Built> = Vec::new();
        problems.within("parameters", |problems| {
            for (i, parameter) in parameters.iter().enumerate() {
                problems.within(i, |problems| {
                    let built = build(parameter, schemas, problems);
                    let twice = |other: &Built| other.part == built.part && other.name == built.name;
                    if all.iter().any(twice) {
                        problems.add_at("name", "duplicate", format!("`{}` is there already", parameter.name));
                    }
                    all.push(built);
                });
            }
        });
        let looks_at_query = others == Others::Refuse || all.iter().any(|built| built.part == Part::Query);
        Parameters { all: all.into(), others, looks_at_query }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty() && !self.looks_at_query
    }

    /// Notes all that is wrong with those of a request.
    pub(super) fn check(&self, head: &RequestHead, cx: &RequestContext, report: &mut Report) {
        let query: Vec<(Cow<'_, str>, &str)> = match head.query() {
            Some(query) if self.looks_at_query => {
                let pairs = query.split('&').filter(|pair| !pair.is_empty()).take(QUERY_PARAMETERS_MAX + 1);
                pairs
                    .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                    .map(|(name, value)| (decode(name, true), value))
                    .collect()
            }
            _ => Vec::new(),
        };
        if query.len() > QUERY_PARAMETERS_MAX {
            let detail = format!("there are more than {QUERY_PARAMETERS_MAX} parameters");
            report.add(&Place { part: "query", name: None }, "", "maxItems", &detail);
            return;
        }
        for built in &self.all {
            let texts: Vec<Cow<'_, str>> = match built.part {
                Part::Path => cx.captures.get(&built.name).map(Cow::Borrowed).into_iter().collect(),
                Part::Query => {
                    let values = query.iter().filter(|(name, _)| **name == *built.name);
                    values.map(|(_, value)| Cow::Borrowed(*value)).collect()
                }
                Part::Header => {
                    let values = built.header.iter().flat_map(|name| head.headers.get_all(name));
                    values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect()
                }
            };
            built.check(&texts, report);
        }
        if self.others == Others::Refuse {
            let known = |name: &str| self.all.iter().any(|built| built.part == Part::Query && *built.name == *name);
            for (name, _) in query.iter().filter(|(name, _)| !known(name)) {
                let name: String = name.chars().take(100).collect();
                let place = Place { part: "query", name: Some(&name) };
                report.add(&place, "", "unknown", "there is no such parameter");
            }
        }
    }
}

fn build(parameter: &Parameter, schemas: &Schemas<'_>, problems: &mut Problems) -> Built {
    let Parameter { part, name, required, kind, list, schema } = parameter;
    let header = match part {
        Part::Header => {
            let header = HeaderName::try_from(name.as_str()).ok();
            if header.is_none() {
                problems.add_at("name", "invalid_value", format!("`{name}` is not the name of a header"));
            }
            header
        }
        Part::Path | Part::Query => None,
    };
    if *part == Part::Path && *list == Some(ListStyle::Repeat) {
        problems.add_at("list", "invalid_value", "nothing is repeated in a path: `comma` or `pipe`");
    }
    let schema = schema.as_ref();
    let schema = schema.and_then(|schema| problems.within("schema", |problems| schemas.compile(schema, problems)));
    Built {
        part: *part,
        name: name.as_str().into(),
        header,
        required: required.unwrap_or(*part == Part::Path),
        kind: kind.unwrap_or_default(),
        list: *list,
        schema,
    }
}

impl Built {
    fn check(&self, texts: &[Cow<'_, str>], report: &mut Report) {
        let part = match self.part {
            Part::Path => "path",
            Part::Query => "query",
            Part::Header => "header",
        };
        let place = Place { part, name: Some(&self.name) };
        let Some(first) = texts.first() else {
            if self.required {
                report.add(&place, "", "required", "it is missing");
            }
            return;
        };
        let decoded = |text: &'_ str| match self.part {
            Part::Header => text.trim().to_owned(),
            part => decode(text, part == Part::Query).into_owned(),
        };
        // a field that stands in several lines is one list (RFC 9110, section 5.3)
        let value = match self.list {
            None if texts.len() > 1 => {
                report.add(&place, "", "repeated", "it is there more than once");
                return;
            }
            None => self.scalar(&decoded(first), &place, "", report),
            Some(style) => {
                let items: Vec<String> = match style {
                    ListStyle::Repeat if self.part != Part::Header => texts.iter().map(|text| decoded(text)).collect(),
                    // a comma that is part of a value is encoded
                    ListStyle::Repeat | ListStyle::Comma => {
                        texts.iter().flat_map(|text| text.split(',')).map(decoded).collect()
                    }
                    ListStyle::Space | ListStyle::Pipe => {
                        let separator = if style == ListStyle::Pipe { '|' } else { ' ' };
                        let whole = texts.iter().map(|text| decoded(text));
                        whole.flat_map(|text| text.split(separator).map(str::to_owned).collect::<Vec<_>>()).collect()
                    }
                };
                let items = items.iter().enumerate();
                let values = items.map(|(i, item)| self.scalar(item, &place, &format!("/{i}"), report));
                values.collect::<Option<Vec<_>>>().map(Value::Array)
            }
        };
        if let (Some(schema), Some(value)) = (&self.schema, value) {
            schema.check(&value, &place, report);
        }
    }

    fn scalar(&self, text: &str, place: &Place<'_>, pointer: &str, report: &mut Report) -> Option<Value> {
        let (value, wanted) = match self.kind {
            Scalar::String => return Some(text.into()),
            Scalar::Integer => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                (whole.then(|| text.parse::<i64>().ok().map(Value::from)).flatten(), "a whole number")
            }
            Scalar::Number => (serde_json::from_str::<Number>(text).ok().map(Value::Number), "a number"),
            Scalar::Boolean => {
                let value = match text {
                    "true" => Some(true.into()),
                    "false" => Some(false.into()),
                    _ => None,
                };
                (value, "`true` or `false`")
            }
        };
        if value.is_none() {
            report.add(place, pointer, "type", &format!("it is not {wanted}"));
        }
        value
    }
}
