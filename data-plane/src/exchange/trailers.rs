//! What may come behind a body. Trailers stay trailers: they are never merged into a head, and what would mean something there
//! is dropped, as some receivers do merge them.

use http::HeaderMap;
use smallvec::SmallVec;

/// Drops the fields that must not come as trailers; `None` if nothing is left.
pub(crate) fn passable(mut fields: HeaderMap) -> Option<HeaderMap> {
    let going: SmallVec<[_; 4]> = fields.keys().filter(|name| !may_pass(name.as_str())).cloned().collect();
    for name in going {
        fields.remove(name);
    }
    (!fields.is_empty()).then_some(fields)
}

/// Fields that frame a message, route it, say who sends it, change how its body is read, or belong to a connection
/// (RFC 9110 §6.5.1), and all that only the gateway may say.
fn may_pass(name: &str) -> bool {
    let forbidden = matches!(
        name,
        "transfer-encoding"
            | "content-length"
            | "trailer"
            | "te"
            | "upgrade"
            | "connection"
            | "keep-alive"
            | "proxy-connection"
            | "http2-settings"
            | "host"
            | "expect"
            | "max-forwards"
            | "range"
            | "via"
            | "forwarded"
            | "authorization"
            | "proxy-authorization"
            | "proxy-authenticate"
            | "www-authenticate"
            | "authentication-info"
            | "proxy-authentication-info"
            | "cookie"
            | "set-cookie"
            | "age"
            | "cache-control"
            | "expires"
            | "date"
            | "location"
            | "retry-after"
            | "vary"
            | "warning"
            | "content-encoding"
            | "content-type"
            | "content-range"
            | "x-request-id"
            | "x-credential-id"
            | "x-anonymous-consumer"
            | "x-real-ip"
            | "traceparent"
            | "tracestate"
    ) || name.starts_with("if-")
        || name.starts_with("x-forwarded-")
        || name.starts_with("x-consumer-")
        || name.contains('_');
    !forbidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_head_is_no_trailer() {
        let mut fields = HeaderMap::new();
        for name in
            ["grpc-status", "server-timing", "digest", "host", "content-length", "x-consumer-id", "authorization"]
        {
            fields.append(name, "1".parse().expect("a value"));
        }
        fields.append("x_y", "1".parse().expect("a value"));
        let left = passable(fields).expect("some are left");
        let mut names: Vec<&str> = left.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["digest", "grpc-status", "server-timing"]);
    }

    #[test]
    fn nothing_but_forbidden_fields_is_nothing() {
        let fields = HeaderMap::from_iter([(http::header::HOST, "a".parse().expect("a value"))]);
        assert_eq!(passable(fields), None);
    }
}
