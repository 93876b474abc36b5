//! What a step sends: made of templates, such that nothing that is put in leaves its place.

use std::cell::Cell;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, HOST, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use serde_json::Value;
use tidegate_model::{ExpectedContent, canonical_path};
use tidegate_policy::expression::{Facts, NoValue, Template};
use tidegate_policy::{RequestContext, RequestHead};
use tidegate_snapshot::HostHeader;
use tidegate_snapshot::compose::{CompiledBody, CompiledStep, Escape, MadeBy, encode};

use super::outcome::StepError;
use super::program::{self, NoBody};
use super::run::{Part, Run};
use crate::edge::trace::{TRACEPARENT, TRACESTATE};
use crate::edge::{self, via};
use crate::exchange::gate::join_target;
use crate::proxy::GatewayError;
use crate::proxy::forward::tell_principal;
use crate::proxy::visit::{REQUEST_ID, Visit};

static REQUEST_DEADLINE: HeaderName = HeaderName::from_static("x-request-deadline");

/// What every step is told of the request: whom it came from, its id and its trace, and which language its caller reads.
/// Nothing else of it goes along unless it is asked for.
pub(super) fn told_to_all(visit: &Visit, head: &RequestHead) -> Result<HeaderMap, GatewayError> {
    let mut headers = HeaderMap::with_capacity(16);
    for name in [&ACCEPT_LANGUAGE, &VIA, &TRACEPARENT, &TRACESTATE] {
        for value in head.headers.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    let (worker, caller) = (&visit.worker, &visit.caller);
    let host = head.headers.get(HOST).cloned();
    edge::tell(&mut headers, caller, visit.exchange().connection.peer(), host, worker.edge(), worker.told_ports());
    headers.insert(REQUEST_ID.clone(), visit.id_header.clone());
    if let Some(trace) = visit.trace {
        headers.insert(TRACEPARENT.clone(), worker.ids().header(&trace.header()));
    }
    if via::passes(&headers) > worker.limits().own_hops_max {
        return Err(GatewayError::LoopDetected);
    }
    via::append(&mut headers, caller.version);
    if let Some(policed) = &visit.policed {
        tell_principal(&mut headers, &policed.cx.principal);
    }
    Ok(headers)
}

/// The request of a step.
pub(super) async fn prepared(
    run: &Run,
    step: &CompiledStep,
    parts: &[Part],
    seen: &Value,
) -> Result<(RequestHead, Bytes), StepError> {
    let further = [("steps", seen)];
    let facts = Facts::of_request(&run.head, &run.cx).with(&further);
    let target = target(run, step, &facts)?;
    let mut headers = run.told.clone();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if step.content == ExpectedContent::Json {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    }
    for name in &step.forward {
        headers.remove(name);
        for value in run.head.headers.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    let written = written_headers(&step.headers, &facts, &run.cx);
    for (name, value) in written.map_err(|_| StepError::Header)? {
        headers.insert(name, value);
    }
    let host = match step.service.host {
        HostHeader::Caller => run.head.headers.get(HOST).cloned(),
        HostHeader::Target => None,
    };
    headers.insert(HOST, host.unwrap_or(HeaderValue::from_static("")));
    if step.tell_deadline {
        headers.insert(REQUEST_DEADLINE.clone(), HeaderValue::from(run.deadline_ms));
    }
    let body = match &step.body {
        None => Bytes::new(),
        Some(body) => {
            headers.insert(CONTENT_TYPE, body.content_type.clone());
            let seen = step.after.iter().map(|index| &parts[*index]);
            let all = made(run, body, &facts, seen).await?;
            headers.insert(CONTENT_LENGTH, HeaderValue::from(all.len()));
            all
        }
    };
    Ok((RequestHead { method: step.method.clone(), target, headers }, body))
}

/// Headers of templates; one that is empty is left out. `Err` names the one that has no value, or one that no header can have.
pub(super) fn written_headers<'a>(
    all: &'a [(HeaderName, Template)],
    facts: &Facts<'_>,
    cx: &RequestContext,
) -> Result<Vec<(&'a HeaderName, HeaderValue)>, String> {
    let mut headers = Vec::with_capacity(all.len());
    for (name, template) in all {
        let mut text = String::new();
        template.write(facts, cx, &mut text).map_err(|why| format!("header `{name}`: {why}"))?;
        if !text.is_empty() {
            let value = HeaderValue::try_from(text);
            headers.push((name, value.map_err(|_| format!("header `{name}` would hold what no header can"))?));
        }
    }
    Ok(headers)
}

/// The path must be the very one that its template is of: a value that is empty, `..`, or brings a slash would make another.
fn target(run: &Run, step: &CompiledStep, facts: &Facts<'_>) -> Result<http::uri::PathAndQuery, StepError> {
    let mut path = String::new();
    let lacks_a_part = Cell::new(false);
    let put = |_: &str, value: &str, to: &mut String| {
        lacks_a_part.set(lacks_a_part.get() || value.is_empty());
        encode(value, to);
    };
    step.path.write_with(facts, &run.cx, &mut path, put).map_err(no_value)?;
    if lacks_a_part.get() {
        return Err(StepError::Value);
    }
    if canonical_path(&path).ok().as_deref() != Some(&path) || path.contains(';') {
        return Err(StepError::Path);
    }
    let mut query = String::new();
    for (name, template) in &step.query {
        let mut text = String::new();
        template.write(facts, &run.cx, &mut text).map_err(no_value)?;
        if !text.is_empty() {
            query.extend([if query.is_empty() { "" } else { "&" }, name, "="]);
            encode(&text, &mut query);
        }
    }
    let query = (!query.is_empty()).then_some(&*query);
    join_target(&[&step.service.path_prefix, &path], query).ok_or(StepError::Path)
}

fn no_value(why: NoValue) -> StepError {
    tracing::debug!("{why}");
    StepError::Value
}

async fn made<'a>(
    run: &Run,
    body: &CompiledBody,
    facts: &Facts<'_>,
    seen: impl Iterator<Item = &'a Part>,
) -> Result<Bytes, StepError> {
    let template = match &body.made_by {
        MadeBy::Jq(program) => {
            return program::run(run, program, seen).await.map_err(|why| match why {
                NoBody::Busy => StepError::Busy,
                NoBody::Program(why) => {
                    tracing::debug!("the body of a step: {why}");
                    StepError::Body
                }
            });
        }
        MadeBy::Template(template) => template,
    };
    let mut text = String::new();
    let escape = body.escape;
    let put = move |_: &str, value: &str, to: &mut String| match escape {
        Escape::Json => {
            let quoted = Value::from(value).to_string();
            to.push_str(&quoted[1..quoted.len() - 1]);
        }
        Escape::Form => encode(value, to),
        Escape::Not => to.push_str(value),
    };
    template.write_with(facts, &run.cx, &mut text, put).map_err(no_value)?;
    // a value that stands outside of a string may have broken it
    if escape == Escape::Json && serde_json::from_str::<IgnoredAny>(&text).is_err() {
        return Err(StepError::Body);
    }
    Ok(text.into())
}
