//! The built policy.

use http::{HeaderName, HeaderValue, StatusCode};

use super::body::Body;
use crate::expression::{Facts, Template};
use crate::{Answer, Blame, Content, Policy, PolicyError, Reply, RequestContext, RequestHead};

pub(super) struct Mock {
    pub(super) status: StatusCode,
    pub(super) headers: Box<[(HeaderName, Text)]>,
    pub(super) content_type: Option<HeaderValue>,
    pub(super) body: Body,
    /// Where it is the same for every request.
    pub(super) ready: Option<Content>,
}

/// The value of a header.
pub(super) enum Text {
    Same(HeaderValue),
    Written(Template),
}

impl Mock {
    fn answer(&self, head: &RequestHead, cx: &RequestContext) -> Result<Reply, PolicyError> {
        let facts = Facts::of_request(head, cx);
        let content = match &self.ready {
            Some(ready) => ready.clone(),
            None => Content { content_type: self.content_type.clone(), body: self.body.write(&facts, cx)?.into() },
        };
        let mut reply = Reply::new(self.status, "mock", "", Blame::Gateway).with_content(content);
        for (name, text) in &self.headers {
            let value = match text {
                Text::Same(value) => value.clone(),
                Text::Written(template) => {
                    let mut text = String::new();
                    template.write(&facts, cx, &mut text)?;
                    let value = HeaderValue::try_from(text);
                    value.map_err(|_| PolicyError(format!("what `{name}` is to say can't be in a header")))?
                }
            };
            reply = reply.with_header(name.clone(), value);
        }
        Ok(reply)
    }
}

impl Policy for Mock {
    fn on_request<'a>(&'a self, head: &'a mut RequestHead, cx: &'a mut RequestContext) -> Answer<'a> {
        match self.answer(head, cx) {
            Ok(reply) => Answer::reply(reply),
            Err(error) => Answer::Now(Err(error)),
        }
    }
}
