//! The built policy.

use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_LENGTH, HeaderValue};

use super::parameters::Parameters;
use crate::json_schema::{COMPUTE_BYTES_MIN, ContentKind, Fits, Place, Report, Schema, coded, find, read};
use crate::{Answer, Blame, Policy, PolicyError, Reply, RequestContext, RequestHead, Verdict, computed};

pub(super) struct Validator {
    pub(super) parameters: Parameters,
    pub(super) body: Option<Body>,
}

pub(super) struct Body {
    pub(super) content: Box<[ContentKind]>,
    pub(super) required: bool,
    /// What a caller may send instead.
    pub(super) accepted: HeaderValue,
}

impl Policy for Validator {
    fn on_request<'a>(&'a self, head: &'a mut RequestHead, cx: &'a mut RequestContext) -> Answer<'a> {
        if !self.parameters.is_empty() {
            let mut report = Report::default();
            self.parameters.check(head, cx, &mut report);
            if !report.is_empty() {
                return Answer::reply(invalid(&report));
            }
        }
        // a body that can't be let through is not read
        match &self.body {
            Some(body) if announces_body(head) => match body.kind(head) {
                Ok(_) => Answer::CONTINUE,
                Err(reply) => Answer::reply(*reply),
            },
            _ => Answer::CONTINUE,
        }
    }

    fn on_request_body<'a>(
        &'a self,
        bytes: &'a mut Bytes,
        head: &'a mut RequestHead,
        cx: &'a mut RequestContext,
    ) -> Answer<'a> {
        let Some(body) = &self.body else { return Answer::CONTINUE };
        if bytes.is_empty() {
            if !body.required {
                return Answer::CONTINUE;
            }
            let mut report = Report::default();
            report.add(&Place::BODY, "", "required", "there is no body");
            return Answer::reply(invalid(&report));
        }
        let schema = match body.kind(head) {
            Ok(kind) => kind.schema.clone(),
            Err(reply) => return Answer::reply(*reply),
        };
        let Some(schema) = schema else { return Answer::CONTINUE };
        if bytes.len() < COMPUTE_BYTES_MIN {
            return Answer::Now(Ok(verdict(&check(bytes, &schema))));
        }
        let bytes = bytes.clone();
        let work = computed(&*cx.ports.compute, move || check(&bytes, &schema));
        Answer::Later(Box::pin(async move {
            let report = work.await.map_err(|busy| PolicyError(busy.to_string()))?;
            Ok(verdict(&report))
        }))
    }
}

impl Body {
    fn kind(&self, head: &RequestHead) -> Result<&ContentKind, Box<Reply>> {
        let refuse = |detail: String| {
            let reply =
                Reply::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail, Blame::Downstream);
            Err(Box::new(reply.with_header(ACCEPT, self.accepted.clone())))
        };
        let accepted = self.accepted.to_str().unwrap_or("");
        match find(&self.content, &head.headers) {
            Fits::No => refuse(format!("the body must be of one of these types: {accepted}")),
            Fits::Charset => refuse("the body must be in UTF-8".to_owned()),
            Fits::Yes(kind) if kind.schema.is_some() && coded(&head.headers) => {
                refuse("the body must come without a content encoding".to_owned())
            }
            Fits::Yes(kind) => Ok(kind),
        }
    }
}

/// Whether the head says that a body follows. One of unknown length is looked at when it is there.
fn announces_body(head: &RequestHead) -> bool {
    head.headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

fn check(bytes: &[u8], schema: &Schema) -> Report {
    let mut report = Report::default();
    match read(bytes) {
        Ok(value) => schema.check(&value, &Place::BODY, &mut report),
        Err(problem) => {
            report.add(&Place::BODY, "", "invalid_json", &problem);
        }
    }
    report
}

fn verdict(report: &Report) -> Verdict {
    if report.is_empty() { Verdict::Continue } else { Verdict::Reply(Box::new(invalid(report))) }
}

fn invalid(report: &Report) -> Reply {
    let reply =
        Reply::new(StatusCode::BAD_REQUEST, "request_invalid", report.summary("the request"), Blame::Downstream);
    Reply { members: Some(report.members()), ..reply }
}
