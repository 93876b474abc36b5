//! The connections that a worker keeps, by upstream and address: they outlive the snapshot that led to them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tidegate_model::{Authority, Id};

use super::multiplexed::{Multiplexed, Slot};
use crate::exchange::h2_client::Rest;
use crate::exchange::hyper_client::Connection;
use crate::exchange::tunnel::Switched;
use crate::exchange::watch::{Due, Watch, ticks};
use crate::limits::Limits;
use crate::telemetry::series::{Meters, TargetSeries};

/// All targets that a worker knows.
pub(crate) struct Pools {
    targets: RefCell<HashMap<(Id, Authority), Rc<Target>>>,
    kept_max: usize,
    kept_ticks: u32,
    h2_streams_max: usize,
    h2_connections_max: usize,
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
    /// Those of HTTP/2.
    pub(super) multiplexed: Multiplexed,
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
            h2_streams_max: limits.upstream_h2_streams_max as usize,
            h2_connections_max: limits.upstream_h2_connections_max.div_ceil(workers.max(1)),
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
                multiplexed: Multiplexed::new(self.h2_streams_max, self.h2_connections_max),
                kept_max: self.kept_max,
                kept_ticks: self.kept_ticks,
            })
        });
        target.clone()
    }

    /// How many idle connections are kept.
    pub(crate) fn kept(&self) -> usize {
        self.targets.borrow().values().map(|target| target.kept.borrow().len() + target.multiplexed.idle()).sum()
    }

    /// Closes what was idle for too long and forgets targets that nothing leads to any more.
    pub(crate) fn sweep(&self, now: Due) {
        self.targets.borrow_mut().retain(|_, target| {
            target.kept.borrow_mut().retain(|kept| kept.until > now && kept.connection.stands());
            for _ in 0..target.multiplexed.sweep(now, target.kept_ticks) {
                target.series.not_connected();
            }
            target.series.idle(target.kept.borrow().len() + target.multiplexed.idle());
            Rc::strong_count(target) > 1 || !target.kept.borrow().is_empty() || !target.multiplexed.is_empty()
        });
    }

    /// Closes all that is idle.
    pub(crate) fn clear(&self) {
        for target in self.targets.borrow().values() {
            target.kept.borrow_mut().clear();
            target.multiplexed.clear();
        }
    }
}

impl Target {
    /// A kept connection that seems to stand.
    pub(super) async fn kept(self: &Rc<Self>) -> Option<Single> {
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
    pub(super) fn lease(self: &Rc<Self>, connection: Connection) -> Single {
        Single { connection, target: self.clone() }
    }
}

/// What an exchange holds of the way to its target. Dropped, what is under way on it ends.
pub(crate) enum Lease {
    /// A connection of HTTP/1 that may be kept.
    Single(Single),
    /// A connection of HTTP/1 that ends with its exchange.
    Last(#[expect(dead_code, reason = "held for as long as the exchange lasts")] Connection),
    /// A stream of HTTP/2, and what is still sent on it.
    Stream {
        #[expect(dead_code, reason = "held for as long as the exchange lasts")]
        rest: Option<Rest>,
        #[expect(dead_code, reason = "held for as long as the exchange lasts")]
        slot: Slot,
    },
    /// The bytes of a tunnel, and the stream they come over if it is one.
    Tunnel { switched: Switched, slot: Option<Slot> },
}

/// A connection of HTTP/1 for one exchange. Dropped, it is closed.
pub(crate) struct Single {
    pub(super) connection: Connection,
    target: Rc<Target>,
}

impl Lease {
    /// The exchange is wholly over: a connection may serve another.
    pub(crate) fn give_back(self, watch: &Watch) {
        let Lease::Single(Single { connection, target }) = self else { return };
        let mut kept = target.kept.borrow_mut();
        if kept.len() < target.kept_max && connection.stands() {
            kept.push(Kept { connection, until: watch.after(target.kept_ticks) });
        }
    }
}
