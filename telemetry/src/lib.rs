//! What both planes need to tell of themselves: the text format of metrics, the figures of the process, the status listener,
//! and the door to the log level.
//!
//! - [`family`] is one metric's facts: a plane's table of them makes its exposition and its part of the reference.
//! - [`exposition`] writes the text format of Prometheus.
//! - [`buckets`] are those of all histograms of durations.
//! - [`process`] holds what is true of any process.
//! - [`beside`] lets one listener tell of both planes in one process.
//! - [`status`] serves pages on a listener of their own.
//! - [`log_level`] is how the planes reach the log of their process, which only the program knows.

pub mod beside;
pub mod buckets;
pub mod exposition;
pub mod family;
pub mod log_level;
pub mod process;
pub mod status;

pub use beside::Beside;
pub use exposition::Exposition;
pub use family::{Family, Group, Type, page};
pub use log_level::{LogLevel, LogState};
