//! What the gate lets in can be read in one way only.

use http::header::{CONNECTION, COOKIE, EXPECT, HOST, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Method, Request, Version};
use tidegate_policy::RequestHead;

use crate::edge::Trust;
use crate::exchange::Upgrade;
use crate::exchange::gate::{Manner, admit};
use crate::exchange::header_policy::is_for_all;
use crate::exchange::host::Host;
use crate::limits::Limits;

/// Reads bytes as a request's head, in lines: a byte for the version and what the codec knows, then method and target, then
/// header lines.
pub fn request_gate(data: &[u8]) {
    let Some((version, head)) = request(data) else { return };
    let limits = Limits::default();
    let (lines, all) = (head.headers().len(), head.headers().clone());
    let extended = version == Version::HTTP_2 && head.method() == Method::CONNECT && data[0] & 0x40 != 0;
    let has_body = data[0] & 0x80 != 0 && !extended;
    let manner = Manner { has_body, connects_websocket: extended, peer: Trust::Stranger };
    let method = head.method().clone();
    let (Ok(admitted), asks) = admit(head.into_parts().0, manner, &limits) else { return };
    assert!(lines <= limits.header_count_max);
    is_in_one_form(&admitted, version);
    assert!(manner.has_body || !admitted.headers.contains_key(TRAILER), "trailers of no body");
    match asks.upgrade {
        None => assert!(!extended, "an extended CONNECT is no plain request"),
        Some(Upgrade::Connect) => assert!(extended),
        Some(Upgrade::Switch) => {
            assert!(version == Version::HTTP_11 && method == Method::GET && !manner.has_body);
            assert_eq!(all.get_all(UPGRADE).iter().count(), 1);
            assert!(all[UPGRADE].as_bytes().eq_ignore_ascii_case(b"websocket"));
        }
    }
    for (name, value) in &all {
        if name == TRANSFER_ENCODING {
            assert!(value.as_bytes().eq_ignore_ascii_case(b"chunked"), "{value:?} is not only chunked");
        }
        if name == EXPECT {
            assert!(value.as_bytes().eq_ignore_ascii_case(b"100-continue"), "{value:?} is expected");
        }
    }
    assert!(all.get_all(TRANSFER_ENCODING).iter().count() <= 1, "two Transfer-Encoding lines");
    for named in all.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|b| *b == b',')) {
        let named = named.trim_ascii();
        let kept = is_for_all(&named.to_ascii_lowercase());
        let there = HeaderName::from_bytes(named).is_ok_and(|name| admitted.headers.contains_key(name));
        assert!(kept || !there || named.eq_ignore_ascii_case(b"close") || named.eq_ignore_ascii_case(b"keep-alive"));
    }
}

fn is_in_one_form(head: &RequestHead, version: Version) {
    assert!(head.method != Method::CONNECT && head.method != Method::TRACE, "{} was let in", head.method);
    let path = head.target.path();
    assert_eq!(tidegate_model::canonical_path(path).as_deref(), Ok(path), "the path is canonical");
    let hosts: Vec<&HeaderValue> = head.headers.get_all(HOST).iter().collect();
    match hosts[..] {
        [one] => assert!(Host::parse(one.as_bytes()).is_some(), "{one:?} is no host"),
        [] => assert_eq!(version, Version::HTTP_10, "no Host"),
        _ => panic!("several hosts: {hosts:?}"),
    }
    for name in head.headers.keys() {
        let name = name.as_str();
        let forbidden = [
            "connection",
            "keep-alive",
            "proxy-connection",
            "te",
            "upgrade",
            "transfer-encoding",
            "expect",
            "http2-settings",
        ];
        assert!(!forbidden.contains(&name), "`{name}` was let in");
        assert!(!name.contains('_'), "`{name}` was let in");
        assert!(
            !name.starts_with("x-consumer-") && !["x-credential-id", "x-anonymous-consumer"].contains(&name),
            "`{name}` was let in"
        );
    }
    if version == Version::HTTP_2 {
        assert!(head.headers.get_all(COOKIE).iter().count() <= 1, "cookie crumbs stayed apart");
    }
}

/// A head as hyper would give it: what hyper refuses is not fed.
fn request(data: &[u8]) -> Option<(Version, Request<()>)> {
    let (version, rest) = data.split_first()?;
    let version = [Version::HTTP_11, Version::HTTP_10, Version::HTTP_2][usize::from((version & 0x3f) % 3)];
    let mut lines = rest.split(|b| *b == b'\n');
    let mut first = lines.next()?.splitn(2, |b| *b == b' ');
    let (method, target) = (first.next()?, first.next()?);
    let mut request = Request::builder().version(version).method(method).uri(target);
    for line in lines {
        let colon = line.iter().position(|b| *b == b':')?;
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    Some((version, request.body(()).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn line() -> impl Strategy<Value = String> {
        let name = "host|Host|connection|transfer-encoding|expect|cookie|te|upgrade|trailer|x-consumer-id|x_a|x-forwarded-for|a|content-length";
        let value = "a|b:80|a,b|u@a|close|keep-alive, a|upgrade|websocket|chunked|chunked, chunked|100-continue|trailers|content-length, x|5";
        (name, value).prop_map(|(name, value)| format!("\n{name}: {value}"))
    }

    proptest! {
        #[test]
        fn what_it_lets_in_is_in_one_form(
            version in 0..3_u8,
            manner in 0..4_u8,
            method in "GET|POST|CONNECT|TRACE|OPTIONS",
            target in "(http://[ab](:80)?)?/(a|\\.\\./|%2[eEfF]|//|b){0,6}(\\?[a/]{0,3})?|\\*|a:80",
            lines in proptest::collection::vec(line(), 0..6),
        ) {
            let mut bytes = vec![version | manner << 6];
            bytes.extend(format!("{method} {target}{}", lines.concat()).into_bytes());
            super::request_gate(&bytes);
        }
    }
}
