//! Checks of passwords: a few at a time off the workers, each once, and what fitted is remembered without the password.
//!
//! What is remembered is an HMAC over credential, hash and password under a key of this process. So it tells nobody anything, and dies with a
//! changed password or credential: the next request makes another one. Only what fitted is kept; who guesses fills nothing.
//!
//! Invariant: no more than `password_checks_max` run at a time, also where those who asked have gone.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use futures_util::future::LocalBoxFuture;
use parking_lot::Mutex;
use tidegate_model::PasswordHash;
use tidegate_policy::{Compute, PasswordsBusy, ShownPassword, computed};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::limits::Limits;

/// Stands for credential and password together.
pub(super) type Tag = [u8; 32];

/// How often one waits for a check that somebody else began and left.
const FOLLOWS_MAX: usize = 3;

/// The checks of a node.
pub(super) struct Checks {
    compute: Arc<dyn Compute>,
    key: hmac::Key,
    /// What unknown users' passwords are compared with.
    nobody: Arc<PasswordHash>,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    kept_max: usize,
    kept_for: Duration,
    shared: Mutex<Shared>,
}

struct Shared {
    kept: Kept,
    running: HashMap<Tag, watch::Receiver<Option<bool>>>,
}

/// What fitted, and until when that counts.
struct Kept {
    until: HashMap<Tag, Instant>,
    max: usize,
    time: Duration,
}

impl Kept {
    fn new(max: usize, time: Duration) -> Kept {
        Kept { until: HashMap::new(), max, time }
    }

    fn has(&self, tag: &Tag) -> bool {
        self.until.get(tag).is_some_and(|until| Instant::now() < *until)
    }

    fn keep(&mut self, tag: Tag) {
        if self.max == 0 {
            return;
        }
        if self.until.len() >= self.max && !self.until.contains_key(&tag) {
            let now = Instant::now();
            self.until.retain(|_, until| now < *until);
            // still full: any one goes, and is computed again when it comes
            if let Some(any) = (self.until.len() >= self.max).then(|| self.until.keys().next().copied()).flatten() {
                self.until.remove(&any);
            }
        }
        self.until.insert(tag, Instant::now() + self.time);
    }
}

/// What fitted, as one worker knows it: found without a lock.
pub(super) struct Near(RefCell<Kept>);

impl Near {
    pub(super) fn has(&self, tag: &Tag) -> bool {
        self.0.borrow().has(tag)
    }

    pub(super) fn keep(&self, tag: Tag) {
        self.0.borrow_mut().keep(tag);
    }
}

impl Checks {
    pub(super) fn new(compute: Arc<dyn Compute>, limits: &Limits) -> Checks {
        let mut key = [0; 32];
        rand::fill(&mut key).expect("the system gives randomness");
        let kept = Kept::new(limits.password_verdicts_max, limits.password_verdict_kept);
        Checks {
            compute,
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            nobody: Arc::new(PasswordHash::of_nobody()),
            turns: Arc::new(Semaphore::new(limits.password_checks_max.max(1))),
            waiting: AtomicUsize::new(0),
            waiting_max: limits.password_checks_waiting_max,
            kept_max: limits.password_verdicts_max,
            kept_for: limits.password_verdict_kept,
            shared: Mutex::new(Shared { kept, running: HashMap::new() }),
        }
    }

    /// Room for one worker's part.
    pub(super) fn near(&self) -> Rc<Near> {
        Rc::new(Near(RefCell::new(Kept::new(self.kept_max, self.kept_for))))
    }

    pub(super) fn tag(&self, shown: &ShownPassword<'_>) -> Tag {
        let mut context = hmac::Context::with_key(&self.key);
        let (id, hash) = shown.known.map_or((0, ""), |(id, hash)| (id.as_u128(), hash.as_str()));
        context.update(&id.to_be_bytes());
        for part in [hash, shown.username, shown.password] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// Finds out whether a password fits, unless somebody is about it already.
    pub(super) fn ask(
        self: Arc<Self>,
        tag: Tag,
        shown: &ShownPassword<'_>,
    ) -> LocalBoxFuture<'static, Result<bool, PasswordsBusy>> {
        let hash = shown.known.map_or_else(|| self.nobody.clone(), |(_, hash)| hash.clone());
        let known = shown.known.is_some();
        let password = Zeroizing::new(shown.password.to_owned());
        Box::pin(async move {
            for _ in 0..FOLLOWS_MAX {
                match self.place(tag) {
                    Place::Known => return Ok(true),
                    Place::Running(mut verdict) => {
                        if let Ok(came) = verdict.wait_for(Option::is_some).await {
                            return Ok(came.unwrap_or(false));
                        }
                    }
                    Place::Free(lead) => {
                        let fits = self.compute(hash, password).await? && known;
                        lead.told(fits);
                        return Ok(fits);
                    }
                }
            }
            Err(PasswordsBusy)
        })
    }

    fn place(self: &Arc<Self>, tag: Tag) -> Place {
        let mut shared = self.shared.lock();
        if shared.kept.has(&tag) {
            return Place::Known;
        }
        if let Some(running) = shared.running.get(&tag) {
            return Place::Running(running.clone());
        }
        let (tell, told) = watch::channel(None);
        shared.running.insert(tag, told);
        Place::Free(Lead { checks: self.clone(), tag, tell })
    }

    async fn compute(&self, hash: Arc<PasswordHash>, password: Zeroizing<String>) -> Result<bool, PasswordsBusy> {
        let turn = match self.turns.clone().try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => {
                let _waiting = Waiting::enter(&self.waiting, self.waiting_max).ok_or(PasswordsBusy)?;
                self.turns.clone().acquire_owned().await.map_err(|_| PasswordsBusy)?
            }
        };
        let work = move || {
            // held until the memory is given back, whoever still waits
            let _turn = turn;
            hash.fits(password.as_bytes())
        };
        computed(&*self.compute, work).await.map_err(|_| PasswordsBusy)
    }
}

enum Place {
    Known,
    Running(watch::Receiver<Option<bool>>),
    Free(Lead),
}

/// The one who computes. If it goes, those who wait look again.
struct Lead {
    checks: Arc<Checks>,
    tag: Tag,
    tell: watch::Sender<Option<bool>>,
}

impl Lead {
    fn told(self, fits: bool) {
        if fits {
            self.checks.shared.lock().kept.keep(self.tag);
        }
        self.tell.send_replace(Some(fits));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.checks.shared.lock().running.remove(&self.tag);
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize, max: usize) -> Option<Waiting<'a>> {
        let before = count.fetch_add(1, Ordering::AcqRel);
        let entered = Waiting(count);
        (before < max).then_some(entered)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
