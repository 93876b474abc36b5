//! The data plane: a node, which serves traffic by the configuration that the control plane gives it.
//!
//! A request's way begins in `listener`, and is told by `proxy::handle`; [`node`] is the one file that sees all of it.

mod answers;
pub mod callers;
pub mod config_sync;
mod edge;
mod exchange;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod handover;
pub mod limits;
mod listener;
pub mod node;
pub mod ports;
mod pressure;
mod proxy;
mod status;
pub mod telemetry;
mod upstream;
mod worker;

pub use edge::InvalidNetwork;
pub use pressure::Pressure;
pub use proxy::GatewayError;
pub use upstream::{Connector, TcpConnector};
pub use worker::{Parts, Worker};
