//! The gateway itself: one node of the data plane.

pub mod node;
pub mod ports;
