//! The log: where it goes, how it looks, and how loud it is, which can be changed while running.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing::{error, info};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::settings::{LOG_FORMAT, LOG_LEVEL, Settings};

/// The log of this process.
pub(super) struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    configured: String,
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
    Ok(Logging { filter: handle, configured })
}

impl Logging {
    /// From now on everything that helps to find a fault.
    pub(super) fn louder(&self) {
        self.set("debug");
    }

    /// From now on what the settings say.
    pub(super) fn as_configured(&self) {
        self.set(&self.configured);
    }

    fn set(&self, level: &str) {
        let done = filter(level).and_then(|filter| Ok(self.filter.reload(filter)?));
        match done {
            Ok(()) => info!(log.level = level, "the log level is now `{level}`"),
            Err(error) => error!("the log level stays as it was: {error:#}"),
        }
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
}
