//! What tests and the local cluster stand on: real servers, real processes, real sockets on the loopback.
//!
//! - [`upstream`] answers as an API behind the gateway would, with knobs for delay, status, streams and broken answers.
//! - [`nginx`], [`grpc`] and [`websocket`] are real servers of others to stand behind it.
//! - [`issuer`] publishes the keys that tokens are signed with.
//! - [`postgres`] and [`redis`] are private servers that can be paused, killed and brought back on their port.
//! - [`process`] supervises a child: log file, wait until ready, stop, kill, and an end when its owner goes.
//! - [`ports`] hands out loopback ports that no other test is given.
//! - [`balancer`] stands in front of nodes and heeds their readiness; [`load`] calls at a constant rate and counts what fails.
//! - [`memory`] tells how much another process holds.
//! - [`wait`] waits for conditions with a deadline; nothing here sleeps in the hope that it was enough.
//! - [`standalone`] and [`cluster`] run the `tidegate` binary; [`admin`] speaks to it.
//!
//! Everything ends with its owner, and with the test process at the latest, also when that is killed.

#![expect(clippy::disallowed_methods, reason = "whoever supervises processes without a runtime polls them")]

pub mod admin;
pub mod balancer;
pub mod cluster;
pub mod grpc;
pub mod issuer;
pub mod load;
pub mod memory;
pub mod metrics;
pub mod nginx;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod redis;
pub mod standalone;
pub mod tidegate;
pub mod upstream;
pub mod wait;
pub mod websocket;
