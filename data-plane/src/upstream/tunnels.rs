//! One attempt to open a tunnel for WebSocket, between callers of either HTTP and targets of either.
//!
//! HTTP/1.1 asks with a key and is told its digest; HTTP/2 (RFC 8441) has neither. Where the two meet, the gateway makes what is
//! missing and checks it.

use std::rc::Rc;

use http::StatusCode;
use http::header::{CONNECTION, UPGRADE};
use tidegate_model::Protocol;
use tidegate_policy::ResponseHead;

use super::client::{Failed, Forwarded, Unsent, Way, connected};
use super::pool::{Lease, Target};
use super::streams;
use crate::exchange::body::{RequestBody, Stream};
use crate::exchange::hyper_client::{Answer, SendError};
use crate::exchange::switching::Said;
use crate::exchange::watch::Phase;
use crate::exchange::{Upgrade, websocket};
use crate::proxy::GatewayError;

/// Asks this target for a tunnel. It was never asked before it is reached, so another may be.
pub(super) async fn attempt(
    way: &Way<'_>,
    target: &Rc<Target>,
    request: &mut Unsent,
    upgrade: Upgrade,
) -> Result<Forwarded, Failed> {
    let Some((mut head, _)) = request.take() else { return Err(Failed::For(GatewayError::UpstreamReset)) };
    let key = head.headers.get(&websocket::KEY).cloned();
    let forwarded = match way.protocol {
        Protocol::Http1 => {
            let fresh = match connected(way, target, way.dial.dial_to_switch(&target.address)).await? {
                Ok(fresh) => fresh,
                Err(why) => {
                    *request = Some((head, RequestBody::Empty));
                    return Err(Failed::Unreached(why));
                }
            };
            if upgrade == Upgrade::Connect {
                head.headers.insert(websocket::KEY.clone(), websocket::new_key());
                head.headers.entry(&websocket::VERSION).or_insert(http::HeaderValue::from_static("13"));
            }
            way.exchange.enter(Phase::FirstByte, way.patience.first_byte);
            match way.exchange.unless_cut(fresh.ask(head)).await? {
                Ok(Said::Agreed(head, switched)) => agreed(head, Lease::Tunnel { switched, slot: None }),
                Ok(Said::Otherwise(answer, connection)) => Forwarded { answer, lease: Lease::Last(connection) },
                Err(SendError::Invalid) => return Err(Failed::For(GatewayError::UpstreamInvalid)),
                Err(SendError::Lost | SendError::NotSent(_)) => return Err(Failed::For(GatewayError::UpstreamReset)),
            }
        }
        Protocol::H2c => {
            let slot = match streams::slot(way, target).await? {
                Ok(slot) => slot,
                Err(why) => {
                    *request = Some((head, RequestBody::Empty));
                    return Err(Failed::Unreached(why));
                }
            };
            head.headers.remove(&websocket::KEY);
            way.exchange.enter(Phase::FirstByte, way.patience.first_byte);
            match way.exchange.unless_cut(slot.connection().switch(head)).await? {
                Ok(Ok((head, switched))) => agreed(head, Lease::Tunnel { switched, slot: Some(slot) }),
                Ok(Err(answer)) => Forwarded { answer, lease: Lease::Stream { rest: None, slot } },
                Err(failed) => return Err(Failed::For(streams::why(&failed))),
            }
        }
    };
    way.exchange.is_answered();
    way.exchange.facts.answered();
    told_as_asked(forwarded, upgrade, key.as_ref())
}

fn agreed(head: ResponseHead, lease: Lease) -> Forwarded {
    Forwarded { answer: Answer { head, body: Stream::None }, lease }
}

/// The answer in the words of the caller's protocol.
fn told_as_asked(
    mut forwarded: Forwarded,
    upgrade: Upgrade,
    key: Option<&http::HeaderValue>,
) -> Result<Forwarded, Failed> {
    let head = &mut forwarded.answer.head;
    match (&forwarded.lease, upgrade) {
        (Lease::Tunnel { .. }, Upgrade::Connect) => {
            head.status = StatusCode::OK;
            head.headers.remove(&websocket::ACCEPT);
        }
        (Lease::Tunnel { .. }, Upgrade::Switch) => {
            head.status = StatusCode::SWITCHING_PROTOCOLS;
            head.headers.insert(CONNECTION, http::HeaderValue::from_static("upgrade"));
            head.headers.insert(UPGRADE, websocket::NAME.clone());
            if let Some(key) = key {
                head.headers.insert(websocket::ACCEPT.clone(), websocket::accepts(key));
            }
        }
        // whoever asked by CONNECT takes any 2xx for an agreement
        (_, Upgrade::Connect) if head.status.is_success() => return Err(Failed::For(GatewayError::UpstreamInvalid)),
        _ => {}
    }
    Ok(forwarded)
}
