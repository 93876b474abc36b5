//! The built policy.

use std::net::IpAddr;

use http::StatusCode;

use crate::{Answer, Blame, Networks, Policy, Reply, RequestContext, RequestHead};

pub(super) struct Restriction {
    pub(super) allow: Option<Networks>,
    pub(super) deny: Networks,
}

impl Restriction {
    fn admits(&self, client: IpAddr) -> bool {
        !self.deny.contains(client) && self.allow.as_ref().is_none_or(|allow| allow.contains(client))
    }
}

impl Policy for Restriction {
    fn on_request<'a>(&'a self, _: &'a mut RequestHead, cx: &'a mut RequestContext) -> Answer<'a> {
        if self.admits(cx.client) {
            return Answer::CONTINUE;
        }
        let detail = "requests from this address are not let in";
        Answer::reply(Reply::new(StatusCode::FORBIDDEN, "ip_refused", detail, Blame::Downstream))
    }
}
