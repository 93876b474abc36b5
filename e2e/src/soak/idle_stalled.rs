//! Callers who say nothing, and callers who stop in the middle, cost little and slow nobody.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tidegate_testkit::load::{Load, Outcome, Plan};
use tidegate_testkit::memory::rss_kib;
use tidegate_testkit::standalone::Standalone;
use tokio::io::AsyncWriteExt as _;

use super::plain_h1::{Endless, Wire};
use super::{Report, Size};

/// What an idle connection may cost in memory of the gateway.
const IDLE_MAX_KIB: f64 = 24.0;
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn run(size: Size) -> Result<Report> {
    let (idle, stalled, requests) = size.pick((200, 24, 200), (5_000, 200, 20_000));
    // both sides of a connection, and those to the API behind
    raise_file_limit(2 * (idle + stalled) as u64 + 1_000);
    let (api, mut gateway) = (Endless::start().await?, Standalone::start().await?);
    let admin = gateway.admin()?;
    admin.put("/v1/services/endless", json!({ "url": format!("http://{}", api.address) })).await?;
    admin.put("/v1/routes/endless?wait=all", json!({ "service": "endless" })).await?;
    let to = gateway.proxy_url().trim_start_matches("http://").parse()?;
    let process = gateway.process().id().context("it runs")?;

    let served = async || -> Result<Outcome> {
        let load = Load::start(Plan { rate: 400, ..Plan::to(to, "/bytes/1000") });
        load.passes(requests, PATIENCE).await?;
        let outcome = load.end().await;
        ensure!(outcome.failed == 0, "{} failed: {:#?}", outcome.failed, outcome.failures);
        Ok(outcome)
    };
    let mut report = Report::default();
    // before any load: what a load has freed would hide what they take
    let before = rss_kib(process)?;
    let mut held = hold(to, idle).await?;
    let each = rss_kib(process)?.saturating_sub(before) as f64 / idle as f64;
    report.note(format!("{idle} idle connections cost {each:.1} KiB each"));
    held.clear();
    let alone = served().await?;
    held = hold(to, idle).await?;
    for number in 0..stalled {
        let mut wire = Wire::connect(to).await?;
        let begun: &[u8] = match number % 3 {
            0 => b"GET / HTTP/1.1\r\nHost: so",
            1 => b"POST / HTTP/1.1\r\nHost: soak\r\nContent-Length: 1000\r\n\r\nten bytes.",
            _ => b"GET /bytes/1000000000 HTTP/1.1\r\nHost: soak\r\n\r\n",
        };
        wire.stream.write_all(begun).await?;
        held.push(wire);
    }
    let beside = served().await?;
    let all = rss_kib(process)?.saturating_sub(before);
    report.note(format!("with {stalled} stalled ones (in the head, in the body, in the answer) {} KiB in all", all));
    report.note(format!("{} requests beside them: p99 {:?}, {:?} without them", beside.passed, beside.p99, alone.p99));
    drop(held);
    // of few connections the allocator's rounding is most of it
    ensure!(
        size == Size::Small || each <= IDLE_MAX_KIB,
        "an idle connection costs more than {IDLE_MAX_KIB} KiB\n{report}"
    );
    ensure!(all <= 64 * (idle + stalled) as u64 + (32 << 10), "{report}");
    // nothing of it is needed again: no time for a drain
    gateway.kill();
    Ok(report)
}

/// Connections that have had an answer each.
async fn hold(to: SocketAddr, count: usize) -> Result<Vec<Wire>> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut wire = Wire::connect(to).await?;
        ensure!(wire.exchange("GET", "/bytes/1000", 0).await?.0 == 200);
        held.push(wire);
    }
    Ok(held)
}

/// What is started inherits it. Where it may not be raised, the connections fail and say why.
fn raise_file_limit(wanted: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    if now.current.is_some_and(|current| current < wanted) {
        let raised = now.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: now.maximum });
    }
}
