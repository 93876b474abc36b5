//! A line of JSON for each request: who, where, how long, why.
//!
//! - [`record`] says what is in a line, by the table in [`fields`]; [`json`] writes it.
//! - [`tap`] is a worker's end: it puts lines together and hands them over by the batch.
//! - [`sink`] is the thread that writes, behind a bounded queue.
//!
//! Invariant: no worker ever waits for the log. What its sink does not take in time is lost, and counted.
//! Invariant: queries, bodies, credentials and headers other than Host and User-Agent are never in a line.

mod fields;
mod json;
mod record;
mod sink;
mod tap;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use fields::{Field, table as field_table};
pub(crate) use record::{Record, Routed};
pub use sink::LogTarget;
use sink::{Shared, Sink};
pub(crate) use tap::Tap;
use tap::Terms;

use crate::limits::Limits;

/// What is logged of requests, and where to.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where lines go.
    pub target: LogTarget,
    /// How many of the requests are told, from 0 to 1; of those that failed all are.
    pub sample: f64,
    /// What is left out of all lines; see [`Field::REDACTABLE`].
    pub redact: Vec<Field>,
}

/// The access log of a node. A handle: clones are the same.
#[derive(Clone)]
pub struct AccessLog(Arc<Inner>);

struct Inner {
    options: Options,
    shared: Arc<Shared>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
    limits: Limits,
}

/// What became of lines.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogCounts {
    pub(crate) lines: u64,
    /// As the sink did not take them in time.
    pub(crate) dropped: u64,
    /// As it could not.
    pub(crate) failed: u64,
}

impl AccessLog {
    /// Opens the target and starts the thread that writes.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn start(options: Options, limits: &Limits) -> anyhow::Result<AccessLog> {
        let sink = Sink::open(options.target.clone()).with_context(|| match &options.target {
            LogTarget::Stdout => "standard output can't be written".to_owned(),
            LogTarget::File(path) => format!("`{}` can't be opened for writing", path.display()),
        })?;
        let (queue, queued) = std::sync::mpsc::sync_channel(limits.access_log_batches_max);
        let (tell_ended, ended) = oneshot::channel();
        let shared = Arc::new(Shared::new(queue));
        let writes = shared.clone();
        std::thread::Builder::new().name("access-log".into()).spawn(move || sink.run(&queued, &writes, tell_ended))?;
        Ok(AccessLog(Arc::new(Inner { options, shared, ended: Mutex::new(Some(ended)), limits: limits.clone() })))
    }

    /// How many lines were written, how many were lost as the sink did not take them in time, and as it could not.
    pub fn told(&self) -> (u64, u64, u64) {
        let LogCounts { lines, dropped, failed } = self.counts();
        (lines, dropped, failed)
    }

    /// Opens the file anew: it was moved away.
    pub fn reopen(&self) {
        self.0.shared.reopen();
    }

    /// A worker's end of it.
    pub(crate) fn tap(&self, node: &str) -> Tap {
        let Inner { options, shared, limits, .. } = &*self.0;
        let terms = Terms {
            node: node.into(),
            redacted: options.redact.clone(),
            sample: (options.sample.clamp(0.0, 1.0) * 1e6).round() as u32,
            batch_bytes: limits.access_log_batch_bytes,
            text_bytes_max: limits.access_log_text_bytes_max,
        };
        Tap::new(Arc::new(terms), shared.clone())
    }

    pub(crate) fn counts(&self) -> LogCounts {
        let Shared { lines, dropped, failed, .. } = &*self.0.shared;
        LogCounts {
            lines: lines.load(Ordering::Relaxed),
            dropped: dropped.load(Ordering::Relaxed),
            failed: failed.load(Ordering::Relaxed),
        }
    }

    /// Writes what is queued, for so long at most: a sink that takes nothing is left behind.
    pub(crate) async fn close(&self, within: Duration) {
        self.0.shared.close();
        let ended = self.0.ended.lock().take();
        if let Some(ended) = ended
            && tokio::time::timeout(within, ended).await.is_err()
        {
            tracing::warn!("the access log takes nothing: its last lines are lost");
        }
    }
}

impl std::fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AccessLog").field(&self.0.options).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_the_code_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations/access-log.md");
        let (begin, end) = ("<!-- fields -->\n", "<!-- /fields -->\n");
        let page = std::fs::read_to_string(path).expect("the page is there");
        let (head, rest) = page.split_once(begin).expect("it has a place for the fields");
        let (told, tail) = rest.split_once(end).expect("it says where the fields end");
        let table = field_table();
        if std::env::var_os("TIDEGATE_WRITE_DOCS").is_some() {
            std::fs::write(path, format!("{head}{begin}{table}{end}{tail}")).expect("the page can be written");
            return;
        }
        assert_eq!(told, table, "write it anew: TIDEGATE_WRITE_DOCS=1 cargo test -p tidegate-data-plane access_log");
    }
}
