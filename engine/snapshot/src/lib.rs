//! What a node runs on: all resources at a revision, compiled so that a request parses nothing.
//!
//! Pure: nodes run it on traffic, the control plane runs the very same code to judge a change before it is committed.
//!
//! - [`Snapshot::route`] finds the route of a request; the published precedence is in [`router`](Snapshot::route)'s docs.
//! - [`advance`] leads from one snapshot to the next and rebuilds only what a change touches; any problem rejects all of it.
//! - [`Snapshot::compile`] builds from nothing what can be built, and closes the rest.
//! - [`Live`] is where a node publishes its newest snapshot.
//!
//! Invariant: `advance` over any way to a configuration gives what `compile` gives for it.

mod advance;
mod attachments;
mod compiled;
pub mod compose;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod identity;
mod live;
mod path;
mod predicates;
mod rewrite;
mod router;
mod snapshot;
#[cfg(test)]
mod tests;

pub use advance::advance;
pub use attachments::{OverlayMap, specificity};
pub use compiled::{Action, CompiledRoute, CompiledService, CompiledTarget, CompiledUpstream, HostHeader};
pub use compose::Composition;
pub use identity::Identity;
pub use live::Live;
pub use rewrite::{CompiledRedirect, CompiledRewrite, NoLocation, PathWriter};
pub use router::{Found, Lookup, Requested};
pub use snapshot::{Revisions, Snapshot};
