//! One look-up.
//!
//! Places are offered from the most specific on, so that of what was found before, only a higher priority goes before it. In one
//! tree: what ends where the path does, a literal segment before a parameter; then expressions; then prefixes and `{*rest}`, the
//! most specific one first; then what takes any path.

use std::collections::BTreeSet;

use http::Method;
use smallvec::SmallVec;

use super::entry::{Entries, Entry, Takes};
use super::node::{Node, Place};
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
    /// How much of the path leads here.
    at: usize,
    next: Next,
}

enum Next {
    Literals,
    Parameter,
    Nothing,
}

/// Nodes on the way with routes that take more than what ends there, and how much of the path leads to them. Deeper ones come first.
type Passed<'a> = SmallVec<[(&'a Node, usize); 8]>;

impl<'a, 'r> Search<'a, 'r> {
    pub(super) fn best(requested: &'r Requested<'r>) -> Self {
        Search { requested, method: Takes::of(requested.method), best: None, methods: None }
    }

    pub(super) fn methods(requested: &'r Requested<'r>) -> Self {
        Search { methods: Some(BTreeSet::new()), ..Search::best(requested) }
    }

    pub(super) fn found(&self) -> Option<Found<'a>> {
        self.best.map(|entry| Found { route: &entry.route, path: entry.path(), for_preflight: false })
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
            if self.requested.path[at..].starts_with('/') {
                self.offer(&node.entries, Place::Below);
            }
            self.offer(&node.entries, Place::Prefix);
            if self.is_settled(tree) {
                return;
            }
        }
        self.offer(&tree.any, Place::Any);
    }

    /// Whether no route of this tree can go before the one that was found.
    fn is_settled(&self, tree: &Tree) -> bool {
        self.best.is_some_and(|best| best.priority >= tree.top)
    }

    /// Goes all ways that the path can go, and offers what ends at its end. The longest literal beginning comes first.
    fn ends(&mut self, tree: &'a Tree) -> Passed<'a> {
        let path = self.requested.path;
        let mut passed = Passed::new();
        let mut heads: SmallVec<[usize; 16]> = SmallVec::new();
        heads.push(0);
        let mut at = 0;
        while heads.len() <= tree.depth && at < path.len() {
            at = segment(path, at);
            heads.push(at);
        }
        while let Some(at) = heads.pop() {
            let Some(node) = tree.heads.get(&path[..at]) else { continue };
            if at == path.len() {
                self.offer(&node.entries, Place::End);
            } else if node.parameter.is_some() {
                self.walk(tree, node, at, &mut passed);
            }
            if self.is_settled(tree) {
                return passed;
            }
            pass(node, at, &mut passed);
        }
        passed
    }

    /// Goes all ways below a parameter of a head, a literal segment before a parameter.
    fn walk(&mut self, tree: &'a Tree, head: &'a Node, at: usize, passed: &mut Passed<'a>) {
        let path = self.requested.path;
        let mut way: SmallVec<[Frame<'a>; 8]> = SmallVec::new();
        way.push(Frame { node: head, at, next: Next::Parameter });
        while let Some(Frame { node, at, next }) = way.last_mut() {
            let (node, at) = (*node, *at);
            match next {
                Next::Literals if at == path.len() => {
                    *next = Next::Nothing;
                    self.offer(&node.entries, Place::End);
                    if self.is_settled(tree) {
                        return;
                    }
                }
                Next::Literals => {
                    *next = Next::Parameter;
                    let end = segment(path, at);
                    if let Some(child) = node.literals.as_ref().and_then(|literals| literals.get(&path[at + 1..end])) {
                        way.push(Frame { node: child, at: end, next: Next::Literals });
                    }
                }
                Next::Parameter => {
                    *next = Next::Nothing;
                    let end = segment(path, at);
                    if let Some(child) = &node.parameter
                        && end > at + 1
                    {
                        way.push(Frame { node: child, at: end, next: Next::Literals });
                    }
                }
                Next::Nothing => {
                    way.pop();
                    // the head is passed by who came here
                    if !way.is_empty() {
                        pass(node, at, passed);
                    }
                }
            }
        }
    }

    /// Offers the expressions that fit. They stand at several nodes, and the order goes over all of them.
    fn expressions(&mut self, passed: &Passed<'a>) {
        let requested = self.requested;
        let mut first: Option<&'a Entry> = None;
        let of_node = |(node, _): &(&'a Node, usize)| node.entries.iter();
        for entry in passed.iter().flat_map(of_node).filter(|entry| entry.place == Place::Expression) {
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
    fn offer(&mut self, entries: &'a Entries, place: Place) {
        for entry in entries.iter().filter(|entry| entry.place == place) {
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

/// Where the segment ends whose slash stands here.
fn segment(path: &str, slash: usize) -> usize {
    let rest = &path.as_bytes()[slash + 1..];
    slash + 1 + rest.iter().position(|b| *b == b'/').unwrap_or(rest.len())
}

#[inline]
fn pass<'a>(node: &'a Node, at: usize, passed: &mut Passed<'a>) {
    if node.entries.last().is_some_and(|entry| entry.place > Place::End) {
        passed.push((node, at));
    }
}

fn fits(entry: &Entry, path: &str) -> bool {
    entry.path().is_some_and(|path_of| path_of.expression_fits(path))
}
