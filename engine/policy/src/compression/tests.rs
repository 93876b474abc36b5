use std::io::Read;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::testing::{Bench, problems};
use crate::{Origin, ResponseHead};

fn headers(of: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in of {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        map.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    map
}

/// An answer passes, in these pieces.
fn pass(config: Value, accepted: &str, answer: (u16, &[(&str, &str)]), pieces: &[&[u8]]) -> (HeaderMap, Vec<Bytes>) {
    let mut bench = Bench::new("compression", config);
    bench.head.headers = headers(&[("accept-encoding", accepted)]);
    bench.request().expect("it passes");
    let status = StatusCode::from_u16(answer.0).expect("a status");
    let mut head = ResponseHead { status, headers: headers(answer.1), origin: Origin::Upstream };
    let seen = bench.run.on_response(&bench.chain, &mut head, &mut bench.cx);
    seen.now_or_never().expect("nothing waits").expect("it passes");
    let mut filters = bench.run.response_body_filters(&bench.chain, &mut head, &bench.cx);
    let mut passed = Vec::new();
    for piece in pieces {
        let mut data = Bytes::copy_from_slice(piece);
        for filter in &mut filters {
            filter.on_data(&mut data).expect("it passes");
        }
        passed.push(data);
    }
    for filter in &mut filters {
        passed.push(filter.on_end().expect("it ends"));
    }
    (head.headers, passed)
}

/// What a decoder that knows nothing of us reads, also of what has not ended.
fn decoded(coding: &str, data: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = match coding {
        "gzip" => flate2::read::MultiGzDecoder::new(data).read_to_end(&mut all),
        "br" => brotli::Decompressor::new(data, 4096).read_to_end(&mut all),
        "zstd" => zstd::stream::read::Decoder::new(data).expect("a decoder").read_to_end(&mut all),
        other => panic!("{other}"),
    };
    all
}

const TEXT: &[(&str, &str)] = &[("content-type", "text/plain")];

#[test]
fn each_coding_is_read_by_its_decoder_and_each_piece_can_be_read_at_once() {
    let large: Vec<u8> = (0..200_000u32).flat_map(|n| format!("{n},").into_bytes()).collect();
    let pieces: [&[u8]; 4] = [b"data: one\n\n", b"", b"data: two\n\n", &large];
    for coding in ["gzip", "br", "zstd"] {
        let (headers, passed) = pass(json!({}), coding, (200, TEXT), &pieces);
        assert_eq!(headers["content-encoding"], coding);
        let (mut sent, mut came) = (Vec::new(), Vec::new());
        for (piece, data) in pieces.iter().zip(&passed) {
            sent.extend_from_slice(piece);
            came.extend_from_slice(data);
            assert!(decoded(coding, &came) == sent, "{coding}: what came can be read");
        }
        came.extend_from_slice(passed.last().expect("an end"));
        assert!(decoded(coding, &came) == sent && came.len() < sent.len() / 2, "{coding}: {}", came.len());
        let (_, none) = pass(json!({}), coding, (200, TEXT), &[]);
        assert_eq!(decoded(coding, &none.concat()), b"", "{coding}: an empty body is one too");
    }
}

#[test]
fn what_is_not_to_be_compressed_passes_as_it_is() {
    for (config, accepted, status, answer, varies) in [
        (json!({}), "", 200, TEXT, true),
        (json!({}), "identity", 200, TEXT, true),
        (json!({}), "gzip", 200, &[][..], false),
        (json!({}), "gzip", 200, &[("content-type", "image/png")], false),
        (json!({}), "gzip", 200, &[("content-type", "application/grpc")], false),
        (json!({}), "gzip", 200, &[("content-type", "application/grpc+proto")], false),
        (json!({}), "gzip", 200, &[("content-type", "font/woff2")], false),
        (json!({}), "gzip", 200, &[("content-type", "textual/plain")], false),
        (json!({}), "gzip", 200, &[("content-type", "text/plain"), ("content-length", "1023")], false),
        (json!({}), "gzip", 200, &[("content-type", "text/plain"), ("content-encoding", "br")], false),
        (
            json!({}),
            "gzip",
            200,
            &[("content-type", "text/plain"), ("cache-control", "max-age=1, No-Transform")],
            false,
        ),
        (json!({}), "gzip", 206, &[("content-type", "text/plain"), ("content-range", "bytes 0-1/9")], false),
        (json!({}), "gzip", 204, TEXT, false),
        (json!({}), "gzip", 304, &[], true),
        (json!({ "content_types": ["application/x-own"] }), "gzip", 200, TEXT, false),
    ] {
        let (headers, passed) = pass(config, accepted, (status, answer), &[b"as it is"]);
        let told = format!("{accepted} {status} {answer:?}");
        assert_eq!((passed.len(), &passed[0][..]), (1, &b"as it is"[..]), "{told}");
        assert_eq!(headers.contains_key("vary"), varies, "{told}");
    }
}

#[test]
fn types_are_known_by_name_kind_and_ending() {
    let own = json!({ "content_types": ["application/x-own", "*+json"] });
    for (config, content_type, compressed) in [
        (json!({}), "text/html; charset=utf-8", true),
        (json!({}), "TEXT/HTML", true),
        (json!({}), "application/json", true),
        (json!({}), "application/problem+json;a=b", true),
        (json!({}), "application/atom+xml", true),
        (json!({}), "application/javascript", true),
        (json!({}), "application/wasm", true),
        (json!({}), "image/svg+xml", true),
        (json!({}), "text/event-stream", true),
        (json!({}), "application/zip", false),
        (json!({}), "video/mp4", false),
        (own.clone(), "application/x-own", true),
        (own.clone(), "application/ld+json", true),
        (own, "text/html", false),
    ] {
        let (headers, _) = pass(config, "gzip", (200, &[("content-type", content_type)]), &[]);
        assert_eq!(headers.contains_key("content-encoding"), compressed, "{content_type}");
    }
}

#[test]
fn the_head_says_what_became_of_the_body() {
    let answer = [
        ("content-type", "text/plain"),
        ("content-length", "5000"),
        ("etag", "\"a\""),
        ("accept-ranges", "bytes"),
        ("content-digest", "sha-256=:x:"),
        ("vary", "origin"),
    ];
    let (headers, _) = pass(json!({}), "gzip", (200, &answer), &[]);
    for gone in ["content-length", "accept-ranges", "content-digest"] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
    assert_eq!(headers["etag"], "W/\"a\"");
    assert_eq!(headers.get_all("vary").iter().collect::<Vec<_>>(), ["origin", "accept-encoding"]);
    let (headers, _) = pass(json!({}), "", (200, &answer), &[]);
    assert!(headers["etag"] == "\"a\"" && headers["content-length"] == "5000", "{headers:?}");
    for vary in ["Accept-Encoding", "*", "a, accept-encoding"] {
        let (headers, _) = pass(json!({}), "gzip", (200, &[("content-type", "text/a"), ("vary", vary)]), &[]);
        assert_eq!(headers.get_all("vary").iter().count(), 1, "{vary}");
    }
    let (headers, _) = pass(json!({}), "gzip", (200, &[("content-type", "text/a"), ("etag", "W/\"a\"")]), &[]);
    assert_eq!(headers["etag"], "W/\"a\"");
}

#[test]
fn a_config_that_can_not_hold_is_refused_with_its_field() {
    for (config, pointer) in [
        (json!({ "codings": [] }), "/codings"),
        (json!({ "codings": ["gzip", "gzip"] }), "/codings/1"),
        (json!({ "codings": ["deflate"] }), "/codings/0"),
        (json!({ "content_types": ["text/*", "text"] }), "/content_types/1"),
        (json!({ "content_types": ["*"] }), "/content_types/0"),
        (json!({ "gzip_level": 10 }), "/gzip_level"),
        (json!({ "br_quality": 11 }), "/br_quality"),
        (json!({ "zstd_level": 22 }), "/zstd_level"),
        (json!({ "min_size": "many" }), "/min_size"),
    ] {
        let found = problems("compression", &config);
        assert_eq!(found.iter().map(|p| &*p.pointer).collect::<Vec<_>>(), [pointer], "{config}");
    }
}
