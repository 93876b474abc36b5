//! One connection of a caller, from its first byte to its end.

use std::net::IpAddr;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::guarded::Guarded;
use crate::exchange::watch::{Connection, Endable};
use crate::worker::Worker;

/// Serves a connection until its end, or until the watch ends it.
pub(crate) async fn serve<S>(worker: &Rc<Worker>, stream: S, peer: IpAddr, shed: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let open = worker.watch().open(peer, shed);
    let connection = open.connection();
    Endable::new(connection.task.clone(), speak(worker, connection, stream)).await;
}

/// HTTP/1 or HTTP/2, as the caller's first bytes say.
async fn speak<S>(worker: &Rc<Worker>, connection: &Rc<Connection>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut stream = Guarded::new(stream, connection.clone());
    match stream.speaks_h2().await {
        Ok(true) => worker.server().h2(worker, connection, stream).await,
        Ok(false) => worker.server().h1(worker, connection, stream).await,
        Err(error) => tracing::debug!(%error, "a connection ended before it spoke: {error}"),
    }
}
