//! The thread that writes, and the bounded queue in front of it. It may wait for its file or pipe as long as it must: what does
//! not fit in the queue meanwhile is lost and counted, and no worker notices.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tracing::{info, warn};

/// Whole lines.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// The standard output of the process.
    Stdout,
    /// The end of a file, or a pipe that has a name.
    File(PathBuf),
}

/// What the workers and the writing thread share.
#[derive(Debug)]
pub(super) struct Shared {
    /// `None` once the log is closed.
    queue: Mutex<Option<SyncSender<Batch>>>,
    reopen: AtomicBool,
    pub(super) lines: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) failed: AtomicU64,
}

impl Shared {
    pub(super) fn new(queue: SyncSender<Batch>) -> Self {
        Shared {
            queue: Mutex::new(Some(queue)),
            reopen: AtomicBool::new(false),
            lines: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Hands a batch over, or counts its lines as lost. What is left is an empty one.
    pub(super) fn hand_over(&self, batch: &mut Batch) {
        let full = Batch { bytes: std::mem::take(&mut batch.bytes), lines: std::mem::take(&mut batch.lines) };
        // held for an instant, once in dozens of requests
        let refused = match &*self.queue.lock() {
            None => Some(full),
            Some(queue) => match queue.try_send(full) {
                Ok(()) => None,
                Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) => Some(refused),
            },
        };
        if let Some(mut refused) = refused {
            self.dropped.fetch_add(refused.lines, Ordering::Relaxed);
            refused.bytes.clear();
            batch.bytes = refused.bytes;
        }
    }

    /// Asks for the file to be opened anew: it was moved away.
    pub(super) fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
        if let Some(queue) = &*self.queue.lock() {
            // wakes a thread that waits; one that does not looks at the flag anyway
            let _ = queue.try_send(Batch::default());
        }
    }

    /// There will be no more lines.
    pub(super) fn close(&self) {
        *self.queue.lock() = None;
    }
}

/// An open target.
pub(super) struct Sink {
    target: LogTarget,
    file: File,
    /// The last write ended within a line.
    torn: bool,
    failing: bool,
}

impl Sink {
    pub(super) fn open(target: LogTarget) -> io::Result<Sink> {
        Ok(Sink { file: open(&target)?, target, torn: false, failing: false })
    }

    /// Writes until there will be no more.
    pub(super) fn run(mut self, queue: &Receiver<Batch>, shared: &Shared, ended: oneshot::Sender<()>) {
        while let Ok(batch) = queue.recv() {
            if shared.reopen.swap(false, Ordering::Relaxed) {
                self.reopen();
            }
            if batch.lines == 0 {
                continue;
            }
            match self.write(&batch.bytes) {
                Ok(()) => {
                    shared.lines.fetch_add(batch.lines, Ordering::Relaxed);
                    if std::mem::take(&mut self.failing) {
                        info!("the access log is written again");
                    }
                }
                Err(error) => {
                    shared.failed.fetch_add(batch.lines, Ordering::Relaxed);
                    if !std::mem::replace(&mut self.failing, true) {
                        warn!(%error, "the access log can't be written, its lines are lost: {error}");
                    }
                }
            }
        }
        // nobody may wait for it any more
        let _ = ended.send(());
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    rest = &rest[n..];
                    self.torn = !rest.is_empty() && bytes[bytes.len() - rest.len() - 1] != b'\n';
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn reopen(&mut self) {
        match open(&self.target) {
            Ok(file) => {
                (self.file, self.torn) = (file, false);
                info!("the access log was opened anew");
            }
            Err(error) => warn!(%error, "the access log can't be opened anew, the old file is written on: {error}"),
        }
    }
}

fn open(target: &LogTarget) -> io::Result<File> {
    match target {
        LogTarget::Stdout => Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
        LogTarget::File(path) if is_pipe(path) => {
            // opened for both, so that it need not wait for a reader
            OpenOptions::new().read(true).write(true).open(path)
        }
        LogTarget::File(path) => OpenOptions::new().append(true).create(true).mode(0o640).open(path),
    }
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}
