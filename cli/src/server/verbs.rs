//! The three servers: what each is made of.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use tidegate_control_plane::app;
use tidegate_data_plane::node::access_log::{Field, Options};
use tidegate_data_plane::node::{self, AccessLog};
use tidegate_telemetry::Beside;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::logging::Logging;
use super::parts::Parts;
use super::screen;
use crate::settings::{
    ACCESS_LOG, ACCESS_LOG_REDACT, ACCESS_LOG_SAMPLE, ADMIN_LISTEN, ADMIN_TLS_CERT, ADMIN_TLS_KEY, AUTH_FAILURES_MAX,
    CACHE_BYTES_MAX, CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX, CONTROL_PLANE, CONTROL_STATUS_LISTEN, DATA_DIR,
    DATABASE_URL, DRAIN_DELAY, DRAIN_TIMEOUT, JOIN_TOKEN_IN, JOIN_TOKEN_OUT, LABEL, MEMORY_MAX, NAME,
    OPERATOR_TOKEN_FILE, PROXY_LISTEN, PROXY_PROTOCOL, REDIS_TIMEOUT, REDIS_URL, SECRET_KEY_FILE, STATUS_LISTEN,
    STREAM_LISTEN, Settings, TRACE_CONTEXT, TRUSTED_HEADERS, TRUSTED_PROXIES, WORKERS,
};

/// Streams that a node may have asked for and not got yet; it asks for one at a time.
const STREAMS_WAITING_MAX: usize = 4;

/// Threads of the control plane beside a node: it must answer while it compiles, and leave the CPUs to traffic.
const STANDALONE_CONTROL_THREADS: usize = 2;

/// A control plane and a node in one process, joined by a pipe in memory.
pub(super) fn standalone(settings: &Settings, logging: Logging, inherited: node::Inherited) -> anyhow::Result<()> {
    let data_dir = settings.path(&DATA_DIR);
    let (streams, in_process) = mpsc::channel(STREAMS_WAITING_MAX);
    let (admin_ready, admin) = oneshot::channel();
    let (node_ready, proxy) = oneshot::channel();
    let leave = CancellationToken::new();
    let data_key = std::sync::Arc::default();
    let beside = Beside::default();
    let access_log = access_log(settings)?;
    let control = app::Config {
        mode: app::Mode::Standalone,
        database_url: sqlite_url(&data_dir.join("tidegate.db")),
        data_dir: data_dir.clone(),
        admin_listen: settings.address(&ADMIN_LISTEN),
        stream_listen: None,
        status_listen: None,
        metrics_beside: beside.clone(),
        log_level: logging.door(),
        secret_key_file: settings.path(&SECRET_KEY_FILE),
        operator_token_file: settings.path(&OPERATOR_TOKEN_FILE),
        join_token_file: data_dir.join("join-token"),
        admin_tls: admin_tls(settings),
        in_process: Some(in_process),
        data_key: std::sync::Arc::clone(&data_key),
        ready: Some(admin_ready),
    };
    let node = node::Config {
        name: "standalone".to_owned(),
        labels: BTreeMap::new(),
        data_dir,
        proxy_listen: settings.address(&PROXY_LISTEN),
        status_listen: settings.address(&STATUS_LISTEN),
        workers: settings.count(&WORKERS),
        control: node::ControlLink::InProcess(streams),
        data_key,
        counters: node::Counters::Local,
        limits: limits(settings),
        edge: edge(settings),
        access_log: access_log.clone(),
        log_level: logging.door(),
        metrics_beside: beside,
        ready: Some(node_ready),
        inherited,
        leave: leave.clone(),
    };
    run(multi_thread(STANDALONE_CONTROL_THREADS)?, async {
        let mut parts = Parts::default();
        parts.task("control plane", |stop| app::run(control, stop));
        parts.thread("node", |stop| node::run(node, stop))?;
        let ready = async { Ok((admin.await?, proxy.await?)) };
        parts
            .supervise(logging, leave, access_log, ready, |(admin, node)| screen::standalone(settings, &admin, &node))
            .await
    })
}

/// The defaults of a node, and what of them was set.
fn limits(settings: &Settings) -> node::Limits {
    let defaults = node::Limits::default();
    node::Limits {
        drain_delay: settings.duration(&DRAIN_DELAY),
        drain_timeout: settings.duration(&DRAIN_TIMEOUT),
        connections_max: settings.count(&CONNECTIONS_MAX),
        connections_per_client_max: settings.count(&CONNECTIONS_PER_CLIENT_MAX),
        auth_failures_max: u32::try_from(settings.count(&AUTH_FAILURES_MAX)).unwrap_or(u32::MAX),
        memory_max: settings.size_if_set(&MEMORY_MAX).unwrap_or(defaults.memory_max),
        cache_bytes_max: settings.size_if_set(&CACHE_BYTES_MAX).unwrap_or(defaults.cache_bytes_max),
        ..defaults
    }
}

/// Whom a node believes of its callers.
fn edge(settings: &Settings) -> node::Edge {
    let networks = settings.networks(&TRUSTED_PROXIES);
    if let Some(everything) = networks.iter().find(|network| network.is_everything()) {
        warn!("--trusted-proxies {everything}: whoever reaches this node is believed, and can say to be anyone");
    }
    node::Edge {
        trusted: networks.into_iter().collect(),
        headers: match settings.string(&TRUSTED_HEADERS).as_str() {
            "forwarded" => node::TrustedHeaders::Forwarded,
            _ => node::TrustedHeaders::XForwarded,
        },
        proxy_protocol: match settings.string(&PROXY_PROTOCOL).as_str() {
            "require" => node::ProxyProtocol::Require,
            _ => node::ProxyProtocol::Off,
        },
        trace_context: match settings.string(&TRACE_CONTEXT).as_str() {
            "off" => node::TraceContext::Off,
            _ => node::TraceContext::On,
        },
    }
}

/// The access log of a node, if there is to be one.
fn access_log(settings: &Settings) -> anyhow::Result<Option<AccessLog>> {
    let Some(target) = settings.log_target(&ACCESS_LOG) else { return Ok(None) };
    let named = |word: &String| Field::REDACTABLE.into_iter().find(|field| field.name() == word);
    let redact = settings.words(&ACCESS_LOG_REDACT).iter().filter_map(named).collect();
    let options = Options { target, sample: settings.share(&ACCESS_LOG_SAMPLE), redact };
    AccessLog::start(options, &limits(settings)).with_context(|| settings.origin(&ACCESS_LOG)).map(Some)
}

/// One of the control planes of a cluster.
pub(super) fn control_plane(settings: &Settings, logging: Logging) -> anyhow::Result<()> {
    let (ready, admin) = oneshot::channel();
    let config = app::Config {
        mode: app::Mode::Cluster,
        database_url: settings.string(&DATABASE_URL),
        data_dir: settings.path(&DATA_DIR),
        admin_listen: settings.address(&ADMIN_LISTEN),
        stream_listen: Some(settings.address(&STREAM_LISTEN)),
        status_listen: Some(settings.address(&CONTROL_STATUS_LISTEN)),
        metrics_beside: Beside::default(),
        log_level: logging.door(),
        secret_key_file: settings.path(&SECRET_KEY_FILE),
        operator_token_file: settings.path(&OPERATOR_TOKEN_FILE),
        join_token_file: settings.path(&JOIN_TOKEN_OUT),
        admin_tls: admin_tls(settings),
        in_process: None,
        data_key: Default::default(),
        ready: Some(ready),
    };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    run(multi_thread(cpus.max(2))?, async {
        let mut parts = Parts::default();
        parts.task("control plane", |stop| app::run(config, stop));
        let never = CancellationToken::new();
        parts.supervise(logging, never, None, admin, |admin| screen::control_plane(settings, &admin)).await
    })
}

/// A node of a cluster.
pub(super) fn data_plane(settings: &Settings, logging: Logging, inherited: node::Inherited) -> anyhow::Result<()> {
    if settings.text(&REDIS_URL).is_none() {
        info!("without --redis-url rate limits are counted by this node alone");
    }
    let (ready, proxy) = oneshot::channel();
    let leave = CancellationToken::new();
    let access_log = access_log(settings)?;
    let config = node::Config {
        name: settings.string(&NAME),
        labels: settings.labels(&LABEL),
        data_dir: settings.path(&DATA_DIR),
        proxy_listen: settings.address(&PROXY_LISTEN),
        status_listen: settings.address(&STATUS_LISTEN),
        workers: settings.count(&WORKERS),
        control: node::ControlLink::Remote {
            endpoints: settings.endpoints(&CONTROL_PLANE),
            join_token_file: settings.path_if_set(&JOIN_TOKEN_IN),
        },
        data_key: Default::default(),
        counters: settings.text(&REDIS_URL).map_or(node::Counters::Local, |url| node::Counters::Redis(url.to_owned())),
        limits: node::Limits { redis_wait: settings.duration(&REDIS_TIMEOUT), ..limits(settings) },
        edge: edge(settings),
        access_log: access_log.clone(),
        log_level: logging.door(),
        metrics_beside: Beside::default(),
        ready: Some(ready),
        inherited,
        leave: leave.clone(),
    };
    let runtime = Builder::new_current_thread().enable_all().build().context("the runtime could not be started")?;
    run(runtime, async {
        let mut parts = Parts::default();
        parts.thread("node", |stop| node::run(config, stop))?;
        parts.supervise(logging, leave, access_log, proxy, |node| screen::data_plane(settings, &node)).await
    })
}

/// The address of a database file. What such an address gives a meaning of its own is escaped.
fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}", file.display().to_string().replace('%', "%25").replace('?', "%3F"))
}

fn admin_tls(settings: &Settings) -> Option<app::TlsFiles> {
    let cert = settings.path_if_set(&ADMIN_TLS_CERT)?;
    let key = settings.path_if_set(&ADMIN_TLS_KEY)?;
    Some(app::TlsFiles { cert, key })
}

fn multi_thread(threads: usize) -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).thread_name("control").enable_all();
    builder.build().context("the runtime could not be started")
}

/// Runs to the end, and does not wait for what was left behind.
fn run(runtime: Runtime, server: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let done = runtime.block_on(server);
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_redacted_is_called_as_in_the_lines() {
        let names = Field::REDACTABLE.map(Field::name);
        assert_eq!(names, crate::settings::REDACTABLE);
    }
}
