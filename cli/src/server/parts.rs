//! The parts of a server: started in order, watched, and stopped in the reverse order within a bound.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tidegate_data_plane::node::AccessLog;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::logging::Logging;

/// How long all parts together may take to stop. A node drains within its own, shorter bound.
const STOP_MAX: Duration = Duration::from_secs(45);

/// What a process ends with when a second signal cuts the stop short: as a shell says it of SIGINT.
const CUT_SHORT: i32 = 130;

/// What runs, oldest first.
#[derive(Default)]
pub(super) struct Parts {
    running: JoinSet<(&'static str, anyhow::Result<()>)>,
    started: Vec<(&'static str, CancellationToken)>,
}

impl Parts {
    /// Starts a part on the runtime of the caller.
    pub(super) fn task<F>(&mut self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let part = run(stop.clone());
        self.running.spawn(async move { (name, part.await) });
        self.started.push((name, stop));
    }

    /// Starts a part that blocks, on a thread of its own.
    pub(super) fn thread(
        &mut self,
        name: &'static str,
        run: impl FnOnce(CancellationToken) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let (ended, end) = oneshot::channel();
        let token = stop.clone();
        let part = move || drop(ended.send(run(token)));
        std::thread::Builder::new().name(name.to_owned()).spawn(part).context("a thread could not be started")?;
        self.running.spawn(async move { (name, end.await.unwrap_or_else(|_| Err(anyhow!("it panicked")))) });
        self.started.push((name, stop));
        Ok(())
    }

    /// Runs `once_ready` when `ready` comes, then waits for a signal, for another process that took over (`leave`), or for the
    /// end of a part, and stops all.
    pub(super) async fn supervise<R>(
        mut self,
        logging: Logging,
        leave: CancellationToken,
        access_log: Option<AccessLog>,
        ready: impl Future<Output = Result<R, oneshot::error::RecvError>>,
        once_ready: impl FnOnce(R),
    ) -> anyhow::Result<()> {
        let mut signals = Signals::listen(access_log)?;
        let mut once_ready = Some(once_ready);
        let mut ready = std::pin::pin!(ready);
        let ended = loop {
            tokio::select! {
                name = signals.stop(&logging) => {
                    info!("{name}: stopping; once more ends at once");
                    break Ok(());
                }
                () = leave.cancelled() => {
                    info!("another process took over: stopping");
                    break Ok(());
                }
                Some(ended) = self.running.join_next() => break Err(self.unasked(ended)),
                at = &mut ready, if once_ready.is_some() => {
                    let tell = once_ready.take().expect("the arm is taken only while it is there");
                    // a part that ends before it is ready ends the wait as well, by the arm above
                    if let Ok(at) = at { tell(at) }
                }
            }
        };
        let stopped = self.stop(&mut signals, &logging).await;
        // what went wrong first is what matters
        ended.and(stopped)
    }

    /// What to say of a part that ended though nobody asked it to.
    fn unasked(&mut self, ended: Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>) -> anyhow::Error {
        match ended {
            Ok((name, result)) => {
                self.started.retain(|(other, _)| *other != name);
                result
                    .err()
                    .unwrap_or_else(|| anyhow!("it ended though nobody asked it to"))
                    .context(format!("the {name} failed"))
            }
            Err(error) => anyhow!(error).context("a part of the server failed"),
        }
    }

    async fn stop(mut self, signals: &mut Signals, logging: &Logging) -> anyhow::Result<()> {
        let deadline = Instant::now() + STOP_MAX;
        let mut failed = None;
        while let Some((name, stop)) = self.started.pop() {
            stop.cancel();
            loop {
                let next = tokio::select! {
                    next = timeout_at(deadline, self.running.join_next()) => next,
                    name = signals.stop(logging) => {
                        warn!("{name} again: ending at once");
                        std::process::exit(CUT_SHORT);
                    }
                };
                match next {
                    Err(_) => {
                        bail!("the {name} did not stop within {} s; what it still did is cut off", STOP_MAX.as_secs())
                    }
                    Ok(None) => break,
                    Ok(Some(Err(error))) => failed = failed.or(Some(anyhow!(error))),
                    Ok(Some(Ok((ended, result)))) => {
                        self.started.retain(|(other, _)| *other != ended);
                        if let Err(error) = result {
                            error!("the {ended} did not stop cleanly: {error:#}");
                            failed = failed.or(Some(error.context(format!("the {ended} failed"))));
                        }
                        if ended == name {
                            break;
                        }
                    }
                }
            }
        }
        info!("stopped");
        failed.map_or(Ok(()), Err)
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    louder: Signal,
    quieter: Signal,
    /// Heard where there is an access log, that may have been moved away; elsewhere it ends the process, as ever.
    hangup: Option<(Signal, AccessLog)>,
}

impl Signals {
    fn listen(access_log: Option<AccessLog>) -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("signals cannot be received");
        Ok(Signals {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            louder: on(SignalKind::user_defined1())?,
            quieter: on(SignalKind::user_defined2())?,
            hangup: match access_log {
                Some(log) => Some((on(SignalKind::hangup())?, log)),
                None => None,
            },
        })
    }

    /// Waits for a signal that means the end; those that do not are obeyed meanwhile.
    async fn stop(&mut self, logging: &Logging) -> &'static str {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.louder.recv() => logging.louder(),
                _ = self.quieter.recv() => logging.as_configured(),
                log = moved_away(&mut self.hangup) => log.reopen(),
            }
        }
    }
}

/// Waits until the access log was moved away.
async fn moved_away(hangup: &mut Option<(Signal, AccessLog)>) -> &AccessLog {
    match hangup {
        Some((signal, log)) => {
            signal.recv().await;
            log
        }
        None => std::future::pending().await,
    }
}
