//! The built policy.

use std::rc::Rc;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};

use super::On;
use crate::expression::{Facts, Template};
use crate::jq::JqError;
use crate::json_schema::coded;
use crate::transform::{Body, Changed, Headers, facts, written};
use crate::{
    Answer, Blame, Decision, Origin, Policy, PolicyError, Reply, RequestContext, RequestHead, ResponseHead, Verdict,
    computed,
};

pub(super) struct Transform {
    pub(super) on: On,
    pub(super) status: Option<StatusCode>,
    pub(super) headers: Headers,
    pub(super) body: Option<Body>,
    /// It asks for the request: its head is kept until the answer comes.
    pub(super) wants_request: bool,
}

impl Policy for Transform {
    fn on_request<'a>(&'a self, head: &'a mut RequestHead, cx: &'a mut RequestContext) -> Answer<'a> {
        if self.wants_request && cx.kept_request.is_none() {
            cx.kept_request = Some(Rc::new(head.clone()));
        }
        Answer::CONTINUE
    }

    fn on_response<'a>(&'a self, head: &'a mut ResponseHead, cx: &'a mut RequestContext) -> Answer<'a> {
        if !self.acts_on(head) {
            return Answer::CONTINUE;
        }
        Answer::Now(self.change_head(head, cx).map(|()| Verdict::Continue))
    }

    fn on_response_body<'a>(
        &'a self,
        bytes: &'a mut Bytes,
        head: &'a mut ResponseHead,
        cx: &'a mut RequestContext,
    ) -> Answer<'a> {
        let Some(body) = self.body.as_ref().filter(|_| self.acts_on(head) && !bytes.is_empty()) else {
            return Answer::CONTINUE;
        };
        if !body.is_for(&head.headers) || coded(&head.headers) {
            if !body.refuses_others {
                return Answer::CONTINUE;
            }
            return Answer::reply(invalid("the answer is of a type, or has an encoding, that is not taken".to_owned()));
        }
        let request = cx.kept_request.clone();
        let value = |name: &str| facts(name, request.as_deref(), &cx.captures, &cx.principal, Some(head));
        match body.change(bytes, value) {
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
    fn acts_on(&self, head: &ResponseHead) -> bool {
        self.on == On::All || head.origin == Origin::Upstream
    }

    fn change_head(&self, head: &mut ResponseHead, cx: &RequestContext) -> Result<(), PolicyError> {
        let mut changed = head.clone();
        let nothing;
        let request = match &cx.kept_request {
            Some(request) => &**request,
            None => {
                nothing = RequestHead {
                    method: Method::GET,
                    target: PathAndQuery::from_static("/"),
                    headers: HeaderMap::new(),
                };
                &nothing
            }
        };
        let write = |head: &ResponseHead, template: &Template| {
            written(template, &Facts::of_request(request, cx).and_response(head), cx)
        };
        self.headers.apply(&mut changed, write)?;
        // a status without a body stays one
        if let (Some(status), false) = (self.status, is_bodiless(head.status)) {
            changed.status = status;
        }
        *head = changed;
        Ok(())
    }
}

pub(super) fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

fn put(changed: Result<Bytes, JqError>, body: &mut Bytes, head: &mut ResponseHead) -> Decision {
    match changed {
        Ok(changed) => {
            *body = changed;
            Body::forget(&mut head.headers);
            Ok(Verdict::Continue)
        }
        Err(JqError::Input(why)) => Ok(Verdict::Reply(Box::new(invalid(format!("the answer {why}"))))),
        Err(error) => Err(PolicyError(error.to_string())),
    }
}

fn invalid(detail: String) -> Reply {
    Reply::new(StatusCode::BAD_GATEWAY, "response_invalid", detail, Blame::Upstream)
}
