//! One call: sent by the ways of any route, answered within bounds, tried again where that is asked for.

use std::rc::Rc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::de::IgnoredAny;
use serde_json::Value;
use tidegate_model::ExpectedContent;
use tidegate_policy::{RequestHead, computed};
use tidegate_snapshot::compose::CompiledStep;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::outcome::StepError;
use super::program::INLINE_BYTES_MAX;
use super::run::Run;
use crate::exchange::body::RequestBody;
use crate::exchange::watch::{Endable, Task, Underway};
use crate::proxy::body::whole_answer;
use crate::upstream::{self, Way};

/// What a step answered.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    /// JSON, whatever it was.
    pub(super) body: Bytes,
    /// Read, where something looks at it.
    pub(super) value: Option<Value>,
}

/// Makes a call, as often as it may be made.
pub(super) async fn call(run: &Run, index: usize, head: RequestHead, body: Bytes) -> Result<Answered, StepError> {
    let step = &run.composition().steps[index];
    let own = [step.timeout, step.service.timeouts.request.map(tidegate_model::Span::duration)];
    let own = own.into_iter().flatten().min();
    let mut backoff = step.backoff;
    let mut left = step.attempts;
    loop {
        left -= 1;
        let until = own.map_or(run.deadline, |own| (Instant::now() + own).min(run.deadline));
        let late = if until == run.deadline { StepError::Deadline } else { StepError::Timeout };
        let came = timeout_at(until, once(run, index, head.clone(), body.clone())).await.unwrap_or(Err(late));
        let again = match &came {
            Err(error) => left > 0 && error.retry().is_some_and(|why| step.retry_on.contains(&why)),
            Ok(_) => false,
        };
        let next = Instant::now() + backoff;
        if !again || next >= run.deadline {
            return came;
        }
        run.worker.cells().composed_retries.add(1);
        sleep_until(next).await;
        backoff *= 2;
    }
}

async fn once(run: &Run, index: usize, head: RequestHead, body: Bytes) -> Result<Answered, StepError> {
    let (step, call) = (&run.composition().steps[index], &run.route.calls[index]);
    let task = Rc::<Task>::default();
    let underway = Underway::within(&run.exchange, task.clone());
    let limits = run.worker.limits();
    let answered = async {
        let exchange = underway.exchange();
        let way = Way {
            balance: &call.balance,
            protocol: step.service.protocol,
            upgrade: None,
            host: step.service.host,
            patience: &call.patience,
            tries_max: limits.upstream_connect_tries_max,
            refusals_max: limits.upstream_h2_refusals_max,
            dial: run.worker.dial(),
            exchange,
        };
        let body = if body.is_empty() { RequestBody::Empty } else { RequestBody::Whole(body) };
        let forwarded = upstream::send(&way, &mut Some((head, body))).await?;
        let (head, lease) = (forwarded.answer.head, forwarded.lease);
        // also what is not taken is read, within the same bound: its connection can be kept
        let all = whole_answer(exchange, forwarded.answer.body, call.patience.idle, step.max_body).await?;
        lease.give_back(run.worker.watch());
        Ok::<_, StepError>((head, all))
    };
    let (head, all) = Endable::new(task, answered).await.unwrap_or(Err(StepError::Reset))?;
    let status = head.status.as_u16();
    if !step.statuses.iter().any(|range| (range.from..=range.to).contains(&status)) {
        return Err(StepError::Status(status));
    }
    taken(run, step, head.status, &head.headers, all).await
}

/// Looks at what came, and makes JSON of it.
async fn taken(
    run: &Run,
    step: &CompiledStep,
    status: StatusCode,
    headers: &HeaderMap,
    all: Bytes,
) -> Result<Answered, StepError> {
    if all.is_empty() && step.content == ExpectedContent::Json {
        let value = step.is_looked_at.then_some(Value::Null);
        return Ok(Answered { status, body: Bytes::from_static(b"null"), value });
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(StepError::Encoded);
    }
    let (content, is_looked_at) = (step.content, step.is_looked_at);
    if content == ExpectedContent::Json && !is_json(headers) {
        return Err(StepError::ContentType);
    }
    let is_small = all.len() <= INLINE_BYTES_MAX;
    let read = move || match content {
        ExpectedContent::Json if is_looked_at => {
            serde_json::from_slice(&all).map(|value| (Some(value), all)).map_err(|_| StepError::NotJson)
        }
        ExpectedContent::Json => {
            serde_json::from_slice::<IgnoredAny>(&all).map(|_| (None, all)).map_err(|_| StepError::NotJson)
        }
        ExpectedContent::Text => {
            let text = std::str::from_utf8(&all).map_err(|_| StepError::NotText)?;
            let text = Value::from(text);
            let body = text.to_string().into();
            Ok((is_looked_at.then_some(text), body))
        }
    };
    let (value, body) = match is_small {
        true => read(),
        false => computed(&*run.worker.ports().compute, read).await.map_err(|_| StepError::Busy)?,
    }?;
    Ok(Answered { status, body, value })
}

fn is_json(headers: &HeaderMap) -> bool {
    let said = headers.get(CONTENT_TYPE).and_then(|said| said.to_str().ok()).unwrap_or("");
    let essence = said.split(';').next().unwrap_or("").trim();
    let suffix = essence.len().checked_sub(5).and_then(|at| essence.get(at..));
    essence.eq_ignore_ascii_case("application/json") || suffix.is_some_and(|s| s.eq_ignore_ascii_case("+json"))
}
