//! What a node supplies to policies: the time, a pool for long work, counters of limits.
//!
//! **Boundary.** Redis is spoken to in `counters/redis` and nowhere else.

mod clock;
mod compute;
pub mod counters;
mod responses;

pub use clock::SystemClock;
pub use compute::{ComputePool, ComputeStatus};
pub use responses::{Responses, ResponsesStatus};
