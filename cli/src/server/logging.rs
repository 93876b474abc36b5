//! The log: where it goes, how it looks, and how loud it is, which can be changed while running: by signals, and by operators
//! through the admin API for a while.

use std::io::IsTerminal as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tidegate_telemetry::log_level::LogControl;
use tidegate_telemetry::{LogLevel, LogState};
use tracing::{error, info};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::settings::{Form, LOG_FORMAT, LOG_LEVEL, Settings};

/// The longest text of levels that is taken.
const LEVELS_MAX: usize = 500;

/// The log of this process. A handle: clones are the same.
#[derive(Clone)]
pub(super) struct Logging(Arc<Inner>);

struct Inner {
    filter: reload::Handle<EnvFilter, Registry>,
    configured: String,
    now: Mutex<Now>,
    /// The end of the level that holds moved.
    moved: Condvar,
    clock: Once,
}

struct Now {
    level: String,
    /// When the configured level holds again; `None`: not by itself.
    until: Option<Instant>,
}

/// Begins to log, to standard error.
pub(super) fn start(settings: &Settings) -> anyhow::Result<Logging> {
    let configured = settings.string(&LOG_LEVEL);
    let (filter, handle) = reload::Layer::new(filter(&configured)?);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = match settings.text(&LOG_FORMAT) {
        Some("json") => registry.with(lines.json().flatten_event(true).with_current_span(false)).try_init(),
        _ => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
            registry.with(lines.with_ansi(colours)).try_init()
        }
    };
    started.context("the log could not be started")?;
    Ok(Logging::new(handle, configured))
}

impl Logging {
    fn new(filter: reload::Handle<EnvFilter, Registry>, configured: String) -> Self {
        let now = Mutex::new(Now { level: configured.clone(), until: None });
        Logging(Arc::new(Inner { filter, configured, now, moved: Condvar::new(), clock: Once::new() }))
    }

    /// From now on everything that helps to find a fault.
    pub(super) fn louder(&self) {
        self.tell(self.0.change("debug", None));
    }

    /// From now on what the settings say.
    pub(super) fn as_configured(&self) {
        self.tell(self.0.change(&self.0.configured, None));
    }

    /// The door for operators.
    pub(super) fn door(&self) -> LogLevel {
        LogLevel::new(Arc::new(self.clone()))
    }

    fn tell(&self, done: anyhow::Result<()>) {
        if let Err(error) = done {
            error!("the log level stays as it was: {error:#}");
        }
    }

    /// Starts the thread that sets the level back, the first time that there is something to set back.
    fn keep_time(&self) {
        self.0.clock.call_once(|| {
            let inner = self.0.clone();
            let started = std::thread::Builder::new().name("log-level".into()).spawn(move || inner.keep_time());
            if let Err(error) = started {
                error!(%error, "the log level will not be set back by itself: {error}");
            }
        });
    }
}

impl Inner {
    fn now(&self) -> MutexGuard<'_, Now> {
        // nothing panics while it holds this; if it did, what is in there is still whole
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, level: &str, until: Option<Instant>) -> anyhow::Result<()> {
        let mut now = self.now();
        self.filter.reload(filter(level)?)?;
        *now = Now { level: level.to_owned(), until };
        self.moved.notify_all();
        drop(now);
        info!(log.level = level, "the log level is now `{level}`");
        Ok(())
    }

    fn keep_time(&self) {
        let mut now = self.now();
        loop {
            now = match now.until {
                None => self.moved.wait(now).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        drop(now);
                        if let Err(error) = self.change(&self.configured, None) {
                            error!("the log level stays as it was: {error:#}");
                        }
                        self.now()
                    } else {
                        self.moved.wait_timeout(now, left).unwrap_or_else(PoisonError::into_inner).0
                    }
                }
            };
        }
    }
}

impl LogControl for Logging {
    fn state(&self) -> LogState {
        let now = self.0.now();
        let until_ms = now.until.map(|until| {
            let left = until.saturating_duration_since(Instant::now());
            let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + left;
            i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
        });
        LogState { level: now.level.clone(), configured: self.0.configured.clone(), until_ms }
    }

    fn set(&self, level: &str, time: Duration) -> Result<LogState, String> {
        // spans and their fields may be named in a level too; that is for who starts the process, as it costs each event
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-:=, ".contains(c);
        if level.len() > LEVELS_MAX || !level.chars().all(is_plain) {
            return Err(format!(
                "`level` must be levels by target, such as `info,hyper=debug`, of {LEVELS_MAX} characters at most"
            ));
        }
        Form::Level.check(level).map_err(|why| format!("`level`: {why}"))?;
        self.keep_time();
        self.0.change(level, Some(Instant::now() + time)).map_err(|error| format!("`level`: {error:#}"))?;
        Ok(self.state())
    }

    fn reset(&self) -> LogState {
        self.as_configured();
        self.state()
    }
}

fn filter(levels: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::builder().parse(directives(levels)).with_context(|| format!("`{levels}` is no log level"))
}

/// A bare `debug` or `trace` means this program, not every library under it; those are asked for by name.
fn directives(levels: &str) -> String {
    let parts = levels.split(',').map(|part| match part.trim() {
        own @ ("debug" | "trace") => format!("info,tidegate={own}"),
        other => other.to_owned(),
    });
    parts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_means_this_program() {
        assert_eq!(directives("debug"), "info,tidegate=debug");
        assert_eq!(directives("warn"), "warn");
        assert_eq!(directives("trace,hyper=debug"), "info,tidegate=trace,hyper=debug");
        for levels in ["off", "error", "debug", "info,hyper=debug"] {
            filter(levels).unwrap();
        }
    }

    fn logging() -> (Logging, reload::Layer<EnvFilter, Registry>) {
        let (layer, handle) = reload::Layer::new(filter("warn").unwrap());
        (Logging::new(handle, "warn".to_owned()), layer)
    }

    #[test]
    fn a_level_that_was_set_ends_by_itself() {
        let (logging, _layer) = logging();
        logging.louder();
        logging.set("trace", Duration::from_millis(1)).unwrap();
        let begun = Instant::now();
        while logging.state().level != "warn" {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", logging.state());
            std::thread::park_timeout(Duration::from_millis(1));
        }
        assert_eq!(logging.state().until_ms, None);
    }

    #[test]
    fn the_last_word_holds() {
        let (logging, _layer) = logging();
        logging.set("debug", Duration::from_millis(1)).unwrap();
        let state = logging.set("trace", Duration::from_secs(3600)).unwrap();
        assert_eq!(state.level, "trace");
        assert_eq!(logging.reset().level, "warn");
        logging.louder();
        assert_eq!((logging.state().level, logging.state().until_ms), ("debug".to_owned(), None));
        for wrong in ["inof", "", "info,hyper=loud", "info,[x{y=\"z\"}]=debug"] {
            assert!(logging.set(wrong, Duration::from_secs(1)).is_err(), "{wrong}");
        }
        assert_eq!(logging.state().level, "debug");
    }
}
