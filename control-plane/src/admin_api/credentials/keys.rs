//! API keys: issued one by one or many at once, replaced with an overlap.

use http::StatusCode;
use http::header::LOCATION;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidegate_model::{
    Id, Instant, Kind, Problems, Reference, Resource, Sha256, Span, Spec, TokenKind, hint, is_well_formed,
    why_weak_key, write_token,
};

use super::super::answer::{Answer, Fault};
use super::super::call::Call;
use super::super::resources::{Written, commit};
use super::super::{print, tokens};
use super::{as_sent, fields_of, label_and_end, patch};
use crate::changes::{Expected, Item, Outcome, Wish};

/// How long a replaced key goes on working if nothing else is said.
const OVERLAP_DEFAULT_MS: u64 = 24 * 3_600_000;
const OVERLAP_MAX_MS: u64 = 365 * 24 * 3_600_000;

/// What may be said of a key that is issued.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct KeyRequest {
    /// For people.
    #[schemars(length(max = 200))]
    label: Option<String>,
    /// From when on it is refused. Absent: never.
    expires_at: Option<Instant>,
    /// A key of your own: at least 32 characters, or 128 bits as far as can be told. Absent: one is drawn, which is better.
    #[schemars(length(max = 256), extend("writeOnly" = true))]
    key: Option<String>,
}

/// How a key is replaced.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RotateRequest {
    /// How long the other key goes on working, from `0s` to `365d`; it never ends later than it would have. Default: `24h`.
    overlap: Option<Span>,
    /// For people. Absent: that of the other key.
    #[schemars(length(max = 200))]
    label: Option<String>,
    /// From when on the new key is refused. Absent: never.
    expires_at: Option<Instant>,
    /// A key of your own, as when one is issued. Absent: one is drawn.
    #[schemars(length(max = 256), extend("writeOnly" = true))]
    key: Option<String>,
}

/// Keys to issue: all of them in one revision, or none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct BulkRequest {
    #[schemars(length(min = 1, max = 1000))]
    items: Vec<BulkItem>,
}

/// One key of many.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct BulkItem {
    /// Whose it is, by name or id.
    consumer: Reference,
    /// For people.
    #[schemars(length(max = 200))]
    label: Option<String>,
    /// From when on it is refused. Absent: never.
    expires_at: Option<Instant>,
    /// A key of your own, as when one is issued. Absent: one is drawn.
    #[schemars(length(max = 256), extend("writeOnly" = true))]
    key: Option<String>,
}

/// A key that is to be issued, and the document that is kept of it.
struct Made {
    key: String,
    document: Value,
}

/// Draws a key, or takes the one that was brought.
fn made(call: &Call, consumer: Id, place: &str, request: KeyRequest, problems: &mut Problems) -> Result<Made, Fault> {
    tokens::check_end(request.expires_at, problems);
    let key = match request.key {
        None => write_token(TokenKind::ApiKey, &tokens::token_bits(call, &format!("{consumer}{place}"))?),
        Some(own) => {
            if let Some(why) = why_refused(&own) {
                problems.add_at("key", "invalid_value", why);
            }
            own
        }
    };
    let mut document = json!({
        "consumer": consumer, "kind": "api-key", "key_hash": Sha256::of(key.as_bytes()), "hint": hint(&key),
    });
    if let Some(label) = request.label {
        document["label"] = json!(label);
    }
    if let Some(expires_at) = request.expires_at {
        document["expires_at"] = json!(expires_at);
    }
    Ok(Made { key, document })
}

/// Why a key of one's own can't be one. Never says the key.
fn why_refused(key: &str) -> Option<String> {
    for other in [TokenKind::Operator, TokenKind::Join] {
        if key.starts_with(other.prefix()) {
            return Some(format!("looks like another token of Tidegate's (`{}...`)", other.prefix()));
        }
    }
    if key.starts_with(TokenKind::ApiKey.prefix()) {
        let whole = is_well_formed(TokenKind::ApiKey, key);
        return (!whole).then(|| "keys that begin with `tg_` are Tidegate's own, and this one is mistyped".to_owned());
    }
    why_weak_key(key)
}

pub(in super::super) async fn issue_key(call: Call) -> Result<Answer, Fault> {
    let owner = call.resource("ref", Kind::Consumer)?;
    let request: KeyRequest = call.read()?;
    let mut problems = Problems::new();
    let made = made(&call, owner.id, "", request, &mut problems)?;
    let Made { key, document } = problems.or(made).map_err(Fault::invalid)?;
    let items = vec![Item { kind: Kind::Credential, wish: Wish::Create(document), expected: Expected::Anything }];
    let written = commit(&call, items).await.map_err(|fault| as_sent(fault, str::to_owned))?;
    let shown = shown(&call, &written.outcomes[0], &key);
    Ok(one(written, shown))
}

/// Changes label or end.
pub(super) async fn change(call: Call) -> Result<Answer, Fault> {
    let sent = fields_of(&call, &["label", "expires_at"])?;
    let mut problems = Problems::new();
    let change = label_and_end(&sent, &mut problems);
    let change = problems.or(change).map_err(Fault::invalid)?;
    patch(call, change).await
}

/// One revision: the new key is there and the other one has an end.
pub(super) async fn rotate(call: Call) -> Result<Answer, Fault> {
    let old = tokens::issued(&call)?;
    let request: RotateRequest = call.read()?;
    let Spec::Credential(spec) = &old.spec else { unreachable!("keys are credentials") };
    let consumer = spec.consumer.id().expect("what is stored holds ids");
    let mut problems = Problems::new();
    let overlap = request.overlap.map_or(OVERLAP_DEFAULT_MS, Span::millis);
    if overlap > OVERLAP_MAX_MS {
        problems.add_at("overlap", "out_of_range", "must be at most `365d`");
    }
    let label = request.label.or_else(|| spec.label.clone());
    let wanted = KeyRequest { label, expires_at: request.expires_at, key: request.key };
    let made = made(&call, consumer, &format!("\0{}", old.id), wanted, &mut problems)?;
    let Made { key, document } = problems.or(made).map_err(Fault::invalid)?;
    let end = Instant::from_millis(tokens::now().millis().saturating_add_unsigned(overlap));
    let end = spec.expires_at.map_or(end, |before| before.min(end));
    let ends = Wish::Patch(Reference::Id(old.id), json!({ "expires_at": end }));
    let items = vec![
        Item { kind: Kind::Credential, wish: Wish::Create(document), expected: Expected::Anything },
        Item { kind: Kind::Credential, wish: ends, expected: call.expected()? },
    ];
    // pointers lead into the set, of which the caller sees one document
    let written = commit(&call, items).await.map_err(|fault| as_sent(fault, |pointer| without_index(pointer).1))?;
    let mut shown = shown(&call, &written.outcomes[0], &key);
    shown.insert("replaces".into(), Value::Object(printed(&call, &written.outcomes[1].resource)));
    Ok(one(written, shown))
}

/// All of them in one revision.
pub(super) async fn bulk(call: Call) -> Result<Answer, Fault> {
    let BulkRequest { items } = call.read()?;
    let mut problems = Problems::new();
    let mut all = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let made = problems.within("items", |p| {
            p.within(index, |p| {
                let BulkItem { consumer, label, expires_at, key } = item;
                let found = call.now.config().find(Kind::Consumer, &consumer).map(|found| found.id);
                if found.is_none() {
                    p.add_at("consumer", "not_found", format!("there is no consumer `{consumer}`"));
                }
                let owner = found.unwrap_or(Id::new(uuid::Uuid::nil()));
                made(&call, owner, &format!("\0{index}"), KeyRequest { label, expires_at, key }, p)
            })
        });
        all.push(made?);
    }
    let all = problems.or(all).map_err(Fault::invalid)?;
    let create = |document: &Value| Item {
        kind: Kind::Credential,
        wish: Wish::Create(document.clone()),
        expected: Expected::Anything,
    };
    let wishes = all.iter().map(|made| create(&made.document)).collect();
    let written = commit(&call, wishes).await.map_err(|fault| {
        as_sent(fault, |pointer| {
            let (index, field) = without_index(pointer);
            format!("/items/{index}{field}")
        })
    })?;
    let keys = written.outcomes.iter().zip(&all);
    let data: Vec<_> = keys.map(|(outcome, made)| shown(&call, outcome, &made.key)).collect();
    let mut answer = json!({ "data": data });
    if let Some(applied) = written.applied {
        answer["applied"] = json!(applied);
    }
    Ok(Answer::ok(answer).at_revision(written.revision).status(StatusCode::CREATED))
}

/// `/changes/3/label` is `label` of item 3; a pointer into a set of one has no such beginning.
fn without_index(pointer: &str) -> (usize, String) {
    let parts = pointer.strip_prefix("/changes/").map(|rest| rest.split_once('/').unwrap_or((rest, "")));
    match parts.and_then(|(index, field)| Some((index.parse().ok()?, field))) {
        Some((index, "")) => (index, String::new()),
        Some((index, field)) => (index, format!("/{field}")),
        None => (0, pointer.to_owned()),
    }
}

fn printed(call: &Call, resource: &Resource) -> Map<String, Value> {
    print::resource(resource, call.api.changes.current().config())
}

fn shown(call: &Call, outcome: &Outcome, key: &str) -> Map<String, Value> {
    let mut shown = printed(call, &outcome.resource);
    shown.insert("key".into(), json!(key));
    shown
}

fn one(written: Written, mut shown: Map<String, Value>) -> Answer {
    if let Some(applied) = written.applied {
        shown.insert("applied".into(), json!(applied));
    }
    let resource = &written.outcomes[0].resource;
    let location = format!("/v1/{}/{}", Kind::Credential.collection(), resource.id);
    let answer = Answer::ok(shown).etag(&print::etag(resource)).at_revision(written.revision);
    answer.status(StatusCode::CREATED).with_text(LOCATION, &location)
}
