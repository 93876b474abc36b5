//! Sends a request to an upstream.
//!
//! What makes a second attempt safe: a target that refuses the connection has seen nothing; a kept connection that was gone
//! before the request was sent gives it back; and of a request that may be repeated and has no body a copy is kept while it runs
//! over a kept connection. A body is never sent twice. A connection that does not stand in time is one that refuses: the next
//! target has its turn, with a time of its own.

use std::future::Future;
use std::io;
use std::rc::Rc;

use http::Method;
use http::header::HOST;
use tidegate_model::{Protocol, Timeouts};
use tidegate_policy::RequestHead;
use tidegate_snapshot::HostHeader;

use super::balance::{Balance, Tried};
use super::pool::{Lease, Single, Target};
use super::{Dial, streams, tunnels};
use crate::exchange::Upgrade;
use crate::exchange::body::RequestBody;
use crate::exchange::hyper_client::{Answer, SendError};
use crate::exchange::watch::{Cut, Exchange, Phase, ticks};
use crate::limits::Limits;
use crate::proxy::GatewayError;

/// How long each phase may take, in ticks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) connect: u32,
    pub(crate) first_byte: u32,
    pub(crate) idle: u32,
    pub(crate) client_body: u32,
    pub(crate) tunnel: u32,
    /// 0 is without end.
    pub(crate) request: u32,
}

impl Patience {
    /// What a service says, else what the node says.
    pub(crate) fn new(timeouts: &Timeouts, limits: &Limits) -> Self {
        let or = |set: Option<tidegate_model::Span>, default| ticks(set.map_or(default, |span| span.duration()));
        Patience {
            connect: or(timeouts.connect, limits.upstream_connect),
            first_byte: or(timeouts.first_byte, limits.upstream_first_byte),
            idle: or(timeouts.idle, limits.upstream_idle),
            client_body: or(timeouts.idle, limits.client_body),
            tunnel: or(timeouts.idle, limits.tunnel_idle),
            request: timeouts.request.map_or(0, |span| ticks(span.duration())),
        }
    }
}

/// An answer, and the connection that its body comes over.
pub(crate) struct Forwarded {
    pub(crate) answer: Answer,
    pub(crate) lease: Lease,
}

/// Everything that sending needs beside the request.
pub(crate) struct Way<'a> {
    pub(crate) balance: &'a Balance,
    pub(crate) protocol: Protocol,
    /// The request asks for a tunnel.
    pub(crate) upgrade: Option<Upgrade>,
    pub(crate) host: HostHeader,
    pub(crate) patience: &'a Patience,
    pub(crate) tries_max: usize,
    pub(crate) refusals_max: usize,
    pub(crate) dial: &'a Rc<dyn Dial>,
    pub(crate) exchange: &'a Rc<Exchange>,
}

/// A request that was not sent yet, or came back. One place for all attempts: what is handed from future to future by value is
/// copied by each, and makes all of them larger.
pub(crate) type Unsent = Option<(RequestHead, RequestBody)>;

/// Sends a request and waits for the head of the answer.
pub(crate) async fn send(way: &Way<'_>, request: &mut Unsent) -> Result<Forwarded, GatewayError> {
    let mut tried = Tried::new();
    let mut error = GatewayError::NoTarget;
    while tried.len() < way.tries_max {
        let (Some(index), Some((head, _))) = (way.balance.pick(&tried), request.as_mut()) else { break };
        tried.push(index);
        let (target, host) = way.balance.target(index);
        way.exchange.facts.tries(&target.series);
        if way.host == HostHeader::Target || !head.headers.contains_key(HOST) {
            head.headers.insert(HOST, host.clone());
        }
        let attempted = match (way.upgrade, way.protocol) {
            (None, Protocol::Http1) => attempt(way, target, request).await,
            // boxed: they are larger, and need not weigh on each connection of a caller
            (None, Protocol::H2c) => Box::pin(streams::attempt(way, target, request)).await,
            (Some(upgrade), _) => Box::pin(tunnels::attempt(way, target, request, upgrade)).await,
        };
        match attempted {
            Ok(forwarded) => return Ok(forwarded),
            Err(Failed::Unreached(why)) => error = why,
            Err(Failed::For(why)) => return Err(why),
        }
    }
    Err(error)
}

pub(super) enum Failed {
    /// The target was not reached, and the request is where it was: another may be.
    Unreached(GatewayError),
    /// That is that.
    For(GatewayError),
}

impl From<Cut> for Failed {
    fn from(cut: Cut) -> Self {
        Failed::For(cut.into())
    }
}

/// One target: over a kept connection if there is one, and over a new one if that was gone.
async fn attempt(way: &Way<'_>, target: &Rc<Target>, request: &mut Unsent) -> Result<Forwarded, Failed> {
    if let Some(lease) = way.exchange.unless_cut(target.kept()).await? {
        let copy = request.as_ref().filter(|(head, body)| may_be_repeated(head, body)).map(|(head, _)| head.clone());
        match over(way, lease, request).await? {
            Ok(forwarded) => return Ok(forwarded),
            Err(SendError::NotSent(again)) => *request = Some(*again),
            Err(SendError::Lost) => match copy {
                Some(head) => *request = Some((head, RequestBody::Empty)),
                None => return Err(Failed::For(GatewayError::UpstreamReset)),
            },
            Err(SendError::Invalid) => return Err(Failed::For(GatewayError::UpstreamInvalid)),
        }
    }
    let lease = match connected(way, target, way.dial.dial(&target.address)).await? {
        Ok(connection) => target.lease(connection),
        Err(why) => return Err(Failed::Unreached(why)),
    };
    match over(way, lease, request).await? {
        Ok(forwarded) => Ok(forwarded),
        Err(SendError::NotSent(again)) => {
            *request = Some(*again);
            Err(Failed::Unreached(GatewayError::UpstreamReset))
        }
        Err(SendError::Lost) => Err(Failed::For(GatewayError::UpstreamReset)),
        Err(SendError::Invalid) => Err(Failed::For(GatewayError::UpstreamInvalid)),
    }
}

/// What is dialled, if it stands in time.
pub(super) async fn connected<T>(
    way: &Way<'_>,
    target: &Rc<Target>,
    dialled: impl Future<Output = io::Result<T>>,
) -> Result<Result<T, GatewayError>, Cut> {
    way.exchange.enter(Phase::Connect, way.patience.connect);
    way.exchange.facts.dials();
    let dialled = way.exchange.unless_cut(dialled).await;
    way.exchange.facts.dialled(matches!(dialled, Ok(Ok(_))));
    match dialled {
        Ok(Ok(connection)) => Ok(Ok(connection)),
        Ok(Err(error)) => {
            tracing::debug!(%error, target = %target.address, "target `{}` was not reached: {error}", target.address);
            Ok(Err(GatewayError::UpstreamConnectFailed))
        }
        Err(Cut::Connect) => {
            way.exchange.goes_on_without_connection();
            Ok(Err(GatewayError::UpstreamTimeoutConnect))
        }
        Err(cut) => Err(cut),
    }
}

/// Sends it over a connection.
async fn over(way: &Way<'_>, mut lease: Single, request: &mut Unsent) -> Result<Result<Forwarded, SendError>, Cut> {
    let Some((head, body)) = request.take() else { return Ok(Err(SendError::Lost)) };
    wait_for_target(way, &body);
    let sending = lease.connection.send(head, body);
    let sent = way.exchange.unless_cut(sending).await;
    // the body says why before the connection does
    if let Some(cut) = way.exchange.is_cut() {
        return Err(cut);
    }
    way.exchange.is_answered();
    let sent = sent?;
    if sent.is_ok() {
        way.exchange.facts.answered();
    }
    Ok(sent.map(|answer| Forwarded { answer, lease: Lease::Single(lease) }))
}

/// The target has its turn: to take a body, or to answer.
pub(super) fn wait_for_target(way: &Way<'_>, body: &RequestBody) {
    match body {
        RequestBody::Stream(_) => way.exchange.enter(Phase::UpstreamTakes, way.patience.idle),
        RequestBody::Empty | RequestBody::Whole(_) => way.exchange.enter(Phase::FirstByte, way.patience.first_byte),
    }
}

pub(super) fn may_be_repeated(head: &RequestHead, body: &RequestBody) -> bool {
    let idempotent = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE);
    idempotent && body.is_empty()
}
