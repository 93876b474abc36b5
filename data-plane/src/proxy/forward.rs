//! What a request becomes on its way upstream. What belongs to the caller's connection is gone already: the gate saw to it.

use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, IF_RANGE, RANGE, TE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body;
use tidegate_model::{Id, Protocol};
use tidegate_policy::{BodyNeed, Principal, RequestHead};
use tidegate_snapshot::CompiledService;

use super::visit::{Place, REQUEST_ID, Visit};
use super::{GatewayError, rewrite};
use crate::edge::trace::TRACEPARENT;
use crate::edge::{self, via};
use crate::exchange::body::RequestBody;

static CONSUMER_ID: HeaderName = HeaderName::from_static("x-consumer-id");
static CONSUMER_NAME: HeaderName = HeaderName::from_static("x-consumer-name");
static CONSUMER_CUSTOM_ID: HeaderName = HeaderName::from_static("x-consumer-custom-id");
static CREDENTIAL_ID: HeaderName = HeaderName::from_static("x-credential-id");
static ANONYMOUS_CONSUMER: HeaderName = HeaderName::from_static("x-anonymous-consumer");
static CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// Makes a request ready for its upstream.
pub(super) fn prepare(
    visit: &Visit,
    place: &Place,
    service: &CompiledService,
    head: &mut RequestHead,
    body: &RequestBody,
) -> Result<(), GatewayError> {
    rewrite::path(place, service, head)?;
    let headers = &mut head.headers;
    frame(headers, body);
    let host = rewrite::host(place, service, headers);
    let (worker, caller) = (&visit.worker, &visit.caller);
    edge::tell(headers, caller, visit.exchange().connection.peer(), host, worker.edge(), worker.told_ports());
    headers.insert(REQUEST_ID.clone(), visit.id_header.clone());
    if let Some(trace) = visit.trace {
        headers.insert(TRACEPARENT.clone(), worker.ids().header(&trace.header()));
    }
    if via::passes(headers) > worker.limits().own_hops_max {
        return Err(GatewayError::LoopDetected);
    }
    via::append(headers, caller.version);
    if visit.asks.trailers && visit.asks.upgrade.is_none() {
        ask_for_trailers(headers, service.protocol);
    }
    if let Some(policed) = &visit.policed {
        if matches!(policed.needs().response_body, BodyNeed::Buffer(_)) {
            ask_for_plain(headers);
        }
        tell_principal(headers, &policed.cx.principal);
    }
    Ok(())
}

/// A policy reads the answer: it must come as it is, and whole.
fn ask_for_plain(headers: &mut HeaderMap) {
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.remove(RANGE);
    headers.remove(IF_RANGE);
}

/// The caller reads trailers, so the target may send some.
fn ask_for_trailers(headers: &mut HeaderMap, protocol: Protocol) {
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if protocol == Protocol::Http1 {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// How the body is framed upstream: by its length where that is known, else in chunks, also for methods that seldom have one.
fn frame(headers: &mut HeaderMap, body: &RequestBody) {
    if body.is_empty() || body.size_hint().exact().is_some() && headers.contains_key(CONTENT_LENGTH) {
        return;
    }
    headers.remove(CONTENT_LENGTH);
    if body.size_hint().exact().is_none() {
        headers.insert(TRANSFER_ENCODING, CHUNKED.clone());
    } else {
        headers.remove(TRAILER);
    }
}

/// Tells the API who is calling. What a caller sent under these names is gone: the gate saw to it.
pub(super) fn tell_principal(headers: &mut HeaderMap, principal: &Principal) {
    if let Some(consumer) = principal.consumer() {
        headers.insert(CONSUMER_ID.clone(), consumer.id_header.clone());
        headers.insert(CONSUMER_NAME.clone(), consumer.name_header.clone());
        if let Some(custom) = &consumer.custom_id_header {
            headers.insert(CONSUMER_CUSTOM_ID.clone(), custom.clone());
        }
    }
    if principal.is_stand_in {
        headers.insert(ANONYMOUS_CONSUMER.clone(), HeaderValue::from_static("true"));
    }
    if let Some(credential) = principal.credential.map(header_of) {
        headers.insert(CREDENTIAL_ID.clone(), credential);
    }
}

fn header_of(id: Id) -> HeaderValue {
    let mut text = [0; 36];
    let text = id.uuid().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).expect("a UUID is of header characters")
}
