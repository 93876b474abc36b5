//! The built policy.

use http::header::{Entry, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Upstreams, When};
use crate::{Answer, Origin, Policy, RequestContext, ResponseHead};

pub(super) struct Headers {
    pub(super) set: Box<[(HeaderName, HeaderValue)]>,
    pub(super) hsts: HeaderValue,
    pub(super) hsts_when: When,
    pub(super) upstream: Upstreams,
    pub(super) remove: Box<[HeaderName]>,
}

impl Headers {
    fn put(&self, headers: &mut HeaderMap, name: &HeaderName, value: &HeaderValue) {
        match headers.entry(name) {
            Entry::Vacant(place) => drop(place.insert(value.clone())),
            Entry::Occupied(mut place) if self.upstream == Upstreams::Override => drop(place.insert(value.clone())),
            Entry::Occupied(_) => {}
        }
    }
}

impl Policy for Headers {
    fn on_response<'a>(&'a self, head: &'a mut ResponseHead, cx: &'a mut RequestContext) -> Answer<'a> {
        if head.origin == Origin::Upstream {
            for name in &self.remove {
                head.headers.remove(name);
            }
        }
        for (name, value) in &self.set {
            self.put(&mut head.headers, name, value);
        }
        let strict = match self.hsts_when {
            When::Https => cx.seen.is_secure,
            When::Always => true,
            When::Never => false,
        };
        if strict {
            self.put(&mut head.headers, &STRICT_TRANSPORT_SECURITY, &self.hsts);
        }
        Answer::CONTINUE
    }
}
