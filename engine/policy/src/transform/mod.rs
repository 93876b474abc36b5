//! What transforming kinds share: operations on headers, and bodies by jq.

mod body;
mod headers;

pub(crate) use body::{Body, Changed, facts};
pub use body::{BodyTransform, OtherTypes};
pub use headers::{Action, Operation};
pub(crate) use headers::{Headers, Op, Side, compile, template, written};
