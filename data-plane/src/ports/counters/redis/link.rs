//! The connection to Redis and the breaker before it.
//!
//! One connection serves all workers: what they ask at once goes out in one write and comes back in one read. It is driven
//! on the control runtime; a worker hands its call over and waits for the answer, and never touches the socket.
//!
//! The breaker opens on a connection error, or on three calls in a row that took longer than the budget. Then nobody waits:
//! one task asks again, after 50 ms at first and 500 ms at last, until a call is answered within the budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, ErrorKind, RedisError, RedisResult};
use arc_swap::ArcSwapOption;
use rand::RngExt as _;
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};

use super::RedisOptions;

/// So many calls in a row that take too long open the breaker.
const SLOW_IN_A_ROW: u32 = 3;
/// Before the first probe; doubled with each that fails.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// A connection that held for less did not end the trouble.
const SETTLED: Duration = Duration::from_secs(1);
/// For a probe: name, TCP, TLS, sign-in and the call.
const PROBE: Duration = Duration::from_secs(1);

/// Whether calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breaker {
    /// The first attempt to connect is under way; callers wait for it.
    Starting,
    /// Calls are made.
    Closed,
    /// Redis is away. Limits do what they were told to do then.
    Open,
}

pub(super) struct Link {
    client: Client,
    /// Host and port, to be shown.
    pub(super) endpoint: String,
    options: RedisOptions,
    live: ArcSwapOption<Live>,
    /// Whether the first attempt has ended.
    started: watch::Sender<bool>,
    trouble: Notify,
}

/// A connection that works.
pub(super) struct Live {
    pub(super) connection: MultiplexedConnection,
    since: Instant,
    slow: AtomicU32,
}

/// How long to wait between probes.
pub(super) struct Backoff(Duration);

impl Link {
    pub(super) fn new(client: Client, endpoint: String, options: RedisOptions) -> Self {
        Link {
            client,
            endpoint,
            options,
            live: ArcSwapOption::empty(),
            started: watch::Sender::new(false),
            trouble: Notify::new(),
        }
    }

    pub(super) fn breaker(&self) -> Breaker {
        if self.live.load().is_some() {
            return Breaker::Closed;
        }
        if *self.started.borrow() { Breaker::Open } else { Breaker::Starting }
    }

    /// The connection. On the first one it waits a little; while the breaker is open there is none.
    pub(super) async fn live(&self) -> Option<Arc<Live>> {
        if let Some(live) = self.now() {
            return Some(live);
        }
        let mut started = self.started.subscribe();
        // In time or not: what counts is whether there is a connection now.
        let _ = tokio::time::timeout(self.options.first_wait, started.wait_for(|started| *started)).await;
        self.now()
    }

    /// The connection, if there is one now.
    pub(super) fn now(&self) -> Option<Arc<Live>> {
        self.live.load_full()
    }

    /// A call was answered in time.
    pub(super) fn answered(&self, live: &Live) {
        if live.slow.load(Ordering::Relaxed) > 0 {
            live.slow.store(0, Ordering::Relaxed);
        }
    }

    /// A call was not answered in time. `true` if that opened the breaker.
    pub(super) fn slow(&self, live: &Arc<Live>) -> bool {
        live.slow.fetch_add(1, Ordering::Relaxed) + 1 >= SLOW_IN_A_ROW && self.open(live)
    }

    /// A call failed. `true` if that opened the breaker: at once if the connection is lost, else as slow ones do.
    pub(super) fn failed(&self, live: &Arc<Live>, error: &RedisError) -> bool {
        debug!(%error, "a call to Redis failed");
        let lost = error.is_io_error() || error.is_unrecoverable_error() || error.is_connection_dropped();
        if lost { self.open(live) } else { self.slow(live) }
    }

    /// Opens, unless somebody has already given this connection up.
    fn open(&self, live: &Arc<Live>) -> bool {
        let before = self.live.compare_and_swap(live, None);
        let opened = before.as_ref().is_some_and(|before| Arc::ptr_eq(before, live));
        if opened {
            self.trouble.notify_one();
        }
        opened
    }

    /// Closes the breaker with a connection that was probed.
    pub(super) fn close(&self, connection: MultiplexedConnection) -> Arc<Live> {
        let live = Arc::new(Live { connection, since: Instant::now(), slow: AtomicU32::new(0) });
        self.live.store(Some(live.clone()));
        self.started.send_replace(true);
        info!(redis.endpoint = %self.endpoint, "Redis answers: limits are shared");
        live
    }

    /// The first attempt failed: nobody waits any more.
    pub(super) fn give_up_waiting(&self) {
        self.started.send_replace(true);
    }

    /// Ends when the breaker has opened.
    pub(super) async fn opened(&self) {
        self.trouble.notified().await;
    }

    /// A new connection that has answered `call` within the budget. It gets a second chance, as the first call also pays for
    /// what a new connection needs.
    pub(super) async fn probe<T, F>(
        &self,
        call: impl Fn(MultiplexedConnection) -> F,
    ) -> RedisResult<MultiplexedConnection>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let config =
            ::redis::AsyncConnectionConfig::new().set_connection_timeout(Some(PROBE)).set_response_timeout(None);
        let probed = async {
            let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            for _ in 0..2 {
                let asked = Instant::now();
                call(connection.clone()).await?;
                if asked.elapsed() <= self.options.budget {
                    return Ok(connection);
                }
            }
            Err(RedisError::from((ErrorKind::Io, "it answers too slowly")))
        };
        let ended = tokio::time::timeout(PROBE, probed).await;
        ended.unwrap_or_else(|_| Err(RedisError::from((ErrorKind::Io, "it did not answer"))))
    }

    /// Says that Redis is away, and why.
    pub(super) fn warn(&self, why: &dyn std::fmt::Display) {
        warn!(redis.endpoint = %self.endpoint, "Redis is away, limits do what their `on_store_loss` says: {why}");
    }
}

impl Live {
    pub(super) fn held(&self) -> bool {
        self.since.elapsed() >= SETTLED
    }
}

impl Backoff {
    pub(super) fn new() -> Self {
        Backoff(BACKOFF_MIN)
    }

    /// The next pause: half to one and a half of what it stands at, so that a fleet doesn't come at once.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.0.mul_f64(rand::rng().random_range(0.5..1.5));
        self.0 = (self.0 * 2).min(BACKOFF_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_second() {
        let mut backoff = Backoff::new();
        for millis in [50, 100, 200, 400, 500, 500] {
            let (pause, middle) = (backoff.pause(), Duration::from_millis(millis));
            assert!(pause >= middle / 2 && pause <= middle * 3 / 2, "{pause:?} at {middle:?}");
        }
    }
}
