//! One process takes over from another on the same host, and no connection is refused or reset meanwhile.
//!
//! ```text
//! new                                    old, at <data-dir>/handover.sock
//! connects: "take 1"                     stops its config stream, lets go of the copy on disk
//!                                        sends all sockets that listen
//! loads the copy, serves: "ready"        accepts no more, ends what is under way, ends
//! ```
//! Both hold the same sockets: what waits in a queue is accepted by either. If the new one ends before it is ready, the old one
//! goes on as if nothing had been.
//!
//! Boundary: sockets and the order of things; what a node is made of is known to [`crate::node`].

mod following;
mod passing;

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tracing::{info, warn};

pub(crate) use following::Following;

/// Where the running process waits for the next.
const SOCKET: &str = "handover.sock";

/// What the new process says first; the number is raised when old and new would not understand each other.
const TAKE: &str = "take 1";
const READY: &str = "ready";

/// How long each side waits for the next thing that the other says at once.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Sockets that listen already when a node starts.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Callers; several may share an address.
    pub proxy: Vec<TcpListener>,
    /// Health and metrics.
    pub status: Option<TcpListener>,
    /// Who had them, and goes on until it is told.
    former: Option<UnixStream>,
}

impl Inherited {
    /// Whether another process has them still.
    pub fn has_former(&self) -> bool {
        self.former.is_some()
    }

    /// Tells the other process that this one serves.
    pub(crate) fn tell_ready(former: Option<UnixStream>) {
        let Some(mut former) = former else { return };
        match writeln!(former, "{READY}") {
            Ok(()) => info!("took over from the process that served before"),
            Err(error) => warn!(%error, "the process that served before is gone already: {error}"),
        }
    }

    pub(crate) fn into_parts(self) -> (Vec<TcpListener>, Option<TcpListener>, Option<UnixStream>) {
        (self.proxy, self.status, self.former)
    }

    /// Takes the sockets of the process that uses a data directory. `None`: there is none.
    ///
    /// # Errors
    /// There is one, but it does not give them.
    pub fn take(data_dir: &Path) -> anyhow::Result<Option<Inherited>> {
        let stream = match UnixStream::connect(data_dir.join(SOCKET)) {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(error).context("the running process can't be asked for its sockets"),
        };
        Self::ask(stream).map(Some).context("the running process does not give its sockets")
    }

    fn ask(mut stream: UnixStream) -> anyhow::Result<Inherited> {
        passing::check_peer(&stream)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        writeln!(stream, "{TAKE}")?;
        let answer = passing::line(&stream)?.context("it closed the connection")?;
        let Some((proxy, status)) = counts(&answer) else { bail!("it says `{answer}`") };
        let sockets = passing::receive(&stream, proxy + status)?;
        let mut sockets: Vec<TcpListener> = sockets.into_iter().map(TcpListener::from).collect();
        let status = (status == 1).then(|| sockets.pop()).flatten();
        Ok(Inherited { proxy: sockets, status, former: Some(stream) })
    }
}

fn counts(answer: &str) -> Option<(usize, usize)> {
    let (proxy, status) = answer.strip_prefix("sockets ")?.split_once(' ')?;
    let (proxy, status) = (proxy.parse().ok()?, status.parse().ok()?);
    ((1..=4096).contains(&proxy) && status <= 1).then_some((proxy, status))
}

/// Fails if a socket listens elsewhere than is wanted. Port 0 is any.
pub(crate) fn check_address(socket: &TcpListener, wanted: SocketAddr, what: &str) -> anyhow::Result<()> {
    let at = socket.local_addr()?;
    if at.ip() == wanted.ip() && (wanted.port() == 0 || at.port() == wanted.port()) {
        return Ok(());
    }
    bail!("{what} should listen at {wanted}, but the socket taken over listens at {at}; to move it, restart instead")
}

/// What a running process gives away.
pub(crate) struct Offer {
    socket: tokio::net::UnixListener,
    proxy: Vec<OwnedFd>,
    status: OwnedFd,
    ready_max: Duration,
}

impl Offer {
    /// Offers these from now on. The sockets are held a second time, until it is dropped.
    pub(crate) fn new(
        data_dir: &Path,
        proxy: &[TcpListener],
        status: &TcpListener,
        ready_max: Duration,
    ) -> io::Result<Offer> {
        let doubled = |socket: &TcpListener| socket.as_fd().try_clone_to_owned();
        Ok(Offer {
            socket: listen(data_dir)?,
            proxy: proxy.iter().map(doubled).collect::<io::Result<_>>()?,
            status: doubled(status)?,
            ready_max,
        })
    }

    /// Waits until another process has taken over.
    pub(crate) async fn taken(&self, following: &mut Following) {
        loop {
            let stream = match self.socket.accept().await.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => stream,
                Err(error) => {
                    warn!(%error, "a process that would take over could not be heard: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            match self.give(stream, following).await {
                Ok(()) => return info!("another process took over"),
                Err(error) => warn!("another process wanted to take over and did not; this one goes on: {error:#}"),
            }
        }
    }

    async fn give(&self, stream: UnixStream, following: &mut Following) -> anyhow::Result<()> {
        passing::check_peer(&stream)?;
        stream.set_nonblocking(false)?;
        let asked = in_background(stream, ANSWER_MAX, |stream| {
            let said = passing::line(stream)?;
            if said.as_deref() == Some(TAKE) { Ok(()) } else { bail!("it says {said:?}") }
        });
        let stream = asked.await?;
        following.pause().await;
        let proxy: Vec<OwnedFd> = self.proxy.iter().map(OwnedFd::try_clone).collect::<io::Result<_>>()?;
        let status = self.status.try_clone()?;
        let given = in_background(stream, self.ready_max + ANSWER_MAX, move |mut stream| {
            writeln!(stream, "sockets {} 1", proxy.len())?;
            let all: Vec<_> = proxy.iter().map(|socket| socket.as_fd()).chain([status.as_fd()]).collect();
            passing::send(stream, &all)?;
            match passing::line(stream)?.as_deref() {
                Some(READY) => Ok(()),
                Some(other) => bail!("it says `{other}`"),
                None => bail!("it ended before it was ready"),
            }
        });
        if let Err(error) = given.await {
            following.resume();
            return Err(error);
        }
        Ok(())
    }
}

/// Speaks to the other process on a thread that may wait.
async fn in_background(
    stream: UnixStream,
    wait: Duration,
    speak: impl FnOnce(&UnixStream) -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<UnixStream> {
    stream.set_read_timeout(Some(wait))?;
    let spoken = tokio::task::spawn_blocking(move || {
        speak(&stream)?;
        Ok(stream)
    });
    spoken.await.context("it panicked")?
}

/// Listens in the place of whoever did before.
fn listen(data_dir: &Path) -> io::Result<tokio::net::UnixListener> {
    let (path, new): (PathBuf, PathBuf) =
        (data_dir.join(SOCKET), data_dir.join(format!("{SOCKET}.{}", std::process::id())));
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixListener::bind(&new)?;
    std::fs::rename(&new, &path)?;
    socket.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(socket)
}
