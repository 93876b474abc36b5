//! What an exchange is to the proxy: heads, bodies that stream, tunnels, and who watches over them.
//!
//! The codec's types stay behind [`hyper_server`], [`hyper_client`] and [`h2_client`] (and the aliases in [`body`]), so that
//! another one can be put there and compared. What a codec has to give: [`Arrived`] requests, once the [`gate`] let them in, and
//! a way to send an [`Answer`]; a task for each exchange that the [`watch`] can wake and end; and, where an answer opens a
//! [`tunnel`], the bytes of the connection or stream.

mod bare;
pub(crate) mod body;
pub(crate) mod gate;
mod gathered;
pub(crate) mod grpc;
pub(crate) mod h2_client;
pub(crate) mod header_policy;
pub(crate) mod host;
pub(crate) mod hyper_client;
pub(crate) mod hyper_server;
pub(crate) mod small_write;
pub(crate) mod switching;
mod trailers;
pub(crate) mod tunnel;
pub(crate) mod watch;
pub(crate) mod websocket;

use tidegate_policy::{RequestHead, ResponseHead};

use self::body::{RequestBody, ResponseBody};
use self::tunnel::Tunnel;
use self::watch::Underway;
use crate::edge::Caller;
use crate::proxy::GatewayError;

/// A request that arrived.
pub(crate) struct Arrived {
    /// Its head, or why the gate refused it.
    pub(crate) head: Result<RequestHead, GatewayError>,
    /// What it wants beside an answer.
    pub(crate) asks: Asks,
    /// Its body.
    pub(crate) body: RequestBody,
    /// Whom it came from.
    pub(crate) caller: Caller,
    /// Its place in the watch.
    pub(crate) underway: Underway,
}

/// What a request wants of the way it goes, beside an answer. What said so belonged to the caller's connection and is no part
/// of its head any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    /// Its caller reads trailers (`TE: trailers`).
    pub(crate) trailers: bool,
    /// It is a call by gRPC, whose errors have a form of their own.
    pub(crate) grpc: bool,
    /// It wants a tunnel.
    pub(crate) upgrade: Option<Upgrade>,
}

/// How a caller asks for a tunnel. WebSocket is the one protocol that is tunnelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upgrade {
    /// By `Upgrade` in HTTP/1.1: agreed to with 101.
    Switch,
    /// By extended CONNECT in HTTP/2 (RFC 8441): agreed to with 200.
    Connect,
}

/// What the caller gets.
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    pub(crate) body: ResponseBody,
    /// What follows the head in place of a body, where it agrees to a tunnel.
    pub(crate) tunnel: Option<Box<Tunnel>>,
}
