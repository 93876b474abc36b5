//! The built policy: one hash, one look-up.

use http::{HeaderName, HeaderValue};
use tidegate_model::{Sha256, TokenKind, is_well_formed};

use crate::{AuthAnswer, Authentication, Authenticator, Principal, Refusal, RequestContext, RequestHead, Subject};

pub(super) struct KeyAuthenticator {
    pub(super) header: HeaderName,
    pub(super) challenge: HeaderValue,
}

const NOT_A_KEY: Refusal = Refusal { code: "invalid_credentials", detail: "the API key is malformed or cut off" };
const NOT_KNOWN: Refusal =
    Refusal { code: "invalid_credentials", detail: "the API key is unknown, revoked or expired" };
const SEVERAL: Refusal = Refusal { code: "invalid_credentials", detail: "the request shows more than one API key" };

impl KeyAuthenticator {
    fn find(&self, head: &RequestHead, cx: &RequestContext) -> Authentication {
        let mut shown = head.headers.get_all(&self.header).iter();
        let Some(key) = shown.next() else { return Authentication::NoCredentials };
        if shown.next().is_some() {
            return Authentication::Invalid(SEVERAL);
        }
        let Some(key) = key.to_str().ok().filter(|key| is_well_formed(TokenKind::ApiKey, key)) else {
            return Authentication::Invalid(NOT_A_KEY);
        };
        // what is looked up is a hash of 256 random bits: how long the look-up takes tells nothing of the key
        let Some(found) = cx.directory.api_key(&Sha256::of(key.as_bytes())) else {
            return Authentication::Invalid(NOT_KNOWN);
        };
        if found.expires_at.is_some_and(|end| cx.ports.clock.now() >= end) {
            return Authentication::Invalid(NOT_KNOWN);
        }
        let Some(consumer) = found.consumer else { return Authentication::Invalid(NOT_KNOWN) };
        Authentication::Principal(Box::new(Principal {
            subject: Subject::Consumer(consumer),
            credential: Some(found.credential),
            ..Principal::default()
        }))
    }
}

impl Authenticator for KeyAuthenticator {
    fn authenticate<'a>(&'a self, head: &'a RequestHead, cx: &'a RequestContext) -> AuthAnswer<'a> {
        AuthAnswer::Now(self.find(head, cx))
    }

    fn strip(&self, head: &mut RequestHead) {
        head.headers.remove(&self.header);
    }

    fn challenge(&self) -> HeaderValue {
        self.challenge.clone()
    }
}
