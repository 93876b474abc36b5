//! Keeps the keys of one issuer: fetches them, again before they are old, and sooner if a token names one that is not there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidegate_model::Sha256;
use tidegate_policy::jwt::KeySet;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::fetch::{Answer, FetchError};
use super::{Entry, Shared};

/// What the last document was, to tell whether another one came.
#[derive(Default)]
struct Last {
    hash: Option<Sha256>,
    etag: Option<http::HeaderValue>,
}

/// Between two looks at whether anybody uses it.
const LOOK: Duration = Duration::from_secs(60);

pub(super) async fn keep(shared: Arc<Shared>, entry: Arc<Entry>) {
    let mut random = StdRng::seed_from_u64(rand::random());
    let mut last = Last::default();
    let mut failures = 0u32;
    let mut unused: Option<Instant> = None;
    loop {
        let begun = Instant::now();
        entry.progress.send_modify(|progress| {
            progress.begun += 1;
            progress.earliest = begun + shared.limits.jwks_miss_pause;
        });
        let fetched = tokio::select! {
            () = shared.stop.cancelled() => return,
            fetched = shared.fetcher.fetch(&entry.at, last.etag.as_ref()) => fetched,
        };
        let share = random.random_range(0.0..1.0);
        let mut due = match settle(&shared, &entry, &mut last, fetched) {
            Ok(age) => {
                failures = 0;
                // ahead of its time, and not all nodes at once
                Instant::now() + age.mul_f64(0.75 + 0.2 * share)
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                told(&entry, &error, failures);
                Instant::now() + backoff(&shared, failures, share)
            }
        };
        let loaded = entry.progress.borrow().loaded;
        entry.progress.send_modify(|progress| {
            progress.ended += 1;
            progress.failing = failures > 0;
            if failures > 0 {
                progress.earliest = progress.earliest.max(due);
            }
        });
        // asked for while it was under way counts for the next one
        loop {
            let stale = loaded.map(|at| at + shared.limits.jwks_stale).filter(|_| entry.set.load().is_some());
            let wake = due.min(Instant::now() + LOOK).min(stale.unwrap_or(due));
            tokio::select! {
                () = shared.stop.cancelled() => return,
                () = sleep_until(wake) => {}
                () = entry.asked.notified() => due = due.min(entry.progress.borrow().earliest),
            }
            let now = Instant::now();
            if stale.is_some_and(|stale| now >= stale) {
                warn!("the keys at `{}` could not be fetched for too long; tokens by them are refused", entry.at);
                entry.put(None);
                last = Last::default();
            }
            if is_left(&shared, &entry, &mut unused, now) {
                return;
            }
            if now >= due {
                break;
            }
        }
    }
}

/// Takes in what came. Gives how long it may be used before it is asked for again.
fn settle(
    shared: &Shared,
    entry: &Entry,
    last: &mut Last,
    fetched: Result<Answer, FetchError>,
) -> Result<Duration, FetchError> {
    let counts = &shared.counts;
    let fresh = |age: Option<Duration>| {
        let (default, limits) = (shared.limits.jwks_age, &shared.limits);
        age.unwrap_or(default).clamp(limits.jwks_age_min, limits.jwks_age_max)
    };
    let age = match fetched {
        Ok(Answer::Same { age }) => {
            counts.unchanged.fetch_add(1, Ordering::Relaxed);
            fresh(age)
        }
        Ok(Answer::Document { body, etag, age }) => {
            let hash = Sha256::of(&body);
            if last.hash == Some(hash) {
                counts.unchanged.fetch_add(1, Ordering::Relaxed);
            } else {
                let set = KeySet::read(&body).map_err(|error| {
                    counts.invalid.fetch_add(1, Ordering::Relaxed);
                    FetchError::Keys(error)
                })?;
                counts.changed.fetch_add(1, Ordering::Relaxed);
                info!(keys = set.len(), skipped = ?set.skipped(), "the keys at `{}` were fetched", entry.at);
                last.hash = Some(hash);
                entry.put(Some(Arc::new(set)));
            }
            last.etag = etag;
            fresh(age)
        }
        Err(error) => {
            let count = if error.is_invalid() { &counts.invalid } else { &counts.failed };
            count.fetch_add(1, Ordering::Relaxed);
            return Err(error);
        }
    };
    if entry.trouble.lock().take().is_some() {
        info!("the keys at `{}` can be fetched again", entry.at);
    }
    entry.progress.send_modify(|progress| progress.loaded = Some(Instant::now()));
    Ok(age)
}

fn told(entry: &Entry, error: &FetchError, failures: u32) {
    let text = error.to_string();
    let mut trouble = entry.trouble.lock();
    // the same again and again is said once
    if failures == 1 || trouble.as_deref() != Some(&text) {
        warn!("the keys at `{}` can't be fetched: {text}", entry.at);
    }
    *trouble = Some(text);
}

/// Doubles with each failure, and is spread by half either way.
fn backoff(shared: &Shared, failures: u32, share: f64) -> Duration {
    let limits = &shared.limits;
    let doubled = limits.jwks_backoff.saturating_mul(1 << (failures - 1).min(16));
    doubled.min(limits.jwks_backoff_max).mul_f64(0.5 + share)
}

/// Whether no policy used it for a while. Then it is forgotten.
fn is_left(shared: &Shared, entry: &Arc<Entry>, unused: &mut Option<Instant>, now: Instant) -> bool {
    let mut entries = shared.entries.lock();
    if entry.users.load(Ordering::Acquire) > 0 {
        *unused = None;
        return false;
    }
    // a policy that is built anew takes it over
    let since = *unused.get_or_insert(now);
    let left = now.duration_since(since) >= shared.limits.jwks_unused;
    if left {
        entries.remove(entry.at.as_str());
    }
    left
}
