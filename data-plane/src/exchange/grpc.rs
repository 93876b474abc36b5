//! What gRPC wants otherwise than HTTP: errors in trailers, and a deadline in a header.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tidegate_policy::ResponseHead;

static GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request is a call by gRPC. `application/grpc-web` is not: its errors are HTTP's.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    let rest = headers.get(CONTENT_TYPE).and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"));
    matches!(rest, Some([] | [b'+' | b';' | b' ', ..]))
}

/// How long a call may take, if it says so: at most eight digits and a unit.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let (unit, digits) = headers.get("grpc-timeout")?.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The status of a call whose HTTP status is this. docs/guide/protocols.md shows the table.
fn status(http: StatusCode) -> u8 {
    match http.as_u16() {
        400 | 411 | 414 | 417 | 422 | 431 => 3, // INVALID_ARGUMENT
        401 => 16,                              // UNAUTHENTICATED
        403 => 7,                               // PERMISSION_DENIED
        404 | 405 | 501 => 12,                  // UNIMPLEMENTED
        408 | 504 => 4,                         // DEADLINE_EXCEEDED
        409 => 10,                              // ABORTED
        413 | 429 => 8,                         // RESOURCE_EXHAUSTED
        499 => 1,                               // CANCELLED
        500 => 13,                              // INTERNAL
        502 | 503 => 14,                        // UNAVAILABLE
        _ => 2,                                 // UNKNOWN
    }
}

/// What gRPC calls `Trailers-Only`: 200, no body, and all that is to say in the head.
pub(crate) fn trailers_only(mut head: ResponseHead, code: &str, detail: &str) -> (ResponseHead, Bytes) {
    let status = status(head.status);
    head.status = StatusCode::OK;
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(CONTENT_ENCODING);
    head.headers.insert(CONTENT_TYPE, GRPC.clone());
    tell(&mut head.headers, status, &format!("{code}: {detail}"));
    (head, Bytes::new())
}

/// The end of a call that ran out of time when its answer had begun.
pub(crate) fn deadline_exceeded(why: &str) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    tell(&mut trailers, 4, why);
    trailers
}

fn tell(fields: &mut HeaderMap, status: u8, message: &str) {
    fields.insert(GRPC_STATUS.clone(), HeaderValue::from(u16::from(status)));
    if let Ok(message) = HeaderValue::try_from(percent_encoded(message)) {
        fields.insert(GRPC_MESSAGE.clone(), message);
    }
}

/// All but printable ASCII, and `%` itself, as `%` and two digits.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().expect("a value"))])
    }

    #[test]
    fn what_is_a_call_by_grpc() {
        for (kind, is) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=x", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            assert_eq!(is_call(&with("content-type", kind)), is, "{kind}");
        }
    }

    #[test]
    fn a_time_out_has_digits_and_a_unit() {
        for (text, time) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("30S", Some(Duration::from_secs(30))),
            ("250m", Some(Duration::from_millis(250))),
            ("99999999u", Some(Duration::from_micros(99_999_999))),
            ("5n", Some(Duration::from_nanos(5))),
            ("", None),
            ("S", None),
            ("999999999S", None),
            ("-1S", None),
            ("1s", None),
            ("1.5S", None),
        ] {
            assert_eq!(timeout(&with("grpc-timeout", text)), time, "{text}");
        }
    }

    #[test]
    fn a_message_is_of_printable_ascii() {
        assert_eq!(percent_encoded("a b%\u{e4}\n"), "a b%25%C3%A4%0A");
    }
}
