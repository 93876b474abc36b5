//! Callers that keep a pace: what an answer takes is counted from when it should have been asked for, so that one that is late makes
//! those behind it late too.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::spawn_local;
use tokio::time::{interval_at, sleep_until};

use crate::callers::{call, connect};
use crate::wire::Reader;

#[derive(Default)]
struct Seen {
    took_us: Vec<u64>,
    errors: u64,
}

/// What stands between requests that are sent together.
const BETWEEN: &[u8] = b"\n---\n";

/// Sends a request `rate` times a second over some connections, or several at once and waits for all of them; gives times in
/// microseconds, as JSON.
pub(crate) async fn pace(port: u16, requests: Vec<u8>, connections: u32, rate: u32, time: Duration) -> Result<String> {
    let (requests, seen) = (Rc::new(split(&requests)), Rc::new(RefCell::new(Seen::default())));
    let every = Duration::from_secs(1) * connections / rate.max(1);
    let began = tokio::time::Instant::now() + Duration::from_millis(50);
    let callers: Vec<_> = (0..connections)
        .map(|number| {
            let (requests, seen) = (requests.clone(), seen.clone());
            // spread, so that not all ask at once
            let first = began + every * number / connections;
            spawn_local(async move {
                let mut due = interval_at(first, every);
                due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
                let mut open: Vec<_> = requests.iter().map(|_| None).collect();
                while first.elapsed() < time {
                    let asked: Instant = due.tick().await.into_std();
                    let all = open.iter_mut().zip(requests.iter()).map(|(open, request)| one(open, port, request));
                    if futures_util::future::try_join_all(all).await.is_err() {
                        open.iter_mut().for_each(|open| *open = None);
                        seen.borrow_mut().errors += 1;
                        continue;
                    }
                    let took = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
                    seen.borrow_mut().took_us.push(took);
                }
            })
        })
        .collect();
    sleep_until(began).await;
    for caller in callers {
        caller.await?;
    }
    let mut seen = seen.borrow_mut();
    seen.took_us.sort_unstable();
    let at = |share: f64| {
        let place = (seen.took_us.len() as f64 * share) as usize;
        seen.took_us.get(place.min(seen.took_us.len().saturating_sub(1))).copied().context("nothing was answered")
    };
    let (p50, p99) = (at(0.5)?, at(0.99)?);
    Ok(format!(r#"{{"count": {}, "p50_us": {p50}, "p99_us": {p99}, "errors": {}}}"#, seen.took_us.len(), seen.errors))
}

fn split(text: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        all.push(rest[..at].to_vec());
        rest = &rest[at + BETWEEN.len()..];
    }
    all.push(rest.to_vec());
    all
}

async fn one(open: &mut Option<(tokio::net::TcpStream, Reader)>, port: u16, request: &[u8]) -> Result<()> {
    if open.is_none() {
        *open = Some((connect(port).await?, Reader::new()));
    }
    let (stream, reader) = open.as_mut().context("it was opened")?;
    call(stream, reader, request).await
}
