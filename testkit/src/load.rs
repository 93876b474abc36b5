//! Constant load by callers that keep their connections, and what they met. Anything but a whole `200` is a failure: nothing is
//! sent twice, and no failure is forgiven as a race.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::wait::wait_for;

/// What load to make.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to.
    pub to: SocketAddr,
    /// The path of each request.
    pub path: String,
    /// Headers of each request, beside Host.
    pub headers: Vec<(String, String)>,
    /// Requests a second, all callers together.
    pub rate: u32,
    /// Callers, each with one connection at a time.
    pub callers: u32,
    /// A caller opens a new connection after so many requests.
    pub requests_per_connection: u64,
}

impl Plan {
    /// A thousand requests a second by 32 callers, each of which changes its connection after 100.
    pub fn to(to: SocketAddr, path: &str) -> Plan {
        let (path, headers) = (path.to_owned(), Vec::new());
        Plan { to, path, headers, rate: 1000, callers: 32, requests_per_connection: 100 }
    }
}

/// What became of a load.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Answered whole, with 200.
    pub passed: u64,
    /// All others.
    pub failed: u64,
    /// What the first of them met.
    pub failures: Vec<String>,
    /// The longest that a passed request took, its connection included.
    pub slowest: Duration,
    /// What 99 of 100 passed requests did not exceed.
    pub p99: Duration,
}

/// How many failures are told.
const TOLD_MAX: usize = 10;

/// How long one request may take.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// Callers at work, until they are told to end.
pub struct Load {
    met: Arc<Met>,
    callers: JoinSet<()>,
}

#[derive(Default)]
struct Met {
    stop: AtomicBool,
    passed: AtomicU64,
    failed: AtomicU64,
    took_us: Mutex<Vec<u32>>,
    failures: Mutex<Vec<String>>,
}

impl Load {
    /// Begins.
    pub fn start(plan: Plan) -> Load {
        let (met, plan, mut callers) = (Arc::<Met>::default(), Arc::new(plan), JoinSet::new());
        for number in 0..plan.callers.max(1) {
            callers.spawn(call(plan.clone(), number, met.clone()));
        }
        Load { met, callers }
    }

    /// Requests that passed so far.
    pub fn passed(&self) -> u64 {
        self.met.passed.load(Ordering::Relaxed)
    }

    /// Requests that failed so far.
    pub fn failed(&self) -> u64 {
        self.met.failed.load(Ordering::Relaxed)
    }

    /// Waits until so many more have passed.
    pub async fn passes(&self, more: u64, deadline: Duration) -> Result<()> {
        let before = self.passed();
        wait_for("requests to pass", deadline, async || {
            let (passed, failed) = (self.passed(), self.failed());
            ensure!(passed >= before + more, "{} passed, {failed} failed in all", passed - before);
            Ok(())
        })
        .await
    }

    /// Ends it, once each caller has its last answer.
    pub async fn end(mut self) -> Outcome {
        self.met.stop.store(true, Ordering::Relaxed);
        while self.callers.join_next().await.is_some() {}
        let mut took = std::mem::take(&mut *self.met.took_us.lock());
        took.sort_unstable();
        let at = |place: Option<usize>| {
            Duration::from_micros(place.and_then(|at| took.get(at)).copied().unwrap_or_default().into())
        };
        Outcome {
            passed: self.passed(),
            failed: self.failed(),
            failures: self.met.failures.lock().clone(),
            slowest: at(took.len().checked_sub(1)),
            p99: at(Some(took.len() * 99 / 100)),
        }
    }
}

async fn call(plan: Arc<Plan>, number: u32, met: Arc<Met>) {
    let callers = f64::from(plan.callers.max(1));
    let every = Duration::from_secs_f64(callers / f64::from(plan.rate.max(1)));
    // callers take turns rather than call all at once
    let begin = tokio::time::Instant::now() + every.mul_f64(f64::from(number) / callers);
    let mut due = tokio::time::interval_at(begin, every);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut kept: Option<(SendRequest<Empty<Bytes>>, u64)> = None;
    while !met.stop.load(Ordering::Relaxed) {
        due.tick().await;
        let begun = Instant::now();
        let asked = tokio::time::timeout(REQUEST_MAX, ask(&plan, &mut kept)).await;
        match asked.context("no answer in time").and_then(|asked| asked) {
            Ok(()) => {
                met.passed.fetch_add(1, Ordering::Relaxed);
                met.took_us.lock().push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Err(error) => {
                kept = None;
                met.failed.fetch_add(1, Ordering::Relaxed);
                let mut failures = met.failures.lock();
                if failures.len() < TOLD_MAX {
                    failures.push(format!("{error:#}"));
                }
            }
        }
    }
}

async fn ask(plan: &Plan, kept: &mut Option<(SendRequest<Empty<Bytes>>, u64)>) -> Result<()> {
    // what is closed by now is no use; a close that has not arrived yet meets the request
    let usable = kept.take().filter(|(sender, asked)| !sender.is_closed() && *asked < plan.requests_per_connection);
    let (mut sender, asked) = match usable {
        Some(usable) => usable,
        None => (connect(plan.to).await.context("no connection")?, 0),
    };
    let mut request = http::Request::get(&plan.path).header("host", "load");
    for (name, value) in &plan.headers {
        request = request.header(name, value);
    }
    let which = if asked == 0 { "on a new connection" } else { "on a kept connection" };
    let answer = sender.send_request(request.body(Empty::new())?).await.context(which)?;
    let status = answer.status();
    let closes = answer.headers().get("connection").is_some_and(|value| value == "close");
    answer.into_body().collect().await.context("the answer was cut")?;
    ensure!(status == 200, "{status}");
    if !closes && sender.ready().await.is_ok() {
        *kept = Some((sender, asked + 1));
    }
    Ok(())
}

async fn connect(to: SocketAddr) -> Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
