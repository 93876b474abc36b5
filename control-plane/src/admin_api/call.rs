//! One request to the admin API, looked at so far that an operation can go on with it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, Method};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tidegate_model::schema::{decode, schema_of};
use tidegate_model::{Kind, Reference, Resource, Span};

use super::Api;
use super::answer::{ErrorCode, Fault};
use super::operations::{Operation, Place};
use super::waiting::WaitFor;
use crate::changes::{Actor, Expected, Folded};
use crate::operators::{Caller, ShownBy};

/// How deep a document may nest.
const DEPTH_MAX: usize = 32;
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;
const WAIT_DEFAULT: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_secs(60);
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// One request, whose caller may do what it asks for.
pub(super) struct Call {
    pub(super) api: Arc<Api>,
    pub(super) operation: &'static Operation,
    pub(super) path: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Nobody where anyone may call.
    pub(super) caller: Option<Caller>,
    /// The value that the session's writes must show.
    pub(super) csrf: Option<String>,
    pub(super) address: IpAddr,
    pub(super) tls: bool,
    pub(super) request_id: String,
    /// The configuration as it was when the request came: one answer never mixes two.
    pub(super) now: Arc<Folded>,
}

impl Call {
    pub(super) fn kind(&self) -> Kind {
        self.operation.kind.expect("operations on resources name their kind")
    }

    /// A part of the path. What is no name and no id is found nowhere.
    pub(super) fn reference(&self, name: &str, kind: Kind) -> Result<Reference, Fault> {
        let text = self.path_text(name);
        text.parse().map_err(|_| Fault::new(ErrorCode::NotFound, format!("there is no {kind} `{text}`")))
    }

    /// The resource that a part of the path means.
    pub(super) fn resource(&self, name: &str, kind: Kind) -> Result<Arc<Resource>, Fault> {
        let reference = self.reference(name, kind)?;
        let found = self.now.config().find(kind, &reference).cloned();
        found.ok_or_else(|| Fault::new(ErrorCode::NotFound, format!("there is no {kind} `{reference}`")))
    }

    pub(super) fn path_text(&self, name: &str) -> &str {
        self.path.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Parameters that the operation does not have are told, like fields of a document: a slip in `?wait` would otherwise be a
    /// write that nobody waited for.
    pub(super) fn check_query(&self) -> Result<(), Fault> {
        for (index, (name, _)) in self.query.iter().enumerate() {
            let known = || self.operation.parameters.iter().filter(|p| p.place == Place::Query).map(|p| p.name);
            if !known().any(|k| k == name) {
                let known: Vec<String> = known().map(|k| format!("`{k}`")).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Fault::malformed(format!("unknown parameter `{name}`; known: {known}")));
            }
            if self.query[..index].iter().any(|(other, _)| other == name) {
                return Err(Fault::malformed(format!("parameter `{name}` is given twice")));
            }
        }
        Ok(())
    }

    pub(super) fn limit(&self) -> Result<usize, Fault> {
        let Some(text) = self.query("limit") else { return Ok(PAGE_DEFAULT) };
        let limit = text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
        limit.ok_or_else(|| Fault::malformed(format!("`limit` must be from 1 to {PAGE_MAX}, not `{text}`")))
    }

    /// Where a page goes on.
    pub(super) fn cursor<T: std::str::FromStr>(&self) -> Result<Option<T>, Fault> {
        let Some(text) = self.query("cursor") else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Fault::malformed("`cursor` must be `next` of an earlier answer"))
    }

    /// Whether, for whom and how long to wait.
    pub(super) fn wait(&self) -> Result<Option<(WaitFor, Duration)>, Fault> {
        let timeout = match self.query("timeout") {
            None => WAIT_DEFAULT,
            Some(text) => {
                let span: Span = text.parse().map_err(|why| Fault::malformed(format!("`timeout`: {why}")))?;
                span.duration().min(WAIT_MAX)
            }
        };
        let Some(text) = self.query("wait") else { return Ok(None) };
        let wait = text.parse().map_err(|()| {
            Fault::malformed(format!("`wait` must be `all`, `any` or a share such as `50%`, not `{text}`"))
        })?;
        Ok(Some((wait, timeout)))
    }

    /// What must be so for a write.
    pub(super) fn expected(&self) -> Result<Expected, Fault> {
        let header = |name: &HeaderName| self.headers.get(name).map(|v| v.to_str().unwrap_or_default().trim());
        match (header(&IF_MATCH), header(&IF_NONE_MATCH)) {
            (Some("*"), None) => Ok(Expected::Exists),
            (None, Some("*")) => Ok(Expected::Absent),
            (None, None) => Ok(Expected::Anything),
            (Some(tags), None) => {
                // a tag that is none of ours fits no revision; a weak one never matches (RFC 9110 §13.1.1)
                let revision = |tag: &str| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok();
                Ok(Expected::Revision(tags.split(',').filter_map(revision).collect()))
            }
            (None, Some(_)) => Err(Fault::malformed("`If-None-Match` on a write must be `*`")),
            (Some(_), Some(_)) => Err(Fault::malformed("give `If-Match` or `If-None-Match`, not both")),
        }
    }

    /// Whether the caller has a read's answer already.
    pub(super) fn has_already(&self, etag: &str) -> bool {
        has_etag(&self.headers, etag)
    }

    /// The caller's own id of this change, so that it is made once: keys of different operators are different.
    pub(super) fn change_id(&self) -> Result<Option<String>, Fault> {
        let Some(value) = self.headers.get(&IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = value.to_str().unwrap_or_default();
        if key.is_empty() || key.len() > 128 || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Fault::malformed("`Idempotency-Key` must have 1 to 128 visible ASCII characters"));
        }
        let operator = self.caller.as_ref().map(|caller| caller.operator.to_string()).unwrap_or_default();
        Ok(Some(format!("{operator}/{key}")))
    }

    pub(super) fn actor(&self) -> Actor {
        Actor {
            name: self.caller.as_ref().map(|caller| caller.name.clone()).unwrap_or_default(),
            address: Some(self.address.to_string()),
            request_id: Some(self.request_id.clone()),
        }
    }

    /// The document that was sent.
    pub(super) fn document(&self) -> Result<Value, Fault> {
        self.check_content_type()?;
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Err(Fault::malformed("the body is empty; send a JSON object"));
        }
        let document = serde_json::from_slice(&self.body)
            .map_err(|why| Fault::malformed(format!("the body is not JSON: {why}")))?;
        if too_deep(&document, DEPTH_MAX) {
            return Err(Fault::malformed(format!("the document nests deeper than {DEPTH_MAX} levels")));
        }
        Ok(document)
    }

    /// The document that was sent, read; `{}` if none was.
    pub(super) fn read<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Fault> {
        let document = if self.body.is_empty() { Value::Object(serde_json::Map::new()) } else { self.document()? };
        decode(&schema_of::<T>(), &document).map_err(Fault::invalid)
    }

    /// JSON under the type that curl gives by default is taken where a browser could not have been made to send it: beside a
    /// bearer token. Elsewhere the body must say that it is JSON.
    fn check_content_type(&self) -> Result<(), Fault> {
        let value = self.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
        let essence = value.map(|v| v.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        let by_bearer = self.caller.as_ref().is_some_and(|caller| caller.by == ShownBy::Bearer);
        let taken = match essence.as_deref() {
            Some("application/json") => true,
            Some("application/merge-patch+json") => self.operation.method == Method::PATCH,
            Some("application/x-www-form-urlencoded") | None => by_bearer,
            Some(_) => false,
        };
        if taken {
            return Ok(());
        }
        let given = essence.unwrap_or_else(|| "none".to_owned());
        Err(Fault::new(
            ErrorCode::UnsupportedMediaType,
            format!("send `Content-Type: application/json`, not `{given}`"),
        ))
    }
}

/// Whether one of the tags that a caller has is this one (weakly compared, RFC 9110 §13.1.2).
pub(super) fn has_etag(headers: &HeaderMap, etag: &str) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(',')).any(|tag| tag.trim() == "*" || weak(tag) == weak(etag))
}

fn too_deep(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| too_deep(item, levels - 1)),
        Value::Object(fields) => levels == 0 || fields.values().any(|field| too_deep(field, levels - 1)),
        _ => false,
    }
}
