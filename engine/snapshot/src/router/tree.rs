//! All routes of one host.

use std::sync::Arc;

use imbl::OrdMap;
use smallvec::SmallVec;
use tidegate_model::{PathRule, Segment};

use super::children::Children;
use super::entry::{self, Entries, Entry};
use super::node::{Place, Step};
use crate::CompiledRoute;

/// All routes of one host.
#[derive(Clone, Default)]
pub(super) struct Tree {
    /// By the literal beginning of their paths, whole, up to the first parameter, the rest or the end: a look-up goes straight to
    /// it, however many segments it has.
    pub(super) heads: Children,
    /// Routes that take any path.
    pub(super) any: Entries,
    /// The highest priority of a route in here: once one of it is found, none can go before.
    pub(super) top: i32,
    /// The most segments that a head has.
    pub(super) depth: usize,
    priorities: OrdMap<i32, usize>,
    depths: OrdMap<usize, usize>,
}

impl Tree {
    pub(super) fn insert(&mut self, route: &Arc<CompiledRoute>) {
        if route.paths.is_empty() {
            entry::insert(&mut self.any, Entry::new(route, 0, Place::Any));
        }
        for (number, path) in route.paths.iter().enumerate() {
            let spot = Spot::of(&path.rule);
            let entry = Entry::new(route, u8::try_from(number).unwrap_or(u8::MAX), spot.place);
            Arc::make_mut(self.heads.get_or_insert(spot.head)).insert(&spot.steps, entry);
            *self.depths.entry(spot.depth()).or_default() += 1;
        }
        *self.priorities.entry(route.priority).or_default() += 1;
        self.settle();
    }

    pub(super) fn remove(&mut self, route: &CompiledRoute) {
        if route.paths.is_empty() {
            entry::remove(&mut self.any, route);
        }
        for path in &route.paths {
            let spot = Spot::of(&path.rule);
            self.heads.change(spot.head, |node| node.remove(&spot.steps, route));
            one_less(&mut self.depths, spot.depth());
        }
        one_less(&mut self.priorities, route.priority);
        self.settle();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.priorities.is_empty()
    }

    fn settle(&mut self) {
        self.top = self.priorities.get_max().map_or(i32::MIN, |(priority, _)| *priority);
        self.depth = self.depths.get_max().map_or(0, |(depth, _)| *depth);
    }
}

fn one_less<K: Ord + Copy>(counts: &mut OrdMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// Where a path of a match stands in a tree.
struct Spot<'a> {
    /// Literal text of whole segments, each with the slash before it; empty for the root.
    head: &'a str,
    steps: SmallVec<[Step<'a>; 8]>,
    place: Place,
}

impl<'a> Spot<'a> {
    fn of(rule: &'a PathRule) -> Self {
        let at = |head, place| Spot { head, steps: SmallVec::new(), place };
        match rule {
            PathRule::Exact(path) => at(path.as_str(), Place::End),
            PathRule::Prefix(path) => match (path.as_str(), path.as_str().strip_suffix('/')) {
                ("/", _) => at("", Place::Prefix),
                (_, Some(above)) => at(above, Place::Below),
                (path, None) => at(path, Place::Prefix),
            },
            // whole segments only: what follows the last slash may go on
            PathRule::Regex(pattern) => {
                at(pattern.head().rsplit_once('/').map_or("", |(whole, _)| whole), Place::Expression)
            }
            PathRule::Template(template) => {
                let mut spot = at("", Place::End);
                let mut literal = 0;
                for segment in template.segments() {
                    match segment {
                        Segment::Literal(text) if spot.steps.is_empty() => literal += 1 + text.len(),
                        Segment::Literal(text) => spot.steps.push(Step::Literal(text)),
                        Segment::Parameter(_) => spot.steps.push(Step::Parameter),
                        Segment::Rest(_) => spot.place = Place::Below,
                    }
                }
                spot.head = &template.as_str()[..literal];
                spot
            }
        }
    }

    fn depth(&self) -> usize {
        self.head.matches('/').count()
    }
}
