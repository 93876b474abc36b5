//! The gateway as a hop in a trace (W3C Trace Context): the trace goes on, the span is the gateway's own.

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-<trace>-<span>-<flags>`.
const LENGTH: usize = 55;

/// The most members of a `tracestate`, as the standard has it.
const STATES_MAX: usize = 32;

/// The flag of a trace that somebody has decided to record.
const SAMPLED: u8 = 1;

/// Where a request stands in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    /// Never 0.
    pub(crate) id: u128,
    /// Of this hop. Never 0.
    pub(crate) span: u64,
    pub(crate) sampled: bool,
}

/// What came of a trace's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Kept,
    /// It was larger than it may be.
    TooLarge,
}

impl Trace {
    /// Goes on with the trace that the request came with, or begins one; `chance` gives a number that no other request gets.
    pub(crate) fn join(headers: &mut HeaderMap, chance: impl Fn() -> u64, state_bytes_max: usize) -> (Self, State) {
        let span = nonzero(&chance);
        match parent(headers) {
            Some((id, flags)) => {
                let trace = Trace { id, span, sampled: flags & SAMPLED != 0 };
                let state = if fits(headers, state_bytes_max) { State::Kept } else { State::TooLarge };
                if state == State::TooLarge {
                    headers.remove(&TRACESTATE);
                }
                (trace, state)
            }
            None => {
                // it belongs to a trace that nobody can name
                headers.remove(&TRACESTATE);
                let id = u128::from(nonzero(&chance)) << 64 | u128::from(chance());
                (Trace { id, span, sampled: false }, State::Kept)
            }
        }
    }

    /// As upstreams are told. A version that came is not repeated: what is sent is of the version that is understood here.
    pub(crate) fn header(self) -> [u8; LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        hexadecimal(&mut text[3..35], self.id);
        hexadecimal(&mut text[36..52], self.span.into());
        hexadecimal(&mut text[53..], u128::from(if self.sampled { SAMPLED } else { 0 }));
        text
    }
}

fn nonzero(chance: &impl Fn() -> u64) -> u64 {
    loop {
        match chance() {
            0 => {}
            number => return number,
        }
    }
}

/// The trace and the flags of a `traceparent` that came once and is valid.
fn parent(headers: &HeaderMap) -> Option<(u128, u8)> {
    let mut lines = headers.get_all(&TRACEPARENT).iter();
    match (lines.next(), lines.next()) {
        (Some(one), None) => read(one.as_bytes()),
        _ => None,
    }
}

pub(crate) fn read(text: &[u8]) -> Option<(u128, u8)> {
    let (known, more) = text.split_at_checked(LENGTH)?;
    let version = number(&known[..2])?;
    // later versions may say more, behind another dash
    let fits = match version {
        0 => more.is_empty(),
        0xff => false,
        _ => more.first().is_none_or(|b| *b == b'-'),
    };
    let dashes = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
    let (id, span) = (number(&known[3..35])?, number(&known[36..52])?);
    let flags = u8::try_from(number(&known[53..])?).ok()?;
    (fits && dashes && id != 0 && span != 0).then_some((id, flags))
}

/// Digits in lower case: the standard knows no others.
fn number(digits: &[u8]) -> Option<u128> {
    let mut number = 0;
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u128::from(value);
    }
    Some(number)
}

fn hexadecimal(text: &mut [u8], number: u128) {
    let last = text.len() - 1;
    for (index, digit) in text.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (4 * (last - index)) & 15) as usize];
    }
}

/// Whether the state may go on.
fn fits(headers: &HeaderMap, bytes_max: usize) -> bool {
    let lines = || headers.get_all(&TRACESTATE).iter().map(HeaderValue::as_bytes);
    let members = lines().flat_map(|line| line.split(|b| *b == b',')).filter(|m| !m.trim_ascii().is_empty());
    lines().map(<[u8]>::len).sum::<usize>() <= bytes_max && members.count() <= STATES_MAX
}
