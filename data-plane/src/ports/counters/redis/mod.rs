//! Counters in Redis: one call a decision, over all counters of that decision, by Redis' own time.
//!
//! A worker makes the call and waits for at most the budget. Redis slow, away or out of its mind is one case, a loss: the
//! limit's `on_store_loss` decides at once, and after three slow calls or one lost connection nobody asks any more until a
//! probe was answered (`link.rs`). What a node admitted alone meanwhile is charged when Redis is back (`known.rs`).
//!
//! What can't be made good, and is so by design:
//! - a Redis that restarts without its data has forgotten what was spent in the open windows;
//! - a call whose answer never came may have taken what nobody used: too little is admitted then, never too much;
//! - a caller who goes away while Redis is asked has been counted.

mod known;
mod link;
mod metrics;
mod script;
mod tasks;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, ConnectionAddr, IntoConnectionInfo, RedisResult};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use smallvec::SmallVec;
use tidegate_policy::{
    Ask, Clock, CounterStore, Denial, LimitSpec, OnStoreLoss, Quota, Quotas, Reading, Settled, Take, TakeOutcome,
    UNCOUNTED,
};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use link::Breaker;
pub use metrics::{Decisions, Waits};

use super::window::{self, until_end};
use known::{Alone, Known, Shared};
use link::{Link, Live};
use metrics::{Metrics, count};
use script::{Decided, Meant, Scripts, Told, Wanted, Wants};

/// When to come back while Redis is away.
const RETRY: Duration = Duration::from_secs(1);

/// How counters behave.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// How long a request waits for Redis at most. Default: 20 ms.
    pub budget: Duration,
    /// How long a request waits at most for the first connection after the start. Default: 1 s.
    pub first_wait: Duration,
    /// Calls under way at most; what comes on top is decided as if Redis were away. Default: 4,096.
    pub calls_max: usize,
    /// Counters kept in mind on the node at most. Default: 1,000,000.
    pub counters_max: usize,
    /// Certificates to trust for `rediss://`, as PEM, in place of the system's.
    pub trusted: Option<Vec<u8>>,
}

/// The URL of Redis is none, or its certificates are none. Says nothing of what is in the URL.
#[derive(Debug, thiserror::Error)]
#[error("the URL of Redis is not one: {0}")]
pub struct InvalidRedis(String);

/// How things stand with Redis.
#[derive(Debug, Clone, Serialize)]
pub struct RedisStatus {
    /// Host and port.
    pub endpoint: String,
    /// Whether it is asked.
    pub breaker: Breaker,
    /// How often the breaker opened.
    pub opened: u64,
    /// Decisions made by Redis.
    pub shared: Decisions,
    /// Decisions made without it.
    pub alone: Decisions,
    /// Decisions it was asked for.
    pub calls: u64,
    /// Calls under way.
    pub calls_now: usize,
    /// Calls that failed.
    pub errors: u64,
    /// Calls that took longer than the budget.
    pub slow: u64,
    /// Calls not made, as too many were under way.
    pub crowded: u64,
    /// What was admitted without Redis and charged there afterwards.
    pub debt_paid: u64,
    /// How long answers took.
    pub waits: Vec<Waits>,
    /// Nodes that share a limit while Redis is away.
    pub nodes: u64,
    /// Counters the node has in mind.
    pub counters: usize,
}

/// The store. Clones are the same one.
#[derive(Clone)]
pub struct RedisCounters(Arc<Inner>);

struct Inner {
    link: Link,
    scripts: Scripts,
    known: Known,
    clock: Arc<dyn Clock>,
    /// Redis' clock less ours, in milliseconds, as of the last answer.
    skew: AtomicI64,
    nodes: AtomicU64,
    calls: AtomicUsize,
    metrics: Metrics,
    options: RedisOptions,
    handle: Handle,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// A call under way, from the asking to the answer, be it late.
struct CallSlot(Arc<Inner>);

impl Default for RedisOptions {
    fn default() -> Self {
        RedisOptions {
            budget: Duration::from_millis(20),
            first_wait: Duration::from_secs(1),
            calls_max: 4_096,
            counters_max: super::COUNTERS_MAX,
            trusted: None,
        }
    }
}

impl RedisCounters {
    /// Starts to connect. What is asked for before there is a connection waits for `first_wait` at most.
    ///
    /// # Errors
    /// If the URL is none.
    pub fn start(
        url: &str,
        options: RedisOptions,
        clock: Arc<dyn Clock>,
        handle: &Handle,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Result<RedisCounters, InvalidRedis> {
        let (client, endpoint) = client(url, options.trusted.clone())?;
        let inner = Arc::new(Inner {
            link: Link::new(client, endpoint, options.clone()),
            scripts: Scripts::new(),
            known: Known::new(options.counters_max),
            clock,
            skew: AtomicI64::new(0),
            nodes: AtomicU64::new(1),
            calls: AtomicUsize::new(0),
            metrics: Metrics::default(),
            options,
            handle: handle.clone(),
            tasks: tasks.clone(),
            shutdown,
        });
        tasks.spawn_on(tasks::keep_connected(inner.clone()), handle);
        tasks.spawn_on(tasks::keep_swept(inner.clone()), handle);
        Ok(RedisCounters(inner))
    }

    /// How many nodes share a limit while Redis is away.
    pub fn set_nodes(&self, nodes: usize) {
        self.0.nodes.store((nodes as u64).max(1), Ordering::Relaxed);
    }

    /// How things stand.
    pub fn status(&self) -> RedisStatus {
        let (inner, metrics) = (&self.0, &self.0.metrics);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RedisStatus {
            endpoint: inner.link.endpoint.clone(),
            breaker: inner.link.breaker(),
            opened: read(&metrics.opened),
            shared: metrics.shared.read(),
            alone: metrics.alone.read(),
            calls: read(&metrics.calls),
            calls_now: inner.calls.load(Ordering::Relaxed),
            errors: read(&metrics.errors),
            slow: read(&metrics.slow),
            crowded: read(&metrics.crowded),
            debt_paid: read(&metrics.debt_paid),
            waits: metrics.waits(),
            nodes: read(&inner.nodes),
            counters: inner.known.table.len(),
        }
    }
}

impl CounterStore for RedisCounters {
    fn try_take(&self, asks: &[Ask<'_>]) -> Take {
        if self.0.link.breaker() == Breaker::Open {
            return Take::Now(self.0.alone(asks));
        }
        let wants: Wants = asks.iter().map(Wanted::of).collect();
        Take::Wait(self.0.clone().ask(wants).boxed_local())
    }

    fn settle(&self, limit: &Arc<LimitSpec>, subject: u128, settled: Settled) {
        if settled.window == UNCOUNTED && settled.actual <= settled.reserved || settled.actual == settled.reserved {
            return;
        }
        let (inner, limit) = (self.0.clone(), limit.clone());
        self.0.tasks.spawn_on(tasks::settle(inner, limit, subject, settled), &self.0.handle);
    }

    fn read(&self, limit: &Arc<LimitSpec>, subject: u128) -> LocalBoxFuture<'static, Option<Reading>> {
        let (inner, limit) = (self.0.clone(), limit.clone());
        async move {
            let told = inner.adjust((limit.id, subject), window::length(&limit), 0, Meant::UnderWay).await?;
            Some(Reading { used: told.used, reset: Duration::from_millis(told.reset) })
        }
        .boxed_local()
    }

    fn reset(&self, limit: &Arc<LimitSpec>, subject: u128) -> LocalBoxFuture<'static, bool> {
        let (inner, key) = (self.0.clone(), (limit.id, subject));
        async move {
            let done = inner.call(|connection| inner.scripts.reset(connection, key)).await;
            if done.is_some() {
                inner.known.reset(key);
            }
            done.is_some()
        }
        .boxed_local()
    }
}

impl Inner {
    /// Redis' decision; the limits' own if it does not come in time.
    async fn ask(self: Arc<Self>, wants: Wants) -> TakeOutcome {
        let Some(live) = self.link.live().await else { return self.lost(&wants) };
        let Some(slot) = CallSlot::take(&self) else { return self.lost(&wants) };
        count(&self.metrics.calls);
        let asked = Instant::now();
        let mut call = Box::pin(self.clone().call_take(live.clone(), wants.clone(), slot));
        let answer = tokio::time::timeout(self.options.budget, &mut call).await;
        self.metrics.waited(asked.elapsed());
        match answer {
            Ok(Ok(decided)) => {
                self.link.answered(&live);
                let outcome = self.shared(&wants, &decided);
                self.metrics.shared.count(&outcome);
                outcome
            }
            Ok(Err(error)) => {
                count(&self.metrics.errors);
                if self.link.failed(&live, &error) {
                    self.opened(&error);
                }
                self.lost(&wants)
            }
            Err(_) => {
                count(&self.metrics.slow);
                if self.link.slow(&live) {
                    self.opened(&"it answers too slowly");
                }
                let outcome = self.lost(&wants);
                let late = tasks::late(self.clone(), call, wants, outcome.clone());
                self.tasks.spawn_on(late, &self.handle);
                outcome
            }
        }
    }

    async fn call_take(self: Arc<Self>, live: Arc<Live>, wants: Wants, _slot: CallSlot) -> RedisResult<Decided> {
        self.scripts.take(live.connection.clone(), &wants).await
    }

    /// Adds to a counter or looks at it; `None` if Redis can't be reached.
    async fn adjust(self: &Arc<Self>, key: super::table::Key, length: u64, more: i64, meant: Meant) -> Option<Told> {
        self.call(|connection| self.scripts.adjust(connection, key, length, more, meant)).await
    }

    /// A call other than a decision, within the budget.
    async fn call<T, F>(self: &Arc<Self>, call: impl FnOnce(MultiplexedConnection) -> F) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let live = self.link.live().await?;
        let _slot = CallSlot::take(self)?;
        match tokio::time::timeout(self.options.budget, call(live.connection.clone())).await {
            Ok(Ok(answer)) => {
                self.link.answered(&live);
                Some(answer)
            }
            Ok(Err(error)) => {
                count(&self.metrics.errors);
                if self.link.failed(&live, &error) {
                    self.opened(&error);
                }
                None
            }
            Err(_) => {
                count(&self.metrics.slow);
                if self.link.slow(&live) {
                    self.opened(&"it answers too slowly");
                }
                None
            }
        }
    }

    fn opened(&self, why: &dyn std::fmt::Display) {
        count(&self.metrics.opened);
        self.link.warn(why);
    }

    /// What Redis decided, noted and put as the port wants it.
    fn shared(&self, wants: &[Wanted], decided: &Decided) -> TakeOutcome {
        self.note(wants, decided);
        if let (Some(want), Some(told)) = (wants.first(), decided.told.first()) {
            self.note_time(&want.limit, told);
        }
        let quotas: Quotas = wants.iter().zip(&decided.told).map(|(want, told)| quota(want, told)).collect();
        match decided.short {
            None => TakeOutcome::Taken(quotas),
            Some(by) => TakeOutcome::Denied(Denial { by, retry_after: quotas[by].reset, quotas }),
        }
    }

    fn note(&self, wants: &[Wanted], decided: &Decided) {
        for (want, told) in wants.iter().zip(&decided.told) {
            if want.limit.on_store_loss == OnStoreLoss::Share {
                let taken = if decided.short.is_none() { want.cost.into() } else { 0 };
                self.known.told(&want.limit, want.subject, *told, taken);
            }
        }
    }

    /// Remembers how far Redis' clock is from ours, by an answer that came at once.
    fn note_time(&self, limit: &LimitSpec, told: &Told) {
        let theirs = told.window.saturating_add(1).saturating_mul(window::length(limit)).saturating_sub(told.reset);
        let skew = theirs.cast_signed().saturating_sub(window::now(&*self.clock).cast_signed());
        self.skew.store(skew, Ordering::Relaxed);
    }

    /// Redis' time, as far as it can be guessed.
    fn now(&self) -> u64 {
        window::now(&*self.clock).saturating_add_signed(self.skew.load(Ordering::Relaxed))
    }

    fn lost(&self, wants: &[Wanted]) -> TakeOutcome {
        let asks: SmallVec<[Ask<'_>; 4]> =
            wants.iter().map(|want| Ask { limit: &want.limit, subject: want.subject, cost: want.cost }).collect();
        self.alone(&asks)
    }

    /// Decides without Redis, as the limits say.
    fn alone(&self, asks: &[Ask<'_>]) -> TakeOutcome {
        let outcome = self.decide_alone(asks);
        self.metrics.alone.count(&outcome);
        outcome
    }

    fn decide_alone(&self, asks: &[Ask<'_>]) -> TakeOutcome {
        const UNAVAILABLE: TakeOutcome = TakeOutcome::Unavailable { retry_after: RETRY };
        if asks.iter().any(|ask| ask.limit.on_store_loss == OnStoreLoss::Deny) {
            return UNAVAILABLE;
        }
        let shares = |ask: &&Ask<'_>| ask.limit.on_store_loss == OnStoreLoss::Share;
        let counted: SmallVec<[Ask<'_>; 4]> = asks.iter().filter(shares).copied().collect();
        let now = self.now();
        let stands = match self.known.take(&counted, now, self.nodes.load(Ordering::Relaxed)) {
            Shared::Taken(stands) => stands.into_iter().map(|alone| (alone, false)).collect(),
            Shared::Short(stands) => stands,
            Shared::Full => return UNAVAILABLE,
        };
        let mut stands = stands.into_iter();
        let (mut quotas, mut short) = (Quotas::new(), None);
        for (index, ask) in asks.iter().enumerate() {
            let counted = if shares(&ask) { stands.next() } else { None };
            let quota = quota_alone(ask, counted.map(|(alone, _)| alone), now);
            let is_short = counted.is_some_and(|(_, short)| short);
            if is_short && short.is_none_or(|(_, wait)| quota.reset > wait) {
                short = Some((index, quota.reset));
            }
            quotas.push(quota);
        }
        match short {
            None => TakeOutcome::Taken(quotas),
            Some((by, retry_after)) => TakeOutcome::Denied(Denial { by, retry_after, quotas }),
        }
    }
}

impl CallSlot {
    fn take(inner: &Arc<Inner>) -> Option<CallSlot> {
        if inner.calls.fetch_add(1, Ordering::Relaxed) >= inner.options.calls_max {
            inner.calls.fetch_sub(1, Ordering::Relaxed);
            count(&inner.metrics.crowded);
            return None;
        }
        Some(CallSlot(inner.clone()))
    }
}

impl Drop for CallSlot {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

fn quota(want: &Wanted, told: &Told) -> Quota {
    Quota {
        limit: want.limit.clone(),
        left: want.limit.limit.saturating_sub(told.used),
        reset: Duration::from_millis(told.reset),
        window: told.window,
    }
}

fn quota_alone(ask: &Ask<'_>, counted: Option<Alone>, now: u64) -> Quota {
    let length = window::length(ask.limit);
    let end = counted.map_or(now / length, |alone| alone.window);
    Quota {
        limit: ask.limit.clone(),
        left: counted.map_or(ask.limit.limit, |alone| alone.left),
        reset: until_end(end, length, now),
        window: counted.map_or(UNCOUNTED, |alone| alone.window),
    }
}

fn client(url: &str, trusted: Option<Vec<u8>>) -> Result<(Client, String), InvalidRedis> {
    // What the crate says of an error could quote the URL.
    let invalid = |error: ::redis::RedisError| InvalidRedis(error.category().to_owned());
    let info = url.into_connection_info().map_err(invalid)?;
    let endpoint = match info.addr() {
        ConnectionAddr::Tcp(host, port) => format!("{host}:{port}"),
        ConnectionAddr::TcpTls { host, port, .. } => {
            // The crate takes the process' default. An error means that there is one.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            format!("{host}:{port} (TLS)")
        }
        ConnectionAddr::Unix(path) => path.display().to_string(),
        _ => "?".to_owned(),
    };
    let tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    let client = match trusted {
        Some(pem) if tls => {
            Client::build_with_tls(info, ::redis::TlsCertificates { client_tls: None, root_cert: Some(pem) })
        }
        _ => Client::open(info),
    };
    Ok((client.map_err(invalid)?, endpoint))
}

/// A URL to be shown.
pub(super) fn without_secrets(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(url) => format!("{}://{}:{}", url.scheme(), url.host_str().unwrap_or_default(), url.port().unwrap_or(6379)),
        Err(_) => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_has_the_password() {
        let url = "rediss://gate:s3cret@redis.example:6380/1";
        assert_eq!(without_secrets(url), "rediss://redis.example:6380");
        assert_eq!(client(url, None).unwrap().1, "redis.example:6380 (TLS)");
        for wrong in ["redis//:s3cret@x", "http://gate:s3cret@x", "redis://gate:s3cret@x:99999", "redis://a:s3cret@x/y"]
        {
            let told = client(wrong, None).map(drop).unwrap_err().to_string();
            assert!(!told.contains("s3cret"), "{told}");
            assert!(!without_secrets(wrong).contains("s3cret"));
        }
    }
}
