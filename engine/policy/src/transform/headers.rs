//! Operations on headers, in order: each sees what those before it made of them.

use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::Problems;

use crate::expression::{Facts, Names, Template};
use crate::{PolicyError, RequestContext};

/// The longest value that is written.
const VALUE_BYTES_MAX: usize = 8 << 10;

/// One thing that is done.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// What is done.
    pub action: Action,
    /// To which one.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// The value to `set` or `add`: text with `${...}` for the values of CEL expressions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The new name, to `rename`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It has this value, and this one only.
    Set,
    /// It has this value too.
    Add,
    /// It is taken away, all its values.
    Remove,
    /// All its values go by another name; what had that name is gone. Nothing happens if it is not there.
    Rename,
}

/// Whose headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// An operation with its template read.
pub(crate) enum Op<N> {
    Set(N, Template),
    Add(N, Template),
    Remove(N),
    Rename(N, N),
}

/// Operations on headers, built.
pub(crate) struct Headers(Box<[Op<HeaderName>]>);

/// Reads operations; `problems` stands at the list.
pub(crate) fn compile<N>(
    operations: &[Operation],
    names: Names<'_>,
    problems: &mut Problems,
    name: impl Fn(&str) -> Result<N, String>,
) -> Box<[Op<N>]> {
    let mut all = Vec::new();
    for (i, operation) in operations.iter().enumerate() {
        problems.within(i, |problems| {
            if let Some(op) = one(operation, names, problems, &name) {
                all.push(op);
            }
        });
    }
    all.into()
}

fn one<N>(
    operation: &Operation,
    names: Names<'_>,
    problems: &mut Problems,
    name: &impl Fn(&str) -> Result<N, String>,
) -> Option<Op<N>> {
    let Operation { action, name: of, value, to } = operation;
    let named = |field: &str, text: &str, problems: &mut Problems| {
        name(text).map_err(|why| problems.add_at(field, "invalid_value", why)).ok()
    };
    let of = named("name", of, problems);
    let wants_value = matches!(action, Action::Set | Action::Add);
    for (field, given, wanted) in
        [("value", value.is_some(), wants_value), ("to", to.is_some(), *action == Action::Rename)]
    {
        match (given, wanted) {
            (true, false) => problems.add_at(field, "unknown_field", format!("this action takes no `{field}`")),
            (false, true) => problems.add_at(field, "missing_field", format!("this action takes a `{field}`")),
            _ => {}
        }
    }
    match action {
        Action::Remove => of.map(Op::Remove),
        Action::Rename => {
            let to = named("to", to.as_deref()?, problems);
            Some(Op::Rename(of?, to?))
        }
        Action::Set | Action::Add => {
            let template = template("value", value.as_deref()?, names, problems);
            let (of, template) = (of?, template?);
            Some(if *action == Action::Set { Op::Set(of, template) } else { Op::Add(of, template) })
        }
    }
}

/// Reads a template; what is wrong is noted at the field.
pub(crate) fn template(field: &str, text: &str, names: Names<'_>, problems: &mut Problems) -> Option<Template> {
    Template::compile(text, names).map_err(|why| problems.add_at(field, "invalid_expression", why.to_string())).ok()
}

/// What a template says for a request.
pub(crate) fn written(template: &Template, facts: &Facts<'_>, cx: &RequestContext) -> Result<String, PolicyError> {
    let mut text = String::new();
    template.write(facts, cx, &mut text)?;
    if text.len() > VALUE_BYTES_MAX {
        return Err(PolicyError(format!("a value is longer than {VALUE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

impl Headers {
    /// Reads operations; `problems` stands at the list.
    pub(crate) fn build(side: Side, operations: &[Operation], names: Names<'_>, problems: &mut Problems) -> Headers {
        Headers(compile(operations, names, problems, |text| header_name(side, text)))
    }

    /// Carries them out; `facts` tells them what is known, with the headers as they are by then.
    pub(crate) fn apply<H: AsMut<HeaderMap>>(
        &self,
        head: &mut H,
        write: impl Fn(&H, &Template) -> Result<String, PolicyError>,
    ) -> Result<(), PolicyError> {
        for op in &self.0 {
            match op {
                Op::Set(name, template) => {
                    let value = header_value(name, &write(head, template)?)?;
                    head.as_mut().insert(name.clone(), value);
                }
                Op::Add(name, template) => {
                    let value = header_value(name, &write(head, template)?)?;
                    if head.as_mut().try_append(name.clone(), value).is_err() {
                        return Err(PolicyError("there are too many headers".to_owned()));
                    }
                }
                Op::Remove(name) => {
                    head.as_mut().remove(name);
                }
                Op::Rename(name, to) => rename(head.as_mut(), name, to),
            }
        }
        Ok(())
    }
}

fn rename(headers: &mut HeaderMap, name: &HeaderName, to: &HeaderName) {
    let values: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
    if values.is_empty() || name == to {
        return;
    }
    headers.remove(name);
    headers.remove(to);
    for value in values {
        // as many as there were
        let _ = headers.try_append(to.clone(), value);
    }
}

/// A value with a line end in it would be two headers.
fn header_value(name: &HeaderName, text: &str) -> Result<HeaderValue, PolicyError> {
    HeaderValue::from_str(text.trim())
        .or_else(|_| HeaderValue::from_bytes(text.trim().as_bytes()))
        .map_err(|_| PolicyError(format!("the value for `{name}` holds a control character")))
}

fn header_name(side: Side, text: &str) -> Result<HeaderName, String> {
    let name = HeaderName::try_from(text).map_err(|_| format!("`{text}` is not the name of a header"))?;
    match protected(side, name.as_str()) {
        Some(why) => Err(format!("`{name}` can't be changed: {why}")),
        None => Ok(name),
    }
}

/// Why a header is not for operations.
fn protected(side: Side, name: &str) -> Option<&'static str> {
    Some(match name {
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade"
        | "http2-settings" => "it belongs to one connection, not to the message",
        "content-length" | "content-encoding" => "it follows from the body",
        "expect" => "the gateway answers it",
        "x-request-id" | "traceparent" | "tracestate" | "via" => {
            "it is the gateway's own; it tells which request this is"
        }
        "host" if side == Side::Request => "use `rewrite.host` of the route",
        "forwarded" | "x-real-ip" if side == Side::Request => {
            "it tells the API who is calling, by the settings of the node"
        }
        name if side == Side::Request && name.starts_with("x-forwarded-") => {
            "it tells the API who is calling, by the settings of the node"
        }
        "x-consumer-id" | "x-consumer-name" | "x-consumer-custom-id" | "x-credential-id" if side == Side::Request => {
            "it tells the API who was authenticated; use another name and `${principal...}`"
        }
        "accept-encoding" | "range" if side == Side::Request => "the gateway asks for what its policies can read",
        _ => return None,
    })
}
