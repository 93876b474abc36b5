//! The built policy: one hash, one look-up.

use http::HeaderValue;
use tidegate_model::{KEY_LENGTH_MAX, Sha256, TokenKind, is_well_formed};

use super::places::{Places, Shown};
use crate::{AuthAnswer, Authentication, Authenticator, Principal, Refusal, RequestContext, RequestHead, Subject};

pub(super) struct KeyAuthenticator {
    pub(super) places: Places,
    pub(super) forward_key: bool,
    pub(super) challenge: HeaderValue,
}

const NOT_A_KEY: Refusal = Refusal { code: "invalid_credentials", detail: "the API key is malformed or cut off" };
const NOT_KNOWN: Refusal =
    Refusal { code: "invalid_credentials", detail: "the API key is unknown, revoked or expired" };
const SEVERAL: Refusal = Refusal { code: "invalid_credentials", detail: "the request shows more than one API key" };

/// Whether a look-up is worth it. Keys that operators brought have no checksum; no key is longer than they may be.
fn can_be_key(key: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(key) else { return false };
    match text.starts_with(TokenKind::ApiKey.prefix()) {
        true => is_well_formed(TokenKind::ApiKey, text),
        false => (1..=KEY_LENGTH_MAX).contains(&text.len()),
    }
}

impl KeyAuthenticator {
    fn find(&self, head: &RequestHead, cx: &RequestContext) -> Authentication {
        let key = match self.places.shown(head) {
            Shown::Nothing => return Authentication::NoCredentials,
            Shown::Several => return Authentication::Invalid(SEVERAL),
            Shown::Key(key) if !can_be_key(&key) => return Authentication::Invalid(NOT_A_KEY),
            Shown::Key(key) => key,
        };
        // what is looked up is a hash that nobody can steer: how long the look-up takes tells nothing of the key
        let Some(found) = cx.directory.api_key(&Sha256::of(&key)) else {
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

    fn shows(&self, head: &RequestHead) -> bool {
        !matches!(self.places.shown(head), Shown::Nothing)
    }

    fn strip(&self, head: &mut RequestHead) {
        if !self.forward_key {
            self.places.strip(head);
        }
    }

    fn challenge(&self) -> HeaderValue {
        self.challenge.clone()
    }
}
