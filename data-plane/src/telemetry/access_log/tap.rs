//! A worker's end of the log: lines are put together in a buffer of its own and handed over by the batch. Never waits.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::fields::Field;
use super::record::Record;
use super::sink::{Batch, Shared};

/// What lines look like, and which are written.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) node: Box<str>,
    pub(super) redacted: Vec<Field>,
    /// How many of a million requests are told; of failures all.
    pub(super) sample: u32,
    pub(super) batch_bytes: usize,
    pub(super) text_bytes_max: usize,
}

/// A worker's end of the log.
pub(crate) struct Tap {
    terms: Arc<Terms>,
    shared: Arc<Shared>,
    under_way: RefCell<Batch>,
    /// Of the dice that choose samples.
    dice: std::cell::Cell<u64>,
}

static SEEDS: AtomicU32 = AtomicU32::new(1);

impl Tap {
    pub(super) fn new(terms: Arc<Terms>, shared: Arc<Shared>) -> Self {
        let seed = u64::from(SEEDS.fetch_add(1, Ordering::Relaxed)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Tap { terms, shared, under_way: RefCell::default(), dice: seed.into() }
    }

    /// Tells of a request, if it is one of those that are told.
    pub(crate) fn tell(&self, record: &Record<'_>) {
        if !record.is_failure() && !self.is_sample() {
            return;
        }
        let mut batch = self.under_way.borrow_mut();
        if batch.bytes.capacity() == 0 {
            batch.bytes.reserve(self.terms.batch_bytes + 2_048);
        }
        record.write(&mut batch.bytes, &self.terms);
        batch.lines += 1;
        if batch.bytes.len() >= self.terms.batch_bytes {
            self.shared.hand_over(&mut batch);
        }
    }

    /// Hands over what there is. To be called now and then, so that a line does not wait for others.
    pub(crate) fn flush(&self) {
        let mut batch = self.under_way.borrow_mut();
        if batch.lines > 0 {
            self.shared.hand_over(&mut batch);
        }
    }

    fn is_sample(&self) -> bool {
        const ALL: u32 = 1_000_000;
        if self.terms.sample >= ALL {
            return true;
        }
        // xorshift: which ones are told needs no better chance
        let mut dice = self.dice.get();
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        self.dice.set(dice);
        ((u128::from(dice) * u128::from(ALL)) >> 64) < u128::from(self.terms.sample)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.flush();
    }
}
