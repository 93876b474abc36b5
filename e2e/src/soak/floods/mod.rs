//! Attacks by callers: what they send has no end or makes work for nothing. Memory stays bounded, others are served.
//!
//! Everything is made by hand, as no library would send it. Whoever is cut off comes back, as an attacker would.

mod h1;
mod h2;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tidegate_testkit::load::{Load, Plan};
use tidegate_testkit::memory::{forget_peak, peak_kib, rss_kib};
use tidegate_testkit::standalone::Standalone;
use tidegate_testkit::upstream::Upstream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Report, Size};

/// What a connection may hold at most, whatever it sends: 256 streams of HTTP/2, each with its head, a request under way to
/// a target and that one's buffers, 32 KiB in all.
const CONNECTION_MAX_KIB: u64 = 8 << 10;
/// What the gateway may hold beside that.
const BASE_MAX_KIB: u64 = 32 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// An attack on one connection.
struct Flood {
    name: &'static str,
    /// Sent first.
    opening: fn() -> Vec<u8>,
    /// Sent on and on; counted from 0.
    piece: fn(u32) -> Vec<u8>,
    /// How long it rests after each piece.
    rest: Option<Duration>,
    /// Whether it takes what comes back.
    reads: bool,
}

#[derive(Default)]
struct Sent {
    connections: AtomicU64,
    pieces: AtomicU64,
    cut_off: AtomicU64,
}

pub(super) async fn run(size: Size) -> Result<Report> {
    let (connections, time) = size.pick((4, Duration::from_millis(700)), (32, Duration::from_secs(10)));
    let (upstream, mut gateway) = (Upstream::start()?, Standalone::start().await?);
    let admin = gateway.admin()?;
    admin.put("/v1/services/orders", json!({ "url": upstream.url() })).await?;
    admin.put("/v1/routes/orders?wait=all", json!({ "service": "orders" })).await?;
    let to = gateway.proxy_url().trim_start_matches("http://").parse()?;
    let process = gateway.process().id().context("it runs")?;
    let mut report = Report::default();
    for flood in h2::FLOODS.iter().chain(h1::FLOODS) {
        let before = rss_kib(process)?;
        forget_peak(process)?;
        let others = Load::start(Plan { rate: 100, callers: 8, ..Plan::to(to, "/orders/1") });
        others.passes(10, PATIENCE).await?;
        let sent = attack(flood, to, connections, time).await?;
        others.passes(10, PATIENCE).await.with_context(|| format!("after `{}`", flood.name))?;
        let outcome = others.end().await;
        let grown = peak_kib(process)?.saturating_sub(before);
        report.note(format!(
            "{:<40} {:>9} pieces on {:>6} connections, {:>6} cut off; memory at most {:>6} KiB more; others: {} passed, {} failed, p99 {:?}",
            flood.name,
            sent.pieces.load(Ordering::Relaxed),
            sent.connections.load(Ordering::Relaxed),
            sent.cut_off.load(Ordering::Relaxed),
            grown,
            outcome.passed,
            outcome.failed,
            outcome.p99
        ));
        ensure!(outcome.failed == 0, "`{}`: {:#?}\n{report}", flood.name, outcome.failures);
        let most = BASE_MAX_KIB + CONNECTION_MAX_KIB * connections;
        ensure!(grown <= most, "`{}`: memory grew by {grown} KiB\n{report}", flood.name);
        ensure!(gateway.process().is_running(), "`{}` ended it\n{report}", flood.name);
    }
    // nothing of it is needed again: no time for a drain
    gateway.kill();
    Ok(report)
}

/// So many attackers at a time, for a while.
async fn attack(flood: &'static Flood, to: SocketAddr, connections: u64, time: Duration) -> Result<Arc<Sent>> {
    let (sent, until) = (Arc::<Sent>::default(), Instant::now() + time);
    let mut attackers = JoinSet::new();
    for _ in 0..connections {
        let sent = sent.clone();
        attackers.spawn(async move {
            while Instant::now() < until {
                sent.connections.fetch_add(1, Ordering::Relaxed);
                let Ok(Ok(stream)) = timeout_at(until, TcpStream::connect(to)).await else { continue };
                if timeout_at(until, flood_on(flood, stream, &sent, until)).await.is_ok_and(|ended| ended.is_err()) {
                    sent.cut_off.fetch_add(1, Ordering::Relaxed);
                    // a connection a millisecond is enough
                    sleep_until(Instant::now() + Duration::from_millis(1)).await;
                }
            }
        });
    }
    while let Some(attacker) = attackers.join_next().await {
        attacker?;
    }
    Ok(sent)
}

/// Sends until it is cut off or the time is over.
async fn flood_on(flood: &Flood, stream: TcpStream, sent: &Sent, until: Instant) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut reading, mut writing) = stream.into_split();
    let _reader = flood.reads.then(|| {
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            let mut piece = vec![0; 64 << 10];
            while reading.read(&mut piece).await.is_ok_and(|read| read > 0) {}
        });
        reader
    });
    writing.write_all(&(flood.opening)()).await?;
    for number in 0.. {
        writing.write_all(&(flood.piece)(number)).await?;
        sent.pieces.fetch_add(1, Ordering::Relaxed);
        if let Some(rest) = flood.rest {
            sleep_until((Instant::now() + rest).min(until)).await;
        }
        if Instant::now() >= until {
            break;
        }
    }
    Ok(())
}
