//! A place in a path. Trees are persistent: a change copies the nodes from the root to the place it touches and shares the rest.

use std::sync::Arc;

use super::children::{Children, Label};
use super::entry::{self, Entries, Entry};
use crate::CompiledRoute;

/// A place in a path. Small, as a look-up fetches each from memory.
#[derive(Clone, Default)]
pub(super) struct Node {
    /// What leads here: from the root, the literal beginning of the path; below a parameter, one segment.
    pub(super) label: Label,
    /// Routes that end here.
    pub(super) entries: Entries,
    /// Below any segment that is not empty.
    pub(super) parameter: Option<Arc<Node>>,
    /// Below a parameter: by the literal segment that follows.
    pub(super) literals: Option<Box<Children>>,
}

/// How a place is found from the literal beginning of a path.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Literal(&'a str),
    Parameter,
}

/// What a route takes of a node, in the order in which routes are looked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// What ends here.
    End,
    /// What its expression fits, which begins with the text that leads here.
    Expression,
    /// All below this place, not the place itself: a prefix with a `/` at its end, or `{*rest}`.
    Below,
    /// What ends here and all below.
    Prefix,
    /// Any path.
    Any,
}

impl Node {
    pub(super) fn labelled(label: &str) -> Self {
        Node { label: Label::from_slice(label.as_bytes()), ..Node::default() }
    }

    pub(super) fn insert(&mut self, steps: &[Step<'_>], entry: Entry) {
        let node = steps.iter().fold(self, |node, step| {
            Arc::make_mut(match step {
                Step::Literal(segment) => node.literals.get_or_insert_default().get_or_insert(segment),
                Step::Parameter => node.parameter.get_or_insert_default(),
            })
        });
        entry::insert(&mut node.entries, entry);
    }

    /// Removes a route and prunes what is left empty.
    pub(super) fn remove(&mut self, steps: &[Step<'_>], route: &CompiledRoute) {
        let Some((step, rest)) = steps.split_first() else {
            entry::remove(&mut self.entries, route);
            return;
        };
        match step {
            Step::Literal(segment) => {
                if let Some(literals) = &mut self.literals {
                    literals.change(segment, |child| child.remove(rest, route));
                }
                self.literals.take_if(|literals| literals.is_empty());
            }
            Step::Parameter => {
                if let Some(child) = &mut self.parameter {
                    Arc::make_mut(child).remove(rest, route);
                }
                self.parameter.take_if(|child| child.is_empty());
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.parameter.is_none() && self.literals.is_none()
    }
}
