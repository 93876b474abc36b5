//! Wires the control plane: what it is made of, in which order it starts, and in which it stops.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;
use tidegate_policy::Registry;
use tidegate_proto::data_key::Handed;
use tidegate_telemetry::{Beside, Exposition, LogLevel, status};
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::admin_api::{self, Api, Listener, ListenerTls};
use crate::changes::{Bounds, Changes};
use crate::config_stream::{self, ConfigStream, Source};
use crate::fleet::{self, Fleet};
use crate::operators::{FirstTokens, make_first, write_token_files};
use crate::store::{self, Measured, Store, StoreError};
use crate::telemetry::Telemetry;
use crate::vault::{ClusterSecrets, SecretKey};

/// How a control plane is set up.
#[derive(Debug)]
pub struct Config {
    /// What it is a part of.
    pub mode: Mode,
    /// Where the configuration is kept: `postgres://...` or `sqlite:///path`.
    pub database_url: String,
    /// Where its files are.
    pub data_dir: PathBuf,
    /// Where the admin API and the web admin listen.
    pub admin_listen: SocketAddr,
    /// Where nodes connect; nowhere if they are in the same process.
    pub stream_listen: Option<SocketAddr>,
    /// Health and metrics; nowhere if another listener of the process tells them.
    pub status_listen: Option<SocketAddr>,
    /// Where metrics are put that another listener of the process tells.
    pub metrics_beside: Beside,
    /// The log of the process.
    pub log_level: LogLevel,
    /// The root of all secrets; made if it is missing.
    pub secret_key_file: PathBuf,
    /// Where the first operator token is written, if nothing is there.
    pub operator_token_file: PathBuf,
    /// Where the first join token is written, if nothing is there.
    pub join_token_file: PathBuf,
    /// The certificate of the admin listener. Without one it is plain on loopback; elsewhere the cluster's authority issues one.
    pub admin_tls: Option<TlsFiles>,
    /// Connections of a node in the same process.
    pub in_process: Option<mpsc::Receiver<DuplexStream>>,
    /// The data key, for that node.
    pub data_key: Handed,
    /// Told once it serves.
    pub ready: Option<oneshot::Sender<Ready>>,
}

/// What a control plane is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One process that is everything.
    Standalone,
    /// Several control planes and nodes.
    Cluster,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, and those that lead to its authority.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Where a control plane serves.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The admin API.
    pub admin: SocketAddr,
    /// Whether over TLS.
    pub admin_tls: bool,
    /// Where nodes connect.
    pub stream: Option<SocketAddr>,
    /// Health and metrics.
    pub status: Option<SocketAddr>,
    /// The first operator's token, if it was made just now.
    pub first_token: Option<String>,
}

/// Runs a control plane until it is told to stop.
///
/// # Errors
/// It could not start. Once it serves, the loss of the database does not end it.
pub async fn run(mut config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Some(started) = start(&config, &shutdown).await? else { return Ok(()) };
    let Started { store, changes, fleet, stream, api, listener, nodes, status, telemetry, tokens } = started;

    // parts stop in the order of the way of a change, each when those before it have ended
    let stop = Stops::default();
    let following = tokio::spawn(changes.clone().follow(stop.following.clone()));
    let placing = tokio::spawn(fleet.run(stop.fleet.clone()));
    let publishing = tokio::spawn(stream.clone().run(stop.publishing.clone()));
    let stream_listen = nodes.as_ref().map(TcpListener::local_addr).transpose()?;
    let mut streaming = tokio::spawn(serve_nodes(stream, nodes, config.in_process.take(), stop.streaming.clone()));
    let (admin, admin_tls) = (listener.address()?, listener.is_tls());
    let status_listen = status.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
    let telling = status.map(|listener| tokio::spawn(status::serve(listener, telemetry.clone(), stop.telling.clone())));
    let told = telemetry.clone();
    config.metrics_beside.put(move || {
        let telemetry = told.clone();
        Box::pin(async move {
            let mut out = Exposition::default();
            telemetry.write(&mut out).await;
            out.into_text()
        })
    });
    let serving = tokio::spawn(admin_api::serve(listener, api.clone(), stop.serving.clone()));
    info!(admin = %admin, tls = admin_tls, config.revision = changes.current().revision(), "the control plane serves");
    if let Some(ready) = config.ready.take() {
        let first_token = tokens.made.then_some(tokens.operator);
        // who started this may not want to know
        let _ = ready.send(Ready { admin, admin_tls, stream: stream_listen, status: status_listen, first_token });
    }

    let ended = tokio::select! {
        () = shutdown.cancelled() => None,
        ended = &mut streaming => Some(ended.context("the config stream").flatten()),
    };
    info!("the control plane stops");
    api.drain();
    stop.serving.cancel();
    serving.await.context("the admin API")?;
    stop.streaming.cancel();
    let streamed = match ended {
        Some(ended) => ended.and_then(|()| anyhow::bail!("the config stream ended by itself")),
        None => streaming.await.context("the config stream")?,
    };
    stop.publishing.cancel();
    publishing.await.context("the publisher")?;
    stop.fleet.cancel();
    placing.await.context("the fleet")?;
    stop.following.cancel();
    following.await.context("the follower of the log")?;
    store.close().await;
    // told to the end: a look at what stops is worth most
    stop.telling.cancel();
    if let Some(telling) = telling {
        telling.await.context("the status page")?;
    }
    streamed
}

#[derive(Default)]
struct Stops {
    serving: CancellationToken,
    streaming: CancellationToken,
    publishing: CancellationToken,
    fleet: CancellationToken,
    following: CancellationToken,
    telling: CancellationToken,
}

/// Serves nodes of the network, the one in this process, or both.
async fn serve_nodes(
    stream: Arc<ConfigStream>,
    listener: Option<TcpListener>,
    in_process: Option<mpsc::Receiver<DuplexStream>>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let network = async {
        match listener {
            Some(listener) => stream.clone().serve(listener, stop.clone()).await,
            None => {
                stop.cancelled().await;
                Ok(())
            }
        }
    };
    let local = async {
        match in_process {
            Some(pipes) => stream.clone().serve_in_process(pipes, stop.clone()).await,
            None => {
                stop.cancelled().await;
                Ok(())
            }
        }
    };
    tokio::try_join!(network, local).map(|((), ())| ())
}

/// The OpenAPI document of the admin API.
pub fn openapi() -> String {
    admin_api::openapi_text()
}

struct Started {
    store: Arc<dyn Store>,
    changes: Changes,
    fleet: Arc<Fleet>,
    stream: Arc<ConfigStream>,
    api: Arc<Api>,
    listener: Listener,
    nodes: Option<TcpListener>,
    status: Option<std::net::TcpListener>,
    telemetry: Arc<Telemetry>,
    tokens: FirstTokens,
}

/// Nothing if it was told to stop before.
async fn start(config: &Config, shutdown: &CancellationToken) -> anyhow::Result<Option<Started>> {
    let folder = &config.data_dir;
    std::fs::create_dir_all(folder).with_context(|| format!("the data folder `{}`", folder.display()))?;
    let key = SecretKey::load_or_make(&config.secret_key_file)?;
    let Some(store) = open_store(&config.database_url, shutdown).await? else { return Ok(None) };
    let (store, store_figures) = Measured::of(store);
    let ClusterSecrets { authority, data_key } = ClusterSecrets::settle(&*store, &key).await?;
    // of a process that starts once; set already it could only be to this
    let _ = config.data_key.set(*data_key.bytes());
    let data_key = Arc::new(data_key);
    let changes = Changes::load(store.clone(), Registry::standard(), data_key.clone(), Bounds::default()).await?;

    let ca_key = authority.key_hash();
    let joinable = (config.mode == Mode::Cluster).then_some(ca_key);
    let tokens = make_first(&changes, &key, joinable).await.context("the first operator could not be made")?;
    write_token_files(&changes, &tokens, &config.operator_token_file, &config.join_token_file)
        .context("the first tokens could not be written")?;

    let tls = match &config.admin_tls {
        Some(files) => ListenerTls::Files(files.clone()),
        None if config.admin_listen.ip().is_loopback() => ListenerTls::Plain,
        None => ListenerTls::Issued,
    };
    let listener = Listener::bind(config.admin_listen, tls, &authority).await?;
    let nodes = match config.stream_listen {
        Some(at) => Some(TcpListener::bind(at).await.with_context(|| format!("can't listen on {at}"))?),
        None => None,
    };
    let status = match config.status_listen {
        Some(at) => Some(std::net::TcpListener::bind(at).with_context(|| format!("can't listen on {at}"))?),
        None => None,
    };
    let source: Arc<dyn Source> = Arc::new(changes.clone());
    let positions = Arc::new(fleet::Table(store.clone()));
    let fleet = Fleet::new(Uuid::now_v7().to_string(), source.clone(), positions, fleet::Timings::default());
    let stream = ConfigStream::new(config_stream::Parts {
        source,
        nodes: Arc::new(changes.clone()),
        fleet: fleet.clone(),
        authority,
        data_key: *data_key.bytes(),
        timings: config_stream::Timings::default(),
    });
    let api = Api::new(
        admin_api::Parts {
            changes: changes.clone(),
            store: store.clone(),
            fleet: fleet.clone(),
            mode: config.mode,
            authority: ca_key,
            log_level: config.log_level.clone(),
        },
        &key,
    );
    let telemetry = Arc::new(Telemetry {
        changes: changes.clone(),
        store: store_figures,
        fleet: fleet.clone(),
        stream: stream.clone(),
        api: api.clone(),
    });
    Ok(Some(Started { store, changes, fleet, stream, api, listener, nodes, status, telemetry, tokens }))
}

/// Opens the database, which may come up later than this process.
async fn open_store(url: &str, shutdown: &CancellationToken) -> anyhow::Result<Option<Arc<dyn Store>>> {
    let mut pause = Duration::from_millis(250);
    loop {
        let why = match store::open(url).await {
            Ok(store) => return Ok(Some(store)),
            Err(why @ (StoreError::Unavailable(_) | StoreError::Busy)) => why,
            Err(why) => return Err(why).context("the database can't be opened"),
        };
        warn!(error = %crate::error_chain(&why), "the database does not answer yet");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(5)),
        }
    }
}
