//! A body far larger than memory passes, up and down, and the gateway holds little of it at any time.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tidegate_testkit::memory::{forget_peak, peak_kib, rss_kib};
use tidegate_testkit::standalone::Standalone;

use super::plain_h1::{Endless, Wire};
use super::{Report, Size};

/// By how much a body may raise the gateway's memory, however long it is: buffers both ways, and what the allocator rounds up.
const GROWTH_MAX_KIB: u64 = 16 << 10;

pub(super) async fn run(size: Size) -> Result<Report> {
    let bytes = size.pick(256 << 20, 10_000_000_000);
    let (api, mut gateway) = (Endless::start().await?, Standalone::start().await?);
    let admin = gateway.admin()?;
    admin.put("/v1/services/endless", json!({ "url": format!("http://{}", api.address) })).await?;
    admin.put("/v1/routes/endless?wait=all", json!({ "service": "endless" })).await?;
    let to = gateway.proxy_url().trim_start_matches("http://").parse()?;
    let process = gateway.process().id().context("it runs")?;

    let mut wire = Wire::connect(to).await?;
    // what is allocated once, for the first body of a connection, is not the body's
    ensure!(wire.exchange("POST", "/bytes/1000000", 1_000_000).await? == (200, 1_000_000));
    let before = rss_kib(process)?;
    let mut report = Report::default();
    for (way, target, up, down) in [("down", format!("/bytes/{bytes}"), 0, bytes), ("up", "/".to_owned(), bytes, 2)] {
        forget_peak(process)?;
        let began = Instant::now();
        let method = if up > 0 { "POST" } else { "GET" };
        ensure!(wire.exchange(method, &target, up).await? == (200, down), "{way}");
        let grown = peak_kib(process)?.saturating_sub(before);
        report.note(format!(
            "{bytes} bytes {way} at {:.0} MB/s; memory {before} KiB before, at most {grown} KiB more",
            bytes as f64 / 1e6 / began.elapsed().as_secs_f64()
        ));
        ensure!(grown <= GROWTH_MAX_KIB, "memory grew by {grown} KiB\n{report}");
    }
    // nothing of it is needed again: no time for a drain
    gateway.kill();
    Ok(report)
}
