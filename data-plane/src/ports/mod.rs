//! What a node supplies to policies: the time, a pool for long work, counters of limits, keys of issuers.
//!
//! **Boundary.** Redis is spoken to in `counters/redis` and nowhere else.

mod clock;
mod compute;
pub mod counters;
mod key_sets;
mod responses;

pub use clock::SystemClock;
pub use compute::{ComputePool, ComputeStatus};
pub use key_sets::{IssuerStatus, KeySets, KeySetsStatus};
pub use responses::{Responses, ResponsesStatus};
