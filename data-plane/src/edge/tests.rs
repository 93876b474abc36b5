//! Who a caller is, as tables.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Version};

use super::trace::{State, Trace, read};
use super::{Caller, Edge, Network, Peer, Ports, Scheme, TrustedHeaders, chain, forwarded, tell, via};

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

fn edge(family: TrustedHeaders) -> Edge {
    let networks = ["10.0.0.0/8", "2001:db8::/32"].iter().map(|n| n.parse::<Network>().expect(n));
    Edge { trusted: networks.collect(), headers: family, ..Edge::default() }
}

fn caller(family: TrustedHeaders, peer: &str, lines: &[(&str, &str)]) -> Caller {
    let edge = edge(family);
    let peer = Peer::new(peer.parse().expect("an address"), &edge.trusted);
    Caller::of(&peer, Version::HTTP_11, &headers(lines), &edge, 4)
}

#[test]
fn the_caller_is_the_first_address_from_the_right_that_is_no_trusted_proxy() {
    for (line, wanted, cut) in [
        ("192.0.2.1", "192.0.2.1", false),
        ("192.0.2.1, 10.0.0.2", "192.0.2.1", false),
        ("6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1", false),
        ("6.6.6.6,192.0.2.1", "192.0.2.1", false),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3", false),
        ("192.0.2.1:4711", "192.0.2.1", false),
        ("::ffff:192.0.2.1", "192.0.2.1", false),
        ("[2001:db9::1]:4711, ::ffff:10.0.0.2", "2001:db9::1", false),
        ("[2001:db9::1], 2001:db8::5", "2001:db9::1", false),
        ("2001:db9::1 ,\t10.0.0.2 ,,", "2001:db9::1", false),
        ("unknown, 10.0.0.2", "10.0.0.2", true),
        ("192.0.2.1, unknown", "10.0.0.1", true),
        ("192.0.2.1, _hidden", "10.0.0.1", true),
        ("192.0.2.1, 300.0.0.1", "10.0.0.1", true),
        ("192.0.2.1, 10.0.0.2:x", "10.0.0.1", true),
        ("192.0.2.1, 010.0.0.2", "10.0.0.1", true),
        ("192.0.2.1, [::1", "10.0.0.1", true),
        ("192.0.2.1, \"10.0.0.2\"", "10.0.0.1", true),
        ("192.0.2.1, fe80::1%eth0", "10.0.0.1", true),
        ("", "10.0.0.1", false),
        // the longest way that is followed has 4 hops
        ("192.0.2.1, 10.0.0.6, 10.0.0.5, 10.0.0.4, 10.0.0.3", "10.0.0.6", true),
        ("192.0.2.1, 10.0.0.5, 10.0.0.4, 10.0.0.3", "192.0.2.1", false),
    ] {
        let caller = caller(TrustedHeaders::XForwarded, "10.0.0.1", &[("x-forwarded-for", line)]);
        assert_eq!((caller.address.to_string().as_str(), caller.is_cut()), (wanted, cut), "{line}");
    }
    let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.0.0.2")];
    assert_eq!(caller(TrustedHeaders::XForwarded, "10.0.0.1", &lines).address, IpAddr::from([192, 0, 2, 1]));
}

#[test]
fn the_same_by_rfc_7239() {
    for (line, wanted, scheme, cut) in [
        ("for=192.0.2.1;proto=https", "192.0.2.1", Scheme::Https, false),
        ("for=192.0.2.1;proto=https, for=10.0.0.2;proto=http", "192.0.2.1", Scheme::Https, false),
        ("for=6.6.6.6;proto=https, for=192.0.2.1, for=10.0.0.2", "192.0.2.1", Scheme::Http, false),
        ("For=\"[2001:db9::1]:4711\";Proto=HTTPS", "2001:db9::1", Scheme::Https, false),
        ("for=192.0.2.1;by=10.0.0.1;host=a;proto=https;secret=\"a;b, c\"", "192.0.2.1", Scheme::Https, false),
        ("for=\"192.0.2.1:_port\" ; proto=https", "192.0.2.1", Scheme::Https, false),
        ("for=\"evil, for=192.0.2.1", "192.0.2.1", Scheme::Http, false),
        ("for=\"evil\\\", for=\"192.0.2.1\"", "192.0.2.1", Scheme::Http, false),
        ("for=\"evil, for=\"[2001:db9::1]\"", "2001:db9::1", Scheme::Http, false),
        ("for=6.6.6.6, for=unknown", "10.0.0.1", Scheme::Http, true),
        ("for=6.6.6.6, for=_hidden, for=10.0.0.2;proto=https", "10.0.0.2", Scheme::Https, true),
        ("for=6.6.6.6, proto=https", "10.0.0.1", Scheme::Http, true),
        ("for=6.6.6.6, for=192.0.2.1;for=192.0.2.2", "10.0.0.1", Scheme::Http, true),
        ("for=6.6.6.6, for=192.0.2.1 x", "10.0.0.1", Scheme::Http, true),
        ("for=6.6.6.6, for=", "10.0.0.1", Scheme::Http, true),
        ("for=6.6.6.6, for", "10.0.0.1", Scheme::Http, true),
        ("for=6.6.6.6, for=192.0.2.1;", "10.0.0.1", Scheme::Http, true),
    ] {
        let caller = caller(TrustedHeaders::Forwarded, "10.0.0.1", &[("forwarded", line)]);
        let got = (caller.address.to_string(), caller.scheme, caller.is_cut());
        assert_eq!(got, (wanted.to_owned(), scheme, cut), "{line}");
    }
}

#[test]
fn only_the_family_that_was_named_is_believed() {
    let both = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https"), ("forwarded", "for=192.0.2.2")];
    let x = caller(TrustedHeaders::XForwarded, "10.0.0.1", &both);
    assert_eq!((x.address, x.scheme), ([192, 0, 2, 1].into(), Scheme::Https));
    let forwarded = caller(TrustedHeaders::Forwarded, "10.0.0.1", &both);
    assert_eq!((forwarded.address, forwarded.scheme), ([192, 0, 2, 2].into(), Scheme::Http));
    let other = caller(TrustedHeaders::Forwarded, "10.0.0.1", &both[..2]);
    assert_eq!((other.address, other.scheme), ([10, 0, 0, 1].into(), Scheme::Http));
}

#[test]
fn a_stranger_is_itself_whatever_it_says() {
    for family in [TrustedHeaders::XForwarded, TrustedHeaders::Forwarded] {
        let said = [
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=10.0.0.1;proto=https"),
            ("x-request-id", "mine"),
        ];
        let stranger = caller(family, "192.0.2.9", &said);
        assert_eq!((stranger.address, stranger.scheme), ([192, 0, 2, 9].into(), Scheme::Http));
        assert!(stranger.told.is_none() && stranger.request_id().is_none());
    }
}

/// What upstreams are told, by the names of the headers.
fn told(family: TrustedHeaders, peer: &str, lines: &[(&str, &str)], host: Option<&str>) -> Vec<(String, String)> {
    let edge = edge(family);
    let peer = Peer::new(peer.parse().expect("an address"), &edge.trusted);
    let caller = Caller::of(&peer, Version::HTTP_11, &headers(lines), &edge, 4);
    let mut headers = HeaderMap::new();
    let host = host.map(|host| HeaderValue::from_str(host).expect("a host"));
    tell(&mut headers, &caller, &peer, host, &edge, &Ports::new());
    let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
    let mut told: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    told.sort();
    told
}

#[test]
fn upstreams_are_told_what_is_believed_and_nothing_else() {
    let x = TrustedHeaders::XForwarded;
    let check = |got: Vec<(String, String)>, wanted: &[(&str, &str)]| {
        let got: Vec<(&str, &str)> = got.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(got, wanted);
    };
    check(
        told(x, "192.0.2.9", &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-host", "evil")], Some("shop:8000")),
        &[
            ("x-forwarded-for", "192.0.2.9"),
            ("x-forwarded-host", "shop:8000"),
            ("x-forwarded-port", "8000"),
            ("x-forwarded-proto", "http"),
        ],
    );
    let said = [
        ("x-forwarded-for", "6.6.6.6, 192.0.2.1:4711, 10.0.0.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
    ];
    check(
        told(x, "10.0.0.1", &said, Some("inner:8000")),
        &[
            ("x-forwarded-for", "192.0.2.1, 10.0.0.2, 10.0.0.1"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-proto", "https"),
        ],
    );
    let wrong = [
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-host", "a/b"),
        ("x-forwarded-port", "+1"),
        ("x-forwarded-for", "who knows"),
    ];
    check(
        told(x, "10.0.0.1", &wrong, None),
        &[("x-forwarded-for", "10.0.0.1"), ("x-forwarded-port", "80"), ("x-forwarded-proto", "http")],
    );
    check(
        told(x, "10.0.0.1", &[("x-forwarded-port", "1, 8443"), ("x-forwarded-proto", "http,https")], Some("a:1")),
        &[
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "a:1"),
            ("x-forwarded-port", "8443"),
            ("x-forwarded-proto", "https"),
        ],
    );
    check(
        told(
            TrustedHeaders::Forwarded,
            "2001:db8::1",
            &[("forwarded", "for=6.6.6.6, for=\"[2001:db9::1]\";host=\"shop:8\";proto=https, for=10.0.0.2")],
            Some("inner"),
        ),
        &[
            ("forwarded", "for=\"[2001:db9::1]\";proto=https;host=\"shop:8\", for=10.0.0.2, for=\"[2001:db8::1]\""),
            ("x-forwarded-for", "2001:db9::1, 10.0.0.2, 2001:db8::1"),
            ("x-forwarded-host", "shop:8"),
            ("x-forwarded-port", "8"),
            ("x-forwarded-proto", "https"),
        ],
    );
}

#[test]
fn a_parent_is_read_as_the_standard_has_it() {
    const ID: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
    let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(read(valid.as_bytes()), Some((ID, 1)));
    for (from, to) in [("00-0af", "cc-0af"), ("00-0af", "01-0af"), ("-01", "-00"), ("-01", "-03")] {
        assert!(read(valid.replace(from, to).as_bytes()).is_some(), "{from} {to}");
    }
    assert!(read(format!("{}-what-comes", valid.replace("00-0af", "01-0af")).as_bytes()).is_some());
    for text in [
        "",
        "00",
        &valid.replace("00-0af", "ff-0af"),
        &valid.replace("00-0af", "0-0af"),
        &valid.to_uppercase(),
        &valid.replace('-', "_"),
        &valid.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"),
        &valid.replace("b7ad6b7169203331", "0000000000000000"),
        &valid.replace("b7ad", "g7ad"),
        &format!("{valid}-more"),
        &format!("{valid} "),
        &format!("{}x", valid.replace("00-0af", "01-0af")),
        &valid[..54],
    ] {
        assert_eq!(read(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_state_goes_on_with_its_parent_only_and_only_if_it_is_small() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let many = (0..33).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    let long = format!("a={}", "x".repeat(600));
    for (lines, kept, state) in [
        (vec![("traceparent", parent), ("tracestate", "a=1,b=2"), ("tracestate", "c=3")], true, State::Kept),
        (vec![("tracestate", "a=1")], false, State::Kept),
        (vec![("traceparent", parent), ("traceparent", parent), ("tracestate", "a=1")], false, State::Kept),
        (vec![("traceparent", "00-0-0-0"), ("tracestate", "a=1")], false, State::Kept),
        (vec![("traceparent", parent), ("tracestate", &many)], false, State::TooLarge),
        (vec![("traceparent", parent), ("tracestate", &long)], false, State::TooLarge),
    ] {
        let mut map = headers(&lines);
        let (trace, got) = Trace::join(&mut map, || 5, 600);
        assert_eq!((map.contains_key("tracestate"), got), (kept, state), "{lines:?}");
        assert_eq!(trace.span, 5);
    }
}

#[test]
fn own_passes_are_counted_and_others_are_not() {
    for (lines, passes) in [
        (vec![], 0),
        (vec![("via", "1.1 tidegate")], 1),
        (vec![("via", "1.1 tidegate, 2 Tidegate (a comment)"), ("via", "HTTP/1.0  tidegate")], 3),
        (vec![("via", "1.1 other, 1.1 tidegate2, tidegate, 1.1 a (tidegate)")], 0),
    ] {
        assert_eq!(via::passes(&headers(&lines)), passes, "{lines:?}");
    }
}

#[test]
fn entries_are_read_from_the_last_to_the_first() {
    let map = headers(&[("forwarded", "for=1.1.1.1, for=\"2.2.2.2\";x=\"a,b\\\",c\""), ("forwarded", "for=3.3.3.3")]);
    let from: Vec<_> = forwarded::elements_from_last(&map).map(|e| e.and_then(|e| e.from)).collect();
    let wanted: Vec<Option<IpAddr>> =
        [[3, 3, 3, 3], [2, 2, 2, 2], [1, 1, 1, 1]].into_iter().map(|a| Some(a.into())).collect();
    assert_eq!(from, wanted);
    assert_eq!(chain::address(b"1.1.1.1:"), None);
}
