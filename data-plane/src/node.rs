//! Wires a node, and ends it in order.
//!
//! ```text
//! control runtime (2 threads): configuration, counters, status
//! worker 0..n (a thread each): own listening socket, own connections, own cells
//! ```
//! Traffic runs on the workers alone; what the control runtime does never stalls it. What a loss means is said by each part:
//! without control planes the node serves what it has ([`crate::config_sync`]), without Redis limits do as they were told to
//! ([`crate::ports::counters`]).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tidegate_telemetry::{Beside, LogLevel, status};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::answers;
use crate::config_sync::{self, ConfigSync};
use crate::listener::tcp;
use crate::ports::counters::{NodeCounters, RedisOptions};
use crate::ports::{ComputePool, SystemClock};
use crate::status::Node as Page;
use crate::telemetry::Sums;
use crate::upstream::TcpConnector;
use crate::worker::{Parts, Worker};

pub use crate::config_sync::ControlLink;
pub use crate::limits::Limits;
pub use crate::ports::counters::Counters;
pub use crate::telemetry::access_log::{self, AccessLog};

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
    /// Where it tells of each request, if anywhere.
    pub access_log: Option<AccessLog>,
    /// The log of the process.
    pub log_level: LogLevel,
    /// What another part of the same process adds to the node's metrics.
    pub metrics_beside: Beside,
    /// Told once it serves.
    pub ready: Option<oneshot::Sender<Ready>>,
}

/// Where a node serves.
#[derive(Debug)]
pub struct Ready {
    /// Callers.
    pub proxy: SocketAddr,
    /// Health and metrics.
    pub status: SocketAddr,
}

/// Threads that keep the configuration, the counters and the status page going.
const CONTROL_THREADS: usize = 2;

/// Pieces of long work that may wait for a thread.
const COMPUTE_QUEUED_MAX: usize = 1024;

/// How long what was ended may take to be gone, and the control runtime to stop.
const END_MAX: Duration = Duration::from_secs(2);

/// Serves until told to stop. Owns its threads, and blocks.
///
/// # Errors
/// It could not start, or a part of it failed.
pub fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut control = Builder::new_multi_thread();
    control.worker_threads(CONTROL_THREADS).thread_name("node-control").enable_all();
    let control = control.build().context("the control runtime could not be started")?;
    let served = Node::start(&control, config).and_then(|node| control.block_on(node.serve(shutdown)));
    control.shutdown_timeout(END_MAX);
    served
}

/// Tells of each worker how it ended.
type Ended = mpsc::UnboundedReceiver<anyhow::Result<()>>;

/// A node that serves.
struct Node {
    page: Arc<Page>,
    limits: Limits,
    workers: Vec<JoinHandle<()>>,
    ended: Ended,
    /// Told to the workers: accept no more, and end.
    stop_workers: CancellationToken,
    /// What runs on the control runtime, and when it is told to stop.
    background: TaskTracker,
    stop_background: CancellationToken,
}

impl Node {
    fn start(control: &Runtime, config: Config) -> anyhow::Result<Node> {
        let Config { name, labels, data_dir, proxy_listen, status_listen, control: link, counters, limits, .. } =
            config;
        let Config { access_log, log_level, metrics_beside, .. } = config;
        let listeners = tcp::listen_for(config.workers.max(1), proxy_listen, limits.listen_backlog)
            .with_context(|| format!("callers can't be listened for on {proxy_listen}"))?;
        let status = std::net::TcpListener::bind(status_listen)
            .with_context(|| format!("the status page can't be served on {status_listen}"))?;
        let at = Ready { proxy: listeners[0].local_addr()?, status: status.local_addr()? };

        let (background, stop_background) = (TaskTracker::new(), CancellationToken::new());
        let options = config_sync::Config::new(&name, data_dir, link);
        let (address, answers) = (at.proxy.to_string(), answers::of(log_level));
        let sync = ConfigSync::open(config_sync::Config { labels, address, answers, ..options })
            .context("the node's configuration can't be kept")?;
        let options = RedisOptions { budget: limits.redis_wait, ..RedisOptions::default() };
        let clock = Arc::new(SystemClock);
        let counters = NodeCounters::build(&counters, options, clock.clone(), control.handle(), &stop_background)?;
        let page = Arc::new(Page {
            live: sync.live().clone(),
            sync: sync.status(),
            sums: Sums::new(listeners.iter().map(|_| Arc::default()).collect(), &limits),
            counters,
            access_log,
            beside: metrics_beside,
            compute: Arc::new(ComputePool::new(listeners.len(), COMPUTE_QUEUED_MAX)?),
            draining: false.into(),
        });
        let stop = stop_background.clone();
        background.spawn_on(async move { sync.run(stop).await }, control.handle());
        background.spawn_on(count_nodes(page.clone(), stop_background.clone()), control.handle());
        background.spawn_on(status::serve(status, page.clone(), stop_background.clone()), control.handle());
        background.spawn_on(page.clone().keep_ledger(stop_background.clone()), control.handle());

        let stop_workers = CancellationToken::new();
        let started = start_workers(listeners, &page, &name, &limits, &stop_workers);
        let (workers, ended) = started.inspect_err(|_| stop_workers.cancel())?;
        info!(workers = workers.len(), status = %at.status, "serving callers on {}", at.proxy);
        if let Some(tell) = config.ready {
            // who asked may have gone
            let _ = tell.send(at);
        }
        Ok(Node { page, limits, workers, ended, stop_workers, background, stop_background })
    }

    /// Serves, then ends what was started, the last first.
    async fn serve(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let failed = tokio::select! {
            () = shutdown.cancelled() => None,
            ended = self.ended.recv() => Some(ended),
        };
        self.page.draining.store(true, Ordering::Relaxed);
        if failed.is_none() {
            info!("draining: readiness is 503 from now on");
            tokio::time::sleep(self.limits.drain_delay).await;
        }
        self.stop_workers.cancel();
        let mut outcome = match failed {
            None => Ok(()),
            Some(Some(Err(error))) => Err(error),
            Some(_) => Err(anyhow::anyhow!("a worker ended though nobody asked it to")),
        };
        while let Some(ended) = self.ended.recv().await {
            outcome = outcome.and(ended);
        }
        for worker in self.workers {
            if worker.join().is_err() {
                outcome = outcome.and(Err(anyhow::anyhow!("a worker panicked")));
            }
        }
        if let Some(log) = &self.page.access_log {
            log.close(END_MAX).await;
        }
        self.stop_background.cancel();
        self.background.close();
        self.background.wait().await;
        self.page.counters.stopped().await;
        outcome
    }
}

/// A thread for each listening socket; done once all of them accept.
fn start_workers(
    listeners: Vec<std::net::TcpListener>,
    page: &Page,
    name: &str,
    limits: &Limits,
    stop: &CancellationToken,
) -> anyhow::Result<(Vec<JoinHandle<()>>, Ended)> {
    let (tell, mut ended) = mpsc::unbounded_channel();
    let (tell_started, mut started) = mpsc::unbounded_channel();
    let workers = listeners.len();
    let mut threads = Vec::new();
    for (listener, cells) in listeners.into_iter().zip(page.sums.workers()) {
        let parts = Parts {
            live: page.live.clone(),
            counters: page.counters.port(),
            clock: Arc::new(SystemClock),
            compute: page.compute.clone(),
            limits: limits.clone(),
            cells: cells.clone(),
            workers,
            access_log: page.access_log.clone().map(|log| (log, name.into())),
        };
        let (stop, tell, tell_started) = (stop.clone(), tell.clone(), tell_started.clone());
        // nobody listens any more if the start of another failed
        let carry = move || drop(tell.send(carry(parts, listener, &stop, tell_started)));
        let thread = std::thread::Builder::new().name(format!("worker-{}", threads.len())).spawn(carry);
        threads.push(thread.context("a worker's thread could not be started")?);
    }
    // from here on the workers alone hold the channels: one that panics leaves them as one that ends
    drop((tell, tell_started));
    for _ in 0..workers {
        if started.blocking_recv().is_none() {
            let why = ended.blocking_recv().unwrap_or_else(|| Err(anyhow::anyhow!("it panicked")));
            why.context("a worker failed to start")?;
        }
    }
    Ok((threads, ended))
}

/// Tells the counters how many nodes there are.
async fn count_nodes(page: Arc<Page>, stop: CancellationToken) {
    let mut sync = page.sync.clone();
    loop {
        let nodes = sync.borrow_and_update().fleet_nodes;
        page.counters.set_nodes(nodes as usize);
        tokio::select! {
            () = stop.cancelled() => return,
            changed = sync.changed() => if changed.is_err() { return stop.cancelled().await },
        }
    }
}

/// Carries traffic on this thread, until told to stop and what is under way has ended.
fn carry(
    parts: Parts,
    listener: std::net::TcpListener,
    stop: &CancellationToken,
    started: mpsc::UnboundedSender<()>,
) -> anyhow::Result<()> {
    let drain_timeout = parts.limits.drain_timeout;
    let runtime = Builder::new_current_thread().enable_all().build_local(Default::default())?;
    runtime.block_on(async {
        let worker = Worker::new(parts, TcpConnector);
        let sweeping = worker.clone();
        let sweeping = spawn_local(async move { sweeping.sweep().await });
        // who waits may have failed by now
        let _ = started.send(());
        drop(started);
        tcp::accept(&worker, listener, stop).await.context("connections can't be accepted")?;
        if tokio::time::timeout(drain_timeout, worker.drain()).await.is_err() {
            warn!(
                connections = worker.connections(),
                "ending {} connections that did not end by themselves",
                worker.connections()
            );
            worker.end();
            let _ = tokio::time::timeout(END_MAX, worker.drain()).await;
        }
        sweeping.abort();
        Ok(())
    })
}
