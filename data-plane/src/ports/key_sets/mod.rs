//! Keys that issuers of tokens publish: one copy a node, fetched beside its traffic.
//!
//! ```text
//! worker: current, version (no lock) ........ a token by an unknown key: newer, which waits
//! control runtime: one keeper an issuer ..... fetch, keep, fetch again before it is old
//! ```
//! Requests never fetch, and never make more than one fetch in [`Limits::jwks_miss_pause`], whatever keys their tokens name.
//! Loss of an issuer: what was fetched last stays in use for [`Limits::jwks_stale`]; without any, nothing is decided, which
//! refuses.

mod fetch;
mod keeper;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use parking_lot::Mutex;
use rustls::RootCertStore;
use serde::Serialize;
use tidegate_policy::jwt::{KeySet, KeySetUrl};
use tidegate_policy::{Awaited, JwksSource, PublishedKeys};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits::Limits;
use fetch::Fetcher;

/// The key sets of a node. A handle: clones are the same.
#[derive(Clone)]
pub struct KeySets(Arc<Shared>);

struct Shared {
    entries: Mutex<HashMap<Box<str>, Arc<Entry>>>,
    fetcher: Fetcher,
    limits: Limits,
    runtime: Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
    counts: Counts,
    /// Requests that wait for keys.
    waiting: AtomicUsize,
}

/// What fetching came to, over all issuers.
#[derive(Default)]
struct Counts {
    changed: AtomicU64,
    unchanged: AtomicU64,
    failed: AtomicU64,
    invalid: AtomicU64,
    misses: AtomicU64,
    crowded: AtomicU64,
}

/// The keys of one issuer.
struct Entry {
    at: KeySetUrl,
    set: ArcSwapOption<KeySet>,
    /// That of the set; 0 while there is none.
    version: AtomicU64,
    progress: watch::Sender<Progress>,
    /// A token came by a key that is not known.
    asked: Notify,
    /// Policies that use it.
    users: AtomicUsize,
    trouble: Mutex<Option<String>>,
}

/// How far the keeper is.
#[derive(Debug, Clone, Copy)]
struct Progress {
    begun: u64,
    ended: u64,
    failing: bool,
    /// Before this, it fetches for nobody.
    earliest: Instant,
    loaded: Option<Instant>,
}

/// How the key sets stand.
#[derive(Debug, Clone, Default, Serialize)]
pub struct KeySetsStatus {
    /// Fetches that brought other keys.
    pub changed: u64,
    /// Fetches that brought the same keys.
    pub unchanged: u64,
    /// Fetches that came to nothing: the issuer can't be reached, or answered with an error.
    pub failed: u64,
    /// Fetches that brought something else than keys, or too much.
    pub invalid: u64,
    /// Requests whose token was by a key that was not known.
    pub misses: u64,
    /// Those among them that did not wait, as too many waited already.
    pub crowded: u64,
    /// Requests that wait for keys.
    pub waiting: usize,
    /// Each issuer.
    pub issuers: Vec<IssuerStatus>,
}

/// How the keys of an issuer stand.
#[derive(Debug, Clone, Serialize)]
pub struct IssuerStatus {
    /// Where they are published.
    pub url: String,
    /// How many are used; 0 while there are none.
    pub keys: usize,
    /// How many are not: weak ones, and others.
    pub skipped: [usize; 2],
    /// When they were fetched or confirmed, in seconds ago.
    pub age: Option<u64>,
    /// What is wrong.
    pub trouble: Option<String>,
}

impl KeySets {
    /// Without any yet. `roots`: who vouches for issuers; those of the machine if absent.
    pub fn new(limits: &Limits, roots: Option<RootCertStore>, runtime: Handle, stop: CancellationToken) -> Self {
        KeySets(Arc::new(Shared {
            entries: Mutex::default(),
            fetcher: Fetcher::new(limits, roots),
            limits: limits.clone(),
            runtime,
            tasks: TaskTracker::new(),
            stop,
            counts: Counts::default(),
            waiting: AtomicUsize::new(0),
        }))
    }

    /// How things stand.
    pub fn status(&self) -> KeySetsStatus {
        let counts = &self.0.counts;
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut issuers: Vec<IssuerStatus> = self.0.entries.lock().values().map(|entry| entry.status()).collect();
        issuers.sort_by(|a, b| a.url.cmp(&b.url));
        KeySetsStatus {
            changed: get(&counts.changed),
            unchanged: get(&counts.unchanged),
            failed: get(&counts.failed),
            invalid: get(&counts.invalid),
            misses: get(&counts.misses),
            crowded: get(&counts.crowded),
            waiting: self.0.waiting.load(Ordering::Relaxed),
            issuers,
        }
    }

    /// Ends once the keepers have, after the stop was told.
    pub async fn stopped(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl JwksSource for KeySets {
    fn open(&self, at: &KeySetUrl) -> Arc<dyn PublishedKeys> {
        let mut entries = self.0.entries.lock();
        if let Some(entry) = entries.get(at.as_str()) {
            return Arc::new(Opened::new(entry.clone(), self.0.clone()));
        }
        let entry = Arc::new(Entry::new(at.clone()));
        let opened = Opened::new(entry.clone(), self.0.clone());
        entries.insert(at.as_str().into(), entry.clone());
        self.0.tasks.spawn_on(keeper::keep(self.0.clone(), entry), &self.0.runtime);
        Arc::new(opened)
    }
}

impl Entry {
    fn new(at: KeySetUrl) -> Self {
        let progress = Progress { begun: 0, ended: 0, failing: false, earliest: Instant::now(), loaded: None };
        Entry {
            at,
            set: ArcSwapOption::empty(),
            version: AtomicU64::new(0),
            progress: watch::Sender::new(progress),
            asked: Notify::new(),
            users: AtomicUsize::new(0),
            trouble: Mutex::default(),
        }
    }

    fn newer(&self, than: Option<u64>) -> Option<Awaited> {
        let set = self.set.load_full()?;
        (Some(set.version()) != than).then_some(Awaited::Keys(set))
    }

    fn put(&self, set: Option<Arc<KeySet>>) {
        let version = set.as_ref().map_or(0, |set| set.version());
        self.set.store(set);
        self.version.store(version, Ordering::Release);
    }

    fn status(&self) -> IssuerStatus {
        let set = self.set.load_full();
        let skipped = set.as_ref().map(|set| set.skipped()).unwrap_or_default();
        IssuerStatus {
            url: self.at.to_string(),
            keys: set.map_or(0, |set| set.len()),
            skipped: [skipped.weak, skipped.other],
            age: self.progress.borrow().loaded.map(|at| at.elapsed().as_secs()),
            trouble: self.trouble.lock().clone(),
        }
    }
}

/// An entry that a policy uses.
struct Opened {
    entry: Arc<Entry>,
    shared: Arc<Shared>,
}

impl Opened {
    fn new(entry: Arc<Entry>, shared: Arc<Shared>) -> Self {
        entry.users.fetch_add(1, Ordering::AcqRel);
        Opened { entry, shared }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.entry.users.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One of those who wait.
struct Seat(Arc<Shared>);

impl Seat {
    fn take(shared: &Arc<Shared>) -> Option<Seat> {
        let seat = Seat(shared.clone());
        // given back at once where there is none left
        (shared.waiting.fetch_add(1, Ordering::AcqRel) < shared.limits.jwks_waiting_max).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl PublishedKeys for Opened {
    fn current(&self) -> Option<Arc<KeySet>> {
        self.entry.set.load_full()
    }

    fn version(&self) -> Option<u64> {
        Some(self.entry.version.load(Ordering::Acquire)).filter(|version| *version != 0)
    }

    fn newer(&self, than: Option<u64>) -> LocalBoxFuture<'static, Awaited> {
        let (entry, shared) = (self.entry.clone(), self.shared.clone());
        if let Some(newer) = entry.newer(than) {
            return std::future::ready(newer).boxed_local();
        }
        shared.counts.misses.fetch_add(1, Ordering::Relaxed);
        let Some(seat) = Seat::take(&shared) else {
            shared.counts.crowded.fetch_add(1, Ordering::Relaxed);
            return std::future::ready(entry.without()).boxed_local();
        };
        async move {
            let _seat = seat;
            wait(&entry, than, Instant::now() + shared.limits.jwks_wait).await
        }
        .boxed_local()
    }
}

impl Entry {
    /// What to say of a key where nothing newer is to be had.
    fn without(&self) -> Awaited {
        match self.progress.borrow().failing || self.set.load().is_none() {
            true => Awaited::Unreachable,
            false => Awaited::NothingNew,
        }
    }
}

async fn wait(entry: &Entry, than: Option<u64>, deadline: Instant) -> Awaited {
    let mut progress = entry.progress.subscribe();
    // a fetch that is under way may have missed the key; the next one will not
    let after = progress.borrow().begun;
    entry.asked.notify_one();
    loop {
        let now = *progress.borrow_and_update();
        if let Some(newer) = entry.newer(than) {
            return newer;
        }
        let under_way = now.begun > now.ended;
        if now.ended > after || (!under_way && now.earliest > deadline) {
            return entry.without();
        }
        // the issuer has not said yet whether it has such a key
        let Ok(Ok(())) = timeout_at(deadline, progress.changed()).await else { return Awaited::Unreachable };
    }
}
