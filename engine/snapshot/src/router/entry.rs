//! A route at a place of the tree: what a look-up must know of it lies beside the pointer to it.

use std::cmp::Reverse;
use std::sync::Arc;

use http::Method;
use smallvec::SmallVec;

use super::Requested;
use super::node::Place;
use crate::CompiledRoute;
use crate::path::CompiledPath;

/// Routes of a node, by place, the first one of each first. Nearly always there is one, and it lies in the node itself.
pub(super) type Entries = SmallVec<[Entry; 1]>;

/// A route at a place.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) route: Arc<CompiledRoute>,
    pub(super) priority: i32,
    takes: Takes,
    /// Which of the route's paths leads here.
    path: u8,
    pub(super) place: Place,
}

/// Methods as bits, and what only the route itself can tell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Takes(u16);

impl Takes {
    /// Every method that has no bit of its own.
    const OTHER: Takes = Takes(1 << 9);
    const ALL: Takes = Takes((1 << 10) - 1);
    /// The route asks something of headers or query.
    const PREDICATES: u16 = 1 << 10;

    pub(super) fn of(method: &Method) -> Takes {
        Takes(match *method {
            Method::GET => 1,
            Method::HEAD => 1 << 1,
            Method::POST => 1 << 2,
            Method::PUT => 1 << 3,
            Method::DELETE => 1 << 4,
            Method::PATCH => 1 << 5,
            Method::OPTIONS => 1 << 6,
            Method::CONNECT => 1 << 7,
            Method::TRACE => 1 << 8,
            _ => return Takes::OTHER,
        })
    }

    fn by(route: &CompiledRoute) -> Takes {
        let mut takes = if route.methods.is_empty() { Takes::ALL } else { Takes(0) };
        for method in &route.methods {
            takes.0 |= Takes::of(method).0;
            if *method == Method::GET {
                takes.0 |= Takes::of(&Method::HEAD).0;
            }
        }
        if !route.predicates.is_empty() {
            takes.0 |= Takes::PREDICATES;
        }
        takes
    }
}

impl Entry {
    /// A document has at most 256 paths.
    pub(super) fn new(route: &Arc<CompiledRoute>, path: u8, place: Place) -> Self {
        Entry { route: route.clone(), priority: route.priority, takes: Takes::by(route), path, place }
    }

    /// Whether it takes the method, headers and query.
    #[inline]
    pub(super) fn takes(&self, method: Takes, requested: &Requested<'_>) -> bool {
        if self.takes.0 & method.0 == 0 {
            return false;
        }
        if method != Takes::OTHER && self.takes.0 & Takes::PREDICATES == 0 {
            return true;
        }
        self.route.takes(requested.method) && self.predicates_hold(requested)
    }

    pub(super) fn predicates_hold(&self, requested: &Requested<'_>) -> bool {
        self.route.predicates.hold(requested.headers, requested.query)
    }

    pub(super) fn path(&self) -> Option<&CompiledPath> {
        self.route.paths.get(usize::from(self.path))
    }

    /// What is smaller goes first, of routes at places of one rank. A route that takes any path has none.
    pub(super) fn order(&self) -> impl Ord + use<> {
        let route = &*self.route;
        (
            Reverse(self.priority),
            Reverse(self.path().map_or(0, CompiledPath::expression_length)),
            route.methods.is_empty(),
            Reverse(route.predicates.headers.len()),
            Reverse(route.predicates.query.len()),
            route.facts.route,
            self.path,
        )
    }
}

pub(super) fn insert(entries: &mut Entries, entry: Entry) {
    let at = entries.partition_point(|other| (other.place, other.order()) < (entry.place, entry.order()));
    entries.insert(at, entry);
}

pub(super) fn remove(entries: &mut Entries, route: &CompiledRoute) {
    entries.retain(|other| other.route.slot != route.slot);
}
