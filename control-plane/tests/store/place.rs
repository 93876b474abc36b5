//! A database for one test, and short ways to write to it and to check it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_control_plane::store::{
    self, Append, Appended, Chain, Change, Content, LogEntry, Store, StoreError, StoredDocument,
};
use tidegate_model::{Id, Kind};
use tidegate_testkit::postgres::Postgres;
use uuid::Uuid;

/// Ten times what anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A database that can be opened more than once.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) postgres: Option<Arc<Postgres>>,
    _folder: Option<TempDir>,
}

impl Place {
    pub(crate) fn postgres() -> Place {
        let postgres = Postgres::shared().unwrap();
        Place { url: postgres.create_database().unwrap(), postgres: Some(postgres), _folder: None }
    }

    pub(crate) fn sqlite() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("tidegate.db").display());
        Place { url, postgres: None, _folder: Some(folder) }
    }

    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        store::open(&self.url).await.unwrap()
    }
}

pub(crate) fn id(n: u128) -> Id {
    Id::new(Uuid::from_u128(n))
}

pub(crate) fn content(name: &str, document: &str) -> Content {
    let name = (!name.is_empty()).then(|| name.parse().unwrap());
    Content { name, document: document.to_owned() }
}

pub(crate) fn created(n: u128, name: &str, document: &str) -> Change {
    Change { kind: Kind::Service, id: id(n), before: None, after: Some(content(name, document)) }
}

pub(crate) fn updated(n: u128, before: (&str, &str), after: (&str, &str)) -> Change {
    let (before, after) = (Some(content(before.0, before.1)), Some(content(after.0, after.1)));
    Change { kind: Kind::Service, id: id(n), before, after }
}

pub(crate) fn deleted(n: u128, name: &str, document: &str) -> Change {
    Change { kind: Kind::Service, id: id(n), before: Some(content(name, document)), after: None }
}

/// Any chain will do for a store, if each revision has its own.
pub(crate) fn chain(revision: u64) -> Chain {
    let mut chain = [0xa5; 32];
    chain[..8].copy_from_slice(&revision.to_be_bytes());
    if revision == 0 { Chain::START } else { Chain(chain) }
}

pub(crate) fn entry<'a>(expected: u64, change_id: &'a str, changes: &'a [Change]) -> Append<'a> {
    Append {
        expected,
        chain: chain(expected + 1),
        change_id,
        actor: "root",
        address: Some("127.0.0.1:9"),
        request_id: None,
        message: Some("because"),
        at: 1_700_000_000_000 + i64::try_from(expected).unwrap(),
        changes,
    }
}

/// Appends on the present head, which nobody else moves.
pub(crate) async fn put(store: &dyn Store, change_id: &str, changes: &[Change]) -> Result<Appended, StoreError> {
    let expected = store.load().await?.head.revision;
    store.append(entry(expected, change_id, changes)).await
}

/// Appends on the present head what can't be refused; the revision.
pub(crate) async fn made(store: &dyn Store, change_id: &str, changes: &[Change]) -> u64 {
    match put(store, change_id, changes).await.unwrap() {
        Appended::Done(revision) => revision,
        other => panic!("{change_id}: {other:?}"),
    }
}

/// Appends until no other writer is faster, each time on the head as it then is.
pub(crate) async fn put_among_others(
    store: &dyn Store,
    change_id: &str,
    changes: &[Change],
) -> Result<u64, StoreError> {
    loop {
        match put(store, change_id, changes).await? {
            Appended::Done(revision) | Appended::Repeated(revision) => return Ok(revision),
            Appended::Stale => {}
        }
    }
}

pub(crate) async fn log(store: &dyn Store) -> Vec<LogEntry> {
    let mut log: Vec<LogEntry> = Vec::new();
    loop {
        let last = log.last().map_or(0, |entry| entry.revision);
        let more = store.since(last, 100).await.unwrap();
        if more.is_empty() {
            return log;
        }
        log.extend(more);
    }
}

/// What must hold of every database at rest: no gaps, each change on what the former left, the documents the fold of the
/// log, the head its end. Gives the log.
pub(crate) async fn check(store: &dyn Store) -> Vec<LogEntry> {
    let log = log(store).await;
    let loaded = store.load().await.unwrap();
    let mut fold: BTreeMap<(Kind, Id), StoredDocument> = BTreeMap::new();
    for (entry, expected) in log.iter().zip(1..) {
        assert_eq!(entry.revision, expected, "a gap in the log");
        assert_eq!(entry.chain, chain(expected));
        for change in &entry.changes {
            let key = (change.kind, change.id);
            let before = fold.remove(&key);
            let held = before.as_ref().map(|it| Content { name: it.name.clone(), document: it.document.clone() });
            assert_eq!(held, change.before, "revision {expected} was judged on another state");
            if let Some(after) = change.after.clone() {
                fold.insert(
                    key,
                    StoredDocument {
                        kind: change.kind,
                        id: change.id,
                        name: after.name,
                        document: after.document,
                        revision: expected,
                        created_at: before.map_or(entry.at, |it| it.created_at),
                        updated_at: entry.at,
                    },
                );
            }
        }
    }
    let head = log.last().map_or(0, |entry| entry.revision);
    assert_eq!((loaded.head.revision, loaded.head.chain), (head, chain(head)));
    let mut documents = loaded.documents;
    documents.sort_by_key(|it| (it.kind, it.id));
    assert_eq!(documents, fold.into_values().collect::<Vec<_>>(), "the documents are not what the log amounts to");
    log
}
