//! The nouns of Tidegate: what an operator configures and what a node runs on.
//!
//! Pure: no files, sockets, clocks or randomness. The control plane and the nodes share every type here, so what one
//! accepts the other understands.
//!
//! - [`Kind`], [`Id`], [`Name`], [`Reference`] say which resource is meant.
//! - [`Resource`] is one resource at one revision; its document holds only what the operator set.
//! - [`GatewayConfig`] is the fold of the log at a revision; [`Delta`] leads from one to a later one.
//! - [`Problem`] is one thing wrong in a document, with a JSON pointer; all are reported at once.

mod kind;

pub use kind::{Class, Id, InvalidId, InvalidName, Kind, Name, Reference, UnknownKind};
