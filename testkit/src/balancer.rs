//! A balancer of TCP connections that heeds readiness: what stands in front of nodes in a rolling restart.
//!
//! It asks each target's `/readyz` every 50 ms and gives new connections to ready ones in turn; what stands is carried on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::wait::wait_for;

/// How often readiness is asked for. A node's `--drain-delay` should be a few of these.
pub const ASK_EVERY: Duration = Duration::from_millis(50);

/// How long an answer about readiness, or a connection to a target, may take.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// A running balancer; it ends with its owner, and its connections with it.
pub struct Balancer {
    address: SocketAddr,
    inner: Arc<Inner>,
    _tasks: JoinSet<()>,
}

struct Inner {
    targets: Vec<Target>,
    next: AtomicUsize,
    refused: AtomicU64,
}

struct Target {
    proxy: SocketAddr,
    ready_url: String,
    ready: AtomicBool,
    connections: AtomicU64,
}

impl Balancer {
    /// In front of these: where each takes traffic, and the URL of its status listener (`http://127.0.0.1:8100`).
    pub async fn start(targets: impl IntoIterator<Item = (SocketAddr, String)>) -> Result<Balancer> {
        let targets = targets.into_iter().map(|(proxy, status)| Target {
            proxy,
            ready_url: format!("{status}/readyz"),
            ready: AtomicBool::new(false),
            connections: AtomicU64::new(0),
        });
        let inner =
            Arc::new(Inner { targets: targets.collect(), next: AtomicUsize::new(0), refused: AtomicU64::new(0) });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        for number in 0..inner.targets.len() {
            tasks.spawn(ask(inner.clone(), number));
        }
        let serving = inner.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((caller, _)) = listener.accept().await {
                connections.spawn(carry(serving.clone(), caller));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Balancer { address, inner, _tasks: tasks })
    }

    /// Where callers go.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where callers go, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many targets take new connections at this moment.
    pub fn ready(&self) -> usize {
        self.inner.targets.iter().filter(|target| target.ready.load(Ordering::Relaxed)).count()
    }

    /// Waits until so many targets take new connections.
    pub async fn wait_until_ready(&self, targets: usize, deadline: Duration) -> Result<()> {
        wait_for("targets of the balancer to be ready", deadline, async || {
            ensure!(self.ready() == targets, "{} are", self.ready());
            Ok(())
        })
        .await
    }

    /// Connections that were given to each target so far.
    pub fn connections(&self) -> Vec<u64> {
        self.inner.targets.iter().map(|target| target.connections.load(Ordering::Relaxed)).collect()
    }

    /// Connections that no target took.
    pub fn refused(&self) -> u64 {
        self.inner.refused.load(Ordering::Relaxed)
    }
}

async fn ask(inner: Arc<Inner>, number: usize) {
    let target = &inner.targets[number];
    let client = reqwest::Client::builder().timeout(ANSWER_MAX).pool_max_idle_per_host(0).build();
    let client = client.expect("a client without TLS settings can be made");
    loop {
        let answer = client.get(&target.ready_url).send().await;
        target.ready.store(answer.is_ok_and(|answer| answer.status() == 200), Ordering::Relaxed);
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn carry(inner: Arc<Inner>, mut caller: TcpStream) {
    let Ok(mut target) = connect(&inner).await else {
        inner.refused.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let _ = (caller.set_nodelay(true), target.set_nodelay(true));
    // an end of either side is the end
    let _ = tokio::io::copy_bidirectional(&mut caller, &mut target).await;
}

/// A connection to the next target that is ready. One that refuses was not ready after all: nothing makes up for that.
async fn connect(inner: &Inner) -> Result<TcpStream> {
    let count = inner.targets.len();
    let first = inner.next.fetch_add(1, Ordering::Relaxed);
    let mut in_turn = (first..first + count).map(|number| &inner.targets[number % count]);
    let target = in_turn.find(|target| target.ready.load(Ordering::Relaxed)).context("no target is ready")?;
    let stream = tokio::time::timeout(ANSWER_MAX, TcpStream::connect(target.proxy)).await??;
    target.connections.fetch_add(1, Ordering::Relaxed);
    Ok(stream)
}
