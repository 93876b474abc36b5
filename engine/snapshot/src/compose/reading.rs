//! Reads the templates, conditions and programs of a composition, and what they look at.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderName, HeaderValue};
use tidegate_model::{Problems, StepBody, canonical_path};
use tidegate_policy::expression::{Condition, ExpressionProblem, Members, Names, Template};
use tidegate_policy::jq::Jq;

use super::{CompiledBody, Escape, MadeBy, Program, VARIABLES};

/// Which steps are looked at.
#[derive(Debug, Default)]
pub(super) struct Looks {
    pub(super) named: BTreeSet<String>,
    pub(super) whole: bool,
}

impl Looks {
    pub(super) fn extend(&mut self, other: &Looks) {
        self.named.extend(other.named.iter().cloned());
        self.whole |= other.whole;
    }
}

/// What the texts of a composition may name.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    /// All steps.
    pub(super) steps: &'a [&'a str],
    /// Variables beside what is known of the request.
    pub(super) further: &'a [&'a str],
}

impl Reading<'_> {
    fn names(&self) -> Names<'_> {
        Names { further: self.further, ..Names::REQUEST }
    }

    pub(super) fn template(&self, text: &str, looks: &mut Looks, problems: &mut Problems) -> Option<Template> {
        let template = self.told(Template::compile(text, self.names()), problems)?;
        self.notes(text, template.members("steps"), looks, problems);
        Some(template)
    }

    pub(super) fn condition(&self, text: &str, looks: &mut Looks, problems: &mut Problems) -> Option<Condition> {
        let condition = self.told(Condition::compile(text, self.names()), problems)?;
        self.notes(text, condition.members("steps"), looks, problems);
        Some(condition)
    }

    pub(super) fn path(&self, text: &str, looks: &mut Looks, problems: &mut Problems) -> Option<Template> {
        let template = self.template(text, looks, problems)?;
        if template.constant().is_some_and(|path| canonical_path(path).ok().as_deref() != Some(path)) {
            let detail = "this is no plain path: leave out query, `.`, `..` and encoded slashes; the query has a field of its own";
            problems.add("invalid_value", detail);
        }
        Some(template)
    }

    pub(super) fn headers(
        &self,
        headers: &BTreeMap<String, String>,
        looks: &mut Looks,
        problems: &mut Problems,
    ) -> Box<[(HeaderName, Template)]> {
        let all = headers.iter().filter_map(|(name, text)| {
            let template = problems.within(name, |p| self.template(text, looks, p))?;
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, template))
        });
        all.collect()
    }

    pub(super) fn body(&self, body: &StepBody, looks: &mut Looks, problems: &mut Problems) -> Option<CompiledBody> {
        let said = body.content_type.as_deref();
        let content_type = problems.within("content_type", |p| self.content_type(said, p));
        let essence = said.unwrap_or("application/json").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let escape = match &*essence {
            "application/x-www-form-urlencoded" => Escape::Form,
            json if json == "application/json" || json.ends_with("+json") => Escape::Json,
            _ => Escape::Not,
        };
        let made_by = match (&body.jq, &body.template) {
            (Some(jq), _) => MadeBy::Jq(problems.within("jq", |p| self.program(jq, looks, p))?),
            (None, Some(text)) => MadeBy::Template(problems.within("template", |p| self.template(text, looks, p))?),
            (None, None) => return None,
        };
        Some(CompiledBody { made_by, content_type, escape })
    }

    pub(super) fn content_type(&self, said: Option<&str>, problems: &mut Problems) -> HeaderValue {
        HeaderValue::from_str(said.unwrap_or("application/json")).unwrap_or_else(|_| {
            problems.add("invalid_value", "a content type is of visible ASCII characters, like `application/json`");
            HeaderValue::from_static("")
        })
    }

    pub(super) fn program(&self, text: &str, looks: &mut Looks, problems: &mut Problems) -> Option<Program> {
        let variables = VARIABLES.map(|name| format!("${name}"));
        let jq = match Jq::compile_with(text, &variables.each_ref().map(String::as_str)) {
            Ok(jq) => jq,
            Err(problem) => {
                problems.add("invalid_value", problem.to_string());
                return None;
            }
        };
        // a step is named by its variable alone, so that nothing else in a program can be taken for one
        let named = named_in_program(text);
        self.notes(text, Members { named, whole: false }, looks, problems);
        Some(Program { text: text.into(), jq: jq.into() })
    }

    pub(super) fn unknown(&self, name: &str) -> String {
        let known: Vec<String> = self.steps.iter().map(|step| format!("`{step}`")).collect();
        format!("there is no step `{name}`; there are {}", known.join(", "))
    }

    fn told<T>(&self, read: Result<T, ExpressionProblem>, problems: &mut Problems) -> Option<T> {
        read.map_err(|problem| problems.add("invalid_value", problem.to_string())).ok()
    }

    /// Notes which steps a text looks at, and tells of those that are not there.
    fn notes(&self, text: &str, members: Members, looks: &mut Looks, problems: &mut Problems) {
        if members.whole {
            let detail =
                "name the step that is meant, as in `steps.user.body`: what it waits for must be known in advance";
            problems.add("invalid_value", detail);
        }
        for name in members.named {
            if self.steps.contains(&name.as_str()) {
                looks.named.insert(name);
            } else {
                let (line, column) = place(text, &name);
                problems.add("not_found", format!("line {line}, column {column}: {}", self.unknown(&name)));
            }
        }
    }
}

/// The steps that a program names: `$steps.user`, `$steps["user"]`.
fn named_in_program(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut named = BTreeSet::new();
    for (at, found) in text.match_indices("$steps") {
        let rest = text[at + found.len()..].trim_start();
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        let rest = rest.strip_prefix("[\"").or_else(|| rest.strip_prefix('"')).unwrap_or(rest);
        let name: String = rest.chars().take_while(|c| is_part(*c)).collect();
        let is_named = !name.is_empty() && text[at + found.len()..].trim_start().starts_with(['.', '[']);
        if is_named {
            named.insert(name);
        }
    }
    named
}

/// Where a step's name stands in a text: line and column, from 1.
fn place(text: &str, name: &str) -> (usize, usize) {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let named = |at: &usize| {
        let before = text[..*at].trim_end_matches(['.', '[', '"', '\'']);
        before.len() < *at && before.ends_with("steps") && !text[at + name.len()..].starts_with(is_part)
    };
    let found = text.match_indices(name).map(|(at, _)| at).find(named).or_else(|| text.find(name)).unwrap_or(0);
    let before = &text[..found];
    (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or("").chars().count() + 1)
}
