//! The nodes below a node, by their segment.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use imbl::GenericHashMap;
use imbl::shared_ptr::DefaultSharedPtr;
use smallvec::SmallVec;

use super::node::Node;

/// A segment: short ones lie in the node itself.
pub(super) type Label = SmallVec<[u8; 16]>;

/// Configuration alone says what is in here, so a fixed hash serves: callers can't make keys collide.
pub(super) type Table<K, V> = GenericHashMap<K, V, FixedState, DefaultSharedPtr>;

/// Children: a flat list, which one or two cache lines of tell where the child is; for very many a tree, so that adding one more
/// does not copy them all.
#[derive(Clone)]
pub(super) enum Children {
    /// Ordered by hash.
    Few(Vec<(u32, Arc<Node>)>),
    Many(Box<Table<Label, Arc<Node>>>),
}

const FEW: usize = 256;

impl Default for Children {
    fn default() -> Self {
        Children::Few(Vec::new())
    }
}

fn hash(segment: &[u8]) -> u32 {
    (FixedState::default().hash_one(segment) >> 32) as u32
}

/// Where the first of a hash is or would be. Hashes are spread evenly, so it is near where its size says.
fn place(list: &[(u32, Arc<Node>)], hash: u32) -> usize {
    let mut at = ((u64::from(hash) * list.len() as u64) >> 32) as usize;
    while at < list.len() && list[at].0 < hash {
        at += 1;
    }
    while at > 0 && list[at - 1].0 >= hash {
        at -= 1;
    }
    at
}

fn position(list: &[(u32, Arc<Node>)], segment: &[u8]) -> Result<usize, (usize, u32)> {
    let hash = hash(segment);
    let first = place(list, hash);
    let mut at = first;
    while let Some((other, node)) = list.get(at).filter(|(other, _)| *other == hash) {
        debug_assert_eq!(*other, hash);
        if node.label.as_slice() == segment {
            return Ok(at);
        }
        at += 1;
    }
    Err((first, hash))
}

impl Children {
    #[inline]
    pub(super) fn get(&self, segment: &str) -> Option<&Arc<Node>> {
        match self {
            Children::Few(list) if list.is_empty() => None,
            Children::Few(list) => position(list, segment.as_bytes()).ok().map(|at| &list[at].1),
            Children::Many(table) => table.get(segment.as_bytes()),
        }
    }

    pub(super) fn get_mut(&mut self, segment: &str) -> Option<&mut Arc<Node>> {
        match self {
            Children::Few(list) => position(list, segment.as_bytes()).ok().map(|at| &mut list[at].1),
            Children::Many(table) => table.get_mut(segment.as_bytes()),
        }
    }

    pub(super) fn get_or_insert(&mut self, segment: &str) -> &mut Arc<Node> {
        if let Children::Few(list) = self
            && list.len() >= FEW
        {
            let table = list.drain(..).map(|(_, node)| (node.label.clone(), node)).collect();
            *self = Children::Many(Box::new(table));
        }
        let new = || Arc::new(Node::labelled(segment));
        match self {
            Children::Few(list) => {
                let at = position(list, segment.as_bytes()).unwrap_or_else(|(at, hash)| {
                    list.insert(at, (hash, new()));
                    at
                });
                &mut list[at].1
            }
            Children::Many(table) => table.entry(Label::from_slice(segment.as_bytes())).or_insert_with(new),
        }
    }

    pub(super) fn remove(&mut self, segment: &str) {
        match self {
            Children::Few(list) => {
                if let Ok(at) = position(list, segment.as_bytes()) {
                    list.remove(at);
                }
            }
            Children::Many(table) => {
                table.remove(segment.as_bytes());
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Children::Few(list) => list.is_empty(),
            Children::Many(table) => table.is_empty(),
        }
    }
}
