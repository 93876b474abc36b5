//! Nodes by the text that leads to them.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use imbl::GenericHashMap;
use imbl::shared_ptr::DefaultSharedPtr;
use smallvec::SmallVec;

use super::node::Node;

/// The text that leads to a node: what is short lies in the node itself.
pub(super) type Label = SmallVec<[u8; 24]>;

/// Configuration alone says what is in here, so a fixed hash serves: callers can't make keys collide.
pub(super) type Table<K, V> = GenericHashMap<K, V, FixedState, DefaultSharedPtr>;

/// A list, of whose hashes a cache line or two tell where a node is; for very many a tree, so that adding one more does not copy
/// them all.
#[derive(Clone)]
pub(super) enum Children {
    Few(Few),
    Many(Table<Label, Arc<Node>>),
}

/// Ordered by hash.
#[derive(Clone, Default)]
pub(super) struct Few {
    hashes: Vec<u32>,
    nodes: Vec<Arc<Node>>,
}

const FEW: usize = 512;

impl Default for Children {
    fn default() -> Self {
        Children::Few(Few::default())
    }
}

impl Few {
    fn hash(label: &[u8]) -> u32 {
        (FixedState::default().hash_one(label) >> 32) as u32
    }

    /// Where the first of a hash is or would be. Hashes are spread evenly, so it is near where its size says.
    fn first(&self, hash: u32) -> usize {
        let hashes = self.hashes.as_slice();
        let mut at = ((u64::from(hash) * hashes.len() as u64) >> 32) as usize;
        while hashes.get(at).is_some_and(|other| *other < hash) {
            at += 1;
        }
        while at > 0 && hashes[at - 1] >= hash {
            at -= 1;
        }
        at
    }

    /// Where a label is, or where it would be and its hash.
    #[inline]
    fn position(&self, label: &[u8]) -> Result<usize, (usize, u32)> {
        let hash = Few::hash(label);
        let first = self.first(hash);
        let mut at = first;
        while self.hashes.get(at) == Some(&hash) {
            if self.nodes[at].label.as_slice() == label {
                return Ok(at);
            }
            at += 1;
        }
        Err((first, hash))
    }
}

impl Children {
    #[inline]
    pub(super) fn get(&self, label: &str) -> Option<&Node> {
        match self {
            Children::Few(few) => few.position(label.as_bytes()).ok().map(|at| &*few.nodes[at]),
            Children::Many(table) => table.get(label.as_bytes()).map(|node| &**node),
        }
    }

    pub(super) fn get_or_insert(&mut self, label: &str) -> &mut Arc<Node> {
        if let Children::Few(few) = self
            && few.nodes.len() >= FEW
        {
            let nodes = std::mem::take(&mut few.nodes).into_iter();
            *self = Children::Many(nodes.map(|node| (node.label.clone(), node)).collect());
        }
        let new = || Arc::new(Node::labelled(label));
        match self {
            Children::Few(few) => {
                let at = few.position(label.as_bytes()).unwrap_or_else(|(at, hash)| {
                    few.hashes.insert(at, hash);
                    few.nodes.insert(at, new());
                    at
                });
                &mut few.nodes[at]
            }
            Children::Many(table) => table.entry(Label::from_slice(label.as_bytes())).or_insert_with(new),
        }
    }

    /// Changes a node, and takes it out if that leaves it empty.
    pub(super) fn change(&mut self, label: &str, change: impl FnOnce(&mut Node)) {
        match self {
            Children::Few(few) => {
                let Ok(at) = few.position(label.as_bytes()) else { return };
                let node = Arc::make_mut(&mut few.nodes[at]);
                change(node);
                if node.is_empty() {
                    few.hashes.remove(at);
                    few.nodes.remove(at);
                }
            }
            Children::Many(table) => {
                let Some(node) = table.get_mut(label.as_bytes()) else { return };
                let node = Arc::make_mut(node);
                change(node);
                if node.is_empty() {
                    table.remove(label.as_bytes());
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Children::Few(few) => few.nodes.is_empty(),
            Children::Many(table) => table.is_empty(),
        }
    }
}
