//! The built policy.

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use tidegate_model::Instant;

use super::seconds;
use crate::{Answer, Blame, Content, Networks, Policy, Reply, RequestContext, RequestHead};

pub(super) struct Maintenance {
    pub(super) until: Option<Instant>,
    pub(super) retry_after: Option<u64>,
    pub(super) allow: Networks,
    pub(super) content: Option<Content>,
}

impl Policy for Maintenance {
    fn on_request<'a>(&'a self, _: &'a mut RequestHead, cx: &'a mut RequestContext) -> Answer<'a> {
        if self.allow.contains(cx.client) {
            return Answer::CONTINUE;
        }
        let left = self.until.map(|until| until.millis().saturating_sub(cx.ports.clock.now().millis()));
        if left.is_some_and(|left| left <= 0) {
            return Answer::CONTINUE;
        }
        let detail = "the API is being worked on";
        let mut reply = Reply::new(StatusCode::SERVICE_UNAVAILABLE, "maintenance", detail, Blame::Upstream);
        let wait = self.retry_after.or(left.and_then(|left| u64::try_from(left).ok()).map(seconds));
        if let Some(wait) = wait {
            reply = reply.with_header(RETRY_AFTER, HeaderValue::from(wait));
        }
        if let Some(content) = &self.content {
            reply = reply.with_content(content.clone());
        }
        Answer::reply(reply)
    }
}
