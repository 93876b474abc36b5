//! Sessions: signed, held by the browser, known to every replica without being stored.

use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tidegate_model::{Id, Instant};
use uuid::Uuid;

/// The longest a session lasts.
pub const SESSION_MAX: Duration = Duration::from_secs(12 * 60 * 60);

const TOKEN: usize = 16;
const UNTIL: usize = 8;
const NONCE: usize = 16;
const PAYLOAD: usize = TOKEN + UNTIL + NONCE;

/// Signs and verifies sessions.
pub struct Sessions {
    cookies: hmac::Key,
    csrf: hmac::Key,
}

/// A session as it is given to a browser.
pub struct SignedSession {
    /// The value of the cookie.
    pub cookie: String,
    /// What each write must show beside it: another site can make a browser send the cookie, not know this.
    pub csrf: String,
}

/// A session that was signed here or by another replica, and has not ended.
pub(super) struct Session {
    pub(super) token: Id,
    pub(super) until: Instant,
    pub(super) csrf: String,
}

impl Sessions {
    pub(super) fn new(key: &[u8; 32]) -> Sessions {
        let root = hmac::Key::new(hmac::HMAC_SHA256, key);
        let derived = |purpose: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, purpose).as_ref());
        Sessions { cookies: derived(b"cookie"), csrf: derived(b"csrf") }
    }

    pub(super) fn sign(&self, token: Id, until: Instant) -> SignedSession {
        let mut payload = Vec::with_capacity(PAYLOAD);
        payload.extend(token.as_u128().to_be_bytes());
        payload.extend(until.millis().to_be_bytes());
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce).expect("the system gives randomness");
        payload.extend(nonce);
        let csrf = self.csrf_of(&payload);
        let signature = hmac::sign(&self.cookies, &payload);
        payload.extend(signature.as_ref());
        SignedSession { cookie: URL_SAFE_NO_PAD.encode(payload), csrf }
    }

    pub(super) fn verify(&self, cookie: &str, now: Instant) -> Option<Session> {
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let (payload, signature) = bytes.split_at_checked(PAYLOAD)?;
        hmac::verify(&self.cookies, payload, signature).ok()?;
        let (token, rest) = payload.split_first_chunk::<TOKEN>()?;
        let until = Instant::from_millis(i64::from_be_bytes(*rest.first_chunk::<UNTIL>()?));
        if until <= now {
            return None;
        }
        let token = Id::new(Uuid::from_bytes(*token));
        Some(Session { token, until, csrf: self.csrf_of(payload) })
    }

    fn csrf_of(&self, payload: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.csrf, payload))
    }
}

/// Whether the value that a write shows is that of its session.
pub(crate) fn csrf_matches(session: &str, shown: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(session.as_bytes(), shown.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_holds_until_its_end_and_only_unchanged() {
        let (sessions, others) = (Sessions::new(&[1; 32]), Sessions::new(&[2; 32]));
        let (token, until) = (Id::new(Uuid::from_u128(7)), Instant::from_millis(5_000));
        let signed = sessions.sign(token, until);
        let verified = sessions.verify(&signed.cookie, Instant::from_millis(4_999)).expect("it holds");
        assert_eq!((verified.token, verified.csrf.as_str()), (token, signed.csrf.as_str()));
        assert!(sessions.verify(&signed.cookie, until).is_none());
        assert!(others.verify(&signed.cookie, Instant::from_millis(0)).is_none());
        for at in [0, 20, 30, signed.cookie.len() - 2] {
            let mut forged = signed.cookie.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("ascii");
            assert!(sessions.verify(&forged, Instant::from_millis(0)).is_none(), "{at}");
        }
        assert_ne!(sessions.sign(token, until).csrf, signed.csrf, "each session has its own");
    }
}
