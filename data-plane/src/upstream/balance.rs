//! Picks a target of an upstream for one attempt.
//!
//! Knows nothing of HTTP. Connections live in [`super::pool`].
//!
//! Invariant: `pick` never returns a target of weight 0, nor one that was tried.

use std::rc::Rc;

use smallvec::SmallVec;
use tidegate_snapshot::CompiledUpstream;

use super::pool::{Pools, Target};

/// The targets of an upstream with their weights, taken in turns so that each has its share at any time (smooth weighted
/// round robin). The turns are kept with the targets: a change of configuration does not begin them anew.
#[derive(Default)]
pub(crate) struct Balance {
    targets: Box<[(Rc<Target>, i64, http::HeaderValue)]>,
}

/// Targets of a [`Balance`] that were tried, by index.
pub(crate) type Tried = SmallVec<[usize; 4]>;

impl Balance {
    /// The targets of an upstream that take requests.
    pub(crate) fn new(upstream: &CompiledUpstream, pools: &Pools) -> Self {
        let targets = upstream.targets.iter().filter(|target| target.weight > 0);
        let targets = targets.map(|target| {
            (pools.target(upstream.id, &target.address), i64::from(target.weight), target.host_header.clone())
        });
        Balance { targets: targets.collect() }
    }

    /// Whose turn it is, of those that were not tried.
    pub(crate) fn pick(&self, tried: &[usize]) -> Option<usize> {
        if self.targets.len() == 1 {
            return tried.is_empty().then_some(0);
        }
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for (index, (target, weight, _)) in self.targets.iter().enumerate() {
            if tried.contains(&index) {
                continue;
            }
            let turn = target.turn.get() + weight;
            target.turn.set(turn);
            total += weight;
            if best.is_none_or(|(_, most)| turn > most) {
                best = Some((index, turn));
            }
        }
        let (index, turn) = best?;
        self.targets[index].0.turn.set(turn - total);
        Some(index)
    }

    /// A target, and what it is called in Host.
    pub(crate) fn target(&self, index: usize) -> (&Rc<Target>, &http::HeaderValue) {
        let (target, _, host) = &self.targets[index];
        (target, host)
    }
}
