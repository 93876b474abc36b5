//! HTTP/1.1, byte by byte.

use std::time::Duration;

use super::Flood;

const DRIP: Option<Duration> = Some(Duration::from_millis(20));

pub(super) const FLOODS: &[Flood] = &[
    Flood { name: "h1: head without end", opening: request_line, piece: header_line, rest: None, reads: true },
    Flood { name: "h1: one line without end", opening: long_line, piece: kibibyte, rest: None, reads: true },
    Flood { name: "h1: head byte by byte", opening: long_line, piece: byte, rest: DRIP, reads: true },
    Flood { name: "h1: body byte by byte", opening: post, piece: byte, rest: DRIP, reads: true },
    Flood {
        name: "h1: chunk extensions without end",
        opening: chunked,
        piece: extended_chunk,
        rest: None,
        reads: true,
    },
    Flood { name: "h1: trailers without end", opening: last_chunk, piece: header_line, rest: None, reads: true },
    Flood { name: "h1: pipelined, nothing read", opening: nothing, piece: large_answer, rest: None, reads: false },
    Flood { name: "h1: nonsense after a request", opening: get, piece: nonsense, rest: None, reads: true },
];

fn nothing() -> Vec<u8> {
    Vec::new()
}

fn request_line() -> Vec<u8> {
    b"GET / HTTP/1.1\r\nHost: soak\r\n".to_vec()
}

fn get() -> Vec<u8> {
    [request_line(), b"\r\n".to_vec()].concat()
}

fn header_line(number: u32) -> Vec<u8> {
    [format!("x-{number}: ").into_bytes(), kibibyte(number), b"\r\n".to_vec()].concat()
}

fn long_line() -> Vec<u8> {
    [request_line(), b"x-long: ".to_vec()].concat()
}

fn kibibyte(_: u32) -> Vec<u8> {
    vec![b'v'; 1 << 10]
}

fn byte(_: u32) -> Vec<u8> {
    b"v".to_vec()
}

fn post() -> Vec<u8> {
    b"POST / HTTP/1.1\r\nHost: soak\r\nContent-Length: 1000000\r\n\r\n".to_vec()
}

fn chunked() -> Vec<u8> {
    b"POST / HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()
}

fn extended_chunk(number: u32) -> Vec<u8> {
    [b"1;e=".to_vec(), kibibyte(number), b"\r\nv\r\n".to_vec()].concat()
}

fn last_chunk() -> Vec<u8> {
    [chunked(), b"0\r\n".to_vec()].concat()
}

fn large_answer(_: u32) -> Vec<u8> {
    b"GET /bytes/100000 HTTP/1.1\r\nHost: soak\r\n\r\n".repeat(10)
}

/// Never the same, and of all bytes.
fn nonsense(number: u32) -> Vec<u8> {
    let mut state = u64::from(number) + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..512).map(|_| next()).collect()
}
