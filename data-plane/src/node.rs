//! Wires a node.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::DuplexStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// What a node is told by its process.
#[derive(Debug)]
pub struct Config {
    /// Its name in the fleet.
    pub name: String,
    /// Told to the control plane.
    pub labels: BTreeMap<String, String>,
    /// Its identity and its last good configuration.
    pub data_dir: PathBuf,
    /// Callers.
    pub proxy_listen: SocketAddr,
    /// Health and metrics.
    pub status_listen: SocketAddr,
    /// Threads that carry traffic.
    pub workers: usize,
    /// Where its configuration comes from.
    pub control: ControlLink,
    /// Where shared counters live.
    pub counters: Counters,
    /// Every default of the node.
    pub limits: Limits,
    /// Told once it serves.
    pub ready: Option<oneshot::Sender<Ready>>,
}

/// Where a node's configuration comes from.
#[derive(Debug)]
pub enum ControlLink {
    /// Control planes elsewhere.
    Remote {
        /// Their streams.
        endpoints: Vec<String>,
        /// For the first contact.
        join_token_file: Option<PathBuf>,
    },
    /// The control plane of the same process.
    InProcess(mpsc::Sender<DuplexStream>),
}

/// Where shared counters live.
#[derive(Debug)]
pub enum Counters {
    /// In this process.
    Local,
    /// In Redis, at this address.
    Redis(String),
}

/// Every default of a node.
#[derive(Debug, Default)]
pub struct Limits {}

/// Where a node serves.
#[derive(Debug)]
pub struct Ready {
    /// Callers.
    pub proxy: SocketAddr,
    /// Health and metrics.
    pub status: SocketAddr,
}

/// Serves until told to stop. Owns its threads, and blocks.
pub fn run(mut config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    if let Some(ready) = config.ready.take() {
        drop(ready.send(Ready { proxy: config.proxy_listen, status: config.status_listen }));
    }
    tokio::runtime::Builder::new_current_thread().build()?.block_on(shutdown.cancelled());
    Ok(())
}
