//! The changes as the config stream sees them: a log to follow, and a way to enrol nodes.

use serde_json::json;
use tidegate_model::{Chain, Delta, Id, Kind, Position};

use super::{Actor, ChangeError, ChangeSet, Changes, Conflict, Wish};
use crate::config_stream::{CommitNodeError, Head, NewNode, Nodes, Source};

#[async_trait::async_trait]
impl Source for Changes {
    fn head(&self) -> Head {
        let now = self.current();
        Head { position: now.position, config: now.config().clone() }
    }

    async fn moved(&self, from: Position) {
        let mut published = self.subscribe();
        // the sender lives as long as this handle
        let _ = published.wait_for(|now| now.position != from).await;
    }

    fn chain_at(&self, revision: u64) -> Option<Chain> {
        self.ring().chain_at(revision)
    }

    fn delta(&self, from: u64, to: u64) -> Option<Delta> {
        self.ring().delta(from, to)
    }

    async fn confirm(&self) -> bool {
        let caught_up = async {
            self.0.catch_up().await?;
            self.0.check_history().await
        };
        caught_up.await.is_ok()
    }
}

#[async_trait::async_trait]
impl Nodes for Changes {
    async fn commit(&self, new: NewNode) -> Result<Id, CommitNodeError> {
        let mut document = json!(new.node);
        document["name"] = json!(new.name);
        let by = Actor { name: format!("node/{}", new.name), address: new.address, request_id: None };
        match Changes::commit(self, &by, ChangeSet::one(Kind::Node, Wish::Create(document))).await {
            Ok(committed) => Ok(committed.outcomes[0].resource.id),
            Err(ChangeError::Conflict(Conflict::NameTaken { .. })) => Err(CommitNodeError::NameTaken),
            Err(error) => Err(CommitNodeError::Unavailable(crate::error_chain(&error))),
        }
    }
}
