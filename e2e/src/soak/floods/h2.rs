//! HTTP/2, frame by frame.

use super::Flood;

pub(super) const FLOODS: &[Flood] = &[
    Flood { name: "h2: rapid reset", opening: plain, piece: rapid_reset, rest: None, reads: true },
    Flood { name: "h2: rapid reset, nothing read", opening: plain, piece: rapid_reset, rest: None, reads: false },
    Flood {
        name: "h2: resets provoked from the server",
        opening: plain,
        piece: provoked_reset,
        rest: None,
        reads: true,
    },
    Flood { name: "h2: CONTINUATION without end", opening: open_head, piece: continuation, rest: None, reads: true },
    Flood { name: "h2: SETTINGS, nothing read", opening: plain, piece: settings, rest: None, reads: false },
    Flood { name: "h2: PING, nothing read", opening: plain, piece: ping, rest: None, reads: false },
    Flood { name: "h2: empty DATA", opening: open_body, piece: empty_data, rest: None, reads: true },
    Flood { name: "h2: header bomb by HPACK", opening: large_entry, piece: bomb, rest: None, reads: true },
    Flood { name: "h2: cookie crumbs, window of 0", opening: no_window, piece: crumbs, rest: None, reads: false },
    Flood {
        name: "h2: answers held by a window of 0",
        opening: no_window,
        piece: held_answer,
        rest: None,
        reads: false,
    },
    Flood { name: "h2: window opened byte by byte", opening: no_window, piece: byte_window, rest: None, reads: true },
];

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_CONCURRENT: u32 = 200;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame's length has 24 bits").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The stream of a caller's nth request.
fn stream(number: u32) -> u32 {
    number * 2 + 1
}

/// A request of `/` in indexed fields (RFC 7541, appendix A): method, scheme, path, authority.
fn request(post: bool) -> Vec<u8> {
    let mut fields = vec![if post { 0x83 } else { 0x82 }, 0x86, 0x84, 0x41, 4];
    fields.extend(b"soak");
    fields
}

/// A field that is not kept in the table.
fn field(name: &str, value: &[u8]) -> Vec<u8> {
    let mut field = vec![0, u8::try_from(name.len()).expect("names here are short")];
    field.extend(name.as_bytes());
    field.extend(length(value.len()));
    field.extend(value);
    field
}

/// A length of a string, as an integer with 7 bits in its first byte.
fn length(length: usize) -> Vec<u8> {
    if length < 127 {
        return vec![length as u8];
    }
    let (mut bytes, mut rest) = (vec![127], length - 127);
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

fn preface(settings: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &payload)].concat()
}

fn plain() -> Vec<u8> {
    preface(&[])
}

fn rapid_reset(number: u32) -> Vec<u8> {
    let stream = stream(number);
    let begun = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request(false));
    [begun, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
}

/// A window that grows by nothing is an error of its stream, which the server has to reset.
fn provoked_reset(number: u32) -> Vec<u8> {
    let stream = stream(number);
    let begun = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request(false));
    [begun, frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
}

fn open_head() -> Vec<u8> {
    [plain(), frame(HEADERS, 0, 1, &request(false))].concat()
}

fn continuation(number: u32) -> Vec<u8> {
    frame(CONTINUATION, 0, 1, &field(&format!("x-{number}"), &[b'v'; 8 << 10]))
}

fn settings(number: u32) -> Vec<u8> {
    let payload = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &(65_535 + number % 2).to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &payload).repeat(50)
}

fn ping(number: u32) -> Vec<u8> {
    frame(PING, 0, 0, &u64::from(number).to_be_bytes()).repeat(50)
}

fn open_body() -> Vec<u8> {
    [plain(), frame(HEADERS, END_HEADERS, 1, &request(true))].concat()
}

fn empty_data(_: u32) -> Vec<u8> {
    frame(DATA, 0, 1, &[]).repeat(100)
}

/// One entry that fills the table of the other side.
fn large_entry() -> Vec<u8> {
    let value = [b'v'; 3_900];
    let entry = [&[0x40, 1, b'x'][..], &length(value.len()), &value].concat();
    let fields = [request(false), entry].concat();
    [plain(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields)].concat()
}

/// A byte for each time that entry is in the head: 4,000 bytes that stand for 15 MB.
fn bomb(number: u32) -> Vec<u8> {
    let fields = [request(false), vec![0xbe; 4_000]].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, stream(number + 1), &fields)
}

fn no_window() -> Vec<u8> {
    preface(&[(INITIAL_WINDOW_SIZE, 0)])
}

/// Cookies of no length: three bytes each, of which far more is kept.
fn crumbs(number: u32) -> Vec<u8> {
    let fields = [request(false), [0x0f, 0x11, 0].repeat(1_500)].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &fields)
}

fn held_answer(number: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &request(false))
}

/// Streams up to what may be open at a time, then a byte more of room for each in turn.
fn byte_window(number: u32) -> Vec<u8> {
    if number < MAX_CONCURRENT {
        return held_answer(number);
    }
    frame(WINDOW_UPDATE, 0, stream(number % MAX_CONCURRENT), &1_u32.to_be_bytes())
}
