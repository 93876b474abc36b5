//! What a worker does between callers and targets. All of it runs on pipes in memory and on a paused clock: nothing here
//! waits for real, and nothing depends on how fast the machine is.

#![expect(clippy::unwrap_used, reason = "a test that can not go on says where it stopped")]

mod access;
mod aggregation_page;
mod authentication_page;
mod bodies;
mod cache;
mod composing;
mod conditions;
mod content_pages;
mod credentials;
mod drain;
mod edge;
mod floods;
mod forwarding;
mod gate;
mod grpc;
mod h2;
mod h2_out;
mod interim;
mod overload;
mod pools;
mod routes_page;
mod routing;
mod seeing;
mod support;
mod timeouts;
mod trailers;
mod tunnels;
