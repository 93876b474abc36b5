//! The statements, one a function, one text for both engines.

use std::collections::BTreeMap;

use tidegate_model::{Id, Kind, Name};
use uuid::Uuid;

use super::error::{StoreError, Unique};
use super::session::{Arg, Failure, Row, Session};
use super::types::{Append, Chain, Change, Content, Head, LogEntry, NodePosition, StoredDocument};

/// The only one today; in every key and lookup, so that there can be more.
const WORKSPACE: Arg<'static> = Arg::Text("default");

const RESOURCE_NAME: Unique =
    Unique { name: "resource_name", columns: "resource.workspace, resource.kind, resource.name" };

/// Makes the head, unless there is one.
pub(super) async fn insert_head(session: &mut Session, head: &Head) -> Result<(), StoreError> {
    let args = [Arg::Text(&head.epoch.to_string()), Arg::revision(head.revision), Arg::Text(&head.chain.to_string())];
    session
        .execute(
            "insert into head (only_row, epoch, revision, chain) values (1, $1, $2, $3) \
             on conflict (only_row) do nothing",
            &args,
        )
        .await?;
    Ok(())
}

pub(super) async fn head(session: &mut Session) -> Result<Head, StoreError> {
    let read = |row: Row| {
        Ok(Head {
            epoch: row.parsed::<Uuid>("epoch")?,
            revision: row.revision("revision")?,
            chain: row.parsed::<Chain>("chain")?,
        })
    };
    let head = session.fetch_optional("select epoch, revision, chain from head where only_row = 1", &[], read).await?;
    head.ok_or_else(|| StoreError::Corrupt("there is no head".to_owned()))
}

/// Takes the lock of the head by writing it: whether it was still at `expected`.
pub(super) async fn advance_head(session: &mut Session, expected: u64, chain: Chain) -> Result<bool, Failure> {
    let args = [Arg::revision(expected), Arg::Text(&chain.to_string())];
    let advanced = session
        .execute("update head set revision = $1 + 1, chain = $2 where only_row = 1 and revision = $1", &args)
        .await?;
    Ok(advanced == 1)
}

/// Takes the lock of the head without changing it. (`for update` is what only one engine knows.)
pub(super) async fn touch_head(session: &mut Session) -> Result<(), Failure> {
    session.execute("update head set revision = revision where only_row = 1", &[]).await?;
    Ok(())
}

/// Whether it was written: a change id that is known makes no second revision.
pub(super) async fn insert_revision(session: &mut Session, entry: &Append<'_>) -> Result<bool, StoreError> {
    let args = [
        Arg::revision(entry.expected + 1),
        Arg::Text(&entry.chain.to_string()),
        Arg::Text(entry.change_id),
        Arg::Text(entry.actor),
        Arg::MaybeText(entry.address),
        Arg::MaybeText(entry.request_id),
        Arg::MaybeText(entry.message),
        Arg::Int(entry.at),
    ];
    let inserted = session
        .execute(
            "insert into revision (revision, chain, change_id, actor, address, request_id, message, at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (change_id) do nothing",
            &args,
        )
        .await?;
    Ok(inserted == 1)
}

pub(super) async fn revision_of_change(session: &mut Session, change_id: &str) -> Result<Option<u64>, StoreError> {
    session
        .fetch_optional("select revision from revision where change_id = $1", &[Arg::Text(change_id)], |row| {
            row.revision("revision")
        })
        .await
}

pub(super) async fn insert_change(
    session: &mut Session,
    revision: u64,
    ordinal: usize,
    change: &Change,
) -> Result<(), StoreError> {
    fn name(content: &Option<Content>) -> Option<&str> {
        Some(content.as_ref()?.name.as_ref()?.as_str())
    }
    let args = [
        Arg::revision(revision),
        Arg::Int(i64::try_from(ordinal).expect("no change set has so many changes")),
        WORKSPACE,
        Arg::Text(change.kind.as_str()),
        Arg::Text(&change.id.to_string()),
        Arg::MaybeText(name(&change.before)),
        Arg::MaybeText(name(&change.after)),
        Arg::MaybeText(change.before.as_ref().map(|it| it.document.as_str())),
        Arg::MaybeText(change.after.as_ref().map(|it| it.document.as_str())),
    ];
    session
        .execute(
            "insert into change \
             (revision, ordinal, workspace, kind, id, name_before, name_after, before, after) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &args,
        )
        .await?;
    Ok(())
}

pub(super) async fn insert_resource(
    session: &mut Session,
    kind: Kind,
    id: Id,
    content: &Content,
    revision: u64,
    at: i64,
) -> Result<(), StoreError> {
    let args = [
        WORKSPACE,
        Arg::Text(kind.as_str()),
        Arg::Text(&id.to_string()),
        Arg::MaybeText(content.name.as_ref().map(Name::as_str)),
        Arg::Text(&content.document),
        Arg::revision(revision),
        Arg::Int(at),
    ];
    session
        .execute(
            "insert into resource (workspace, kind, id, name, document, revision, created_at, updated_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $7)",
            &args,
        )
        .await
        .map_err(|failure| or_name_taken(failure, kind, content))?;
    Ok(())
}

pub(super) async fn update_resource(
    session: &mut Session,
    kind: Kind,
    id: Id,
    content: &Content,
    revision: u64,
    at: i64,
) -> Result<(), StoreError> {
    let args = [
        WORKSPACE,
        Arg::Text(kind.as_str()),
        Arg::Text(&id.to_string()),
        Arg::MaybeText(content.name.as_ref().map(Name::as_str)),
        Arg::Text(&content.document),
        Arg::revision(revision),
        Arg::Int(at),
    ];
    let updated = session
        .execute(
            "update resource set name = $4, document = $5, revision = $6, updated_at = $7 \
             where workspace = $1 and kind = $2 and id = $3",
            &args,
        )
        .await
        .map_err(|failure| or_name_taken(failure, kind, content))?;
    one(updated, kind, id)
}

/// Takes a resource's name away until it gets its new one, so that names may move between resources in any order.
pub(super) async fn clear_name(session: &mut Session, kind: Kind, id: Id) -> Result<(), StoreError> {
    let args = [WORKSPACE, Arg::Text(kind.as_str()), Arg::Text(&id.to_string())];
    let updated = session
        .execute("update resource set name = null where workspace = $1 and kind = $2 and id = $3", &args)
        .await?;
    one(updated, kind, id)
}

pub(super) async fn delete_resource(session: &mut Session, kind: Kind, id: Id) -> Result<(), StoreError> {
    let args = [WORKSPACE, Arg::Text(kind.as_str()), Arg::Text(&id.to_string())];
    let deleted = session.execute("delete from resource where workspace = $1 and kind = $2 and id = $3", &args).await?;
    one(deleted, kind, id)
}

/// A change speaks of a resource that is there.
fn one(rows: u64, kind: Kind, id: Id) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::Corrupt(format!("{kind} `{id}` is changed but does not exist"))) }
}

fn or_name_taken(failure: Failure, kind: Kind, content: &Content) -> StoreError {
    match &content.name {
        Some(name) if failure.is(&RESOURCE_NAME) => StoreError::NameTaken { kind, name: name.clone() },
        _ => failure.into(),
    }
}

pub(super) async fn resources(session: &mut Session) -> Result<Vec<StoredDocument>, StoreError> {
    let read = |row: Row| {
        Ok(StoredDocument {
            kind: row.parsed("kind")?,
            id: row.parsed("id")?,
            name: row.maybe_parsed("name")?,
            document: row.get("document")?,
            revision: row.revision("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    };
    session
        .fetch(
            "select kind, id, name, document, revision, created_at, updated_at from resource where workspace = $1",
            &[WORKSPACE],
            read,
        )
        .await
}

/// Entries, still without their changes, from the oldest.
pub(super) async fn revisions_after(
    session: &mut Session,
    after: u64,
    limit: u32,
) -> Result<Vec<LogEntry>, StoreError> {
    session
        .fetch(
            "select revision, chain, change_id, actor, address, request_id, message, at from revision \
             where revision > $1 order by revision limit $2",
            &[Arg::revision(after), Arg::Int(limit.into())],
            read_entry,
        )
        .await
}

/// Entries, still without their changes, from the newest.
pub(super) async fn revisions_before(
    session: &mut Session,
    before: u64,
    limit: u32,
) -> Result<Vec<LogEntry>, StoreError> {
    session
        .fetch(
            "select revision, chain, change_id, actor, address, request_id, message, at from revision \
             where revision < $1 order by revision desc limit $2",
            &[Arg::revision(before), Arg::Int(limit.into())],
            read_entry,
        )
        .await
}

fn read_entry(row: Row) -> Result<LogEntry, StoreError> {
    Ok(LogEntry {
        revision: row.revision("revision")?,
        chain: row.parsed("chain")?,
        change_id: row.get("change_id")?,
        actor: row.get("actor")?,
        address: row.get("address")?,
        request_id: row.get("request_id")?,
        message: row.get("message")?,
        at: row.get("at")?,
        changes: Vec::new(),
    })
}

/// The changes from one revision to another, both included.
pub(super) async fn changes(
    session: &mut Session,
    from: u64,
    to: u64,
) -> Result<BTreeMap<u64, Vec<Change>>, StoreError> {
    let content = |name, document: Option<String>| document.map(|document| Content { name, document });
    let read = |row: Row| {
        let change = Change {
            kind: row.parsed("kind")?,
            id: row.parsed("id")?,
            before: content(row.maybe_parsed("name_before")?, row.get("before")?),
            after: content(row.maybe_parsed("name_after")?, row.get("after")?),
        };
        Ok((row.revision("revision")?, change))
    };
    let rows = session
        .fetch(
            "select revision, kind, id, name_before, name_after, before, after from change \
             where workspace = $3 and revision between $1 and $2 order by revision, ordinal",
            &[Arg::revision(from), Arg::revision(to), WORKSPACE],
            read,
        )
        .await?;
    let mut changes: BTreeMap<u64, Vec<Change>> = BTreeMap::new();
    for (revision, change) in rows {
        changes.entry(revision).or_default().push(change);
    }
    Ok(changes)
}

/// Writes where a node is. What an older stream of it still has to say, after a newer one spoke, is dropped.
pub(super) async fn upsert_position(session: &mut Session, at: &NodePosition) -> Result<(), StoreError> {
    let args = [
        WORKSPACE,
        Arg::Text(&at.node_id.to_string()),
        Arg::Text(&at.replica),
        Arg::Text(&at.session),
        Arg::Text(&at.epoch.to_string()),
        Arg::revision(at.identity_revision),
        Arg::revision(at.traffic_revision),
        Arg::Text(&at.version),
        Arg::Text(&at.address),
        Arg::Text(&at.labels),
        Arg::Text(&at.problems),
        Arg::Int(at.last_seen),
    ];
    session
        .execute(
            "insert into node_position (workspace, node_id, replica, session, epoch, identity_revision, \
             traffic_revision, version, address, labels, problems, last_seen) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             on conflict (workspace, node_id) do update set replica = excluded.replica, session = excluded.session, \
             epoch = excluded.epoch, identity_revision = excluded.identity_revision, \
             traffic_revision = excluded.traffic_revision, version = excluded.version, address = excluded.address, \
             labels = excluded.labels, problems = excluded.problems, last_seen = excluded.last_seen \
             where node_position.session = excluded.session or node_position.last_seen <= excluded.last_seen",
            &args,
        )
        .await?;
    Ok(())
}

pub(super) async fn positions(session: &mut Session) -> Result<Vec<NodePosition>, StoreError> {
    let read = |row: Row| {
        Ok(NodePosition {
            node_id: row.parsed("node_id")?,
            replica: row.get("replica")?,
            session: row.get("session")?,
            epoch: row.parsed("epoch")?,
            identity_revision: row.revision("identity_revision")?,
            traffic_revision: row.revision("traffic_revision")?,
            version: row.get("version")?,
            address: row.get("address")?,
            labels: row.get("labels")?,
            problems: row.get("problems")?,
            last_seen: row.get("last_seen")?,
        })
    };
    session
        .fetch(
            "select node_id, replica, session, epoch, identity_revision, traffic_revision, version, address, labels, \
             problems, last_seen from node_position where workspace = $1 order by node_id",
            &[WORKSPACE],
            read,
        )
        .await
}

pub(super) async fn upsert_use(session: &mut Session, credential: Id, hour: u32) -> Result<(), StoreError> {
    session
        .execute(
            "insert into credential_use (workspace, credential, hour) values ($1, $2, $3) \
             on conflict (workspace, credential) do update set hour = excluded.hour \
             where credential_use.hour < excluded.hour",
            &[WORKSPACE, Arg::Text(&credential.to_string()), Arg::Int(i64::from(hour))],
        )
        .await?;
    Ok(())
}

/// Those of credentials that are gone.
pub(super) async fn forget_uses(session: &mut Session) -> Result<(), StoreError> {
    session
        .execute(
            "delete from credential_use where workspace = $1 and not exists (select 1 from resource \
             where resource.workspace = $1 and resource.kind = 'credential' and resource.id = credential_use.credential)",
            &[WORKSPACE],
        )
        .await?;
    Ok(())
}

pub(super) async fn hour_of_use(session: &mut Session, credential: Id) -> Result<Option<u32>, StoreError> {
    let read = |row: Row| {
        let hour: i64 = row.get("hour")?;
        Ok(u32::try_from(hour).unwrap_or(0))
    };
    session
        .fetch_optional(
            "select hour from credential_use where workspace = $1 and credential = $2",
            &[WORKSPACE, Arg::Text(&credential.to_string())],
            read,
        )
        .await
}

/// Writes a fact, unless it is known.
pub(super) async fn insert_fact(session: &mut Session, name: &str, value: &[u8]) -> Result<(), StoreError> {
    session
        .execute(
            "insert into cluster_fact (name, value) values ($1, $2) on conflict (name) do nothing",
            &[Arg::Text(name), Arg::Bytes(value)],
        )
        .await?;
    Ok(())
}

pub(super) async fn fact(session: &mut Session, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    session
        .fetch_optional("select value from cluster_fact where name = $1", &[Arg::Text(name)], |row| row.get("value"))
        .await
}

pub(super) async fn nothing(session: &mut Session) -> Result<(), StoreError> {
    session.execute("select 1", &[]).await?;
    Ok(())
}
