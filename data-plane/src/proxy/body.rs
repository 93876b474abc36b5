//! What a route's policies want of the bodies; who wants nothing has them stream by.

use std::rc::Rc;

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use tidegate_policy::{BodyNeed, Reply, RequestHead};

use super::GatewayError;
use super::visit::{Place, Visit};
use crate::exchange::body::{BodyError, Collected, RequestBody, Stream, collect};
use crate::exchange::watch::{Exchange, Phase};

/// The body as it goes upstream, once the policies had what they want of it.
pub(super) async fn towards_upstream(
    visit: &mut Visit,
    place: &Place,
    head: &mut RequestHead,
    body: RequestBody,
) -> Result<RequestBody, Box<Reply>> {
    let mut body = body;
    if let RequestBody::Stream(stream) = &mut body {
        let patience = &place.route.patience;
        stream.client_body = patience.client_body;
        stream.upstream_idle = patience.idle;
        stream.first_byte = patience.first_byte;
    }
    let Some(policed) = &mut visit.policed else { return Ok(body) };
    match policed.needs().request_body {
        BodyNeed::None => Ok(body),
        BodyNeed::Stream => {
            if let RequestBody::Stream(stream) = &mut body {
                stream.filters = policed.request_body_filters(head);
            }
            Ok(body)
        }
        BodyNeed::Buffer(max) => {
            let exchange = policed.exchange().clone();
            let mut all = whole_request(&exchange, body, place.route.patience.client_body, max).await?;
            policed.on_request_body(&mut all, head).await?;
            head.headers.remove(CONTENT_LENGTH);
            if all.is_empty() {
                return Ok(RequestBody::Empty);
            }
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(all.len()));
            Ok(RequestBody::Whole(all))
        }
    }
}

/// All of a request's body, if it is not larger than it may be. One that says that it is, is not read.
async fn whole_request(exchange: &Rc<Exchange>, body: RequestBody, wait: u32, max: u64) -> Result<Bytes, GatewayError> {
    if body.size_hint().lower() > max {
        return Err(GatewayError::BodyTooLarge(max));
    }
    exchange.enter(Phase::ClientSends, wait);
    let all = collect(body, max).await;
    exchange.enter(Phase::Gateway, 0);
    match all {
        Ok(Some(all)) => Ok(all),
        Ok(None) => Err(GatewayError::BodyTooLarge(max)),
        Err(BodyError::Cut(cut)) => Err(cut.into()),
        Err(BodyError::Broken(_)) => Err(GatewayError::BodyBroken),
    }
}

/// All of an answer's body, if it is not larger than it may be.
pub(super) async fn whole_answer(
    exchange: &Rc<Exchange>,
    body: Stream,
    wait: u32,
    max: u64,
) -> Result<Bytes, GatewayError> {
    if body.size_hint().lower() > max {
        return Err(GatewayError::UpstreamTooLarge(max));
    }
    exchange.enter(Phase::UpstreamSends, wait);
    let all = collect(Collected { stream: body, exchange: exchange.clone(), upstream_idle: wait }, max).await;
    exchange.enter(Phase::Gateway, 0);
    match all {
        Ok(Some(all)) => Ok(all),
        Ok(None) => Err(GatewayError::UpstreamTooLarge(max)),
        Err(BodyError::Cut(cut)) => Err(cut.into()),
        Err(BodyError::Broken(_)) => Err(GatewayError::UpstreamReset),
    }
}
