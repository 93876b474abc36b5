//! Writes every answer that the gateway makes itself, as `application/problem+json` (RFC 9457).

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use tidegate_policy::{Origin, Reply, RequestId, ResponseHead};

static PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The head and the body.
pub(super) fn write(reply: &Reply, id: &RequestId) -> (ResponseHead, Bytes) {
    if let (Some(headers), Some(content)) = (&reply.stored, &reply.content) {
        let head = ResponseHead { status: reply.status, headers: (**headers).clone(), origin: Origin::Upstream };
        return (head, content.body.clone());
    }
    let (content_type, body) = match &reply.content {
        Some(content) => (content.content_type.clone(), content.body.clone()),
        // where a caller is sent elsewhere, there is no problem to tell
        None if reply.status.is_redirection() => (None, Bytes::new()),
        None => (Some(PROBLEM.clone()), problem(reply, id).into()),
    };
    let mut headers = HeaderMap::with_capacity(8);
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, content_type);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    for (name, value) in &reply.headers {
        headers.append(name, value.clone());
    }
    (ResponseHead { status: reply.status, headers, origin: Origin::Gateway }, body)
}

fn problem(reply: &Reply, id: &RequestId) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let title = reply.status.canonical_reason().unwrap_or("Error");
    let members = reply.members.as_ref().map_or_else(String::new, |members| format!(",{members}"));
    format!(
        r#"{{"type":"https://tidegate.dev/errors/{code}","title":{title},"status":{status},"code":"{code}","detail":{detail},"request_id":"{id}","blame":"{blame}"{members}}}"#,
        code = reply.code,
        title = text(title),
        status = reply.status.as_u16(),
        detail = text(&reply.detail),
        blame = reply.blame.as_str(),
    )
}
