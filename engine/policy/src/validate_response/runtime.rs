//! The built policy.

use std::ops::RangeInclusive;

use bytes::Bytes;
use http::StatusCode;

use crate::json_schema::{COMPUTE_BYTES_MIN, ContentKind, Fits, Place, Report, Schema, coded, find, read};
use crate::{Answer, Blame, Origin, Policy, PolicyError, Reply, RequestContext, ResponseHead, Verdict, computed};

pub(super) struct Validator {
    pub(super) answers: Box<[Expected]>,
    pub(super) others_refused: bool,
}

/// What answers of some statuses are to be.
pub(super) struct Expected {
    pub(super) statuses: RangeInclusive<u16>,
    pub(super) content: Box<[ContentKind]>,
}

impl Policy for Validator {
    fn on_response<'a>(&'a self, head: &'a mut ResponseHead, _: &'a mut RequestContext) -> Answer<'a> {
        // what has no body is known by its status alone
        let unnamed = self.others_refused && self.expected(head.status).is_none();
        if head.origin == Origin::Upstream && unnamed {
            return Answer::reply(one("status", &format!("the status {} is not named", head.status.as_u16())));
        }
        Answer::CONTINUE
    }

    fn on_response_body<'a>(
        &'a self,
        body: &'a mut Bytes,
        head: &'a mut ResponseHead,
        cx: &'a mut RequestContext,
    ) -> Answer<'a> {
        if head.origin != Origin::Upstream {
            return Answer::CONTINUE;
        }
        let Some(expected) = self.expected(head.status) else { return Answer::CONTINUE };
        let schema = match find(&expected.content, &head.headers) {
            Fits::No => return Answer::reply(one("content_type", "its content type is not named")),
            Fits::Charset => return Answer::reply(one("charset", "it is not in UTF-8")),
            Fits::Yes(kind) => kind.schema.clone(),
        };
        let Some(schema) = schema else { return Answer::CONTINUE };
        if coded(&head.headers) {
            return Answer::reply(one("content_encoding", "it came with a content encoding that was not asked for"));
        }
        if body.len() < COMPUTE_BYTES_MIN {
            return Answer::Now(Ok(verdict(&check(body, &schema))));
        }
        let body = body.clone();
        let work = computed(&*cx.ports.compute, move || check(&body, &schema));
        Answer::Later(Box::pin(async move {
            let report = work.await.map_err(|busy| PolicyError(busy.to_string()))?;
            Ok(verdict(&report))
        }))
    }
}

impl Validator {
    fn expected(&self, status: StatusCode) -> Option<&Expected> {
        self.answers.iter().find(|answers| answers.statuses.contains(&status.as_u16()))
    }
}

fn check(body: &[u8], schema: &Schema) -> Report {
    let mut report = Report::default();
    match read(body) {
        Ok(value) => schema.check(&value, &Place::BODY, &mut report),
        Err(problem) => {
            report.add(&Place::BODY, "", "invalid_json", &problem);
        }
    }
    report
}

fn one(code: &str, detail: &str) -> Reply {
    let mut report = Report::default();
    report.add(&Place::BODY, "", code, detail);
    invalid(&report)
}

fn verdict(report: &Report) -> Verdict {
    if report.is_empty() { Verdict::Continue } else { Verdict::Reply(Box::new(invalid(report))) }
}

fn invalid(report: &Report) -> Reply {
    let reply = Reply::new(StatusCode::BAD_GATEWAY, "response_invalid", report.summary("the answer"), Blame::Upstream);
    Reply { members: Some(report.members()), ..reply }
}
