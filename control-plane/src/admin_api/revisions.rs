//! The log, as people read it: who changed what, when, and what it was before.

use futures_util::FutureExt;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tidegate_model::{Class, GatewayConfig, Id, Instant, Kind};

use super::answer::{Answer, ErrorCode, Fault};
use super::call::Call;
use super::operations::{Operation, Parameter, Shape, page_parameters};
use super::print;
use crate::store::{Change, Content, LogEntry, StoreError};

/// What one revision changed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Revision {
    revision: u64,
    /// The same for the same wish.
    change_id: String,
    /// Who.
    actor: String,
    /// Why, in their words.
    message: Option<String>,
    /// When.
    at: String,
    changes: Vec<ChangeSummary>,
}

/// What one revision did to one resource.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ChangeSummary {
    kind: &'static str,
    #[schemars(with = "uuid::Uuid")]
    id: Id,
    /// Its name or, if it has none, what else people know it by.
    name: String,
    op: Op,
}

/// What was done to a resource.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Op {
    /// It is new.
    Create,
    /// It was changed.
    Update,
    /// It is gone.
    Delete,
}

/// What one revision changed, in full, and which nodes run on it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RevisionDetail {
    revision: u64,
    /// The same for the same wish.
    change_id: String,
    /// Who.
    actor: String,
    /// From where.
    address: Option<String>,
    /// In which request.
    request_id: Option<String>,
    /// Why, in their words.
    message: Option<String>,
    /// When.
    at: String,
    changes: Vec<ChangeDetail>,
    nodes: Nodes,
}

/// What one revision did to one resource, in full. What is secret is left out, on both sides.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Change")]
pub(super) struct ChangeDetail {
    kind: &'static str,
    #[schemars(with = "uuid::Uuid")]
    id: Id,
    /// Its name or, if it has none, what else people know it by.
    name: String,
    op: Op,
    /// What it was; nothing if it was made.
    before: Option<Map<String, Value>>,
    /// What it was from then on; nothing if it was deleted.
    after: Option<Map<String, Value>>,
}

/// Which nodes run on a revision.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RevisionNodes")]
pub(super) struct Nodes {
    applied: Vec<String>,
    behind: Vec<String>,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/revisions", "listRevisions", |c| list(c).boxed())
            .about("Revisions", "List what was changed, newest first")
            .takes(&page_parameters())
            .answers(200, "A page of them.", Shape::Page("Revision".into()))
            .errors(&[ErrorCode::StoreUnavailable]),
        Operation::new(Method::GET, "/v1/revisions/{revision}", "getRevision", |c| read(c).boxed())
            .about("Revisions", "Read what one revision changed, before and after")
            .takes(&[Parameter {
                schema: json!({ "type": "integer", "minimum": 1 }),
                ..Parameter::path("revision", "Its number.")
            }])
            .answers(200, "This is it.", Shape::Named("RevisionDetail".into()))
            .errors(&[ErrorCode::StoreUnavailable]),
    ]
}

async fn list(call: Call) -> Result<Answer, Fault> {
    let (limit, before) = (call.limit()?, call.cursor::<u64>()?);
    let wanted = u32::try_from(limit + 1).expect("a page is small");
    let mut entries = match call.api.store.entries_before(before, wanted).await {
        // what was changed lately is at hand all the same
        Err(StoreError::Unavailable(why)) => {
            let at_hand = recent(&call, before, limit + 1);
            if at_hand.is_empty() { return Err(StoreError::Unavailable(why).into()) } else { at_hand }
        }
        other => other?,
    };
    let next = (entries.len() > limit).then(|| entries[limit - 1].revision.to_string());
    entries.truncate(limit);
    let data: Vec<Revision> = entries.iter().map(|entry| summary(entry, call.now.config())).collect();
    Ok(Answer::ok(json!({ "data": data, "next": next })).at_revision(call.now.revision()))
}

async fn read(call: Call) -> Result<Answer, Fault> {
    let text = call.path_text("revision");
    let missing = || Fault::new(ErrorCode::NotFound, format!("there is no revision `{text}`"));
    let revision: u64 = text.parse().map_err(|_| missing())?;
    let at_hand = call.api.changes.ring().entry(revision).map(|entry| entry.entry.clone());
    let entry = match at_hand {
        Some(entry) => entry,
        None => call.api.store.entry(revision).await?.ok_or_else(missing)?,
    };
    let config = call.now.config();
    let detail = RevisionDetail {
        revision,
        change_id: entry.change_id.clone(),
        actor: entry.actor.clone(),
        address: entry.address.clone(),
        request_id: entry.request_id.clone(),
        message: entry.message.clone(),
        at: at(&entry),
        changes: entry.changes.iter().map(|change| detail(change, config)).collect(),
        nodes: nodes(&call, &entry).await,
    };
    Ok(Answer::document(&detail).at_revision(call.now.revision()))
}

/// The entries that are in memory, newest first.
fn recent(call: &Call, before: Option<u64>, limit: usize) -> Vec<LogEntry> {
    let ring = call.api.changes.ring();
    let (oldest, newest) = (ring.oldest().revision, ring.newest().revision);
    let last = before.map_or(newest, |before| before.saturating_sub(1).min(newest));
    let revisions = (oldest + 1..=last).rev().take(limit);
    revisions.filter_map(|revision| Some(ring.entry(revision)?.entry.clone())).collect()
}

fn at(entry: &LogEntry) -> String {
    Instant::from_millis(entry.at).to_string()
}

fn op(change: &Change) -> Op {
    match (&change.before, &change.after) {
        (None, _) => Op::Create,
        (Some(_), Some(_)) => Op::Update,
        (Some(_), None) => Op::Delete,
    }
}

fn summary(entry: &LogEntry, config: &GatewayConfig) -> Revision {
    let change = |c: &Change| ChangeSummary { kind: c.kind.as_str(), id: c.id, name: name_of(c, config), op: op(c) };
    Revision {
        revision: entry.revision,
        change_id: entry.change_id.clone(),
        actor: entry.actor.clone(),
        message: entry.message.clone(),
        at: at(entry),
        changes: entry.changes.iter().map(change).collect(),
    }
}

fn detail(change: &Change, config: &GatewayConfig) -> ChangeDetail {
    let shown = |content: &Content| {
        let mut shown = Map::new();
        if let Some(name) = &content.name {
            shown.insert("name".into(), json!(name));
        }
        if let Value::Object(fields) = print::document(change.kind, &content.document, config) {
            shown.extend(fields);
        }
        shown
    };
    ChangeDetail {
        kind: change.kind.as_str(),
        id: change.id,
        name: name_of(change, config),
        op: op(change),
        before: change.before.as_ref().map(shown),
        after: change.after.as_ref().map(shown),
    }
}

/// What people know a resource by: its name; of a credential or token its label, its hint, and whose it is.
fn name_of(change: &Change, config: &GatewayConfig) -> String {
    if let Some(name) = change.name() {
        return name.to_string();
    }
    let content = change.after.as_ref().or(change.before.as_ref());
    let document = content.map(|content| print::document(change.kind, &content.document, config)).unwrap_or_default();
    let text = |field: &str| document.get(field).and_then(Value::as_str);
    let what = text("label").or(text("hint")).map_or_else(|| change.id.to_string(), str::to_owned);
    let owner = match change.kind {
        Kind::Credential => text("consumer"),
        Kind::OperatorToken => text("operator"),
        _ => None,
    };
    owner.map_or_else(|| what.clone(), |owner| format!("{owner}/{what}"))
}

async fn nodes(call: &Call, entry: &LogEntry) -> Nodes {
    let mut classes: Vec<Class> = entry.changes.iter().map(|change| change.kind.class()).collect();
    classes.sort_unstable();
    classes.dedup();
    let found = call.api.fleet.applied_by(entry.revision, &classes).await;
    Nodes { applied: found.confirmed, behind: found.behind.into_iter().map(|behind| behind.node).collect() }
}
