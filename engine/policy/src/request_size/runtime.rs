//! The built policy.

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_LENGTH;

use super::Check;
use crate::{Answer, Blame, BodyFilter, Policy, Reply, RequestContext, RequestHead};

pub(super) struct SizeBound {
    pub(super) max: u64,
    pub(super) check: Check,
}

fn too_large(max: u64) -> Reply {
    let detail = format!("the body is larger than {max} bytes");
    Reply::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail, Blame::Downstream)
}

impl Policy for SizeBound {
    fn on_request<'a>(&'a self, head: &'a mut RequestHead, _: &'a mut RequestContext) -> Answer<'a> {
        let length = head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        match length {
            Some(length) if length > self.max => Answer::reply(too_large(self.max)),
            _ => Answer::CONTINUE,
        }
    }

    fn request_body_filter(&self, head: &RequestHead, _: &RequestContext) -> Option<Box<dyn BodyFilter>> {
        // a body that said its length is held to it by the protocol
        let unsaid = !head.headers.contains_key(CONTENT_LENGTH);
        (self.check == Check::Stream && unsaid).then(|| Box::new(Counted { left: self.max, max: self.max }) as _)
    }
}

struct Counted {
    left: u64,
    max: u64,
}

impl BodyFilter for Counted {
    fn on_data(&mut self, data: &mut Bytes) -> Result<(), Box<Reply>> {
        match self.left.checked_sub(data.len() as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Box::new(too_large(self.max))),
        }
    }
}
