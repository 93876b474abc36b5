//! The positions in the store.

use std::sync::Arc;

use tidegate_model::Id;

use super::{NodePosition, Positions};
use crate::store::{self, Store};

/// The table of positions that all replicas share.
pub struct Table(pub Arc<dyn Store>);

#[tonic::async_trait]
impl Positions for Table {
    async fn put(&self, positions: Vec<NodePosition>) -> anyhow::Result<()> {
        let rows: Vec<store::NodePosition> = positions.into_iter().map(to_row).collect();
        Ok(self.0.put_positions(&rows).await?)
    }

    async fn all(&self) -> anyhow::Result<Vec<NodePosition>> {
        Ok(self.0.positions().await?.into_iter().map(from_row).collect())
    }

    async fn note_uses(&self, uses: Vec<(Id, u32)>) -> anyhow::Result<()> {
        Ok(self.0.note_uses(&uses).await?)
    }
}

fn to_row(at: NodePosition) -> store::NodePosition {
    store::NodePosition {
        node_id: at.node,
        replica: at.replica,
        session: at.session.to_string(),
        epoch: at.epoch,
        identity_revision: at.identity,
        traffic_revision: at.traffic,
        version: at.version,
        address: at.address,
        labels: serde_json::to_string(&at.labels).expect("plain data with text keys"),
        problems: serde_json::to_string(&at.problems).expect("plain data with text keys"),
        last_seen: at.last_seen,
    }
}

/// What another version wrote and this one can't read is left out, not the node.
fn from_row(row: store::NodePosition) -> NodePosition {
    NodePosition {
        node: row.node_id,
        replica: row.replica,
        session: row.session.parse().unwrap_or_default(),
        epoch: row.epoch,
        identity: row.identity_revision,
        traffic: row.traffic_revision,
        version: row.version,
        address: row.address,
        labels: serde_json::from_str(&row.labels).unwrap_or_default(),
        problems: serde_json::from_str(&row.problems).unwrap_or_default(),
        last_seen: row.last_seen,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tidegate_model::{Class, Id, Problem};
    use uuid::Uuid;

    use super::*;
    use crate::fleet::NodeProblem;

    #[tokio::test]
    async fn a_position_comes_back_from_the_store_as_it_went_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("db").display());
        let table = Table(store::open(&url).await.expect("a database"));
        let problem =
            Problem { resource: None, pointer: "/service".into(), code: "not_found".into(), detail: "gone".into() };
        let at = NodePosition {
            node: Id::new(Uuid::from_u128(1)),
            replica: "one".into(),
            session: Uuid::from_u128(2),
            epoch: Uuid::from_u128(3),
            identity: 9,
            traffic: 8,
            version: "1".into(),
            address: "a:1".into(),
            labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
            problems: vec![NodeProblem { class: Class::Traffic.as_str().to_owned(), revision: 9, problem }],
            last_seen: 77,
        };
        table.put(vec![at.clone()]).await.expect("written");
        assert_eq!(table.all().await.expect("read"), [at]);
    }
}
