//! How far a node is, as it is kept for all replicas to see.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_model::{Class, Id, Problem};
use uuid::Uuid;

/// Where a node is, as the replica that it is connected to last heard.
#[derive(Debug, Clone, PartialEq)]
pub struct NodePosition {
    /// Which node.
    pub node: Id,
    /// The control plane that says so.
    pub replica: String,
    /// The stream between the two.
    pub session: Uuid,
    /// The log that its revisions are of; nil before it has any.
    pub epoch: Uuid,
    /// The revision of identity that it runs on.
    pub identity: u64,
    /// The revision of traffic that it runs on.
    pub traffic: u64,
    /// The version of its program.
    pub version: String,
    /// Where it takes traffic, or connects from.
    pub address: String,
    /// What it said of itself when it connected.
    pub labels: BTreeMap<String, String>,
    /// What is wrong on it.
    pub problems: Vec<NodeProblem>,
    /// When it was last heard; milliseconds since 1970.
    pub last_seen: i64,
}

/// Something wrong on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeProblem {
    /// `identity` or `traffic`.
    pub class: String,
    /// The revision that has it.
    pub revision: u64,
    /// What it is.
    #[serde(flatten)]
    pub problem: Problem,
}

impl NodePosition {
    /// The revision of a class.
    pub fn revision(&self, class: Class) -> u64 {
        match class {
            Class::Identity => self.identity,
            Class::Traffic => self.traffic,
            Class::Control => u64::MAX,
        }
    }

    /// Whether the node refused a revision of this class, or a later one.
    pub fn refused(&self, class: Class, revision: u64) -> bool {
        self.problems
            .iter()
            .any(|p| p.class == class.as_str() && p.revision >= revision && p.problem.code != NOT_PERSISTED)
    }
}

/// The code of the problem of a node that could not write its configuration to its disk.
pub const NOT_PERSISTED: &str = "not_persisted";

/// Where the positions of all nodes are kept: one table for all replicas.
#[tonic::async_trait]
pub trait Positions: Send + Sync + 'static {
    /// Writes some.
    async fn put(&self, positions: Vec<NodePosition>) -> anyhow::Result<()>;

    /// Reads all.
    async fn all(&self) -> anyhow::Result<Vec<NodePosition>>;

    /// Notes the hours in which credentials were used.
    async fn note_uses(&self, _uses: Vec<(Id, u32)>) -> anyhow::Result<()> {
        Ok(())
    }
}
