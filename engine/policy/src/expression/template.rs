//! A template: text with expressions in it, `Bearer ${principal.claims.sub}`.

use std::fmt;
use std::fmt::Write as _;

use cel::common::types::{CelBool, CelDouble, CelInt, CelNull, CelString, CelUInt};
use cel::common::value::Val;

use super::parse::{Expression, SOURCE_BYTES_MAX};
use super::{ExpressionProblem, Facts, Names, NoValue};
use crate::RequestContext;

/// A template, read. `${...}` stands for the value of the expression in it; `$${` for `${` itself. Null is written as nothing,
/// numbers and truth values as in JSON.
pub struct Template {
    text: Box<str>,
    parts: Box<[Part]>,
}

enum Part {
    Text(Box<str>),
    Value(Expression),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with an expression in it, at its place in the whole.
    pub fn compile(text: &str, names: Names<'_>) -> Result<Self, ExpressionProblem> {
        let at = |offset: usize| {
            let before = &text[..offset];
            let line = before.matches('\n').count() + 1;
            (line, before.rsplit('\n').next().unwrap_or("").chars().count() + 1)
        };
        let problem = |offset: usize, detail: String| {
            let (line, column) = at(offset);
            ExpressionProblem { line, column, detail }
        };
        if text.len() > SOURCE_BYTES_MAX {
            return Err(problem(0, format!("a template has at most {SOURCE_BYTES_MAX} bytes")));
        }
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut from = 0;
        while let Some(found) = text[from..].find("${").map(|found| from + found) {
            if text[from..found].ends_with('$') {
                plain.push_str(&text[from..found - 1]);
                plain.push_str("${");
                from = found + 2;
                continue;
            }
            plain.push_str(&text[from..found]);
            let inner = found + 2;
            let end = end_of(&text[inner..]).ok_or_else(|| problem(found, "`${` without its `}`".into()))?;
            let expression = Expression::parse(&text[inner..inner + end], names).map_err(|mut inside| {
                let (line, column) = at(inner);
                inside.column += if inside.line == 1 { column - 1 } else { 0 };
                inside.line += line - 1;
                inside
            })?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain).into()));
            }
            parts.push(Part::Value(expression));
            from = inner + end + 1;
        }
        plain.push_str(&text[from..]);
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Template { text: text.into(), parts: parts.into() })
    }

    /// Writes it for a request.
    ///
    /// # Errors
    /// An expression has no value for this request, or one that has no text: a list, an object.
    pub fn write(&self, facts: &Facts<'_>, cx: &RequestContext, to: &mut String) -> Result<(), NoValue> {
        for part in &self.parts {
            match part {
                Part::Text(text) => to.push_str(text),
                Part::Value(expression) => {
                    let facts = facts.prepared(expression, cx);
                    expression.evaluate(&facts, |value| write_value(value, to))?;
                }
            }
        }
        Ok(())
    }

    /// Writes it for a request, with each value passing by `put`, which gets the text of its expression, the value, and what to
    /// write to: where a value must be encoded and what stands around it must not.
    ///
    /// # Errors
    /// As [`Template::write`].
    pub fn write_with(
        &self,
        facts: &Facts<'_>,
        cx: &RequestContext,
        to: &mut String,
        put: impl Fn(&str, &str, &mut String),
    ) -> Result<(), NoValue> {
        for part in &self.parts {
            match part {
                Part::Text(text) => to.push_str(text),
                Part::Value(expression) => {
                    let facts = facts.prepared(expression, cx);
                    let mut value = String::new();
                    expression.evaluate(&facts, |found| write_value(found, &mut value))?;
                    put(&expression.text, &value, to);
                }
            }
        }
        Ok(())
    }

    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value(expression) => Some(expression),
        })
    }

    /// All of it, if it is the same for every request.
    pub fn constant(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Where the `}` is that ends an expression: not one in a text, nor one of a map.
fn end_of(text: &str) -> Option<usize> {
    let mut open = 0;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(within), c) if c == within => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => open += 1,
            (None, '}') if open == 0 => return Some(at),
            (None, '}') => open -= 1,
            _ => {}
        }
    }
    None
}

fn write_value(value: &dyn Val, to: &mut String) -> Result<(), String> {
    let written = if let Some(text) = value.downcast_ref::<CelString>() {
        to.push_str(text.inner());
        Ok(())
    } else if let Some(number) = value.downcast_ref::<CelInt>() {
        write!(to, "{}", number.inner())
    } else if let Some(number) = value.downcast_ref::<CelUInt>() {
        write!(to, "{}", number.inner())
    } else if let Some(number) = value.downcast_ref::<CelDouble>() {
        write!(to, "{}", number.inner())
    } else if let Some(truth) = value.downcast_ref::<CelBool>() {
        write!(to, "{}", truth.inner())
    } else if value.downcast_ref::<CelNull>().is_some() {
        Ok(())
    } else {
        return Err("it yields a list or an object, which has no text".into());
    };
    debug_assert!(written.is_ok(), "a String takes all");
    Ok(())
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({})", self.text)
    }
}
