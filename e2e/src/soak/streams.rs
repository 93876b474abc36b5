//! Streams that go on for long: events pass one by one, and memory does not grow with them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tidegate_testkit::memory::{forget_peak, peak_kib, rss_kib};
use tidegate_testkit::standalone::Standalone;
use tidegate_testkit::upstream::Upstream;
use tokio::task::JoinSet;

use super::{Report, Size};

/// The sample upstream's pace.
const EVENT_EVERY: Duration = Duration::from_millis(20);
const GROWTH_MAX_KIB: u64 = 8 << 10;

pub(super) async fn run(size: Size) -> Result<Report> {
    let (callers, time) = size.pick((4, Duration::from_secs(2)), (50, Duration::from_secs(120)));
    let (upstream, mut gateway) = (Upstream::start()?, Standalone::start().await?);
    let admin = gateway.admin()?;
    admin.put("/v1/services/events", json!({ "url": upstream.url() })).await?;
    admin.put("/v1/routes/events?wait=all", json!({ "service": "events" })).await?;
    let process = gateway.process().id().context("it runs")?;
    let url = gateway.proxy_url();
    // what is allocated once is not the streams'
    events(&url, callers, 10).await?;
    let before = rss_kib(process)?;
    forget_peak(process)?;
    let each = u32::try_from(time.as_millis() / EVENT_EVERY.as_millis())?;
    let passed = events(&url, callers, each).await?;
    let grown = peak_kib(process)?.saturating_sub(before);
    let mut report = Report::default();
    report.note(format!("{callers} event streams of {time:?}, {passed} events; memory grew by {grown} KiB"));
    ensure!(grown <= GROWTH_MAX_KIB, "memory grew by {grown} KiB\n{report}");
    // nothing of it is needed again: no time for a drain
    gateway.kill();
    Ok(report)
}

/// So many callers at a time, each with a stream of so many events: how many came.
async fn events(url: &str, callers: usize, each: u32) -> Result<usize> {
    let mut streams = JoinSet::new();
    for _ in 0..callers {
        let url = format!("{url}/sse/{each}");
        streams.spawn(async move {
            let mut answer = reqwest::get(url).await?;
            let mut text = String::new();
            let mut count = 0;
            while let Some(piece) = answer.chunk().await? {
                text.push_str(std::str::from_utf8(&piece)?);
                // an event ends with an empty line; what has passed is forgotten
                while let Some(end) = text.find("\n\n") {
                    ensure!(text.starts_with(&format!("id: {count}\n")), "{text}");
                    text.drain(..end + 2);
                    count += 1;
                }
            }
            ensure!(count == each as usize, "{count} of {each} events came");
            anyhow::Ok(count)
        });
    }
    let mut passed = 0;
    while let Some(stream) = streams.join_next().await {
        passed += stream??;
    }
    Ok(passed)
}
