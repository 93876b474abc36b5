//! A request's way: the place to begin reading.
//!
//! Every answer that the gateway makes itself is a [`Reply`] and is written by [`reply`]; what goes wrong between caller and API
//! is a [`GatewayError`].

mod account;
mod body;
mod compose;
mod error;
mod forward;
mod policed;
mod redirect;
mod refresh;
mod reply;
mod rewrite;
mod visit;

pub(crate) use compose::Coalescing;
pub use error::GatewayError;

use std::rc::Rc;

use bytes::Bytes;
use tidegate_policy::{Reply, RequestHead, ResponseHead};
use tidegate_snapshot::Action;

use self::visit::Visit;
use crate::exchange::body::RequestBody;
use crate::exchange::{Answer, Arrived};
use crate::upstream::{self, Forwarded};
use crate::worker::Worker;

/// Answers a request.
pub(crate) async fn handle(worker: &Rc<Worker>, arrived: Arrived) -> Answer {
    let Arrived { head, asks, body, caller, underway } = arrived;
    let mut visit = Visit::new(worker, asks, underway, caller);
    let outcome = match head {
        Ok(head) => pass(&mut visit, head, body).await,
        Err(refused) => Err(refused.into()),
    };
    match outcome {
        Ok(Passed::Forwarded(forwarded)) => visit.upstream_answered(forwarded).await,
        Ok(Passed::Composed(head, all)) => visit.composed(head, all).await,
        Err(reply) => visit.gateway_replies(*reply).await,
    }
}

/// The reply to what is no request.
pub(crate) fn refuse(worker: &Worker, error: GatewayError) -> (ResponseHead, Bytes) {
    let (id, id_header) = worker.ids().next();
    let reply = Box::<Reply>::from(error);
    let (mut head, body) = reply::write(&reply, &id);
    head.headers.insert(visit::REQUEST_ID.clone(), id_header);
    worker.cells().answered(Some(head.status));
    worker.cells().replied(reply.blame, reply.code);
    (head, body)
}

/// Who answered.
enum Passed {
    Forwarded(Forwarded),
    Composed(ResponseHead, Bytes),
}

/// Leads a request to its upstream or to several, or says where else to go.
async fn pass(visit: &mut Visit, mut head: RequestHead, body: RequestBody) -> Result<Passed, Box<Reply>> {
    visit.join_trace(&mut head);
    let mut place = visit.find_route(&head)?;
    visit.policies_see_request(&mut place, &mut head).await?;
    if place.for_preflight {
        // the policy that would have answered did not act
        return Err(GatewayError::MethodNotAllowed(place.route.compiled.allow()).into());
    }
    let service = match &place.route.compiled.action {
        Action::Forward(service) => service,
        Action::Redirect(redirect) => return Err(redirect::reply(redirect, &place, &head)),
        Action::Compose(composition) => {
            // boxed: it is larger than forwarding, and need not weigh on each connection of a caller
            let (head, all) = Box::pin(compose::answer(visit, &place, composition, head, body)).await?;
            return Ok(Passed::Composed(head, all));
        }
        Action::Closed(why) => return Err(GatewayError::RouteBroken(why.clone()).into()),
    };
    let body = body::towards_upstream(visit, &place, &mut head, body).await?;
    forward::prepare(visit, &place, service, &mut head, &body)?;
    let way = visit.way(&place, service);
    match upstream::send(&way, &mut Some((head, body))).await {
        Ok(forwarded) => Ok(Passed::Forwarded(forwarded)),
        Err(error) => Err(visit.refusal_of_body().unwrap_or_else(|| error.into())),
    }
}
