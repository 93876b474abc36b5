//! What the stream needs from the rest of the control plane.

use tidegate_model::{Chain, Delta, GatewayConfig, Id, Name, Node, Position};

/// The fold of the log at its end, as this replica knows it. Cheap to copy.
#[derive(Clone)]
pub struct Head {
    /// Where that is.
    pub position: Position,
    /// All resources.
    pub config: GatewayConfig,
}

/// The log, folded.
#[tonic::async_trait]
pub trait Source: Send + Sync + 'static {
    /// The head.
    fn head(&self) -> Head;

    /// Ends once the head is elsewhere than here.
    async fn moved(&self, from: Position);

    /// The chain at a revision: of the head, and of those revisions that [`Source::delta`] can start from.
    fn chain_at(&self, revision: u64) -> Option<Chain>;

    /// What leads from one revision to a later one; each resource once. `None` if that is too long ago.
    fn delta(&self, from: u64, to: u64) -> Option<Delta>;

    /// Asks the store whether the head is up to date, and catches up if not. `false` if the store does not answer.
    async fn confirm(&self) -> bool;
}

/// A node that wants to be enrolled.
#[derive(Debug, Clone)]
pub struct NewNode {
    /// Free a moment ago.
    pub name: Name,
    /// Its document.
    pub node: Node,
    /// Where it connects from.
    pub address: Option<String>,
}

/// Why a node could not be enrolled.
#[derive(Debug, thiserror::Error)]
pub enum CommitNodeError {
    /// Another node got the name first: the next name is tried.
    #[error("the name is taken")]
    NameTaken,
    /// It may work later.
    #[error("the node could not be enrolled: {0}")]
    Unavailable(String),
}

/// Makes nodes part of the configuration.
#[tonic::async_trait]
pub trait Nodes: Send + Sync + 'static {
    /// Commits a node and gives its id; from then on [`Source::head`] has it.
    async fn commit(&self, node: NewNode) -> Result<Id, CommitNodeError>;
}
