//! Measures what telling costs: a scrape of 10,000 routes, and a request with and without its line in the access log.
//!
//! `cargo run --release -p tidegate-data-plane --example seeing`; with `plain` or `logged` only requests of that kind, for tools that
//! count instructions.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tidegate_data_plane::callers::Callers;
use tidegate_data_plane::limits::Limits;
use tidegate_data_plane::ports::counters::LocalCounters;
use tidegate_data_plane::ports::{ComputePool, Responses, SystemClock};
use tidegate_data_plane::telemetry::access_log::{AccessLog, LogTarget, Options};
use tidegate_data_plane::telemetry::{Cells, Sums};
use tidegate_data_plane::{Connector, Parts, Worker};
use tidegate_model::{Authority, Change, Id, Kind, State};
use tidegate_policy::Registry;
use tidegate_snapshot::{Live, Revisions, Snapshot};
use tidegate_telemetry::Exposition;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::{LocalSet, spawn_local};

const ROUTES: usize = 10_000;
const SERVICES: usize = 1_000;
const WORKERS: usize = 4;
const REQUESTS: usize = 50_000;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let only = std::env::args().nth(1);
    LocalSet::new().block_on(&runtime, async {
        match only.as_deref() {
            Some("plain") => requests(None).await.map(drop),
            Some("logged") => requests(Some(log()?)).await.map(drop),
            _ => {
                scrape().await?;
                println!("{:6.0} ns  a request through a worker on pipes in memory", requests(None).await?);
                println!("{:6.0} ns  the same, with its line in the access log", requests(Some(log()?)).await?);
                Ok(())
            }
        }
    })
}

fn log() -> anyhow::Result<AccessLog> {
    let options = Options { target: LogTarget::File("/dev/null".into()), sample: 1.0, redact: Vec::new() };
    AccessLog::start(options, &Limits::default())
}

/// Every route has had a request on every worker.
async fn scrape() -> anyhow::Result<()> {
    let snapshot = snapshot(ROUTES, SERVICES);
    let cells: Vec<Arc<Cells>> = (0..WORKERS).map(|_| Arc::default()).collect();
    for cells in &cells {
        let worker = worker(&snapshot, cells, None)?;
        let (mut caller, gateway) = tokio::io::duplex(1 << 16);
        spawn_local(worker.serve(gateway, [127, 0, 0, 1].into()));
        for n in 0..ROUTES {
            ask(&mut caller, &format!("/r{n}")).await?;
        }
    }
    let sums = Sums::new(cells, &Limits::default());
    for turn in ["first", "next", "next"] {
        let mut out = Exposition::with_capacity(64 << 10);
        let began = Instant::now();
        sums.write(&mut out, &snapshot);
        let (took, text) = (began.elapsed(), out.into_text());
        let (ms, lines) = (took.as_secs_f64() * 1e3, text.lines().count());
        println!(
            "{ms:6.1} ms  the {turn} scrape: {ROUTES} routes, {WORKERS} workers, {lines} lines, {} KiB",
            text.len() >> 10
        );
    }
    Ok(())
}

/// Nanoseconds for a request.
async fn requests(log: Option<AccessLog>) -> anyhow::Result<f64> {
    let worker = worker(&snapshot(1, 1), &Arc::default(), log)?;
    let sweeping = worker.clone();
    let sweeping = spawn_local(async move { sweeping.sweep().await });
    let (mut caller, gateway) = tokio::io::duplex(1 << 16);
    spawn_local(worker.serve(gateway, [127, 0, 0, 1].into()));
    let began = Instant::now();
    for _ in 0..REQUESTS {
        ask(&mut caller, "/r0").await?;
    }
    sweeping.abort();
    Ok(began.elapsed().as_nanos() as f64 / REQUESTS as f64)
}

async fn ask(caller: &mut DuplexStream, path: &str) -> io::Result<()> {
    caller.write_all(format!("GET {path} HTTP/1.1\r\nHost: api\r\nUser-Agent: example/1\r\n\r\n").as_bytes()).await?;
    let mut reply = [0; 1024];
    match caller.read(&mut reply).await? {
        n if reply[..n].starts_with(b"HTTP/1.1 200") => Ok(()),
        n => Err(io::Error::other(String::from_utf8_lossy(&reply[..n]).into_owned())),
    }
}

fn worker(snapshot: &Arc<Snapshot>, cells: &Arc<Cells>, log: Option<AccessLog>) -> anyhow::Result<Rc<Worker>> {
    let clock = Arc::new(SystemClock);
    let compute = Arc::new(ComputePool::new(1, 1)?);
    let parts = Parts {
        live: Arc::new(Live::new(snapshot.clone())),
        counters: Arc::new(LocalCounters::new(clock.clone(), 1_000)),
        clock,
        callers: Callers::new(compute.clone(), &Limits::default()),
        compute,
        key_sets: Arc::new(tidegate_policy::NoIssuers),
        responses: Arc::new(Responses::new(&Limits::default())),
        limits: Limits::default(),
        cells: cells.clone(),
        workers: WORKERS,
        edge: tidegate_data_plane::node::Edge::default(),
        pressure: Arc::default(),
        access_log: log.map(|log| (log, "example".into())),
    };
    Ok(Worker::new(parts, Answering))
}

fn snapshot(routes: usize, services: usize) -> Arc<Snapshot> {
    let mut resources: Vec<Change> =
        (0..services).map(|n| resource(Kind::Service, &format!("s{n}"), json!({ "url": "http://up" }))).collect();
    resources.extend((0..routes).map(|n| {
        let service = id(Kind::Service, &format!("s{}", n % services));
        resource(Kind::Route, &format!("r{n}"), json!({ "service": service, "match": { "path": format!("/r{n}") } }))
    }));
    let revisions = Revisions { identity: 1, traffic: 1 };
    Arc::new(Snapshot::compile(&resources, revisions, Registry::standard()).0)
}

fn id(kind: Kind, name: &str) -> Id {
    let number =
        format!("{kind}/{name}").bytes().fold(7u128, |n, byte| n.wrapping_mul(0x0100_0000_01b3) + u128::from(byte));
    Id::new(uuid::Uuid::from_u128(number))
}

fn resource(kind: Kind, name: &str, document: Value) -> Change {
    let at = tidegate_model::Instant::from_millis(0);
    let document = document.to_string().into();
    let state = State { name: name.parse().ok(), revision: 1, created_at: at, updated_at: at, document };
    Change { kind, id: id(kind, name), after: Some(state) }
}

/// Targets that answer everything at once.
struct Answering;

impl Connector for Answering {
    type Stream = DuplexStream;

    async fn connect(&self, _: &Authority) -> io::Result<DuplexStream> {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        spawn_local(async move {
            let mut request = [0; 4096];
            while theirs.read(&mut request).await.is_ok_and(|n| n > 0) {
                if theirs.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
                    return;
                }
            }
        });
        Ok(ours)
    }
}
