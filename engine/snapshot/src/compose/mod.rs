//! Compositions, ready to run: which steps wait for which, their templates and programs compiled, their services at hand.
//!
//! What a step waits for is told by what it names (`steps.NAME` in its templates and its condition, `$steps.NAME` in its program)
//! and by `after`. Steps are kept in the order of their names; what is computed here says which may begin when others have ended.

mod reading;
#[cfg(test)]
mod tests;
mod waiting;

use imbl::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde_json::Value;
use tidegate_model::{
    Compose, ExpectedContent, Id, OnStepError, Partial, Problem, Problems, RetryOn, StatusRange, Step,
};
use tidegate_policy::expression::{Condition, Template};
use tidegate_policy::jq::Jq;

use self::reading::{Looks, Reading};
use crate::CompiledService;

/// An answer of several calls.
#[derive(Debug)]
pub struct Composition {
    /// The calls, by name.
    pub steps: Box<[CompiledStep]>,
    /// What is made of them.
    pub answer: CompiledAnswer,
    /// Whether an answer goes out that lacks a step which failed.
    pub partial: bool,
    /// How long all of it may take.
    pub timeout: Duration,
    /// How identical calls are known.
    pub coalesce: Option<CompiledCoalesce>,
}

/// One call.
#[derive(Debug)]
pub struct CompiledStep {
    /// Its name.
    pub name: Box<str>,
    /// Whom it calls.
    pub service: Arc<CompiledService>,
    /// How.
    pub method: Method,
    /// The path, behind that of the service.
    pub path: Template,
    /// The parameters of its query: names as they stand in a URL.
    pub query: Box<[(Box<str>, Template)]>,
    /// Its headers.
    pub headers: Box<[(HeaderName, Template)]>,
    /// Headers of the request that go along.
    pub forward: Box<[HeaderName]>,
    /// Its body.
    pub body: Option<CompiledBody>,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
    /// Whether it is told until when its answer is of use.
    pub tell_deadline: bool,
    /// How often it is tried in all.
    pub attempts: u8,
    /// After what it is tried again.
    pub retry_on: Box<[RetryOn]>,
    /// How long is waited before the second attempt.
    pub backoff: Duration,
    /// What becomes of the answer if it fails.
    pub on_error: OnFailure,
    /// Which statuses are taken.
    pub statuses: Box<[StatusRange]>,
    /// Of which form its answer is.
    pub content: ExpectedContent,
    /// The largest body of its answer.
    pub max_body: u64,
    /// Whether it is called at all.
    pub when: Option<Condition>,
    /// The steps that must have ended before, by index.
    pub after: Box<[usize]>,
    /// Those of them whose answer it is made of: without one of them it can't be called.
    pub needs: Box<[usize]>,
    /// A template or condition looks at its answer, which is read for that.
    pub is_looked_at: bool,
}

/// The body of a call.
#[derive(Debug)]
pub struct CompiledBody {
    /// What makes it.
    pub made_by: MadeBy,
    /// What it is said to be.
    pub content_type: HeaderValue,
    /// How what a template puts in is escaped.
    pub escape: Escape,
}

/// What makes a body.
#[derive(Debug)]
pub enum MadeBy {
    /// A program.
    Jq(Program),
    /// A template.
    Template(Template),
}

/// How what a template puts into a body is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// As part of a string in JSON.
    Json,
    /// As a value of a form.
    Form,
    /// Not at all.
    Not,
}

/// A jq program, and its text.
#[derive(Debug, Clone)]
pub struct Program {
    /// As it was written.
    pub text: Box<str>,
    /// Compiled, with the variables of [`VARIABLES`].
    pub jq: Arc<Jq>,
}

/// What the programs of a composition see beside their input, in this order.
pub const VARIABLES: [&str; 4] = ["request", "captures", "principal", "steps"];

/// What becomes of the answer if a step fails.
#[derive(Debug)]
pub enum OnFailure {
    /// It fails too.
    Fail,
    /// It goes out without the step.
    Omit,
    /// It has this in the place of the step's body: read, and as text.
    Default(Value, Bytes),
}

/// What is made of the steps.
#[derive(Debug)]
pub struct CompiledAnswer {
    /// The status; absent 200.
    pub status: Option<Template>,
    /// Its headers.
    pub headers: Box<[(HeaderName, Template)]>,
    /// The body; absent the steps' bodies by name.
    pub body: Option<Program>,
    /// What it is said to be.
    pub content_type: HeaderValue,
}

/// How identical calls are known.
#[derive(Debug)]
pub struct CompiledCoalesce {
    /// What must be the same; absent path and query.
    pub key: Option<Template>,
    /// Whoever the callers are.
    pub shared: bool,
}

const TIMEOUT: Duration = Duration::from_secs(30);
const BACKOFF: Duration = Duration::from_millis(50);

impl Composition {
    /// Compiles a composition; all its services are there.
    ///
    /// # Errors
    /// All that is wrong with it, by pointers into the route.
    pub(crate) fn compile(
        compose: &Compose,
        services: &HashMap<Id, Arc<CompiledService>>,
    ) -> Result<Composition, Vec<Problem>> {
        let mut problems = Problems::new();
        let names: Vec<&str> = compose.steps.keys().map(String::as_str).collect();
        let mut looked_at = Looks::default();
        let (mut steps, mut answer, mut coalesce) = (Vec::new(), None, None);
        problems.within("compose", |p| {
            p.within("steps", |p| {
                for (name, step) in &compose.steps {
                    let compiled = p.within(name, |p| compile_step(name, step, &names, services, &mut looked_at, p));
                    steps.extend(compiled);
                }
                if steps.len() == names.len()
                    && let Some(cycle) = waiting::cycle(&steps)
                {
                    p.within(cycle[0], |p| {
                        let way: Vec<String> = cycle.iter().map(|name| format!("`{name}`")).collect();
                        p.add("cycle", format!("steps wait for each other: {}", way.join(" → ")));
                    });
                }
            });
            let reading = |further| Reading { steps: &names, further };
            p.within("answer", |p| {
                answer = Some(compile_answer(compose, reading(&["steps"]), &mut looked_at, p));
            });
            p.within("coalesce", |p| {
                coalesce = compose.coalesce.as_ref().map(|coalesce| {
                    // no step has run when the key is made
                    let key = coalesce
                        .key
                        .as_ref()
                        .and_then(|key| p.within("key", |p| reading(&[]).template(key, &mut Looks::default(), p)));
                    CompiledCoalesce { key, shared: coalesce.shared == Some(true) }
                });
            });
        });
        let answer = problems.or(answer)?.expect("it was compiled");
        for (index, step) in steps.iter_mut().enumerate() {
            step.is_looked_at = looked_at.whole || looked_at.named.contains(names[index]);
        }
        Ok(Composition {
            steps: steps.into(),
            answer,
            partial: compose.partial.unwrap_or_default() == Partial::Allow,
            timeout: compose.timeout.map_or(TIMEOUT, tidegate_model::Span::duration),
            coalesce,
        })
    }
}

fn compile_step(
    name: &str,
    step: &Step,
    names: &[&str],
    services: &HashMap<Id, Arc<CompiledService>>,
    looked_at: &mut Looks,
    problems: &mut Problems,
) -> Option<CompiledStep> {
    let reading = Reading { steps: names, further: &["steps"] };
    let (mut needs, mut asks, mut told) = (Looks::default(), Looks::default(), Looks::default());
    let path = step.path.as_deref().unwrap_or("/");
    let path = problems.within("path", |p| reading.path(path, &mut needs, p));
    let query = problems.within("query", |p| {
        let all = step.query.iter().filter_map(|(name, text)| {
            let template = p.within(name, |p| reading.template(text, &mut needs, p))?;
            let mut encoded = String::new();
            encode(name, &mut encoded);
            Some((encoded.into_boxed_str(), template))
        });
        all.collect()
    });
    let headers = problems.within("headers", |p| reading.headers(&step.headers, &mut needs, p));
    let when = step.when.as_ref().and_then(|when| problems.within("when", |p| reading.condition(when, &mut asks, p)));
    looked_at.extend(&needs);
    looked_at.extend(&asks);
    let body = step.body.as_ref().map(|body| {
        problems.within("body", |p| {
            let mut made_of = Looks::default();
            let compiled = reading.body(body, &mut made_of, p);
            if body.template.is_some() {
                looked_at.extend(&made_of);
            }
            needs.extend(&made_of);
            compiled
        })
    });
    for (at, other) in step.after.iter().enumerate() {
        if names.contains(&other.as_str()) {
            told.named.insert(other.clone());
        } else {
            problems.within("after", |p| p.add_at(at, "not_found", reading.unknown(other)));
        }
    }
    let service = step.service.id().and_then(|id| services.get(&id));
    let indices = |looks: &Looks| -> Vec<usize> {
        looks.named.iter().filter_map(|name| names.iter().position(|known| known == name)).collect()
    };
    let mut after: Vec<usize> = [&needs, &asks, &told].into_iter().flat_map(indices).collect();
    after.sort_unstable();
    after.dedup();
    let retry = step.retry.as_ref();
    let retry_on = match retry {
        Some(retry) if retry.on.is_empty() => vec![RetryOn::Connect, RetryOn::Timeout, RetryOn::Status5xx],
        Some(retry) => retry.on.clone(),
        None => Vec::new(),
    };
    let expect = step.expect.clone().unwrap_or_default();
    Some(CompiledStep {
        name: name.into(),
        service: service?.clone(),
        method: step.method.as_ref().map_or(Some(Method::GET), |m| Method::from_bytes(m.as_str().as_bytes()).ok())?,
        path: path?,
        query,
        headers,
        forward: step.forward.iter().filter_map(|name| HeaderName::from_bytes(name.as_str().as_bytes()).ok()).collect(),
        body: match body {
            Some(compiled) => Some(compiled?),
            None => None,
        },
        timeout: step.timeout.map(tidegate_model::Span::duration),
        tell_deadline: step.tell_deadline == Some(true),
        attempts: retry.map_or(1, |retry| retry.attempts),
        retry_on: retry_on.into(),
        backoff: retry.and_then(|retry| retry.backoff).map_or(BACKOFF, tidegate_model::Span::duration),
        on_error: match &step.on_error {
            None | Some(OnStepError::Fail) => OnFailure::Fail,
            Some(OnStepError::Omit) => OnFailure::Omit,
            Some(OnStepError::Default(value)) => OnFailure::Default(value.clone(), value.to_string().into()),
        },
        statuses: match expect.status.is_empty() {
            true => [StatusRange { from: 200, to: 299 }].into(),
            false => expect.status.into(),
        },
        content: expect.content.unwrap_or_default(),
        max_body: step.body_max(),
        when,
        after: after.into(),
        needs: indices(&needs).into(),
        is_looked_at: false,
    })
}

fn compile_answer(
    compose: &Compose,
    reading: Reading<'_>,
    looked_at: &mut Looks,
    problems: &mut Problems,
) -> CompiledAnswer {
    let answer = compose.answer.clone().unwrap_or_default();
    let status = answer.status.as_ref().and_then(|text| {
        problems.within("status", |p| {
            let template = reading.template(text, looked_at, p)?;
            if template.constant().is_some_and(|status| status.parse().ok().and_then(status_of).is_none()) {
                p.add("invalid_value", format!("`{text}` is no status; it is between 200 and 599"));
            }
            Some(template)
        })
    });
    let headers = problems.within("headers", |p| reading.headers(&answer.headers, looked_at, p));
    let body = answer
        .body
        .as_ref()
        .and_then(|text| problems.within("body", |p| reading.program(text, &mut Looks::default(), p)));
    let content_type = problems.within("content_type", |p| reading.content_type(answer.content_type.as_deref(), p));
    CompiledAnswer { status, headers, body, content_type }
}

/// A status that an answer may have.
pub fn status_of(number: u16) -> Option<http::StatusCode> {
    (200..=599).contains(&number).then(|| http::StatusCode::from_u16(number).ok()).flatten()
}

/// Puts a text into a URL such that it is one segment, or one value of a query.
pub fn encode(text: &str, to: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => to.push(char::from(byte)),
            _ => {
                to.push('%');
                to.push(char::from(DIGITS[usize::from(byte >> 4)]));
                to.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}
