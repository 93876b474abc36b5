//! The hand-shake of WebSocket (RFC 6455 §4), as far as the gateway takes part in it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) static KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
pub(crate) static ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");
pub(crate) static VERSION: HeaderName = HeaderName::from_static("sec-websocket-version");
pub(crate) static NAME: HeaderValue = HeaderValue::from_static("websocket");

/// Whether these headers name WebSocket, and it alone, as what is changed to.
pub(crate) fn is_named(headers: &HeaderMap) -> bool {
    let mut names = headers.get_all(http::header::UPGRADE).iter();
    match (names.next(), names.next()) {
        (Some(one), None) => one.as_bytes().eq_ignore_ascii_case(b"websocket"),
        _ => false,
    }
}

/// A key for a hand-shake that the gateway begins: HTTP/2 has none.
pub(crate) fn new_key() -> HeaderValue {
    let text = STANDARD.encode(rand::random::<[u8; 16]>());
    HeaderValue::try_from(text).expect("base64 is of header characters")
}

/// What a target that understood this key answers.
pub(crate) fn accepts(key: &HeaderValue) -> HeaderValue {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID].concat());
    HeaderValue::try_from(STANDARD.encode(hash)).expect("base64 is of header characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accepts(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
