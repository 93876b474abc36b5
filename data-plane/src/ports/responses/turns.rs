//! Who fetches, and who waits for it. One fetches at a time for each key; who leaves makes way for another.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tidegate_policy::{CacheKey, Lead, Turn, Waited};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::limits::Limits;

pub(super) struct Turns {
    under_way: Mutex<HashMap<CacheKey, State, RandomState>>,
    max: usize,
    wait: Duration,
    unshared: Duration,
    waited: AtomicU64,
    crowded: AtomicU64,
}

enum State {
    /// Somebody fetches, and tells how it ended.
    Led(watch::Receiver<Option<Waited>>),
    /// What came last was not for others: until then nobody waits.
    Unshared(Instant),
}

impl Turns {
    pub(super) fn new(limits: &Limits) -> Self {
        Turns {
            under_way: Mutex::default(),
            max: limits.cache_turns_max,
            wait: limits.cache_wait,
            unshared: limits.cache_unshared,
            waited: AtomicU64::new(0),
            crowded: AtomicU64::new(0),
        }
    }

    pub(super) fn waited(&self) -> u64 {
        self.waited.load(Ordering::Relaxed)
    }

    pub(super) fn crowded(&self) -> u64 {
        self.crowded.load(Ordering::Relaxed)
    }

    pub(super) fn take(self: &Arc<Self>, key: &CacheKey) -> Turn {
        let mut under_way = self.under_way.lock();
        match under_way.get(key) {
            Some(State::Led(told)) => {
                let (mut told, wait) = (told.clone(), self.wait);
                self.waited.fetch_add(1, Ordering::Relaxed);
                return Turn::Wait(Box::pin(async move {
                    match tokio::time::timeout(wait, told.wait_for(Option::is_some)).await {
                        Ok(Ok(how)) => how.unwrap_or(Waited::Left),
                        Ok(Err(_)) => Waited::Left,
                        Err(_) => Waited::Failed,
                    }
                }));
            }
            Some(State::Unshared(until)) if Instant::now() < *until => return Turn::Alone,
            _ => {}
        }
        if under_way.len() >= self.max {
            let now = Instant::now();
            under_way.retain(|_, state| !matches!(state, State::Unshared(until) if *until <= now));
            if under_way.len() >= self.max {
                self.crowded.fetch_add(1, Ordering::Relaxed);
                return Turn::Alone;
            }
        }
        let (tell, told) = watch::channel(None);
        under_way.insert(*key, State::Led(told));
        Turn::Lead(Box::new(Leading { turns: self.clone(), key: *key, tell: Some(tell) }))
    }
}

struct Leading {
    turns: Arc<Turns>,
    key: CacheKey,
    tell: Option<watch::Sender<Option<Waited>>>,
}

impl Leading {
    fn ends(&mut self, how: Waited) {
        let Some(tell) = self.tell.take() else { return };
        let mut under_way = self.turns.under_way.lock();
        match how {
            Waited::NotShared => {
                under_way.insert(self.key, State::Unshared(Instant::now() + self.turns.unshared));
            }
            Waited::Kept | Waited::Left | Waited::Failed => {
                under_way.remove(&self.key);
            }
        }
        drop(under_way);
        // nobody may be waiting
        let _ = tell.send(Some(how));
    }
}

impl Lead for Leading {
    fn settle(mut self: Box<Self>, how: Waited) {
        self.ends(how);
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.ends(Waited::Left);
    }
}
