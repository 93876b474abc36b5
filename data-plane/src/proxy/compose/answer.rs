//! Makes one answer of the steps.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tidegate_policy::expression::Facts;
use tidegate_snapshot::compose::status_of;

use super::Composed;
use super::outcome::{End, Failure};
use super::program::{self, NoBody};
use super::request::written_headers;
use super::run::{Part, Run};

static PARTIAL: HeaderName = HeaderName::from_static("tidegate-partial");

pub(super) async fn made(run: &Run, parts: &[Part], seen: &Value) -> Result<Composed, Failure> {
    let answer = &run.composition().answer;
    let further = [("steps", seen)];
    let facts = Facts::of_request(&run.head, &run.cx).with(&further);
    let status = match &answer.status {
        None => StatusCode::OK,
        Some(template) => {
            let mut text = String::new();
            template.write(&facts, &run.cx, &mut text).map_err(|why| Failure::Answer(why.to_string()))?;
            let status = text.parse().ok().and_then(status_of);
            status.ok_or_else(|| Failure::Answer("its status is no number between 200 and 599".into()))?
        }
    };
    let mut headers = HeaderMap::new();
    for (name, value) in written_headers(&answer.headers, &facts, &run.cx).map_err(Failure::Answer)? {
        headers.insert(name, value);
    }
    let body = match &answer.body {
        None => by_name(parts),
        Some(program) => match program::run(run, program, parts.iter()).await {
            Ok(body) => body,
            Err(NoBody::Busy) => return Err(Failure::Busy),
            Err(NoBody::Program(why)) => return Err(Failure::Answer(why.to_string())),
        },
    };
    if let Some(partial) = partial(parts) {
        headers.insert(PARTIAL.clone(), partial);
    }
    headers.insert(CONTENT_TYPE, answer.content_type.clone());
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    Ok(Composed { status, headers, body })
}

/// The bodies as they came: each was seen to be JSON.
fn by_name(parts: &[Part]) -> Bytes {
    let there = parts.iter().filter_map(|part| Some((&part.name, part.body.as_ref()?)));
    let length: usize = there.clone().map(|(name, body)| name.len() + body.len() + 4).sum();
    let mut all = BytesMut::with_capacity(length + 2);
    all.put_u8(b'{');
    for (number, (name, body)) in there.enumerate() {
        if number > 0 {
            all.put_u8(b',');
        }
        all.put_u8(b'"');
        all.put_slice(name.as_bytes());
        all.put_slice(b"\":");
        all.put_slice(body);
    }
    all.put_u8(b'}');
    all.freeze()
}

/// The steps that failed, by name.
fn partial(parts: &[Part]) -> Option<HeaderValue> {
    let failed: Vec<&str> =
        parts.iter().filter(|part| matches!(part.end, Some(End::Failed(_)))).map(|part| &*part.name).collect();
    (!failed.is_empty()).then(|| HeaderValue::try_from(failed.join(", ")).ok()).flatten()
}
