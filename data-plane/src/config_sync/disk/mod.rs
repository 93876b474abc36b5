//! The configuration on disk: what a node serves from when it starts and no control plane answers.
//!
//! `snapshot-<n>` holds all of it; `journal-<m>`, with m above n, the deltas since. A delta is appended and synced before it is
//! acknowledged. When the journal passes half of the snapshot, a new snapshot is written beside it (temporary file, sync,
//! rename, sync of the folder), while further deltas go to a new journal. The former snapshot stays with its journals: if
//! the newest is damaged, the one before and both journals give the same.
//!
//! Loss of the disk: updates are taken in memory and said not to be persisted; a new snapshot is tried every few seconds.

mod frames;
mod load;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidegate_model::{Class, Digest, Position};
use tidegate_proto::convert::{Announced, CLASSES, Chunks};
use tidegate_snapshot::Snapshot;
use tracing::{debug, error, warn};

use super::update::Update;
use frames::{FileKind, FrameWriter};
pub(super) use load::Loaded;
use load::{JOURNAL, Numbered, SNAPSHOT, files};

/// A journal below this size is never folded.
const JOURNAL_MIN: u64 = 1 << 20;
/// The usual time between two attempts to write a snapshot after one failed.
pub(super) const RETRY: Duration = Duration::from_secs(5);
/// Updates that are synced together.
const BATCH_MAX: usize = 64;

/// What is called once it is known whether an update is on disk.
pub(super) type Done = Box<dyn FnOnce(bool) + Send>;

/// What the node runs on at a moment: what a snapshot on disk is made of.
pub(super) struct Capture {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) at: [Option<Position>; 2],
    /// Whether what was on disk at the start could be read in full, or was replaced since.
    pub(super) whole: bool,
}

enum Job {
    Keep(Update, Done),
    Folded(u64, io::Result<u64>),
    /// Another process takes the folder; told once nothing is written any more.
    Release(Sender<()>),
    /// It did not want it after all.
    Reclaim,
    Stop,
}

/// The thread that writes.
pub(super) struct Disk {
    jobs: Sender<Job>,
    thread: Option<JoinHandle<()>>,
}

/// The folder, opened by this process alone, and what was in it.
pub(super) struct Opened {
    dir: PathBuf,
    lock: File,
    rewrite: bool,
}

/// Opens the folder, makes it if it is missing, and reads what is there.
pub(super) fn open(dir: &Path) -> io::Result<(Opened, Loaded)> {
    fs::create_dir_all(dir)?;
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    lock.try_lock().map_err(|_| io::Error::other(format!("`{}` is in use by another process", dir.display())))?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "tmp") {
            fs::remove_file(path)?;
        }
    }
    let loaded = load::load(dir)?;
    let rewrite = loaded.damaged && loaded.at.iter().any(Option::is_some);
    Ok((Opened { dir: dir.to_owned(), lock, rewrite }, loaded))
}

impl Disk {
    /// Starts the thread. `capture` says what the node runs on; `retry` is the time between two attempts to write a
    /// snapshot after one failed.
    pub(super) fn start(
        opened: Opened,
        capture: Arc<dyn Fn() -> Capture + Send + Sync>,
        retry: Duration,
    ) -> io::Result<Disk> {
        let (jobs, queue) = channel();
        let size = |file: &Numbered| fs::metadata(&file.path).map_or(0, |found| found.len());
        let (snapshots, journals) = (files(&opened.dir, SNAPSHOT)?, files(&opened.dir, JOURNAL)?);
        let base = snapshots.last().map_or(0, |file| file.number);
        let newest = journals.last().map_or(0, |file| file.number).max(base);
        let mut writer = Writer {
            dir: opened.dir,
            retry,
            lock: opened.lock,
            hold: Hold::Held,
            capture,
            jobs: jobs.clone(),
            newest,
            journal: None,
            journal_bytes: journals.iter().filter(|file| file.number > base).map(size).sum(),
            snapshot_bytes: snapshots.last().map_or(0, size),
            folding: None,
            wanted: opened.rewrite,
            lost: false,
            waiting: Vec::new(),
            folding_for: Vec::new(),
            failed_at: None,
        };
        let thread = std::thread::Builder::new().name("config-disk".into()).spawn(move || writer.run(&queue))?;
        Ok(Disk { jobs, thread: Some(thread) })
    }

    /// Keeps an update that the node runs on by now. `done` is called once it is synced, or could not be.
    pub(super) fn keep(&self, update: Update, done: Done) {
        if let Err(unsent) = self.jobs.send(Job::Keep(update, done))
            && let Job::Keep(_, done) = unsent.0
        {
            done(false);
        }
    }

    /// Leaves the folder to another process. Returns once nothing is written any more.
    pub(super) fn release(&self) {
        let (told, released) = channel();
        if self.jobs.send(Job::Release(told)).is_ok() {
            let _ = released.recv(); // the thread may have ended; then nothing is written either
        }
    }

    /// Takes the folder back, as soon as the other has let go of it, and writes what the node runs on.
    pub(super) fn reclaim(&self) {
        let _ = self.jobs.send(Job::Reclaim); // it may have ended
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.jobs.send(Job::Stop); // it may have ended
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the thread that keeps the configuration on disk panicked");
        }
    }
}

/// Whose the folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Held,
    Released,
    /// Of another process still, from which it is wanted back.
    Wanted,
}

struct Writer {
    dir: PathBuf,
    retry: Duration,
    lock: File,
    hold: Hold,
    capture: Arc<dyn Fn() -> Capture + Send + Sync>,
    jobs: Sender<Job>,
    /// The number of the newest file.
    newest: u64,
    journal: Option<FrameWriter<File>>,
    journal_bytes: u64,
    snapshot_bytes: u64,
    /// A snapshot is being written.
    folding: Option<JoinHandle<()>>,
    /// A new snapshot is needed.
    wanted: bool,
    /// Something is missing in the journal: only a new snapshot helps.
    lost: bool,
    /// Waiting for the next snapshot to begin.
    waiting: Vec<Done>,
    /// Waiting for the one that is being written.
    folding_for: Vec<Done>,
    failed_at: Option<Instant>,
}

impl Writer {
    fn run(&mut self, queue: &Receiver<Job>) {
        loop {
            self.take_back_if_wanted();
            self.fold_if_wanted();
            let first = match queue.recv_timeout(self.retry) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut appended = Vec::new();
            for job in std::iter::once(first).chain(queue.try_iter().take(BATCH_MAX)) {
                match job {
                    Job::Keep(update, done) if update.announced.from.is_none() => {
                        // a snapshot replaces all of its class: it is written as one
                        self.wanted = true;
                        self.waiting.push(done);
                    }
                    Job::Keep(update, done) => {
                        if self.lost {
                            self.wanted = true;
                            self.waiting.push(done);
                        } else {
                            appended.push((update, done));
                        }
                    }
                    Job::Release(told) => {
                        self.append(std::mem::take(&mut appended));
                        self.release();
                        let _ = told.send(()); // who asked may not wait
                    }
                    Job::Reclaim if self.hold == Hold::Released => self.hold = Hold::Wanted,
                    Job::Reclaim => {}
                    Job::Folded(number, written) => self.folded(number, written),
                    Job::Stop => {
                        self.append(appended);
                        if self.folding.take().is_some_and(|folding| folding.join().is_err()) {
                            error!("the thread that writes a snapshot panicked");
                        }
                        return;
                    }
                }
            }
            self.append(appended);
        }
    }

    fn release(&mut self) {
        if self.folding.take().is_some_and(|folding| folding.join().is_err()) {
            error!("the thread that writes a snapshot panicked");
        }
        self.journal = None;
        self.hold = Hold::Released;
        // what comes is not in the journal, until all is written anew
        self.lost = true;
        if let Err(error) = self.lock.unlock() {
            warn!("`{}` could not be left to another process: {error}", self.dir.display());
        }
    }

    fn take_back_if_wanted(&mut self) {
        if self.hold != Hold::Wanted || self.lock.try_lock().is_err() {
            return;
        }
        self.hold = Hold::Held;
        let numbers = [SNAPSHOT, JOURNAL].map(|kind| files(&self.dir, kind).unwrap_or_default());
        let newest = numbers.iter().flatten().map(|file| file.number).max();
        self.newest = self.newest.max(newest.unwrap_or(0));
        self.wanted = true;
    }

    fn append(&mut self, updates: Vec<(Update, Done)>) {
        if updates.is_empty() {
            return;
        }
        let written = self.write(&updates);
        if let Err(error) = &written {
            warn!("the configuration could not be written to `{}`: {error}", self.dir.display());
            self.journal = None;
            self.lost = true;
            self.wanted = true;
            self.failed_at = Some(Instant::now());
        }
        for (_, done) in updates {
            done(written.is_ok());
        }
        if self.journal_bytes > (self.snapshot_bytes / 2).max(JOURNAL_MIN) {
            self.wanted = true;
        }
    }

    fn write(&mut self, updates: &[(Update, Done)]) -> io::Result<()> {
        let mut journal = match self.journal.take() {
            Some(journal) => journal,
            None => self.new_journal()?,
        };
        let before = journal.written;
        for (update, _) in updates {
            for message in update.messages() {
                journal.message(&message)?;
            }
        }
        journal.get_ref().sync_data()?;
        self.journal_bytes += journal.written - before;
        self.journal = Some(journal);
        Ok(())
    }

    fn new_journal(&mut self) -> io::Result<FrameWriter<File>> {
        self.newest += 1;
        let path = self.dir.join(format!("{JOURNAL}{:016}", self.newest));
        let file = OpenOptions::new().create_new(true).write(true).open(path)?;
        let journal = FrameWriter::start(file, FileKind::Journal)?;
        sync_dir(&self.dir)?;
        Ok(journal)
    }

    fn fold_if_wanted(&mut self) {
        let too_soon = self.failed_at.is_some_and(|at| at.elapsed() < self.retry);
        let away = self.hold != Hold::Held;
        if self.wanted && (too_soon || away) && self.folding.is_none() {
            // whoever waits is told; the next attempt is for all
            for done in self.waiting.drain(..) {
                done(false);
            }
        }
        if !self.wanted || self.folding.is_some() || too_soon || away {
            return;
        }
        self.wanted = false;
        self.folding_for = std::mem::take(&mut self.waiting);
        // what comes from now on goes to a journal of a higher number than the snapshot's
        self.journal = None;
        self.journal_bytes = 0;
        self.newest += 1;
        let number = self.newest;
        self.lost = false;
        let (dir, capture, jobs) = (self.dir.clone(), (self.capture)(), self.jobs.clone());
        let fold = move || {
            let written = write_snapshot(&dir, number, &capture);
            let _ = jobs.send(Job::Folded(number, written)); // nobody hears it while the node stops
        };
        match std::thread::Builder::new().name("config-fold".into()).spawn(fold) {
            Ok(thread) => self.folding = Some(thread),
            Err(error) => self.folded(number, Err(error)),
        }
    }

    fn folded(&mut self, number: u64, written: io::Result<u64>) {
        self.folding = None;
        let done = std::mem::take(&mut self.folding_for);
        let kept = written.is_ok();
        match written {
            Ok(bytes) => {
                self.snapshot_bytes = bytes;
                self.failed_at = None;
                if let Err(error) = self.clean(number) {
                    warn!("former files in `{}` could not be deleted: {error}", self.dir.display());
                }
            }
            Err(error) => {
                warn!("the configuration could not be written to `{}`: {error}", self.dir.display());
                self.failed_at = Some(Instant::now());
                self.wanted = true;
                self.lost = true;
            }
        }
        for done in done {
            done(kept);
        }
    }

    /// Deletes what is older than the snapshot before this one.
    fn clean(&self, number: u64) -> io::Result<()> {
        let snapshots = files(&self.dir, SNAPSHOT)?;
        let former = snapshots.iter().rev().map(|file| file.number).find(|n| *n < number).unwrap_or(number);
        for file in snapshots.into_iter().chain(files(&self.dir, JOURNAL)?) {
            if file.number < former {
                fs::remove_file(file.path)?;
            }
        }
        Ok(())
    }
}

fn write_snapshot(dir: &Path, number: u64, capture: &Capture) -> io::Result<u64> {
    if !capture.whole {
        return Err(io::Error::other("what is there can't be read in full by this version, and is not overwritten"));
    }
    let started = Instant::now();
    let path = dir.join(format!("{SNAPSHOT}{number:016}"));
    let temporary = path.with_extension("tmp");
    let written = write_whole(&temporary, capture).inspect_err(|_| {
        let _ = fs::remove_file(&temporary); // it may not even be there
    })?;
    fs::rename(&temporary, &path)?;
    sync_dir(dir)?;
    debug!(bytes = written, took_ms = started.elapsed().as_millis(), "wrote `{}`", path.display());
    Ok(written)
}

fn write_whole(path: &Path, capture: &Capture) -> io::Result<u64> {
    let file = File::create(path)?;
    let mut frames = FrameWriter::start(BufWriter::with_capacity(1 << 20, &file), FileKind::Snapshot)?;
    for class in CLASSES {
        let Some(to) = capture.at[class as usize] else { continue };
        let config = capture.snapshot.config();
        let digest: Digest = config.digest(class);
        let count = count(config, class);
        let update = Update { announced: Announced { class, from: None, to, count, digest }, chunks: Vec::new() };
        let mut messages = update.messages();
        frames.message(&messages.next().expect("an update begins"))?;
        for chunk in Chunks(config.states(&[class])) {
            let class = tidegate_proto::convert::class_to_wire(class);
            frames.message(&tidegate_proto::v1::Chunk { class, changes: chunk }.into())?;
        }
        frames.message(&messages.next().expect("an update ends"))?;
    }
    frames.close()?;
    frames.flush()?;
    let written = frames.written;
    drop(frames);
    file.sync_all()?;
    Ok(written)
}

fn count(config: &tidegate_model::GatewayConfig, class: Class) -> u64 {
    let kinds = tidegate_model::Kind::ALL.into_iter().filter(|kind| kind.class() == class);
    kinds.map(|kind| config.count(kind) as u64).sum()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
