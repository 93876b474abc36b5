//! The gateway itself: one node of the data plane.

pub mod config_sync;
pub mod node;
pub mod ports;
