use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_LENGTH;
use serde_json::{Value, json};

use crate::testing::{Bench, build, problems};
use crate::{BodyNeed, Chain};

fn announced(length: u64) -> Result<(), u16> {
    let mut bench = Bench::new("request-size", json!({ "max": "1KiB" }));
    bench.head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    bench.request().map_err(|reply| reply.status.as_u16())
}

#[test]
fn a_body_that_says_it_is_too_large_is_refused_at_once() {
    assert_eq!(announced(1024), Ok(()));
    assert_eq!(announced(1025), Err(413));
}

#[test]
fn a_body_that_does_not_say_is_counted_as_it_passes() {
    let mut bench = Bench::new("request-size", json!({ "max": "10B" }));
    bench.request().expect("nothing known yet");
    let chain: &Chain = &bench.chain;
    let mut filters = bench.run.request_body_filters(chain, &bench.head, &bench.cx);
    let mut piece = |n: usize| filters[0].on_data(&mut Bytes::from(vec![0; n])).map_err(|r| r.status.as_u16());
    assert_eq!((piece(4), piece(6), piece(0), piece(1)), (Ok(()), Ok(()), Ok(()), Err(413)));
}

#[test]
fn what_it_needs_follows_from_how_it_checks() {
    let need = |config: Value| build("request-size", &config).needs.request_body;
    assert_eq!(need(json!({ "max": "1KiB" })), BodyNeed::Stream);
    assert_eq!(need(json!({ "max": "1KiB", "check": "buffer" })), BodyNeed::Buffer(1024));
}

#[test]
fn what_would_fill_the_memory_is_refused() {
    assert_eq!(problems("request-size", &json!({ "max": "65MiB", "check": "buffer" }))[0].pointer, "/max");
    assert_eq!(problems("request-size", &json!({ "max": 5 }))[0].code, "wrong_type");
    assert_eq!(problems("request-size", &json!({}))[0].code, "missing_field");
}
