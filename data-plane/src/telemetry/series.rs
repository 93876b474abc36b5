//! What is counted by route, by service and by target.
//!
//! A worker counts into cells of its own, which it finds through its [`crate::worker::Route`]: on the way of a request there is
//! no look-up and no lock. Cells are keyed by id and outlive the snapshots; the first time that a worker meets a route it tells
//! so ([`News`]), and the [`super::ledger`] adds up what all workers have.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tidegate_model::{Authority, Id};
use tidegate_telemetry::buckets::{BUCKETS, bucket};

use super::cells::Cells;
use super::count::Count;

/// One worker's numbers for one key.
#[derive(Debug)]
pub(crate) struct Series<K, const N: usize> {
    pub(super) key: K,
    counts: [Count; N],
    /// The ledger let go of it: what is counted here from now on is not seen.
    left: AtomicBool,
}

/// How many numbers a route has: requests by the class of their status, and bytes both ways.
pub(super) const ROUTE: usize = 8;
pub(super) const ROUTE_REQUEST_BYTES: usize = 6;
pub(super) const ROUTE_RESPONSE_BYTES: usize = 7;

/// How many numbers a service has: two histograms, each followed by its sum.
pub(super) const SERVICE: usize = 2 * (BUCKETS + 1);
/// Where the second histogram begins.
pub(super) const FIRST_BYTE: usize = BUCKETS + 1;

/// How many numbers a target has.
pub(super) const TARGET: usize = 4;
pub(super) const TARGET_ATTEMPTS: usize = 0;
pub(super) const TARGET_CONNECTIONS: usize = 1;
pub(super) const TARGET_FAILURES: usize = 2;
/// Not a count: how many connections are idle now.
pub(super) const TARGET_IDLE: usize = 3;

pub(crate) type RouteSeries = Series<Id, ROUTE>;
pub(crate) type ServiceSeries = Series<Id, SERVICE>;
pub(crate) type TargetSeries = Series<(Id, Authority), TARGET>;

impl<K, const N: usize> Series<K, N> {
    fn new(key: K) -> Arc<Self> {
        Arc::new(Series { key, counts: std::array::from_fn(|_| Count::default()), left: AtomicBool::new(false) })
    }

    pub(super) fn add_to(&self, sum: &mut [u64; N]) {
        for (sum, count) in sum.iter_mut().zip(&self.counts) {
            *sum += count.get();
        }
    }

    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }
}

impl RouteSeries {
    /// A request ended with this class of status, 0 for none.
    pub(crate) fn ended(&self, class: usize, request_bytes: u64, response_bytes: u64) {
        self.counts[class.min(5)].add(1);
        if request_bytes > 0 {
            self.counts[ROUTE_REQUEST_BYTES].add(request_bytes);
        }
        if response_bytes > 0 {
            self.counts[ROUTE_RESPONSE_BYTES].add(response_bytes);
        }
    }
}

impl ServiceSeries {
    /// A request took so long from its head to its end, in microseconds.
    pub(crate) fn took(&self, micros: u64) {
        self.observe(0, micros);
    }

    /// The target began its answer after so long.
    pub(crate) fn first_byte_took(&self, micros: u64) {
        self.observe(FIRST_BYTE, micros);
    }

    fn observe(&self, at: usize, micros: u64) {
        self.counts[at + bucket(micros)].add(1);
        self.counts[at + BUCKETS].add(micros);
    }
}

impl TargetSeries {
    /// Where the target is.
    pub(crate) fn address(&self) -> &Authority {
        &self.key.1
    }

    /// A request is tried here.
    pub(crate) fn tried(&self) {
        self.counts[TARGET_ATTEMPTS].add(1);
    }

    /// A new connection stands.
    pub(crate) fn connected(&self) {
        self.counts[TARGET_CONNECTIONS].add(1);
    }

    /// A new connection could not be made.
    pub(crate) fn not_connected(&self) {
        self.counts[TARGET_FAILURES].add(1);
    }

    /// So many connections wait for a request.
    pub(crate) fn idle(&self, connections: usize) {
        self.counts[TARGET_IDLE].set(connections as u64);
    }
}

/// What a worker met for the first time, until the ledger takes note. The lock is held for an instant, and shared by one
/// worker and the ledger.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(super) routes: Mutex<Vec<Arc<RouteSeries>>>,
    pub(super) services: Mutex<Vec<Arc<ServiceSeries>>>,
    pub(super) targets: Mutex<Vec<Arc<TargetSeries>>>,
}

/// A worker's series, by key.
pub(crate) struct Meters {
    cells: Arc<Cells>,
    routes: Shelf<Id, ROUTE>,
    services: Shelf<Id, SERVICE>,
    targets: Shelf<(Id, Authority), TARGET>,
}

impl Meters {
    pub(crate) fn new(cells: Arc<Cells>) -> Self {
        Meters { cells, routes: Shelf::default(), services: Shelf::default(), targets: Shelf::default() }
    }

    pub(crate) fn route(&self, id: Id) -> Arc<RouteSeries> {
        self.routes.get(id, &self.cells.news.routes)
    }

    pub(crate) fn service(&self, id: Id) -> Arc<ServiceSeries> {
        self.services.get(id, &self.cells.news.services)
    }

    pub(crate) fn target(&self, upstream: Id, address: &Authority) -> Arc<TargetSeries> {
        self.targets.get((upstream, address.clone()), &self.cells.news.targets)
    }

    /// Lets go of what the ledger let go of.
    pub(crate) fn tidy(&self) {
        self.routes.tidy();
        self.services.tidy();
        self.targets.tidy();
    }
}

struct Shelf<K, const N: usize>(RefCell<HashMap<K, Arc<Series<K, N>>>>);

impl<K, const N: usize> Default for Shelf<K, N> {
    fn default() -> Self {
        Shelf(RefCell::default())
    }
}

impl<K: Clone + Eq + Hash, const N: usize> Shelf<K, N> {
    fn get(&self, key: K, news: &Mutex<Vec<Arc<Series<K, N>>>>) -> Arc<Series<K, N>> {
        let mut known = self.0.borrow_mut();
        if let Some(series) = known.get(&key).filter(|series| !series.has_left()) {
            return series.clone();
        }
        let series = Series::new(key.clone());
        news.lock().push(series.clone());
        known.insert(key, series.clone());
        series
    }

    fn tidy(&self) {
        self.0.borrow_mut().retain(|_, series| !series.has_left());
    }
}
