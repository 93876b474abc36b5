//! Counters of this process: exact across its workers, with no lock among them.
//!
//! A counter is one word, the number of its window and what was spent in it, changed by compare-and-swap. So a counter can't
//! be seen half way between two windows, and nothing is ever taken past a limit.
//!
//! Several asks are first looked at, then taken one after the other; what was taken is put back if a later one turns out
//! short. For that moment another request may find the last token gone: it is refused beside one that is refused too. It
//! never happens that more is admitted.
//!
//! A table that is full stays exact: a new subject can't be counted, so its limit's `on_store_loss` decides (`allow` admits,
//! the others refuse with 503, not 429) until windows end and make room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use smallvec::SmallVec;
use tidegate_policy::{
    Ask, Clock, CounterStore, Denial, LimitSpec, OnStoreLoss, Quota, Quotas, Reading, Settled, Take, TakeOutcome,
    UNCOUNTED,
};
use tokio_util::sync::CancellationToken;

use super::table::{Full, Slot, Table};
use super::window::{self, until_end};

/// A counter of a window that ended less long ago than this is kept: it is likely to be asked again.
const QUIET: u64 = 1_000;
/// When to come back if there was no room.
const FULL_RETRY: Duration = Duration::from_secs(1);

/// The store.
pub struct LocalCounters {
    clock: Arc<dyn Clock>,
    table: Arc<Table<Cell>>,
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LocalStatus {
    /// Counters it holds.
    pub counters: usize,
    /// Asks for which there was no room.
    pub refused: u64,
    /// Counters dropped after their window.
    pub dropped: u64,
}

impl LocalCounters {
    /// A store of at most so many counters. Somebody must call [`sweep`](Self::sweep) now and then, or run
    /// [`keep_swept`](Self::keep_swept).
    pub fn new(clock: Arc<dyn Clock>, counters_max: usize) -> Self {
        LocalCounters { clock, table: Arc::new(Table::new(counters_max)) }
    }

    /// Drops the counters of windows that have ended.
    pub fn sweep(&self) {
        self.table.sweep(window::now(&*self.clock));
    }

    /// Sweeps until told to stop.
    pub async fn keep_swept(&self, shutdown: CancellationToken) {
        let clock = self.clock.clone();
        self.table.clone().keep_swept(move || window::now(&*clock), shutdown).await;
    }

    /// What it holds.
    pub fn status(&self) -> LocalStatus {
        LocalStatus { counters: self.table.len(), refused: self.table.refused(), dropped: self.table.dropped() }
    }

    fn take(&self, asks: &[Ask<'_>]) -> TakeOutcome {
        let now = window::now(&*self.clock);
        let guard = self.table.guard();
        'again: loop {
            let mut cells = SmallVec::<[Option<&Cell>; 4]>::new();
            for ask in asks {
                let length = window::length(ask.limit);
                match self.table.slot((ask.limit.id, ask.subject), || Cell::new(length, now), &guard) {
                    Ok(cell) => cells.push(Some(cell)),
                    Err(Full) if ask.limit.on_store_loss == OnStoreLoss::Allow => cells.push(None),
                    Err(Full) => return TakeOutcome::Unavailable { retry_after: FULL_RETRY },
                }
            }
            if asks.len() > 1
                && let Some(denial) = self.denial(asks, &cells, now, None)
            {
                return TakeOutcome::Denied(denial);
            }
            let mut quotas = Quotas::new();
            for (index, (ask, cell)) in asks.iter().zip(&cells).enumerate() {
                let Some(cell) = cell else {
                    quotas.push(uncounted(ask, now));
                    continue;
                };
                match cell.take(&*self.clock, now, ask.limit.limit, ask.cost) {
                    Taking::Taken(standing) => quotas.push(cell.quota(ask, standing, now)),
                    Taking::Short(standing) => {
                        put_back(asks, &cells, &quotas);
                        let short = self.denial(asks, &cells, now, Some((index, standing)));
                        return TakeOutcome::Denied(short.expect("one is known to be short"));
                    }
                    Taking::Gone => {
                        put_back(asks, &cells, &quotas);
                        self.table.bury(&(ask.limit.id, ask.subject), &guard);
                        continue 'again;
                    }
                }
            }
            return TakeOutcome::Taken(quotas);
        }
    }

    /// What to answer if one is short. One that was found short just now counts as short, whatever it has become.
    fn denial(
        &self,
        asks: &[Ask<'_>],
        cells: &[Option<&Cell>],
        now: u64,
        found: Option<(usize, Standing)>,
    ) -> Option<Denial> {
        let mut worst: Option<(usize, Duration)> = None;
        let mut quotas = Quotas::new();
        for (index, (ask, cell)) in asks.iter().zip(cells).enumerate() {
            let Some(cell) = cell else {
                quotas.push(uncounted(ask, now));
                continue;
            };
            let known = found.filter(|(short, _)| *short == index).map(|(_, standing)| standing);
            let standing = cell.standing(&*self.clock, now);
            // What it stood at with what was put back since; unless a window has begun since.
            let standing = known.filter(|known| known.window != standing.window).unwrap_or(standing);
            let quota = cell.quota(ask, standing, now);
            let short = known.is_some() || quota.left < u64::from(ask.cost) || standing.used > ask.limit.limit;
            if short && worst.is_none_or(|(_, wait)| quota.reset > wait) {
                worst = Some((index, quota.reset));
            }
            quotas.push(quota);
        }
        worst.map(|(by, retry_after)| Denial { by, retry_after, quotas })
    }
}

/// Gives back what the first asks took.
fn put_back(asks: &[Ask<'_>], cells: &[Option<&Cell>], taken: &[Quota]) {
    for ((ask, cell), quota) in asks.iter().zip(cells).zip(taken) {
        if let Some(cell) = cell {
            cell.give_back(quota.window, ask.cost.into());
        }
    }
}

/// Of what is admitted without being counted.
fn uncounted(ask: &Ask<'_>, now: u64) -> Quota {
    let length = window::length(ask.limit);
    Quota {
        limit: ask.limit.clone(),
        left: ask.limit.limit,
        reset: until_end(now / length, length, now),
        window: UNCOUNTED,
    }
}

impl CounterStore for LocalCounters {
    fn try_take(&self, asks: &[Ask<'_>]) -> Take {
        Take::Now(self.take(asks))
    }

    fn settle(&self, limit: &Arc<LimitSpec>, subject: u128, settled: Settled) {
        let (key, guard) = ((limit.id, subject), self.table.guard());
        if let Some(less) = settled.reserved.checked_sub(settled.actual) {
            if let Some(cell) = self.table.get(&key, &guard) {
                cell.give_back(settled.window, less.into());
            }
            return;
        }
        let more = u64::from(settled.actual - settled.reserved);
        let now = window::now(&*self.clock);
        while let Ok(cell) = self.table.slot(key, || Cell::new(window::length(limit), now), &guard) {
            match cell.charge(&*self.clock, now, more) {
                Taking::Gone => self.table.bury(&key, &guard),
                Taking::Taken(_) | Taking::Short(_) => return,
            }
        }
    }

    fn read(&self, limit: &Arc<LimitSpec>, subject: u128) -> LocalBoxFuture<'static, Option<Reading>> {
        let (now, guard) = (window::now(&*self.clock), self.table.guard());
        let length = window::length(limit);
        let cell = self.table.get(&(limit.id, subject), &guard);
        let standing = cell.map_or_else(|| Standing::empty(now / length), |cell| cell.standing(&*self.clock, now));
        let reading = Reading { used: standing.used, reset: until_end(standing.window, length, now) };
        std::future::ready(Some(reading)).boxed_local()
    }

    fn reset(&self, limit: &Arc<LimitSpec>, subject: u128) -> LocalBoxFuture<'static, bool> {
        let guard = self.table.guard();
        if let Some(cell) = self.table.get(&(limit.id, subject), &guard) {
            cell.reset();
        }
        std::future::ready(true).boxed_local()
    }
}

/// One counter: the last 24 bits of its window's number, then 40 bits of what was spent.
///
/// 24 bits tell a window from the 16 million around it. Idle counters are swept long before they could be mistaken. Only a
/// clock that steps back by more than 8 million windows (97 days of seconds) finds new counters.
struct Cell {
    word: AtomicU64,
    /// The window's length in milliseconds.
    length: u64,
}

/// What a counter stands at in the window that counts for it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    window: u64,
    used: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Taking {
    Taken(Standing),
    Short(Standing),
    /// The cell was retired.
    Gone,
}

/// Where a counter's window lies, seen from the time.
enum Place {
    Current,
    Past,
    /// By so many windows: the clock was stepped back.
    Ahead(u64),
}

const USED_BITS: u32 = 40;
const USED_MAX: u64 = (1 << USED_BITS) - 2;
const TAG_MASK: u64 = (1 << 24) - 1;
/// What no window and no use look like.
const GONE: u64 = u64::MAX;

impl Standing {
    fn empty(window: u64) -> Self {
        Standing { window, used: 0 }
    }

    fn word(self) -> u64 {
        ((self.window & TAG_MASK) << USED_BITS) | self.used.min(USED_MAX)
    }
}

fn used(word: u64) -> u64 {
    word & ((1 << USED_BITS) - 1)
}

fn place(word: u64, window: u64) -> Place {
    match (word >> USED_BITS).wrapping_sub(window) & TAG_MASK {
        0 => Place::Current,
        ahead if ahead <= TAG_MASK / 2 => Place::Ahead(ahead),
        _ => Place::Past,
    }
}

/// What a word says at a time; see `window.rs` for clocks that step back.
fn standing_at(word: u64, window: u64) -> Standing {
    match place(word, window) {
        Place::Current => Standing { window, used: used(word) },
        Place::Past => Standing::empty(window),
        Place::Ahead(1) => Standing { window: window + 1, used: used(word) },
        Place::Ahead(_) => Standing { window, used: used(word) },
    }
}

impl Cell {
    fn new(length: u64, now: u64) -> Self {
        Cell { word: AtomicU64::new(Standing::empty(now / length).word()), length }
    }

    fn take(&self, clock: &dyn Clock, now: u64, limit: u64, cost: u32) -> Taking {
        self.change(clock, now, |used| used.checked_add(cost.into()).filter(|sum| *sum <= limit))
    }

    fn charge(&self, clock: &dyn Clock, now: u64, cost: u64) -> Taking {
        self.change(clock, now, |used| Some(used.saturating_add(cost)))
    }

    fn change(&self, clock: &dyn Clock, now: u64, change: impl Fn(u64) -> Option<u64>) -> Taking {
        while let Some((word, before)) = self.look(clock, now) {
            let Some(used) = change(before.used) else { return Taking::Short(before) };
            let after = Standing { used: used.min(USED_MAX), ..before };
            if self.swap(word, after.word()) {
                return Taking::Taken(after);
            }
        }
        Taking::Gone
    }

    fn standing(&self, clock: &dyn Clock, now: u64) -> Standing {
        self.look(clock, now).map_or_else(|| Standing::empty(now / self.length), |(_, standing)| standing)
    }

    /// The word and what it says; `None` once it is gone.
    fn look(&self, clock: &dyn Clock, now: u64) -> Option<(u64, Standing)> {
        let mut window = now / self.length;
        loop {
            let word = self.word.load(Ordering::Acquire);
            if word == GONE {
                return None;
            }
            // Another worker may have looked at the clock later than this one; only then look again.
            if matches!(place(word, window), Place::Ahead(_)) {
                window = window::now(clock) / self.length;
            }
            let standing = standing_at(word, window);
            // What is carried along by a clock that stepped back is written at once, to end with the window it is in now.
            let carried = matches!(place(word, window), Place::Ahead(windows) if windows > 1);
            if !carried || self.swap(word, standing.word()) {
                return Some((if carried { standing.word() } else { word }, standing));
            }
        }
    }

    fn swap(&self, word: u64, next: u64) -> bool {
        self.word.compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Only in the window it was taken in: in another, it would add to what may be spent.
    fn give_back(&self, window: u64, cost: u64) {
        // Without a change there is nothing to report: the window has ended, and what was taken in it with it.
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let same = word != GONE && window != UNCOUNTED && matches!(place(word, window), Place::Current);
            same.then(|| Standing { window, used: used(word).saturating_sub(cost) }.word())
        });
    }

    fn reset(&self) {
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            (word != GONE).then_some(word & (TAG_MASK << USED_BITS))
        });
    }

    fn quota(&self, ask: &Ask<'_>, standing: Standing, now: u64) -> Quota {
        Quota {
            limit: ask.limit.clone(),
            left: ask.limit.limit.saturating_sub(standing.used),
            reset: until_end(standing.window, self.length, now),
            window: standing.window,
        }
    }
}

impl Slot for Cell {
    fn retire(&self, now: u64) -> bool {
        let word = self.word.load(Ordering::Acquire);
        if word == GONE {
            return true;
        }
        let window = now / self.length;
        let next = match place(word, window) {
            Place::Past if place(word, now.saturating_sub(QUIET) / self.length).is_past() => GONE,
            // Or it would stay until the clock is where it once was.
            Place::Ahead(windows) if windows > 1 => standing_at(word, window).word(),
            Place::Past | Place::Current | Place::Ahead(_) => return false,
        };
        // If it was changed meanwhile it is in use.
        self.swap(word, next) && next == GONE
    }

    fn is_gone(&self) -> bool {
        self.word.load(Ordering::Acquire) == GONE
    }
}

impl Place {
    fn is_past(&self) -> bool {
        matches!(self, Place::Past)
    }
}
