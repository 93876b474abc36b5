//! A place in a path. Trees are persistent: a change copies the nodes from the root to the place it touches and shares the rest.

use std::sync::Arc;

use super::children::{Children, Label};
use super::entry::{self, Entries, Entry};
use crate::CompiledRoute;

/// A place in a path. Small, as a look-up fetches one for each segment.
#[derive(Clone, Default)]
pub(super) struct Node {
    /// The segment that leads here.
    pub(super) label: Label,
    /// By the literal segment that follows.
    pub(super) literals: Children,
    /// Below any segment that is not empty.
    pub(super) parameter: Option<Arc<Node>>,
    /// Routes that take what ends here.
    pub(super) ends: Entries,
    /// Routes that take what ends here and all below.
    pub(super) prefix: Entries,
    pub(super) rare: Option<Box<Rare>>,
}

/// What few places have.
#[derive(Clone, Default)]
pub(super) struct Rare {
    /// Routes that take all below this place, not the place itself: a prefix with a `/` at its end, or `{*rest}`.
    pub(super) below: Entries,
    /// Routes whose expression begins with the text that leads here.
    pub(super) expressions: Entries,
}

/// How a place is found from the root.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Literal(&'a str),
    Parameter,
}

/// Which routes of a node.
#[derive(Clone, Copy)]
pub(super) enum Place {
    End,
    Prefix,
    Below,
    Expression,
}

impl Node {
    pub(super) fn labelled(label: &str) -> Self {
        Node { label: Label::from_slice(label.as_bytes()), ..Node::default() }
    }

    pub(super) fn insert(&mut self, steps: &[Step<'_>], place: Place, entry: Entry) {
        let node = steps.iter().fold(self, |node, step| {
            Arc::make_mut(match step {
                Step::Literal(segment) => node.literals.get_or_insert(segment),
                Step::Parameter => node.parameter.get_or_insert_default(),
            })
        });
        entry::insert(node.entries(place), entry);
    }

    /// Removes a route and prunes what is left empty.
    pub(super) fn remove(&mut self, steps: &[Step<'_>], place: Place, route: &CompiledRoute) {
        let Some((step, rest)) = steps.split_first() else {
            entry::remove(self.entries(place), route);
            self.rare.take_if(|rare| rare.below.is_empty() && rare.expressions.is_empty());
            return;
        };
        match step {
            Step::Literal(segment) => {
                let Some(child) = self.literals.get_mut(segment) else { return };
                let child = Arc::make_mut(child);
                child.remove(rest, place, route);
                if child.is_empty() {
                    self.literals.remove(segment);
                }
            }
            Step::Parameter => {
                if let Some(child) = &mut self.parameter {
                    Arc::make_mut(child).remove(rest, place, route);
                }
                self.parameter.take_if(|child| child.is_empty());
            }
        }
    }

    fn entries(&mut self, place: Place) -> &mut Entries {
        match place {
            Place::End => &mut self.ends,
            Place::Prefix => &mut self.prefix,
            Place::Below => &mut self.rare.get_or_insert_default().below,
            Place::Expression => &mut self.rare.get_or_insert_default().expressions,
        }
    }

    fn is_empty(&self) -> bool {
        self.literals.is_empty()
            && self.parameter.is_none()
            && self.ends.is_empty()
            && self.prefix.is_empty()
            && self.rare.is_none()
    }
}
