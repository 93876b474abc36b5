//! Streams that go on for long: what passes in them does so piece by piece, and memory does not grow with it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use serde_json::json;
use tidegate_testkit::grpc::{self, Grpc};
use tidegate_testkit::memory::{forget_peak, peak_kib, rss_kib};
use tidegate_testkit::standalone::Standalone;
use tidegate_testkit::upstream::Upstream;
use tidegate_testkit::websocket::{self, Message, WebSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Report, Size};

/// The sample upstream's pace, and that of the other streams.
const EVERY: Duration = Duration::from_millis(20);
const GROWTH_MAX_KIB: u64 = 8 << 10;
const GRPC_PATH: &str = "/tidegate.test.v1.Echo";

pub(super) async fn run(size: Size) -> Result<Report> {
    let (callers, time) = size.pick((4, Duration::from_secs(2)), (50, Duration::from_secs(120)));
    let (events, sockets, calls) = (Upstream::start()?, WebSocket::start()?, Grpc::start()?);
    let mut gateway = Standalone::start().await?;
    let admin = gateway.admin()?;
    for (name, url, protocol, path) in [
        ("events", events.url(), "http1", "/sse"),
        ("sockets", sockets.url(), "http1", "/sockets"),
        ("calls", calls.url(), "h2c", GRPC_PATH),
    ] {
        admin.put(&format!("/v1/services/{name}"), json!({ "url": url, "protocol": protocol })).await?;
        let route = json!({ "service": name, "match": { "path": path } });
        admin.put(&format!("/v1/routes/{name}?wait=all"), route).await?;
    }
    let process = gateway.process().id().context("it runs")?;
    let url = gateway.proxy_url();
    // what is allocated once is not the streams'
    all(&url, callers, EVERY * 10).await?;
    let before = rss_kib(process)?;
    forget_peak(process)?;
    let passed = all(&url, callers, time).await?;
    let grown = peak_kib(process)?.saturating_sub(before);
    let mut report = Report::default();
    report.note(format!(
        "{callers} callers of each kind for {time:?}: {} events, {} WebSocket messages, {} gRPC messages; memory grew by {grown} KiB",
        passed[0], passed[1], passed[2]
    ));
    ensure!(grown <= GROWTH_MAX_KIB, "memory grew by {grown} KiB\n{report}");
    // nothing of it is needed again: no time for a drain
    gateway.kill();
    Ok(report)
}

/// So many callers of each kind at a time: how many messages came back of each.
async fn all(url: &str, callers: usize, time: Duration) -> Result<[u32; 3]> {
    let mut streams = JoinSet::new();
    for _ in 0..callers {
        let url = url.to_owned();
        streams.spawn(async move {
            let (events, messages, calls) = tokio::join!(events(&url, time), socket(&url, time), call(&url, time));
            Ok::<_, anyhow::Error>([
                events.context("an event stream")?,
                messages.context("a WebSocket")?,
                calls.context("a gRPC call")?,
            ])
        });
    }
    let mut passed = [0; 3];
    while let Some(stream) = streams.join_next().await {
        for (all, one) in passed.iter_mut().zip(stream??) {
            *all += one;
        }
    }
    Ok(passed)
}

async fn events(url: &str, time: Duration) -> Result<u32> {
    let each = u32::try_from(time.as_millis() / EVERY.as_millis())?;
    let mut answer = reqwest::get(format!("{url}/sse/{each}")).await?;
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
    ensure!(count == each, "{count} of {each} events came");
    Ok(count)
}

async fn socket(url: &str, time: Duration) -> Result<u32> {
    let mut socket = websocket::connect(format!("{}/sockets", url.replace("http:", "ws:"))).await?;
    let (until, mut count) = (Instant::now() + time, 0);
    while Instant::now() < until {
        let message = Message::text(format!("message {count}"));
        socket.send(message.clone()).await?;
        let echo = socket.next().await.context("it ended")??;
        ensure!(echo == message, "{echo:?}");
        count += 1;
        sleep(EVERY).await;
    }
    socket.close(None).await?;
    Ok(count)
}

async fn call(url: &str, time: Duration) -> Result<u32> {
    let mut client = grpc::client(url).await?;
    let (say, said) = mpsc::channel(1);
    let said = stream::unfold(said, async |mut said| said.recv().await.map(|line| (line, said)));
    let mut echoes = client.chat(said).await?.into_inner();
    let (until, mut count) = (Instant::now() + time, 0);
    while Instant::now() < until {
        let line = grpc::line(&format!("line {count}"));
        say.send(line.clone()).await?;
        let echo = echoes.message().await?.context("it ended")?;
        ensure!(echo == line, "{echo:?}");
        count += 1;
        sleep(EVERY).await;
    }
    drop(say);
    ensure!(echoes.message().await?.is_none(), "more than was sent");
    Ok(count)
}
