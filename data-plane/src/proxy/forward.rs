//! What a request becomes on its way upstream. What belongs to the caller's connection is gone already: the gate saw to it.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body;
use tidegate_model::Id;
use tidegate_policy::{Principal, RequestHead};
use tidegate_snapshot::HostHeader;

use super::GatewayError;
use super::visit::{Place, REQUEST_ID, Visit};
use crate::edge::trace::TRACEPARENT;
use crate::edge::{self, via};
use crate::exchange::body::RequestBody;
use crate::exchange::gate::join_target;

static CONSUMER_ID: HeaderName = HeaderName::from_static("x-consumer-id");
static CONSUMER_NAME: HeaderName = HeaderName::from_static("x-consumer-name");
static CONSUMER_CUSTOM_ID: HeaderName = HeaderName::from_static("x-consumer-custom-id");
static CREDENTIAL_ID: HeaderName = HeaderName::from_static("x-credential-id");
static CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// Makes a request ready for its upstream.
pub(super) fn prepare(
    visit: &Visit,
    place: &Place,
    head: &mut RequestHead,
    body: &RequestBody,
) -> Result<(), GatewayError> {
    rewrite_path(place, head)?;
    let headers = &mut head.headers;
    frame(headers, body);
    let host = host_seen(place, headers);
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
    if let Some(policed) = &visit.policed {
        tell_principal(headers, &policed.cx.principal);
    }
    Ok(())
}

/// The host that the caller asked for. Where the target gets its own name, the header is filled anew when one is picked.
fn host_seen(place: &Place, headers: &mut HeaderMap) -> Option<HeaderValue> {
    match place.route.compiled.service.host {
        HostHeader::Caller => headers.get(HOST).cloned(),
        HostHeader::Target => headers.get_mut(HOST).map(|host| std::mem::replace(host, HeaderValue::from_static(""))),
    }
}

fn rewrite_path(place: &Place, head: &mut RequestHead) -> Result<(), GatewayError> {
    let route = &place.route.compiled;
    let prefix = &*route.service.path_prefix;
    let stripped = if route.strip_prefix { place.prefix } else { 0 };
    if prefix.is_empty() && stripped == 0 {
        return Ok(());
    }
    let rest = &head.path()[stripped..];
    let rest = if prefix.is_empty() && rest.is_empty() { "/" } else { rest };
    head.target = join_target(&[prefix, rest], head.query()).ok_or(GatewayError::TargetInvalid)?;
    Ok(())
}

/// How the body is framed upstream: by its length where that is known, else in chunks, also for methods that seldom have one.
fn frame(headers: &mut HeaderMap, body: &RequestBody) {
    if body.is_empty() || body.size_hint().exact().is_some() && headers.contains_key(CONTENT_LENGTH) {
        return;
    }
    headers.remove(CONTENT_LENGTH);
    if body.size_hint().exact().is_none() {
        headers.insert(TRANSFER_ENCODING, CHUNKED.clone());
    }
}

/// Tells the API who is calling. What a caller sent under these names is gone: the gate saw to it.
fn tell_principal(headers: &mut HeaderMap, principal: &Principal) {
    if let Some(consumer) = principal.consumer() {
        headers.insert(CONSUMER_ID.clone(), consumer.id_header.clone());
        headers.insert(CONSUMER_NAME.clone(), consumer.name_header.clone());
        if let Some(custom) = &consumer.custom_id_header {
            headers.insert(CONSUMER_CUSTOM_ID.clone(), custom.clone());
        }
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
