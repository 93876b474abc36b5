//! One look-up.
//!
//! Places are offered from the most specific on, so that of what was found before, only a higher priority goes before it. In one
//! tree: what ends where the path does, a literal segment before a parameter; then expressions; then prefixes and `{*rest}`, the
//! most specific one first; then what takes any path.

use std::collections::BTreeSet;

use http::Method;
use smallvec::SmallVec;

use super::entry::{Entries, Entry, Takes};
use super::node::Node;
use super::tree::Tree;
use super::{Found, Requested};

pub(super) struct Search<'a, 'r> {
    requested: &'r Requested<'r>,
    method: Takes,
    best: Option<&'a Entry>,
    /// Instead of a route, all methods are sought that routes take which take the rest of the request.
    methods: Option<BTreeSet<&'a str>>,
}

/// A node on the way, and how much of it was looked at.
struct Frame<'a> {
    node: &'a Node,
    at: usize,
    /// Where the segment after `at` ends.
    end: usize,
    next: Next,
}

enum Next {
    Literals,
    Parameter,
    Nothing,
}

/// A node on the way with routes that take more than what ends there, and how much of the path leads to it. Deeper ones come first.
type Passed<'a> = SmallVec<[(&'a Node, usize); 8]>;

impl<'a, 'r> Search<'a, 'r> {
    pub(super) fn best(requested: &'r Requested<'r>) -> Self {
        Search { requested, method: Takes::of(requested.method), best: None, methods: None }
    }

    pub(super) fn methods(requested: &'r Requested<'r>) -> Self {
        Search { methods: Some(BTreeSet::new()), ..Search::best(requested) }
    }

    pub(super) fn found(&self) -> Option<Found<'a>> {
        self.best.map(|entry| Found { route: &entry.route, path: entry.path() })
    }

    pub(super) fn allowed(self) -> Vec<&'a str> {
        self.methods.unwrap_or_default().into_iter().collect()
    }

    /// Offers the routes of one tree.
    pub(super) fn tree(&mut self, tree: &'a Tree) {
        if tree.is_empty() || self.is_settled(tree) {
            return;
        }
        let passed = self.ends(tree);
        if self.is_settled(tree) {
            return;
        }
        self.expressions(&passed);
        if self.is_settled(tree) {
            return;
        }
        for (node, at) in passed {
            if let Some(rare) = &node.rare
                && self.requested.path[at..].starts_with('/')
            {
                self.offer(&rare.below);
            }
            self.offer(&node.prefix);
            if self.is_settled(tree) {
                return;
            }
        }
        self.offer(&tree.any);
    }

    /// Whether no route of this tree can go before the one that was found.
    fn is_settled(&self, tree: &Tree) -> bool {
        self.best.is_some_and(|best| best.priority >= tree.top)
    }

    /// Walks all ways that the path can go, and offers what ends at its end.
    fn ends(&mut self, tree: &'a Tree) -> Passed<'a> {
        let path = self.requested.path;
        let frame = |node, at: usize| {
            let end = path[at..].get(1..).map_or(at, |rest| at + 1 + rest.find('/').unwrap_or(rest.len()));
            Frame { node, at, end, next: Next::Literals }
        };
        let mut passed = Passed::new();
        let mut way: SmallVec<[Frame<'a>; 8]> = SmallVec::new();
        way.push(frame(&tree.root, 0));
        while let Some(top) = way.last_mut() {
            let Frame { node, at, end, .. } = *top;
            match top.next {
                Next::Literals if at == path.len() => {
                    top.next = Next::Nothing;
                    self.offer(&node.ends);
                    if self.is_settled(tree) {
                        return passed;
                    }
                }
                Next::Literals => {
                    top.next = if node.parameter.is_some() && end > at + 1 { Next::Parameter } else { Next::Nothing };
                    if let Some(child) = node.literals.get(&path[at + 1..end]) {
                        way.push(frame(child, end));
                    }
                }
                Next::Parameter => {
                    top.next = Next::Nothing;
                    if let Some(child) = &node.parameter {
                        way.push(frame(child, end));
                    }
                }
                Next::Nothing => {
                    way.pop();
                    if !node.prefix.is_empty() || node.rare.is_some() {
                        passed.push((node, at));
                    }
                }
            }
        }
        passed
    }

    /// Offers the expressions that fit. They stand at several nodes, and the order goes over all of them.
    fn expressions(&mut self, passed: &Passed<'a>) {
        let requested = self.requested;
        let mut first: Option<&'a Entry> = None;
        for entry in passed.iter().filter_map(|(node, _)| node.rare.as_ref()).flat_map(|rare| &rare.expressions) {
            if self.methods.is_some() {
                self.offer_expression(entry);
                continue;
            }
            let goes_before = self.best.is_none_or(|best| entry.priority > best.priority)
                && first.is_none_or(|first| entry.order() < first.order());
            if goes_before && entry.takes(self.method, requested) && fits(entry, requested.path) {
                first = Some(entry);
            }
        }
        self.best = first.or(self.best);
    }

    fn offer_expression(&mut self, entry: &'a Entry) {
        if fits(entry, self.requested.path) {
            self.note_methods(entry);
        }
    }

    /// Offers the routes of a place.
    #[inline]
    fn offer(&mut self, entries: &'a Entries) {
        for entry in entries {
            if self.methods.is_some() {
                self.note_methods(entry);
                continue;
            }
            // in a place, priorities fall
            if self.best.is_some_and(|best| entry.priority <= best.priority) {
                return;
            }
            if entry.takes(self.method, self.requested) {
                self.best = Some(entry);
                return;
            }
        }
    }

    fn note_methods(&mut self, entry: &'a Entry) {
        if !entry.predicates_hold(self.requested) {
            return;
        }
        let Some(methods) = &mut self.methods else { return };
        methods.extend(entry.route.methods.iter().map(Method::as_str));
        if entry.route.methods.contains(&Method::GET) {
            methods.insert("HEAD");
        }
    }
}

fn fits(entry: &Entry, path: &str) -> bool {
    entry.path().is_some_and(|path_of| path_of.expression_fits(path))
}
