//! HTTP/1.1 without a library: for bodies without end, and for callers who break off or say nonsense.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const PIECE: usize = 256 << 10;

/// What was read of a connection and not yet used.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    rest: Vec<u8>,
}

impl Wire {
    pub(super) async fn connect(to: SocketAddr) -> Result<Wire> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Wire { stream, rest: Vec::new() })
    }

    /// A head, up to its empty line; none if the connection ends before one begins.
    pub(super) async fn head(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(end) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = self.rest.split_off(end + 4);
                return Ok(Some(String::from_utf8(std::mem::replace(&mut self.rest, rest))?));
            }
            ensure!(self.rest.len() < 64 << 10, "a head without end");
            if self.stream.read_buf(&mut self.rest).await? == 0 {
                ensure!(self.rest.is_empty(), "the connection ended within a head");
                return Ok(None);
            }
        }
    }

    /// Reads so many bytes and drops them.
    pub(super) async fn drop_bytes(&mut self, count: u64) -> Result<()> {
        let mut left = count.saturating_sub(self.rest.len() as u64);
        self.rest.drain(..usize::try_from(count).unwrap_or(usize::MAX).min(self.rest.len()));
        let mut piece = vec![0; PIECE];
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let read = self.stream.read(&mut piece[..room]).await?;
            ensure!(read > 0, "{left} of {count} bytes did not come");
            left -= read as u64;
        }
        Ok(())
    }

    /// Sends so many bytes of nothing.
    pub(super) async fn send_bytes(&mut self, count: u64) -> Result<()> {
        let piece = vec![0; PIECE];
        let mut left = count;
        while left > 0 {
            let some = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            self.stream.write_all(&piece[..some]).await?;
            left -= some as u64;
        }
        Ok(())
    }

    /// One request with a body of so many bytes: the answer's status, and how long its body was.
    pub(super) async fn exchange(&mut self, method: &str, target: &str, up: u64) -> Result<(u16, u64)> {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: soak\r\nContent-Length: {up}\r\n\r\n");
        self.stream.write_all(head.as_bytes()).await?;
        self.send_bytes(up).await?;
        let head = self.head().await?.context("no answer")?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).context("no status")?;
        let down = content_length(&head)?;
        self.drop_bytes(down).await?;
        Ok((status, down))
    }
}

/// An API that takes and gives bodies of any length without holding them: `/bytes/<count>` is one of that many bytes.
pub(super) struct Endless {
    pub(super) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Endless {
    pub(super) async fn start() -> Result<Endless> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    // A caller who leaves ends it, and sees that it did.
                    let _ = answer_on(Wire { stream, rest: Vec::new() }).await;
                });
            }
        });
        Ok(Endless { address, _tasks: tasks })
    }
}

async fn answer_on(mut wire: Wire) -> Result<()> {
    while let Some(head) = wire.head().await? {
        wire.drop_bytes(content_length(&head)?).await?;
        let target = head.split(' ').nth(1).unwrap_or_default();
        let down = target.strip_prefix("/bytes/").and_then(|count| count.parse().ok()).unwrap_or(2);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {down}\r\n\r\n");
        wire.stream.write_all(head.as_bytes()).await?;
        wire.send_bytes(down).await?;
    }
    Ok(())
}

fn content_length(head: &str) -> Result<u64> {
    let head = head.to_ascii_lowercase();
    if head.contains("\r\ntransfer-encoding:") {
        bail!("lengths are known here: {head}");
    }
    match head.lines().find_map(|line| line.strip_prefix("content-length:")) {
        Some(length) => Ok(length.trim().parse()?),
        None => Ok(0),
    }
}
