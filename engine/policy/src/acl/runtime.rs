//! The built policy.

use std::collections::HashSet;

use http::StatusCode;
use tidegate_model::Id;

use super::Anonymous;
use crate::{Answer, Blame, Policy, Principal, Reply, RequestContext, RequestHead, Subject};

pub(super) struct Acl {
    pub(super) allow: Option<Set>,
    pub(super) deny: Set,
    pub(super) anonymous: Anonymous,
    pub(super) hide: bool,
}

/// Callers. A consumer or group that is not there matches nobody.
#[derive(Default)]
pub(super) struct Set {
    pub(super) consumers: HashSet<Id>,
    pub(super) groups: HashSet<Id>,
    pub(super) scopes: Box<[Box<[Box<str>]>]>,
}

impl Set {
    fn holds(&self, principal: &Principal) -> bool {
        principal.consumer().is_some_and(|consumer| self.consumers.contains(&consumer.id))
            || (!self.groups.is_empty() && principal.groups().any(|group| self.groups.contains(&group)))
            || self.scopes.iter().any(|needed| needed.iter().all(|scope| principal.scopes.contains(scope)))
    }
}

impl Acl {
    fn admits(&self, principal: &Principal) -> bool {
        if let Subject::Anonymous = principal.subject {
            return self.anonymous == Anonymous::Allow;
        }
        !self.deny.holds(principal) && self.allow.as_ref().is_none_or(|allow| allow.holds(principal))
    }
}

impl Policy for Acl {
    fn on_request<'a>(&'a self, _: &'a mut RequestHead, cx: &'a mut RequestContext) -> Answer<'a> {
        if self.admits(&cx.principal) {
            return Answer::CONTINUE;
        }
        Answer::reply(match self.hide {
            // word for word what who asks for nothing that is there is told
            true => Reply::new(StatusCode::NOT_FOUND, "no_route", "no route takes this request", Blame::Downstream),
            false => Reply::new(StatusCode::FORBIDDEN, "forbidden", "the caller may not do this", Blame::Downstream),
        })
    }
}
