//! Has the steps of a composition come to their turn.

use std::rc::Rc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use tidegate_model::Compose;
use tidegate_policy::expression::Facts;
use tidegate_policy::{RequestContext, RequestHead};
use tidegate_snapshot::compose::{CompiledStep, OnFailure};
use tidegate_snapshot::{Action, Composition};
use tokio::time::Instant;

use super::answer;
use super::outcome::{Done, End, Failure, StepError, Told};
use super::step::{Answered, call};
use super::{Composed, request};
use crate::exchange::watch::Exchange;
use crate::proxy::GatewayError;
use crate::proxy::visit::{Place, Visit};
use crate::telemetry::facts::micros;
use crate::worker::{Route, Worker};

/// A composition that runs. It holds all that it looks at, so that it can outlive the request that began it.
pub(super) struct Run {
    pub(super) worker: Rc<Worker>,
    pub(super) route: Rc<Route>,
    pub(super) exchange: Rc<Exchange>,
    pub(super) head: RequestHead,
    pub(super) cx: RequestContext,
    /// What every step is told.
    pub(super) told: HeaderMap,
    pub(super) deadline: Instant,
    /// The same in milliseconds since 1970.
    pub(super) deadline_ms: i64,
}

impl Run {
    pub(super) fn new(
        visit: &Visit,
        place: &Place,
        composition: &Composition,
        head: RequestHead,
    ) -> Result<Self, GatewayError> {
        let began = visit.account.began();
        let left = composition.timeout.saturating_sub(began.elapsed());
        let left = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
        let policed = visit.policed.as_ref().expect("a composed route has a context");
        Ok(Run {
            worker: visit.worker.clone(),
            route: place.route.clone(),
            exchange: visit.exchange().clone(),
            told: request::told_to_all(visit, &head)?,
            head,
            cx: policed.cx.apart(),
            deadline: began + composition.timeout,
            deadline_ms: visit.worker.ports().clock.now().millis().saturating_add(left),
        })
    }

    pub(super) fn composition(&self) -> &Composition {
        match &self.route.compiled.action {
            Action::Compose(composition) => composition,
            Action::Forward(_) | Action::Redirect(_) | Action::Closed(_) => {
                unreachable!("only a composed route is run as one")
            }
        }
    }

    pub(super) async fn run(&self) -> Rc<Done> {
        let steps = &self.composition().steps;
        let mut states = States::new(steps);
        let failed = self.steps(&mut states).await.err();
        let cells = self.worker.cells();
        let told: Vec<Told> = states.told.into_iter().flatten().collect();
        told.iter().for_each(|told| cells.composed_steps.add(told.end.as_str()));
        let answer = match failed {
            Some(failure) => Err(failure),
            None => answer::made(self, &states.parts, &states.seen).await,
        };
        Rc::new(Done { answer, told })
    }

    /// All steps, each once those that it waits for have ended.
    async fn steps(&self, states: &mut States<'_>) -> Result<(), Failure> {
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < Compose::FAN_OUT_MAX
                && let Some(index) = states.next_ready()
            {
                let step = &states.steps[index];
                let began = Instant::now();
                let prepared = match self.is_wanted(step, &states.seen) {
                    Ok(false) => {
                        states.ended(index, End::Skipped, 0, None);
                        continue;
                    }
                    Ok(true) if step.needs.iter().any(|need| !states.parts[*need].is_there()) => {
                        Err(StepError::Missing)
                    }
                    Ok(true) => request::prepared(self, step, &states.parts, &states.seen).await,
                    Err(error) => Err(error),
                };
                match prepared {
                    Ok((head, body)) => running.push(async move {
                        let came = call(self, index, head, body).await;
                        (index, came, micros(began) / 1_000)
                    }),
                    Err(error) => self.failed(states, index, error, micros(began) / 1_000)?,
                }
            }
            let Some((index, came, millis)) = running.next().await else { return Ok(()) };
            match came {
                Ok(answered) => {
                    let status = answered.status;
                    states.ended(index, End::Answered(status), millis, Some(answered));
                }
                Err(error) => self.failed(states, index, error, millis)?,
            }
        }
    }

    fn is_wanted(&self, step: &CompiledStep, seen: &Value) -> Result<bool, StepError> {
        let Some(when) = &step.when else { return Ok(true) };
        let further = [("steps", seen)];
        when.holds(&Facts::of_request(&self.head, &self.cx).with(&further), &self.cx).map_err(|why| {
            tracing::debug!(step = %step.name, "the condition of step `{}`: {why}", step.name);
            StepError::Value
        })
    }

    fn failed(&self, states: &mut States<'_>, index: usize, error: StepError, millis: u64) -> Result<(), Failure> {
        let step = &states.steps[index];
        let instead = match &step.on_error {
            OnFailure::Default(value, text) => Some(Answered {
                status: http::StatusCode::OK,
                value: step.is_looked_at.then(|| value.clone()),
                body: text.clone(),
            }),
            OnFailure::Omit | OnFailure::Fail => None,
        };
        states.ended(index, End::Failed(error), millis, instead);
        let is_fatal = matches!(step.on_error, OnFailure::Fail) || !self.composition().partial;
        if is_fatal { Err(Failure::Step(step.name.clone(), error)) } else { Ok(()) }
    }
}

/// What the answer has of a step.
pub(super) struct Part {
    pub(super) name: Box<str>,
    pub(super) end: Option<End>,
    /// JSON.
    pub(super) body: Option<Bytes>,
}

impl Part {
    pub(super) fn is_there(&self) -> bool {
        self.body.is_some()
    }

    pub(super) fn status(&self) -> Option<u16> {
        match self.end {
            Some(End::Answered(status)) => Some(status.as_u16()),
            Some(End::Failed(StepError::Status(status))) => Some(status),
            _ => None,
        }
    }

    pub(super) fn error(&self) -> Option<&'static str> {
        match self.end {
            Some(End::Failed(error)) => Some(error.as_str()),
            _ => None,
        }
    }
}

struct States<'a> {
    steps: &'a [CompiledStep],
    begun: Vec<bool>,
    told: Vec<Option<Told>>,
    parts: Vec<Part>,
    /// What templates and conditions see as `steps`.
    seen: Value,
}

impl<'a> States<'a> {
    fn new(steps: &'a [CompiledStep]) -> Self {
        States {
            steps,
            begun: vec![false; steps.len()],
            told: steps.iter().map(|_| None).collect(),
            parts: steps.iter().map(|step| Part { name: step.name.clone(), end: None, body: None }).collect(),
            seen: Value::Object(Map::new()),
        }
    }

    /// A step whose turn it is.
    fn next_ready(&mut self) -> Option<usize> {
        let ended = |index: &usize| self.told[*index].is_some();
        let next = (0..self.steps.len()).find(|at| !self.begun[*at] && self.steps[*at].after.iter().all(ended))?;
        self.begun[next] = true;
        Some(next)
    }

    fn ended(&mut self, index: usize, end: End, millis: u64, answered: Option<Answered>) {
        let step = &self.steps[index];
        let part = &mut self.parts[index];
        part.end = Some(end);
        let (value, body) = answered.map_or((None, None), |answered| (answered.value, Some(answered.body)));
        part.body = body;
        if step.is_looked_at {
            self.seen[&*step.name] = json!({ "status": part.status(), "error": part.error(), "body": value });
        }
        self.told[index] = Some(Told { name: step.name.clone(), end, millis });
    }
}

impl std::fmt::Debug for Composed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Composed({})", self.status)
    }
}
