//! The built policy.

use bytes::Bytes;
use http::StatusCode;

use super::target;
use crate::expression::{Facts, Template};
use crate::jq::JqError;
use crate::json_schema::coded;
use crate::transform::{Body, Changed, Headers, Op, facts, written};
use crate::{Answer, Blame, Decision, Policy, PolicyError, Reply, RequestContext, RequestHead, Verdict, computed};

pub(super) struct Transform {
    pub(super) headers: Headers,
    pub(super) query: Box<[Op<Box<str>>]>,
    pub(super) path: Option<Template>,
    pub(super) body: Option<Body>,
}

impl Policy for Transform {
    fn on_request<'a>(&'a self, head: &'a mut RequestHead, cx: &'a mut RequestContext) -> Answer<'a> {
        Answer::Now(self.change_head(head, cx).map(|()| Verdict::Continue))
    }

    fn on_request_body<'a>(
        &'a self,
        bytes: &'a mut Bytes,
        head: &'a mut RequestHead,
        cx: &'a mut RequestContext,
    ) -> Answer<'a> {
        let Some(body) = &self.body else { return Answer::CONTINUE };
        if bytes.is_empty() {
            return Answer::CONTINUE;
        }
        if !body.is_for(&head.headers) || coded(&head.headers) {
            if !body.refuses_others {
                return Answer::CONTINUE;
            }
            let detail = "the body is of a type, or has an encoding, that is not taken";
            let (status, code) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type");
            return Answer::reply(Reply::new(status, code, detail, Blame::Downstream));
        }
        match body.change(bytes, |name| facts(name, Some(head), &cx.captures, &cx.principal, None)) {
            Changed::Now(changed) => Answer::Now(put(changed, bytes, head)),
            Changed::Later(work) => {
                let work = computed(&*cx.ports.compute, work);
                Answer::Later(Box::pin(async move {
                    let changed = work.await.map_err(|busy| PolicyError(busy.to_string()))?;
                    put(changed, bytes, head)
                }))
            }
        }
    }
}

impl Transform {
    fn change_head(&self, head: &mut RequestHead, cx: &RequestContext) -> Result<(), PolicyError> {
        // one that can't be changed whole is not changed at all
        let mut changed = head.clone();
        let write = |head: &RequestHead, template: &Template| written(template, &Facts::of_request(head, cx), cx);
        self.headers.apply(&mut changed, write)?;
        for op in &self.query {
            target::change_query(op, &mut changed, cx)?;
        }
        if let Some(path) = &self.path {
            target::set_path(path, &mut changed, cx)?;
        }
        *head = changed;
        Ok(())
    }
}

fn put(changed: Result<Bytes, JqError>, body: &mut Bytes, head: &mut RequestHead) -> Decision {
    match changed {
        Ok(changed) => {
            *body = changed;
            Body::forget(&mut head.headers);
            Ok(Verdict::Continue)
        }
        Err(JqError::Input(why)) => {
            let detail = format!("the body {why}");
            let reply = Reply::new(StatusCode::BAD_REQUEST, "request_invalid", detail, Blame::Downstream);
            Ok(Verdict::Reply(Box::new(reply)))
        }
        Err(error) => Err(PolicyError(error.to_string())),
    }
}
