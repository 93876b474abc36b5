//! The side towards APIs: which target, over which connection, and what happens when that fails.
//!
//! - [`balance`] picks a target; it knows nothing of HTTP.
//! - [`pool`] keeps idle connections, by upstream and address, whatever happens to the snapshot.
//! - [`connect`] makes new ones.
//! - [`multiplexed`] shares those of HTTP/2, and makes further ones when their streams run out.
//! - [`client`] sends a request and finds its way round connections that are gone; [`streams`] does so over HTTP/2, and
//!   [`tunnels`] asks for tunnels.

mod balance;
mod client;
mod connect;
mod multiplexed;
mod pool;
mod streams;
mod tunnels;

pub(crate) use balance::Balance;
pub(crate) use client::{Forwarded, Patience, Way, send};
pub use connect::{Connector, TcpConnector};
pub(crate) use connect::{Dial, Dialer};
pub(crate) use multiplexed::Slot;
pub(crate) use pool::{Lease, Pools};
