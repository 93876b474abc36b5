//! A worker on real sockets, between peers that others wrote: gRPC by tonic, WebSocket by tungstenite.

#![expect(clippy::unwrap_used, reason = "a test that can not go on says where it stopped")]

mod grpc;
mod support;
mod websocket;
