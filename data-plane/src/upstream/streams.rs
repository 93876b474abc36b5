//! One attempt over HTTP/2.
//!
//! A request that its target has surely not looked at is sent again, if nothing was taken of its body, and not without end. Of
//! one that may be repeated and has no body this holds also if its connection broke, unless that was a new one.

use std::rc::Rc;

use super::client::{Failed, Forwarded, Unsent, Way, may_be_repeated, wait_for_target};
use super::multiplexed::{self, Slot, Unreached};
use super::pool::{Lease, Target};
use crate::exchange::body::RequestBody;
use crate::exchange::h2_client;
use crate::exchange::watch::{Cut, Phase};
use crate::proxy::GatewayError;

/// Sends a request over a stream to this target.
pub(super) async fn attempt(way: &Way<'_>, target: &Rc<Target>, request: &mut Unsent) -> Result<Forwarded, Failed> {
    let Some((head, mut body)) = request.take() else { return Err(Failed::For(GatewayError::UpstreamReset)) };
    let repeatable = may_be_repeated(&head, &body);
    for _ in 0..=way.refusals_max {
        let slot = match slot(way, target).await? {
            Ok(slot) => slot,
            Err(why) => {
                *request = Some((head, body));
                return Err(Failed::Unreached(why));
            }
        };
        wait_for_target(way, &body);
        let sent = way.exchange.unless_cut(slot.connection().send(head.clone(), body)).await;
        // the body says why before the connection does
        if let Some(cut) = way.exchange.is_cut() {
            return Err(cut.into());
        }
        match sent? {
            Ok(sent) => {
                way.exchange.is_answered();
                way.exchange.facts.answered();
                return Ok(Forwarded { answer: sent.answer, lease: Lease::Stream { rest: sent.rest, slot } });
            }
            Err(h2_client::Failed::Untouched(again)) => body = again,
            Err(h2_client::Failed::Lost) if repeatable && !slot.is_first => body = RequestBody::Empty,
            Err(failed) => return Err(Failed::For(why(&failed))),
        }
    }
    Err(Failed::For(GatewayError::UpstreamReset))
}

/// A free stream, in the time that a connection may take.
pub(super) async fn slot(way: &Way<'_>, target: &Rc<Target>) -> Result<Result<Slot, GatewayError>, Cut> {
    way.exchange.enter(Phase::Connect, way.patience.connect);
    let due = way.exchange.after(way.patience.connect);
    match way.exchange.unless_cut(multiplexed::stream(target, way.dial, due)).await {
        Ok(Ok(slot)) => Ok(Ok(slot)),
        Ok(Err(Unreached)) => Ok(Err(GatewayError::UpstreamConnectFailed)),
        Err(Cut::Connect) => {
            way.exchange.goes_on_without_connection();
            Ok(Err(GatewayError::UpstreamTimeoutConnect))
        }
        Err(cut) => Err(cut),
    }
}

pub(super) fn why(failed: &h2_client::Failed) -> GatewayError {
    match failed {
        h2_client::Failed::Untouched(_) | h2_client::Failed::Lost => GatewayError::UpstreamReset,
        h2_client::Failed::Invalid => GatewayError::UpstreamInvalid,
        h2_client::Failed::Unsupported => GatewayError::UpgradeUnsupported,
    }
}
