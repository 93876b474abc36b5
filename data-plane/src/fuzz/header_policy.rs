//! What the header policy lets pass, both ways.

use http::header::{CONNECTION, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use crate::edge::Trust;
use crate::exchange::Asks;
use crate::exchange::gate::Manner;
use crate::exchange::header_policy::{is_for_all, is_ours, sort_out, strip_answer};

/// Nothing gets past that may not, nothing is lost that is for all, and what went through once goes through unchanged.
pub fn header_policy(bytes: &[u8]) {
    let came = spelled(bytes);
    for (peer, version) in [(Trust::Stranger, Version::HTTP_11), (Trust::Proxy, Version::HTTP_2)] {
        let manner = Manner { has_body: peer == Trust::Proxy, connects_websocket: false, peer };
        let mut headers = came.clone();
        if sort_out(&mut headers, version, manner, &mut Asks::default()).is_err() {
            assert!(came.contains_key(TRANSFER_ENCODING) || came.contains_key(EXPECT));
            continue;
        }
        for name in headers.keys() {
            let name = name.as_str();
            assert!(!name.contains('_') && !is_ours(name.as_bytes()) && name != "forwarded", "{name} got past");
            let hop = [
                "connection",
                "keep-alive",
                "te",
                "transfer-encoding",
                "upgrade",
                "expect",
                "proxy-connection",
                "proxy-authorization",
            ];
            assert!(!hop.contains(&name), "{name} got past");
            assert!(manner.has_body || name != "trailer", "{name} of no body got past");
            assert!(peer == Trust::Proxy || !["x-real-ip", "x-original-url"].contains(&name), "{name} got past");
        }
        for name in came.keys().filter(|name| is_for_all(name.as_str().as_bytes())) {
            assert!(headers.contains_key(name), "{name} was lost");
        }
        let mut again = headers.clone();
        assert!(sort_out(&mut again, version, manner, &mut Asks::default()).is_ok());
        assert_eq!(again, headers);
    }
    let mut answer = came.clone();
    strip_answer(&mut answer);
    assert!(!answer.contains_key(CONNECTION) && !answer.contains_key(TRANSFER_ENCODING));
    for name in came.keys().filter(|name| is_for_all(name.as_str().as_bytes())) {
        assert!(answer.contains_key(name), "{name} was lost");
    }
}

/// The headers that some bytes spell, one a line.
fn spelled(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|b| *b == b'\n').take(100) {
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), line.get(colon + 1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_headers_come_out_in_one_form(
            lines in proptest::collection::vec((
                prop_oneof![
                    "(connection|te|x-forwarded-for|x_forwarded_for|x-consumer-id|forwarded|x-real-ip|cookie|authorization|via|host|content-length|x-own|keep-alive|transfer-encoding|expect|upgrade|proxy-connection)",
                    "[a-zA-Z_-]{1,12}",
                ],
                prop_oneof!["(chunked|100-continue|close|keep-alive, authorization, X-Own|via,HOST , x-own)", "[ -~]{0,20}"],
            ), 0..12)
        ) {
            let text: String = lines.into_iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
            super::header_policy(text.as_bytes());
        }

        #[test]
        fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            super::header_policy(&bytes);
        }
    }
}
