//! A private Redis: its own port and folder, nothing kept.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ports::free_address;
use crate::process::{Process, find_program};

const READY: Duration = Duration::from_secs(20);

/// A Redis server that ends with its owner.
pub struct Redis {
    address: SocketAddr,
    process: Process,
    folder: TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    pub async fn start() -> Result<Redis> {
        let program = find_program("redis-server").context("`./dev test` installs it")?;
        let folder = tempfile::tempdir()?;
        let address = free_address();
        let mut command = Command::new(program);
        command
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--dir"])
            .arg(folder.path())
            .args(["--save", "", "--appendonly", "no"]);
        let process = Process::spawn("redis", &command, &folder.path().join("redis.log"))?;
        let mut redis = Redis { address, process, folder };
        redis.wait_until_ready().await?;
        Ok(redis)
    }

    /// `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its folder, which goes with it.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Alive but dumb: connections stay open and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.process.pause()
    }

    /// Ends a pause.
    pub fn resume(&self) -> Result<()> {
        self.process.resume()
    }

    /// `kill -9`; connections are refused from now on.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Brings it back on the same port, empty.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process.start()?;
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let address = self.address;
        self.process.wait_until("redis to answer", READY, async || ping(address).await).await
    }
}

/// Asks for a sign of life.
async fn ping(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    if &answer != b"+PONG\r\n" {
        bail!("it answers {:?}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_paused_server_is_dumb_until_it_is_resumed() {
        let redis = Redis::start().await.unwrap();
        ping(redis.address()).await.unwrap();
        redis.pause().unwrap();
        let dumb = tokio::time::timeout(Duration::from_millis(200), ping(redis.address())).await;
        assert!(dumb.is_err(), "it answered: {dumb:?}");
        redis.resume().unwrap();
        ping(redis.address()).await.unwrap();
    }

    #[tokio::test]
    async fn a_killed_server_refuses_and_comes_back_on_its_port() {
        let mut redis = Redis::start().await.unwrap();
        let url = redis.url();
        redis.kill();
        assert!(TcpStream::connect(redis.address()).await.is_err());
        redis.start_again().await.unwrap();
        assert_eq!(redis.url(), url);
        ping(redis.address()).await.unwrap();
    }
}
