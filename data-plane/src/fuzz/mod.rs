//! Bodies of the fuzz targets: what must hold for any bytes. They panic where it does not.
//!
//! `./dev fuzz` feeds them by coverage; the tests here feed them what a generator makes. One function a file.

mod forwarded;
mod header_policy;
mod proxy_protocol;
mod request_gate;
mod trace_context;

pub use forwarded::forwarded;
pub use header_policy::header_policy;
pub use proxy_protocol::proxy_protocol;
pub use request_gate::request_gate;
pub use trace_context::trace_context;
