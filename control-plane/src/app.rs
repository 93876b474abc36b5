//! Wires the control plane.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::DuplexStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// What a control plane is told by its process.
#[derive(Debug)]
pub struct Config {
    /// Alone in its process, or one of several.
    pub mode: Mode,
    /// Where the configuration is kept.
    pub database_url: String,
    /// For files of its own.
    pub data_dir: PathBuf,
    /// The admin API and the web admin.
    pub admin_listen: SocketAddr,
    /// The config stream, in a cluster.
    pub stream_listen: Option<SocketAddr>,
    /// Seals what is secret in the database.
    pub secret_key_file: PathBuf,
    /// Where the first operator's token is written.
    pub operator_token_file: PathBuf,
    /// Where the first join token is written.
    pub join_token_file: PathBuf,
    /// The certificate of the admin listener; without one it is made when the listener is not on loopback.
    pub admin_tls: Option<TlsFiles>,
    /// Streams of a node in the same process.
    pub in_process: Option<mpsc::Receiver<DuplexStream>>,
    /// Told once it serves.
    pub ready: Option<oneshot::Sender<Ready>>,
}

/// Alone in its process, or one of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// With its node, in one process.
    Standalone,
    /// One of several on one database.
    Cluster,
}

/// A certificate chain and its key, both PEM.
#[derive(Debug)]
pub struct TlsFiles {
    /// The chain.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Where a control plane serves.
#[derive(Debug)]
pub struct Ready {
    /// The admin API.
    pub admin: SocketAddr,
    /// Whether it speaks TLS.
    pub admin_tls: bool,
    /// The config stream.
    pub stream: Option<SocketAddr>,
    /// The first operator's token, if it was just made.
    pub first_token: Option<String>,
}

/// Serves until told to stop.
pub async fn run(mut config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    if let Some(ready) = config.ready.take() {
        let at =
            Ready { admin: config.admin_listen, admin_tls: false, stream: config.stream_listen, first_token: None };
        drop(ready.send(at));
    }
    shutdown.cancelled().await;
    Ok(())
}

/// The OpenAPI document of the admin API.
pub fn openapi() -> String {
    "{\"openapi\": \"3.1.0\"}\n".to_owned()
}
