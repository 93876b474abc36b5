//! Listening sockets: one for each worker, all on one address; the kernel spreads new connections over them.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::worker::Worker;

/// A socket that listens on an address, beside others that do.
pub(crate) fn listen(address: SocketAddr, backlog: u32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// One listening socket for each of so many workers, on the same port also where any will do.
pub(crate) fn listen_for(workers: usize, address: SocketAddr, backlog: u32) -> io::Result<Vec<std::net::TcpListener>> {
    let first = listen(address, backlog)?;
    let address = first.local_addr()?;
    let mut all = vec![first];
    while all.len() < workers {
        all.push(listen(address, backlog)?);
    }
    Ok(all)
}

/// How long accepting rests when the machine has no more descriptors or memory.
const REST: Duration = Duration::from_millis(50);

/// Accepts connections and serves each in a task of its own, until told to stop.
pub(crate) async fn accept(
    worker: &Rc<Worker>,
    listener: std::net::TcpListener,
    stop: &CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut tired = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                tired = false;
                welcome(worker, stream, peer);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut tired, true) {
                    warn!(%error, "connections can't be accepted for now: {error}");
                }
                tokio::time::sleep(REST).await;
            }
        }
    }
    // what waits in the queue would be reset
    while let Some(Ok((stream, peer))) = futures_util::FutureExt::now_or_never(listener.accept()) {
        welcome(worker, stream, peer);
    }
    Ok(())
}

fn welcome(worker: &Rc<Worker>, stream: TcpStream, peer: SocketAddr) {
    // without it small replies would wait for acknowledgements; a socket that refuses is gone already
    let _ = stream.set_nodelay(true);
    spawn_local(worker.clone().serve(stream, peer.ip().to_canonical()));
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
