//! Numbers that no other request gets, and small texts made of them.

use std::cell::{Cell, RefCell};

use bytes::BytesMut;
use http::HeaderValue;
use tidegate_policy::RequestId;

/// Gives each request an id that no other has: a part by chance for the worker, a part that is counted.
pub(crate) struct Ids {
    high: u32,
    low: Cell<u64>,
    chance: Cell<u64>,
    /// Texts lie side by side in one piece of memory until it is full.
    text: RefCell<BytesMut>,
}

/// How much memory is taken at a time for texts.
const PIECE_BYTES: usize = 2048;

/// An odd step: all numbers are gone through before one comes again, and neighbours do not look alike.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Ids {
    pub(crate) fn new() -> Self {
        Ids {
            high: rand::random(),
            low: Cell::new(rand::random()),
            chance: Cell::new(rand::random()),
            text: RefCell::default(),
        }
    }

    /// An id for a request.
    pub(crate) fn next(&self) -> (RequestId, HeaderValue) {
        let low = self.low.get().wrapping_add(STEP);
        self.low.set(low);
        let id = RequestId::new(self.high, low);
        let value = self.header(id.as_str().as_bytes());
        (id, value)
    }

    /// A number whose every bit is as good as by chance: samplers go by some of a trace's (SplitMix64).
    pub(crate) fn chance(&self) -> u64 {
        let state = self.chance.get().wrapping_add(STEP);
        self.chance.set(state);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A short text as a header, seldom with an allocation of its own. It is of letters, digits and dashes.
    pub(crate) fn header(&self, short: &[u8]) -> HeaderValue {
        let mut text = self.text.borrow_mut();
        if text.capacity() < short.len() {
            *text = BytesMut::with_capacity(PIECE_BYTES.max(short.len()));
        }
        text.extend_from_slice(short);
        let value = HeaderValue::from_maybe_shared(text.split().freeze());
        value.expect("letters, digits and dashes are header characters")
    }
}
