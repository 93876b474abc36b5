//! Answers that are composed of several calls.
//!
//! A composition runs on the worker, in the task of its request: nothing is spawned, and all of it ends with who waits for it.
//! [`run`] has the steps come to their turn, [`request`] makes what a step sends, [`step`] makes the call, [`program`] runs what is written
//! in jq, [`answer`] makes one answer, and [`coalesce`] lets identical calls share one.
//!
//! Each call is an exchange of its own in the watch, so that the time-outs of its service hold as they do for any route. What a
//! composition adds (the time-out of a step, the wait before a further attempt) is by timers of the runtime: there are no more of them
//! than steps that run at the same time, and ticks would be too coarse to be handed down.

mod answer;
mod coalesce;
mod outcome;
mod program;
mod request;
mod run;
mod step;

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tidegate_policy::{Origin, Reply, RequestHead, ResponseHead};
use tidegate_snapshot::Composition;

pub(crate) use self::coalesce::Coalescing;
pub(super) use self::outcome::Done;
use self::run::Run;
use super::visit::{Place, Visit};
use super::{GatewayError, body};
use crate::exchange::body::RequestBody;

/// What several calls made.
pub(super) struct Composed {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Makes the calls, and one answer of them. It counts as an upstream's: what acts on answers of APIs acts on it.
pub(super) async fn answer(
    visit: &mut Visit,
    place: &Place,
    composition: &Composition,
    mut head: RequestHead,
    body: RequestBody,
) -> Result<(ResponseHead, Bytes), Box<Reply>> {
    // policies look at the body; no step does
    drop(body::towards_upstream(visit, place, &mut head, body).await?);
    let exchange = visit.exchange().clone();
    let running = coalesce::joined_or_begun(visit, place, composition, head)?;
    let done = exchange.unless_cut(running).await.map_err(|cut| Box::<Reply>::from(GatewayError::from(cut)))?;
    visit.account.composed(done.clone());
    let cells = visit.worker.cells();
    match &done.answer {
        Ok(Composed { status, headers, body }) => {
            cells.composed.add(if done.is_partial() { "partial" } else { "whole" });
            Ok((ResponseHead { status: *status, headers: headers.clone(), origin: Origin::Upstream }, body.clone()))
        }
        Err(failure) => {
            cells.composed.add("failed");
            Err(failure.reply())
        }
    }
}

/// Begins a composition.
fn begun(visit: &Visit, place: &Place, composition: &Composition, head: RequestHead) -> Result<Rc<Run>, GatewayError> {
    Run::new(visit, place, composition, head).map(Rc::new)
}
