//! The connections that a worker keeps, by upstream and address: they outlive the snapshot that led to them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tidegate_model::{Authority, Id};

use crate::exchange::hyper_client::Connection;
use crate::exchange::watch::{Due, Watch, ticks};
use crate::limits::Limits;
use crate::telemetry::series::{Meters, TargetSeries};

/// All targets that a worker knows.
pub(crate) struct Pools {
    targets: RefCell<HashMap<(Id, Authority), Rc<Target>>>,
    kept_max: usize,
    kept_ticks: u32,
    meters: Rc<Meters>,
}

/// What a worker holds for one target.
pub(crate) struct Target {
    /// Where it is.
    pub(crate) address: Authority,
    /// What is counted of it.
    pub(crate) series: Arc<TargetSeries>,
    /// Its place in the rotation of its upstream.
    pub(super) turn: Cell<i64>,
    /// Idle connections, the one that was used last at the end.
    kept: RefCell<Vec<Kept>>,
    kept_max: usize,
    kept_ticks: u32,
}

struct Kept {
    connection: Connection,
    until: Due,
}

impl Pools {
    /// For one of so many workers.
    pub(crate) fn new(limits: &Limits, workers: usize, meters: Rc<Meters>) -> Self {
        Pools {
            targets: RefCell::default(),
            kept_max: limits.upstream_kept_max.div_ceil(workers.max(1)),
            kept_ticks: ticks(limits.upstream_kept),
            meters,
        }
    }

    /// A target of an upstream.
    pub(crate) fn target(&self, upstream: Id, address: &Authority) -> Rc<Target> {
        let mut targets = self.targets.borrow_mut();
        let target = targets.entry((upstream, address.clone())).or_insert_with(|| {
            Rc::new(Target {
                address: address.clone(),
                series: self.meters.target(upstream, address),
                turn: Cell::new(0),
                kept: RefCell::default(),
                kept_max: self.kept_max,
                kept_ticks: self.kept_ticks,
            })
        });
        target.clone()
    }

    /// How many idle connections are kept.
    pub(crate) fn kept(&self) -> usize {
        self.targets.borrow().values().map(|target| target.kept.borrow().len()).sum()
    }

    /// Closes what was idle for too long and forgets targets that nothing leads to any more.
    pub(crate) fn sweep(&self, now: Due) {
        self.targets.borrow_mut().retain(|_, target| {
            target.kept.borrow_mut().retain(|kept| kept.until > now && kept.connection.stands());
            target.series.idle(target.kept.borrow().len());
            Rc::strong_count(target) > 1 || !target.kept.borrow().is_empty()
        });
    }

    /// Closes all that is idle.
    pub(crate) fn clear(&self) {
        for target in self.targets.borrow().values() {
            target.kept.borrow_mut().clear();
        }
    }
}

impl Target {
    /// A kept connection that seems to stand.
    pub(crate) async fn kept(self: &Rc<Self>) -> Option<Lease> {
        loop {
            // not held across the wait
            let kept = self.kept.borrow_mut().pop();
            let mut connection = kept?.connection;
            if connection.stands() && connection.is_ready().await {
                return Some(self.lease(connection));
            }
        }
    }

    /// A connection to this target for one exchange.
    pub(crate) fn lease(self: &Rc<Self>, connection: Connection) -> Lease {
        Lease { connection, target: self.clone() }
    }
}

/// A connection for one exchange. Dropped, it is closed; given back, it is kept.
pub(crate) struct Lease {
    pub(crate) connection: Connection,
    target: Rc<Target>,
}

impl Lease {
    /// The exchange is wholly over: the connection may serve another.
    pub(crate) fn give_back(self, watch: &Watch) {
        let mut kept = self.target.kept.borrow_mut();
        if kept.len() < self.target.kept_max && self.connection.stands() {
            kept.push(Kept { connection: self.connection, until: watch.after(self.target.kept_ticks) });
        }
    }
}
