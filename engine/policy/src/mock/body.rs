//! The body: text with templates in it, or JSON whose texts are templates.

use serde_json::Value;
use tidegate_model::Problems;

use crate::RequestContext;
use crate::expression::{ExpressionProblem, Facts, Names, NoValue, Template};

/// In the order in which they are written.
pub(super) struct Body(Vec<Part>);

enum Part {
    Plain(String),
    /// As text.
    Text(Template),
    /// As a text of JSON: quoted and escaped.
    Quoted(Template),
}

/// Whether a content type is JSON.
pub(super) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// A document in a text, if it is an object or a list.
pub(super) fn document(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(|value: &Value| value.is_object() || value.is_array())
}

impl Body {
    /// Reads a text; what is wrong is noted.
    pub(super) fn text(text: &str, problems: &mut Problems) -> Body {
        // what has no expression in it may be longer than one
        if !text.contains("${") {
            return Body(vec![Part::Plain(text.to_owned())]);
        }
        match Template::compile(text, Names::REQUEST) {
            Ok(template) => Body(vec![Part::Text(template)]),
            Err(problem) => {
                note(&problem, problems);
                Body(Vec::new())
            }
        }
    }

    /// Reads a document; what is wrong is noted.
    pub(super) fn json(document: &Value, problems: &mut Problems) -> Body {
        let mut body = Body(Vec::new());
        body.value(document, problems);
        body
    }

    fn value(&mut self, value: &Value, problems: &mut Problems) {
        match value {
            Value::Object(fields) => {
                for (index, (name, value)) in fields.iter().enumerate() {
                    self.plain(if index == 0 { "{" } else { "," });
                    self.plain(&Value::from(name.as_str()).to_string());
                    self.plain(":");
                    self.value(value, problems);
                }
                self.plain(if fields.is_empty() { "{}" } else { "}" });
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    self.plain(if index == 0 { "[" } else { "," });
                    self.value(value, problems);
                }
                self.plain(if items.is_empty() { "[]" } else { "]" });
            }
            Value::String(text) if text.contains("${") => match Template::compile(text, Names::REQUEST) {
                Ok(template) => self.0.push(Part::Quoted(template)),
                Err(problem) => note(&problem, problems),
            },
            plain => self.plain(&plain.to_string()),
        }
    }

    fn plain(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Part::Plain(plain)) => plain.push_str(text),
            _ => self.0.push(Part::Plain(text.to_owned())),
        }
    }

    /// All of it, if it is the same for every request.
    pub(super) fn constant(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Part::Plain(text)] => Some(text),
            _ => None,
        }
    }

    pub(super) fn write(&self, facts: &Facts<'_>, cx: &RequestContext) -> Result<String, NoValue> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Plain(text) => out.push_str(text),
                Part::Text(template) => template.write(facts, cx, &mut out)?,
                Part::Quoted(template) => {
                    let mut text = String::new();
                    template.write(facts, cx, &mut text)?;
                    out.push_str(&Value::from(text).to_string());
                }
            }
        }
        Ok(out)
    }
}

fn note(problem: &ExpressionProblem, problems: &mut Problems) {
    problems.add("invalid_expression", problem.to_string());
}
