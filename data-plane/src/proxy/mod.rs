//! A request's way: the place to begin reading.
//!
//! Every answer that the gateway makes itself is a [`Reply`] and is written by [`reply`]; what goes wrong between caller and API
//! is a [`GatewayError`].

mod account;
mod body;
mod error;
mod forward;
mod policed;
mod reply;
mod visit;

pub use error::GatewayError;

use std::rc::Rc;

use tidegate_policy::{Reply, RequestHead};

use self::visit::Visit;
use crate::exchange::body::RequestBody;
use crate::exchange::{Answer, Arrived};
use crate::upstream::{self, Forwarded};
use crate::worker::Worker;

/// Answers a request.
pub(crate) async fn handle(worker: &Rc<Worker>, arrived: Arrived) -> Answer {
    let Arrived { head, body, underway } = arrived;
    let mut visit = Visit::new(worker, underway);
    let outcome = match head {
        Ok(head) => pass(&mut visit, head, body).await,
        Err(refused) => Err(refused.into()),
    };
    match outcome {
        Ok(forwarded) => visit.upstream_answered(forwarded).await,
        Err(reply) => visit.gateway_replies(*reply).await,
    }
}

/// Leads a request to its upstream.
async fn pass(visit: &mut Visit, mut head: RequestHead, body: RequestBody) -> Result<Forwarded, Box<Reply>> {
    let place = visit.find_route(&head)?;
    visit.policies_see_request(&mut head).await?;
    let body = body::towards_upstream(visit, &place, &mut head, body).await?;
    forward::prepare(visit, &place, &mut head, &body)?;
    let way = visit.way(&place);
    match upstream::send(&way, head, body).await {
        Ok(forwarded) => Ok(forwarded),
        Err(error) => Err(visit.refusal_of_body().unwrap_or_else(|| error.into())),
    }
}
