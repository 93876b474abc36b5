//! Listening sockets: one for each worker, all on one address; the kernel spreads new connections over them.

use std::io;
use std::net::{SocketAddr, TcpListener as TcpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::balance::{self, Back, Balance, Desk, Doors, Entry, Guest, Seat};
use crate::telemetry::Guard;
use crate::worker::Worker;

/// A socket that listens on an address, beside others that do.
fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// One listening socket for each of so many workers, on the same port also where any will do.
pub(crate) fn listen_for(workers: usize, address: SocketAddr, backlog: u32) -> io::Result<Vec<TcpSocket>> {
    let first = listen(address, backlog)?;
    let address = first.local_addr()?;
    let mut all = vec![first];
    while all.len() < workers {
        all.push(listen(address, backlog)?);
    }
    Ok(all)
}

/// As [`listen_for`], with sockets that listen already. All of them are used: what waits in the queue of one that is closed
/// would be reset.
pub(crate) fn listen_on(inherited: Vec<TcpSocket>, workers: usize, backlog: u32) -> io::Result<Vec<TcpSocket>> {
    let mut all = inherited;
    let address = all.first().map(TcpSocket::local_addr).transpose()?;
    for socket in &all {
        socket.set_nonblocking(true)?;
    }
    while all.len() < workers
        && let Some(address) = address
    {
        match listen(address, backlog) {
            Ok(socket) => all.push(socket),
            // who made them may not have meant them to be shared; then those that accept hand over to the others
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => break,
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Deals sockets out to so many workers.
pub(crate) fn deal(sockets: Vec<TcpSocket>, workers: usize) -> Vec<Vec<TcpSocket>> {
    let mut hands: Vec<Vec<TcpSocket>> = (0..workers).map(|_| Vec::new()).collect();
    for (number, socket) in sockets.into_iter().enumerate() {
        hands[number % workers].push(socket);
    }
    hands
}

/// How long accepting rests when the machine has no more descriptors or memory.
const REST: Duration = Duration::from_millis(50);

/// Accepts connections on these sockets, and takes what other workers hand over, until told to stop. Each is served in a task
/// of its own, by whichever worker it was given to.
pub(crate) async fn accept(
    worker: &Rc<Worker>,
    listeners: Vec<TcpSocket>,
    desk: Desk,
    stop: &CancellationToken,
) -> io::Result<()> {
    let Desk { worker: number, balance, mut inbox, doors } = desk;
    let hall = Rc::new(Hall { worker: worker.clone(), number, balance, doors });
    let mut doors = Vec::new();
    for listener in listeners {
        let (hall, stop, listener) = (hall.clone(), stop.clone(), TcpListener::from_std(listener)?);
        doors.push(spawn_local(async move { hall.accept(listener, &stop).await }));
    }
    while let Some(Some(guest)) = stop.run_until_cancelled(inbox.recv()).await {
        hall.receive_handed(guest);
    }
    // what is on its way is taken; from now on who accepts serves
    inbox.close();
    while let Some(guest) = inbox.recv().await {
        hall.receive_handed(guest);
    }
    for door in doors {
        door.await.map_err(io::Error::other)??;
    }
    Ok(())
}

/// Where a worker's connections come in.
struct Hall {
    worker: Rc<Worker>,
    number: usize,
    balance: Arc<Balance>,
    doors: Doors,
}

impl Hall {
    async fn accept(&self, listener: TcpListener, stop: &CancellationToken) -> io::Result<()> {
        let mut tired = false;
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    tired = false;
                    self.receive(stream, peer);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut tired, true) {
                        warn!(%error, "connections can't be accepted for now: {error}");
                    }
                    self.worker.cells().guarded(Guard::Descriptors);
                    // what is idle holds descriptors that others wait for
                    self.worker.watch().close_idle();
                    tokio::time::sleep(REST).await;
                }
            }
        }
        // what waits in the queue would be reset; asked of the kernel itself, which knows all of it at once
        let listener = listener.into_std()?;
        for _ in 0..self.worker.limits().listen_backlog {
            match listener.accept() {
                Ok((stream, peer)) => {
                    if stream.set_nonblocking(true).is_ok()
                        && let Ok(stream) = TcpStream::from_std(stream)
                    {
                        self.receive(stream, peer);
                    }
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// A connection was accepted: it goes to the worker that should have it.
    fn receive(&self, stream: TcpStream, peer: SocketAddr) {
        // without it small replies would wait for acknowledgements; a socket that refuses is gone already
        let _ = stream.set_nodelay(true);
        let (mut seat, entry) = self.balance.seat(self.number, peer.ip());
        if let Entry::Shed(guard) | Entry::Refused(guard) = entry {
            self.worker.cells().guarded(guard);
        }
        if let Entry::Refused(_) = entry {
            return;
        }
        if seat.worker() == self.number {
            return self.welcome(stream, peer, seat, entry);
        }
        let Ok(stream) = stream.into_std() else { return };
        let Err(back) = balance::hand(&self.doors, Guest { stream, peer, seat, entry }) else { return };
        if let Back::Full(_) = back {
            self.worker.cells().guarded(Guard::Handed);
        }
        // the other is busy, or ends: who accepts still, serves
        let (Back::Full(guest) | Back::Gone(guest)) = back;
        seat = guest.seat;
        seat.move_to(self.number);
        if let Ok(stream) = TcpStream::from_std(guest.stream) {
            self.welcome(stream, peer, seat, entry);
        }
    }

    /// Another worker accepted it for this one.
    fn receive_handed(&self, guest: Guest) {
        let Guest { stream, peer, seat, entry } = guest;
        if let Ok(stream) = TcpStream::from_std(stream) {
            self.welcome(stream, peer, seat, entry);
        }
    }

    fn welcome(&self, stream: TcpStream, peer: SocketAddr, seat: Seat, entry: Entry) {
        let (worker, peer) = (self.worker.clone(), peer.ip().to_canonical());
        spawn_local(async move {
            match entry {
                Entry::Welcome => worker.serve(stream, peer).await,
                Entry::Shed(_) | Entry::Refused(_) => worker.shed(stream, peer).await,
            }
            drop(seat);
        });
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
