//! The built policy.

use http::header::{HOST, LOCATION};
use http::{HeaderValue, StatusCode};

use super::location::Location;
use crate::expression::Facts;
use crate::{Answer, Blame, Policy, PolicyError, Reply, RequestContext, RequestHead};

pub(super) struct Redirect {
    pub(super) to: To,
    pub(super) status: StatusCode,
    pub(super) keep_query: bool,
}

pub(super) enum To {
    Location(Location),
    /// The same URL by https.
    Https,
}

impl Redirect {
    fn location(&self, head: &RequestHead, cx: &RequestContext) -> Result<HeaderValue, PolicyError> {
        let mut location = match &self.to {
            To::Location(location) => location.write(&Facts::of_request(head, cx), cx)?,
            To::Https => {
                let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
                let host = host.ok_or_else(|| PolicyError("the request says no host".into()))?;
                format!("https://{}{}", without_port(host), head.path())
            }
        };
        if self.keep_query
            && let Some(query) = head.query().filter(|query| !query.is_empty())
        {
            let end = location.find('#').unwrap_or(location.len());
            let joint = if location[..end].contains('?') { '&' } else { '?' };
            location.insert_str(end, query);
            location.insert(end, joint);
        }
        HeaderValue::try_from(location).map_err(|_| PolicyError("the location can't be a header".into()))
    }
}

impl Policy for Redirect {
    fn on_request<'a>(&'a self, head: &'a mut RequestHead, cx: &'a mut RequestContext) -> Answer<'a> {
        if cx.seen.is_secure && matches!(self.to, To::Https) {
            return Answer::CONTINUE;
        }
        match self.location(head, cx) {
            Ok(location) => {
                let reply = Reply::new(self.status, "redirected", "what was asked for is elsewhere", Blame::Downstream);
                Answer::reply(reply.with_header(LOCATION, location))
            }
            Err(error) => Answer::Now(Err(error)),
        }
    }
}

/// The port is that of http.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // the colons of an IPv6 address stand within its brackets
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}
