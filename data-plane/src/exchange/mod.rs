//! What an exchange is to the proxy: heads, bodies that stream, and who watches over them.
//!
//! The codec's types stay behind [`hyper_server`] and [`hyper_client`] (and the one alias [`body::Stream`]), so that another one
//! can be put there and compared. What a codec has to give: [`Arrived`] requests, once the [`gate`] let them in, and a way to
//! send an [`Answer`]; a task for each exchange that the [`watch`] can wake and end.
//!
//! Interim replies and tunnels have their place here too: an upgrade is not asked for upstream yet, its header is dropped by the
//! gate and the request goes on as plain HTTP.

pub(crate) mod body;
pub(crate) mod gate;
pub(crate) mod header_policy;
pub(crate) mod host;
pub(crate) mod hyper_client;
pub(crate) mod hyper_server;
pub(crate) mod watch;

use tidegate_policy::{RequestHead, ResponseHead};

use self::body::{RequestBody, ResponseBody};
use self::watch::Underway;
use crate::edge::Caller;
use crate::proxy::GatewayError;

/// A request that arrived.
pub(crate) struct Arrived {
    /// Its head, or why the gate refused it.
    pub(crate) head: Result<RequestHead, GatewayError>,
    /// Its body.
    pub(crate) body: RequestBody,
    /// Whom it came from.
    pub(crate) caller: Caller,
    /// Its place in the watch.
    pub(crate) underway: Underway,
}

/// What the caller gets.
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    pub(crate) body: ResponseBody,
}
