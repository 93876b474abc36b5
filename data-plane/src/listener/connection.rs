//! One connection of a caller, from its first byte to its end.

use std::net::IpAddr;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::guarded::Guarded;
use crate::edge::{Edge, Peer, ProxyProtocol};
use crate::exchange::watch::{Connection, Endable};
use crate::worker::Worker;

/// Serves a connection until its end, or until the watch ends it.
pub(crate) async fn serve<S>(worker: &Rc<Worker>, stream: S, peer: IpAddr, shed: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let open = worker.watch().open(shed);
    let connection = open.connection();
    Endable::new(connection.task.clone(), speak(worker, connection, stream, peer)).await;
}

/// HTTP/1 or HTTP/2, as the caller's first bytes say.
async fn speak<S>(worker: &Rc<Worker>, connection: &Rc<Connection>, stream: S, socket: IpAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut stream = Guarded::new(stream, connection.clone());
    let Some(peer) = peer(worker, &mut stream, socket).await else { return };
    connection.is_of(peer);
    match stream.speaks_h2().await {
        Ok(true) => worker.server().h2(worker, connection, stream).await,
        Ok(false) => worker.server().h1(worker, connection, stream).await,
        Err(error) => tracing::debug!(%error, "a connection ended before it spoke: {error}"),
    }
}

/// Whose the connection is: the socket's peer or, where connections come through a balancer that says so, whom that names.
/// `None` if that is to be said and is not, or by somebody whose word does not count: nothing is answered then, as HTTP is not
/// what is spoken.
async fn peer<S>(worker: &Worker, stream: &mut Guarded<S>, socket: IpAddr) -> Option<Peer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Edge { trusted, proxy_protocol, .. } = worker.edge();
    if *proxy_protocol == ProxyProtocol::Off {
        return Some(Peer::new(socket, trusted));
    }
    let mut refused = Refused(Some(worker));
    if !trusted.is_empty() && !trusted.contains(socket) {
        tracing::debug!(peer = %socket, "a connection of {socket} was closed: it is no trusted proxy");
        return None;
    }
    match stream.proxy_header().await {
        Ok(from) => {
            refused.0 = None;
            // a balancer that passes bytes on has not written them: without a name they are a stranger's
            Some(from.map_or_else(|| Peer::stranger(socket), |from| Peer::new(from, trusted)))
        }
        Err(error) => {
            tracing::debug!(%error, peer = %socket, "a connection of {socket} was closed: {error}");
            None
        }
    }
}

/// Counts a connection that did not get past the PROXY protocol, also if it is ended while it says nothing.
struct Refused<'a>(Option<&'a Worker>);

impl Drop for Refused<'_> {
    fn drop(&mut self) {
        if let Some(worker) = self.0 {
            worker.cells().proxy_headers_refused.add(1);
        }
    }
}
