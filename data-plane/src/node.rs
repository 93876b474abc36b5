//! Wires a node, and ends it in order.
//!
//! ```text
//! control runtime (2 threads): configuration, counters, status
//! worker 0..n (a thread each): own listening sockets, own connections, own cells
//! ```
//! Traffic runs on the workers alone; what the control runtime does never stalls it. What a loss means is said by each part:
//! without control planes the node serves what it has ([`crate::config_sync`]), without Redis limits do as they were told to
//! ([`crate::ports::counters`]).

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tidegate_policy::Purge;
use tidegate_proto::data_key::Handed;
use tidegate_telemetry::{Beside, LogLevel, status};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::answers;
use crate::callers::Callers;
use crate::config_sync::{self, ConfigSync};
use crate::handover::{self, Following, Offer};
use crate::listener::balance::{self, Desk};
use crate::listener::tcp;
use crate::ports::counters::{NodeCounters, RedisOptions};
use crate::ports::{ComputePool, KeySets, Responses, SystemClock};
use crate::pressure::{self, Pressure};
use crate::status::Node as Page;
use crate::telemetry::Sums;
use crate::upstream::TcpConnector;
use crate::worker::{Parts, Worker};

pub use crate::config_sync::ControlLink;
pub use crate::edge::{Edge, Network, ProxyProtocol, TraceContext, TrustedHeaders, TrustedProxies};
pub use crate::handover::Inherited;
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
    /// The key of its secrets, where the control plane is in this process.
    pub data_key: Handed,
    /// Where shared counters live.
    pub counters: Counters,
    /// Every default of the node.
    pub limits: Limits,
    /// Whom it believes of callers.
    pub edge: Edge,
    /// Where it tells of each request, if anywhere.
    pub access_log: Option<AccessLog>,
    /// The log of the process.
    pub log_level: LogLevel,
    /// What another part of the same process adds to the node's metrics.
    pub metrics_beside: Beside,
    /// Told once it serves.
    pub ready: Option<oneshot::Sender<Ready>>,
    /// Sockets that listen already, from the system or from a process that serves still.
    pub inherited: Inherited,
    /// Told once another process has taken over: this one should end.
    pub leave: CancellationToken,
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
    following: Following,
    /// For the next process; none where it can't be offered.
    offer: Option<Offer>,
    leave: CancellationToken,
    /// Told to the status page alone: who took over answers there.
    stop_status: CancellationToken,
    /// Told to the workers: accept no more, and end.
    stop_workers: CancellationToken,
    /// What runs on the control runtime, and when it is told to stop.
    background: TaskTracker,
    stop_background: CancellationToken,
}

impl Node {
    fn start(control: &Runtime, config: Config) -> anyhow::Result<Node> {
        let Config { name, labels, data_dir, proxy_listen, status_listen, control: link, counters, edge, .. } = config;
        let Config { access_log, log_level, metrics_beside, .. } = config;
        let (workers, limits) = (config.workers.max(1), fitted(config.limits));
        let (proxy, status, former) = config.inherited.into_parts();
        let is_awaited = !proxy.is_empty();
        let sockets = open(proxy, proxy_listen, workers, &limits)
            .with_context(|| format!("callers can't be listened for on {proxy_listen}"))?;
        let status = open_status(status, status_listen)
            .with_context(|| format!("the status page can't be served on {status_listen}"))?;
        let at = Ready { proxy: sockets[0].local_addr()?, status: status.local_addr()? };

        let (background, stop_background) = (TaskTracker::new(), CancellationToken::new());
        let compute = Arc::new(ComputePool::new(workers, COMPUTE_QUEUED_MAX)?);
        let callers = Callers::new(compute.clone(), &limits);
        let responses = Arc::new(Responses::new(&limits));
        let in_process = matches!(link, ControlLink::InProcess(_));
        let options = config_sync::Config::new(&name, data_dir.clone(), link);
        let (address, answers) = (at.proxy.to_string(), answers::of(log_level, responses.clone()));
        let sync = ConfigSync::open(config_sync::Config {
            labels,
            address,
            answers,
            callers: Some(callers.clone()),
            handed: config.data_key,
            ..options
        })
        .context("the node's configuration can't be kept")?;
        let options = RedisOptions { budget: limits.redis_wait, ..RedisOptions::default() };
        let clock = Arc::new(SystemClock);
        let counters = NodeCounters::build(&counters, options, clock.clone(), control.handle(), &stop_background)?;
        let page = Arc::new(Page {
            responses: responses.clone(),
            live: sync.live().clone(),
            sync: sync.status(),
            sums: Sums::new((0..workers).map(|_| Arc::default()).collect(), &limits),
            counters,
            key_sets: KeySets::new(&limits, None, control.handle().clone(), stop_background.clone()),
            access_log,
            beside: metrics_beside,
            callers,
            compute,
            pressure: Arc::new(Pressure::new(&limits)),
            draining: false.into(),
        });
        let runtime = control.handle().clone();
        let following = Following::start(sync, background.clone(), runtime, stop_background.clone());
        background.spawn_on(count_nodes(page.clone(), stop_background.clone()), control.handle());
        background.spawn_on(purge_after_absence(page.clone(), stop_background.clone()), control.handle());
        background.spawn_on(pressure::look(page.pressure.clone(), stop_background.clone()), control.handle());
        let ready = async || until_ready(&page, limits.handover_ready).await;
        if former.is_some() {
            // the other one serves until this one can
            control.block_on(ready()).context("the process that serves goes on")?;
        }
        let stop_status = stop_background.child_token();
        let offer = match in_process {
            // a control plane in this process can't be there twice
            true => None,
            false => {
                let _runtime = control.enter();
                let offer = Offer::new(&data_dir, &sockets, &status, limits.handover_ready);
                offer.inspect_err(|error| warn!(%error, "no other process can take over from this one: {error}")).ok()
            }
        };
        background.spawn_on(status::serve(status, page.clone(), stop_status.clone()), control.handle());
        if is_awaited && former.is_none() {
            // callers wait in the queues of these sockets, and need not be told that there is nothing yet
            control.block_on(ready()).unwrap_or_else(|error| warn!("{error:#}"));
        }
        background.spawn_on(page.clone().keep_ledger(stop_background.clone()), control.handle());

        let stop_workers = CancellationToken::new();
        let started = start_workers(tcp::deal(sockets, workers), &page, &name, (&limits, &edge), &stop_workers);
        let (workers, ended) = started.inspect_err(|_| stop_workers.cancel())?;
        info!(workers = workers.len(), status = %at.status, "serving callers on {}", at.proxy);
        Inherited::tell_ready(former);
        if let Some(tell) = config.ready {
            // who asked may have gone
            let _ = tell.send(at);
        }
        let leave = config.leave;
        Ok(Node {
            page,
            limits,
            workers,
            ended,
            following,
            offer,
            leave,
            stop_status,
            stop_workers,
            background,
            stop_background,
        })
    }

    /// Serves, then ends what was started, the last first.
    async fn serve(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let why = tokio::select! {
            () = shutdown.cancelled() => Why::Told,
            ended = self.ended.recv() => Why::Failed(ended),
            () = taken(self.offer.as_ref(), &mut self.following) => Why::TakenOver,
        };
        // held a second time, the sockets would go on listening
        self.offer = None;
        match why {
            Why::TakenOver => {
                self.stop_status.cancel();
                self.leave.cancel();
            }
            Why::Told => {
                self.page.draining.store(true, Ordering::Relaxed);
                info!("draining: readiness is 503 from now on");
                tokio::time::sleep(self.limits.drain_delay).await;
            }
            Why::Failed(_) => self.page.draining.store(true, Ordering::Relaxed),
        }
        self.stop_workers.cancel();
        let mut outcome = match why {
            Why::Told | Why::TakenOver => Ok(()),
            Why::Failed(Some(Err(error))) => Err(error),
            Why::Failed(_) => Err(anyhow::anyhow!("a worker ended though nobody asked it to")),
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
        self.page.key_sets.stopped().await;
        outcome
    }
}

/// Why a node stops serving.
enum Why {
    Told,
    TakenOver,
    Failed(Option<anyhow::Result<()>>),
}

/// Waits until another process has taken over, which may be never.
async fn taken(offer: Option<&Offer>, following: &mut Following) {
    match offer {
        Some(offer) => offer.taken(following).await,
        None => std::future::pending().await,
    }
}

/// A sane share of the files that this process may open is for connections: the others are for targets, and for all else.
fn fitted(mut limits: Limits) -> Limits {
    if let Some(files) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        let share = usize::try_from(files / 4 * 3).unwrap_or(usize::MAX);
        limits.connections_max = limits.connections_max.min(share);
    }
    limits
}

fn open(
    inherited: Vec<TcpListener>,
    address: SocketAddr,
    workers: usize,
    limits: &Limits,
) -> anyhow::Result<Vec<TcpListener>> {
    if inherited.is_empty() {
        return Ok(tcp::listen_for(workers, address, limits.listen_backlog)?);
    }
    for socket in &inherited {
        handover::check_address(socket, address, "the gateway")?;
    }
    Ok(tcp::listen_on(inherited, workers, limits.listen_backlog)?)
}

fn open_status(inherited: Option<TcpListener>, address: SocketAddr) -> anyhow::Result<TcpListener> {
    match inherited {
        Some(socket) => handover::check_address(&socket, address, "the status page").map(|()| socket),
        None => Ok(TcpListener::bind(address)?),
    }
}

/// Waits until there is a configuration to serve.
async fn until_ready(page: &Page, max: Duration) -> anyhow::Result<()> {
    let mut sync = page.sync.clone();
    let ready = sync.wait_for(|status| status.ready);
    let ready = tokio::time::timeout(max, ready).await;
    ready.context("there was no configuration in time")??;
    Ok(())
}

/// A thread for each worker, with its listening sockets; done once all of them accept.
fn start_workers(
    sockets: Vec<Vec<TcpListener>>,
    page: &Page,
    name: &str,
    (limits, edge): (&Limits, &Edge),
    stop: &CancellationToken,
) -> anyhow::Result<(Vec<JoinHandle<()>>, Ended)> {
    let (tell, mut ended) = mpsc::unbounded_channel();
    let (tell_started, mut started) = mpsc::unbounded_channel();
    let workers = sockets.len();
    let mut threads = Vec::new();
    let desks = balance::desks(workers, limits);
    for ((sockets, desk), cells) in sockets.into_iter().zip(desks).zip(page.sums.workers()) {
        let parts = Parts {
            live: page.live.clone(),
            counters: page.counters.port(),
            clock: Arc::new(SystemClock),
            compute: page.compute.clone(),
            callers: page.callers.clone(),
            key_sets: Arc::new(page.key_sets.clone()),
            responses: page.responses.clone(),
            limits: limits.clone(),
            edge: edge.clone(),
            cells: cells.clone(),
            workers,
            access_log: page.access_log.clone().map(|log| (log, name.into())),
            pressure: page.pressure.clone(),
        };
        let (stop, tell, tell_started) = (stop.clone(), tell.clone(), tell_started.clone());
        // nobody listens any more if the start of another failed
        let carry = move || drop(tell.send(carry(parts, sockets, desk, &stop, tell_started)));
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

/// Lets go of all kept answers whenever the node is in touch again: purges that it did not hear of may have been among what it
/// missed.
async fn purge_after_absence(page: Arc<Page>, stop: CancellationToken) {
    let mut sync = page.sync.clone();
    let mut streams = sync.borrow_and_update().counts.streams;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = sync.changed() => if changed.is_err() { return stop.cancelled().await },
        }
        let now = sync.borrow_and_update().counts.streams;
        if std::mem::replace(&mut streams, now) != now && now > 1 {
            let responses = page.responses.clone();
            let gone = tokio::task::spawn_blocking(move || responses.purge(&Purge::ALL)).await;
            if let Ok(gone @ 1..) = gone {
                info!(gone, "in touch again: {gone} kept answers are let go of, as purges may have been missed");
            }
        }
    }
}

/// Carries traffic on this thread, until told to stop and what is under way has ended.
fn carry(
    parts: Parts,
    sockets: Vec<TcpListener>,
    desk: Desk,
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
        tcp::accept(&worker, sockets, desk, stop).await.context("connections can't be accepted")?;
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
