//! All routes of one host.

use std::sync::Arc;

use imbl::OrdMap;
use smallvec::SmallVec;
use tidegate_model::{PathRule, Segment};

use super::entry::{self, Entries, Entry};
use super::node::{Node, Place, Step};
use crate::CompiledRoute;

/// All routes of one host.
#[derive(Clone, Default)]
pub(super) struct Tree {
    pub(super) root: Node,
    /// Routes that take any path.
    pub(super) any: Entries,
    /// The highest priority of a route in here: once one of it is found, none can go before.
    pub(super) top: i32,
    priorities: OrdMap<i32, usize>,
}

impl Tree {
    pub(super) fn insert(&mut self, route: &Arc<CompiledRoute>) {
        if route.paths.is_empty() {
            entry::insert(&mut self.any, Entry::new(route, None));
        }
        for (number, path) in route.paths.iter().enumerate() {
            let (steps, place) = place(&path.rule);
            self.root.insert(&steps, place, Entry::new(route, Some(number)));
        }
        *self.priorities.entry(route.priority).or_default() += 1;
        self.settle();
    }

    pub(super) fn remove(&mut self, route: &CompiledRoute) {
        if route.paths.is_empty() {
            entry::remove(&mut self.any, route);
        }
        for path in &route.paths {
            let (steps, place) = place(&path.rule);
            self.root.remove(&steps, place, route);
        }
        if let Some(count) = self.priorities.get_mut(&route.priority) {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&route.priority);
            }
        }
        self.settle();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.priorities.is_empty()
    }

    fn settle(&mut self) {
        self.top = self.priorities.get_max().map_or(i32::MIN, |(priority, _)| *priority);
    }
}

/// Where a path of a match stands in a tree.
fn place(rule: &PathRule) -> (SmallVec<[Step<'_>; 8]>, Place) {
    let literal = |text| Step::Literal(text);
    match rule {
        PathRule::Exact(path) => (path.as_str()[1..].split('/').map(literal).collect(), Place::End),
        PathRule::Prefix(path) => match path.as_str() {
            "/" => (SmallVec::new(), Place::Prefix),
            path => match path.strip_suffix('/') {
                Some(above) => (above[1..].split('/').map(literal).collect(), Place::Below),
                None => (path[1..].split('/').map(literal).collect(), Place::Prefix),
            },
        },
        PathRule::Template(template) => {
            let mut place = Place::End;
            let mut steps = SmallVec::new();
            for segment in template.segments() {
                match segment {
                    Segment::Literal(text) => steps.push(Step::Literal(text)),
                    Segment::Parameter(_) => steps.push(Step::Parameter),
                    Segment::Rest(_) => place = Place::Below,
                }
            }
            (steps, place)
        }
        PathRule::Regex(pattern) => {
            // whole segments only: what follows the last slash may go on
            let head = pattern.head();
            let steps = match head.strip_prefix('/').and_then(|head| head.rsplit_once('/')) {
                Some((whole, _)) => whole.split('/').map(literal).collect(),
                None => SmallVec::new(),
            };
            (steps, Place::Expression)
        }
    }
}
