//! The nodes as the admin API shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tidegate_model::{Class, Id, Instant, Kind, Spec};

use super::{Fleet, NodePosition, NodeProblem, now};
use crate::config_stream::Head;

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// At the head.
    Current,
    /// On its way there.
    Behind,
    /// It refused a revision and serves the one before.
    Rejected,
    /// Not heard for a while, or never.
    Silent,
}

/// An enrolled node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeStatus {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// What it said of itself when it last connected, or joined.
    pub labels: BTreeMap<String, String>,
    /// When it joined.
    pub enrolled_at: Instant,
    /// How it is.
    pub status: NodeState,
    /// The revision of identity that it runs on.
    pub identity_revision: u64,
    /// The revision of traffic that it runs on.
    pub traffic_revision: u64,
    /// The version of its program; empty if it never connected.
    pub version: String,
    /// Where it takes traffic, or connects from.
    pub address: String,
    /// When it was last heard.
    pub last_seen: Option<Instant>,
    /// What is wrong on it.
    pub problems: Vec<NodeProblem>,
}

/// How old the table may be for a list.
const LIST_AGE: Duration = Duration::from_millis(500);

impl Fleet {
    /// All enrolled nodes, by age.
    pub async fn nodes(&self) -> Vec<NodeStatus> {
        let positions = self.all_positions(LIST_AGE).await;
        let head = self.source.head();
        let nodes = head.config.all(Kind::Node).filter_map(|resource| {
            let Spec::Node(node) = &resource.spec else { return None };
            let at = positions.get(&resource.id);
            let of_head = at.filter(|at| at.epoch == head.position.epoch);
            Some(NodeStatus {
                id: resource.id,
                name: resource.label(),
                labels: at.map_or_else(|| node.labels.clone(), |at| at.labels.clone()),
                enrolled_at: resource.created_at,
                status: self.state(at, &head),
                identity_revision: of_head.map_or(0, |at| at.identity),
                traffic_revision: of_head.map_or(0, |at| at.traffic),
                version: at.map(|at| at.version.clone()).unwrap_or_default(),
                address: at.map(|at| at.address.clone()).unwrap_or_default(),
                last_seen: at.map(|at| Instant::from_millis(at.last_seen)),
                problems: at.map(|at| at.problems.clone()).unwrap_or_default(),
            })
        });
        nodes.collect()
    }

    fn state(&self, at: Option<&NodePosition>, head: &Head) -> NodeState {
        let Some(at) = at.filter(|at| !self.is_silent(at)) else { return NodeState::Silent };
        let refused = |class| at.refused(class, 0);
        if refused(Class::Identity) || refused(Class::Traffic) {
            NodeState::Rejected
        } else if at.epoch == head.position.epoch && at.identity.min(at.traffic) >= head.position.revision {
            NodeState::Current
        } else {
            NodeState::Behind
        }
    }

    pub(super) fn is_silent(&self, at: &NodePosition) -> bool {
        let age = u64::try_from(now().saturating_sub(at.last_seen)).unwrap_or(0);
        Duration::from_millis(age) >= self.timings.silent_after
    }
}
