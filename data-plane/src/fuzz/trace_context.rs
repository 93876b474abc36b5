//! Traces that go on, and traces that begin.

use http::{HeaderMap, HeaderValue};

use crate::edge::trace::{Trace, read};

/// What is read is what would be written, and what is written can be read.
pub fn trace_context(bytes: &[u8]) {
    let Ok(line) = HeaderValue::from_bytes(bytes) else { return };
    let came = read(line.as_bytes());
    let mut headers = HeaderMap::new();
    headers.append("traceparent", line);
    headers.append("tracestate", HeaderValue::from_static("a=1"));
    let (trace, _) = Trace::join(&mut headers, || 7, 512);
    let (id, flags) = read(&trace.header()).expect("what we write is valid");
    assert_eq!((id, trace.span), (trace.id, 7));
    assert_eq!(headers.contains_key("tracestate"), came.is_some());
    if let Some((came, came_flags)) = came {
        assert_eq!((id, flags), (came, came_flags & 1));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_trace_comes_a_valid_one_goes_on(
            line in prop_oneof!["[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[a-z]{0,3})?", "[ -~]{0,60}"],
        ) {
            super::trace_context(line.as_bytes());
        }
    }
}
