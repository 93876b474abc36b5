//! What a node tells of itself: numbers for Prometheus, and a line for each request.
//!
//! - [`cells`]: what one worker counts of everything, and [`series`]: of each route, service and target. A request costs a few
//!   additions to memory that no other thread writes.
//! - [`ledger`] adds up all workers when somebody looks ([`Sums`]); [`scrape`] writes the text, by the table in [`catalogue`].
//! - [`facts`] is what is noted of an exchange on its way, for both.
//! - [`access_log`] writes the lines.

pub mod access_log;
pub mod catalogue;
pub(crate) mod cells;
mod count;
pub(crate) mod facts;
mod guards;
mod ledger;
pub(crate) mod scrape;
pub(crate) mod series;
mod sums;

pub use cells::Cells;
pub use count::{Count, Tally};
pub use guards::{GUARDS, Guard};
pub use sums::Sums;

/// What a request's status is called as a label, by status / 100; at 0 those that got none.
pub(crate) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// What limits said, as a label and in the access log; in the order of [`tidegate_policy::LimitOutcome`].
pub(crate) const LIMIT_OUTCOMES: [&str; 3] = ["admitted", "refused", "undecided"];
