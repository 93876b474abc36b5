//! Headers that a config may set on a reply, and those that it may not.

use http::{HeaderName, HeaderValue};
use tidegate_model::Problems;

/// What says how a reply is framed or which connection it is on: only the gateway does.
const OF_THE_GATEWAY: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

/// Reads the name of a header that a reply is to have; what is wrong is noted at the current place.
pub(crate) fn settable(name: &str, problems: &mut Problems) -> Option<HeaderName> {
    let Ok(header) = name.parse::<HeaderName>() else {
        problems.add("invalid_value", format!("`{name}` is not the name of a header"));
        return None;
    };
    if OF_THE_GATEWAY.contains(&header.as_str()) {
        problems.add("invalid_value", format!("`{header}` is for the gateway to set"));
        return None;
    }
    Some(header)
}

/// Reads the value of a header; what is wrong is noted at the current place.
pub(crate) fn value(text: &str, problems: &mut Problems) -> Option<HeaderValue> {
    let read = HeaderValue::from_str(text).ok().filter(|value| value.to_str().is_ok());
    if read.is_none() {
        problems.add("invalid_value", "must be of visible ASCII characters");
    }
    read
}
