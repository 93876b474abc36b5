//! Adds up what workers counted by route, by service and by target, under the names that these have now.
//!
//! Labels are bounded: so many of each kind have series of their own, those that came first; the rest is one series, `_other`.
//! What was deleted leaves after a while, or as soon as its name goes to another.
//!
//! Invariant: while a series is told it never goes backwards: a worker keeps its cells until the ledger has let go of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_model::{Authority, Id, Kind};
use tidegate_snapshot::Snapshot;
use tokio::time::Instant;

use super::cells::Cells;
use super::series::{ROUTE, SERVICE, Series, TARGET};
use crate::limits::Limits;

/// What a series is called that stands for all that have none of their own.
pub(super) const OTHER: &str = "_other";

/// The sums of all workers.
pub(crate) struct Ledger {
    pub(super) routes: Part<Id, ROUTE>,
    pub(super) services: Part<Id, SERVICE>,
    pub(super) targets: Part<(Id, Authority), TARGET>,
}

/// Two labels, of which the second may be empty.
pub(super) type Labels = (Arc<str>, Arc<str>);

impl Ledger {
    pub(crate) fn new(limits: &Limits) -> Self {
        Ledger {
            routes: Part::new(limits.metric_routes_max, limits),
            services: Part::new(limits.metric_services_max, limits),
            targets: Part::new(limits.metric_targets_max, limits),
        }
    }

    /// Takes note of what workers met, and of what the configuration calls it now.
    pub(crate) fn settle(&mut self, workers: &[Arc<Cells>], snapshot: &Snapshot) {
        let now = Instant::now();
        let name = |kinds: &[Kind], id: Id| {
            let resource = kinds.iter().find_map(|kind| snapshot.config().get(*kind, id))?;
            Some(Arc::<str>::from(resource.label()))
        };
        self.routes.settle(now, workers.iter().map(|cells| &cells.news.routes), |id| {
            let route = snapshot.route_by_id(*id)?;
            // a redirect leads to no service
            let service = route.service().map_or("", |service| &service.name);
            Some((route.name.as_ref().into(), service.into()))
        });
        self.services.settle(now, workers.iter().map(|cells| &cells.news.services), |id| {
            Some((name(&[Kind::Service], *id)?, "".into()))
        });
        self.targets.settle(now, workers.iter().map(|cells| &cells.news.targets), |(upstream, address)| {
            Some((name(&[Kind::Upstream, Kind::Service], *upstream)?, address.to_string().into()))
        });
    }
}

/// The sums of one kind of thing.
pub(super) struct Part<K, const N: usize> {
    known: HashMap<K, Entry<K, N>>,
    /// How many have series of their own, and how many may.
    own: usize,
    own_max: usize,
    kept: std::time::Duration,
    /// What was counted by those that had none and are gone.
    other: [u64; N],
    next: u64,
}

struct Entry<K, const N: usize> {
    /// Who came first is told first.
    order: u64,
    labels: Labels,
    has_own: bool,
    /// One for each worker that met it.
    series: Vec<Arc<Series<K, N>>>,
    gone_since: Option<Instant>,
}

impl<K: Clone + Eq + Hash, const N: usize> Part<K, N> {
    fn new(own_max: usize, limits: &Limits) -> Self {
        Part { known: HashMap::new(), own: 0, own_max, kept: limits.metric_kept, other: [0; N], next: 0 }
    }

    fn settle<'a>(
        &mut self,
        now: Instant,
        news: impl Iterator<Item = &'a Mutex<Vec<Arc<Series<K, N>>>>>,
        labels_of: impl Fn(&K) -> Option<Labels>,
    ) where
        K: 'a,
    {
        for news in news {
            for series in std::mem::take(&mut *news.lock()) {
                self.note(series);
            }
        }
        let mut gone = Vec::new();
        for (key, entry) in &mut self.known {
            match labels_of(key) {
                Some(labels) => (entry.labels, entry.gone_since) = (labels, None),
                None => {
                    let since = *entry.gone_since.get_or_insert(now);
                    if now.duration_since(since) >= self.kept || entry.labels.0.is_empty() {
                        gone.push(key.clone());
                    }
                }
            }
        }
        for key in gone {
            self.forget(&key);
        }
    }

    fn note(&mut self, series: Arc<Series<K, N>>) {
        let entry = match self.known.entry(series.key.clone()) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(place) => {
                let has_own = self.own < self.own_max;
                self.own += usize::from(has_own);
                self.next += 1;
                let labels = ("".into(), "".into());
                place.insert(Entry { order: self.next, labels, has_own, series: Vec::new(), gone_since: None })
            }
        };
        entry.series.push(series);
    }

    fn forget(&mut self, key: &K) {
        let Some(entry) = self.known.remove(key) else { return };
        for series in &entry.series {
            series.leave();
        }
        if entry.has_own {
            self.own -= 1;
        } else {
            add(&mut self.other, &entry.sum());
        }
    }

    /// Each series with its labels and sums, and whether there is one for the rest. What bears the same names is one series;
    /// of these, one that is gone makes way.
    pub(super) fn told(&mut self) -> Vec<(Labels, [u64; N])> {
        let mut order: Vec<(&K, &Entry<K, N>)> = self.known.iter().collect();
        order.sort_unstable_by_key(|(_, entry)| (entry.gone_since.is_some(), entry.order));
        let mut places: HashMap<&Labels, usize> = HashMap::with_capacity(order.len());
        let mut told: Vec<(Labels, [u64; N])> = Vec::with_capacity(order.len() + 1);
        let mut displaced = Vec::new();
        let mut other = self.other;
        let mut is_crowded = other.iter().any(|count| *count > 0);
        for (key, entry) in order {
            if !entry.has_own {
                is_crowded = true;
                add(&mut other, &entry.sum());
                continue;
            }
            match places.entry(&entry.labels) {
                Slot::Vacant(place) => {
                    place.insert(told.len());
                    told.push((entry.labels.clone(), entry.sum()));
                }
                Slot::Occupied(_) if entry.gone_since.is_some() => displaced.push(key.clone()),
                Slot::Occupied(place) => add(&mut told[*place.get()].1, &entry.sum()),
            }
        }
        if is_crowded {
            told.push(((OTHER.into(), OTHER.into()), other));
        }
        for key in displaced {
            self.forget(&key);
        }
        told
    }
}

impl<K, const N: usize> Entry<K, N> {
    fn sum(&self) -> [u64; N] {
        let mut sum = [0; N];
        for series in &self.series {
            series.add_to(&mut sum);
        }
        sum
    }
}

fn add<const N: usize>(sum: &mut [u64; N], more: &[u64; N]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}
