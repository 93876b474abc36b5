//! What consumers prove themselves with: keys, drawn here or brought by the operator, and usernames with passwords.
//!
//! Keys and passwords pass through and are not kept: documents, and so the log and its history, hold hashes.

mod basic;
mod keys;

pub(super) use basic::{BasicRequest, issue_basic};
pub(super) use keys::{BulkRequest, KeyRequest, RotateRequest, issue_key};

use futures_util::FutureExt;
use http::Method;
use serde_json::{Map, Value, json};
use tidegate_model::{Instant, Kind, Problems};

use super::answer::{Answer, ErrorCode, Fault, FaultDetail};
use super::call::Call;
use super::operations::{Operation, Shape, if_match, reference, write_parameters};
use super::resources::item_parameter;
use super::tokens;

const ERRORS: &[ErrorCode] = &[ErrorCode::Conflict, ErrorCode::PreconditionFailed];

/// Beside those that keys and basic credentials have in common with tokens.
pub(super) fn operations() -> Vec<Operation> {
    let key = "/v1/consumers/{ref}/keys/{key}";
    let basic = "/v1/consumers/{ref}/basic-credentials/{credential}";
    let operations = vec![
        Operation::new(Method::PATCH, key, "patchKeyOfConsumer", |c| keys::change(c).boxed())
            .about("Credentials", "Change the label or the end of a key (RFC 7396: `null` takes a field away)")
            .takes(&[reference(), item_parameter("key"), if_match()])
            .body(Shape::Named("CredentialChange".into()))
            .answers(200, "It was changed, or was so already.", Shape::Named("Credential".into())),
        Operation::new(Method::POST, format!("{key}/rotate"), "rotateKeyOfConsumer", |c| keys::rotate(c).boxed())
            .about("Credentials", "Issue a key in place of another, which ends after an overlap; it is shown this once")
            .takes(&[reference(), item_parameter("key"), if_match()])
            .body(Shape::Named("RotateRequest".into()))
            .answers(201, "It was issued, and the other one given an end.", Shape::Named("RotatedKey".into())),
        Operation::new(Method::POST, "/v1/keys/bulk", "createKeysInBulk", |c| keys::bulk(c).boxed())
            .about("Credentials", "Issue up to 1000 keys in one revision, or none; they are shown this once")
            .body(Shape::Named("BulkRequest".into()))
            .answers(201, "They were issued, in the order they were asked for.", Shape::Named("IssuedKeys".into())),
        Operation::new(Method::PATCH, basic, "patchBasicCredentialOfConsumer", |c| basic::change(c).boxed())
            .about(
                "Credentials",
                "Change a password, a username, a label or an end (RFC 7396: `null` takes a field away)",
            )
            .takes(&[reference(), item_parameter("credential"), if_match()])
            .body(Shape::Named("BasicChange".into()))
            .answers(200, "It was changed.", Shape::Named("Credential".into())),
    ];
    let each = |operation: Operation| operation.kind(Kind::Credential).takes(&write_parameters()).errors(ERRORS);
    operations.into_iter().map(each).collect()
}

/// Schemas of answers that are made of others, and of changes, where `null` has a meaning.
pub(super) fn add_schemas(schemas: &mut Map<String, Value>) {
    let (text, end) =
        (json!({ "type": ["string", "null"] }), json!({ "type": ["string", "null"], "format": "instant" }));
    let change = json!({ "label": text, "expires_at": end });
    let mut basic = change.clone();
    basic["username"] = json!({ "type": "string" });
    basic["password"] = json!({ "type": "string", "writeOnly": true });
    for (name, of, properties) in [("CredentialChange", "a key", change), ("BasicChange", "basic credentials", basic)] {
        let description = format!("What to change of {of}. What is left out stays; `null` takes a field away.");
        let schema = json!({
            "type": "object", "description": description, "properties": properties, "additionalProperties": false,
        });
        schemas.insert(name.to_owned(), schema);
    }
    schemas["Credential"]["properties"]["last_used"] = json!({
        "type": "string", "format": "date-time",
        "description": "The hour in which it was good for a request last, as far as nodes told. Absent: never since it is kept track of.",
    });
    let mut rotated = schemas["IssuedKey"].clone();
    rotated["description"] = json!("A key that was issued in place of another.");
    rotated["properties"]["replaces"] = json!({
        "description": "The other one.", "allOf": [{ "$ref": "#/components/schemas/Credential" }],
    });
    if let Some(required) = rotated["required"].as_array_mut() {
        required.push(json!("replaces"));
    }
    schemas.insert("RotatedKey".to_owned(), rotated);
    let applied = json!({
        "allOf": [{ "$ref": "#/components/schemas/Applied" }],
        "description": "Only in the answer to a write that was waited for.",
    });
    let issued = json!({
        "type": "object",
        "description": "Keys that were issued, in the order they were asked for.",
        "required": ["data"],
        "properties": {
            "data": { "type": "array", "items": { "$ref": "#/components/schemas/IssuedKey" } },
            "applied": applied,
        },
    });
    schemas.insert("IssuedKeys".to_owned(), issued);
}

/// Fields of a document are called otherwise where they are asked for: what a caller sent is `key`, what is kept is its hash.
fn as_sent(mut fault: Fault, whole: impl Fn(&str) -> String) -> Fault {
    for FaultDetail { pointer, .. } in &mut fault.errors {
        *pointer = whole(pointer).replace("/key_hash", "/key").replace("/password_hash", "/password");
    }
    fault
}

/// What a change says of label and end: what is to be merged into the document.
fn label_and_end(sent: &Map<String, Value>, problems: &mut Problems) -> Map<String, Value> {
    let mut patch = Map::new();
    for field in ["label", "expires_at"] {
        patch.extend(sent.get(field).map(|value| (field.to_owned(), value.clone())));
    }
    let end = sent.get("expires_at").and_then(Value::as_str).and_then(|text| text.parse::<Instant>().ok());
    tokens::check_end(end, problems);
    patch
}

/// The object that was sent, of these fields only.
fn fields_of(call: &Call, known: &[&str]) -> Result<Map<String, Value>, Fault> {
    let Value::Object(sent) = call.document()? else {
        let mut problems = Problems::new();
        problems.add("wrong_type", "must be an object");
        return Err(Fault::invalid(problems.into_vec()));
    };
    let mut problems = Problems::new();
    for field in sent.keys().filter(|field| !known.contains(&field.as_str())) {
        let known = known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
        problems.add_at(field, "unknown_field", format!("unknown field `{field}`; known: {known}"));
    }
    problems.or(sent).map_err(Fault::invalid)
}

/// Commits a change of one credential and shows it.
async fn patch(call: Call, patch: Map<String, Value>) -> Result<Answer, Fault> {
    let target = tidegate_model::Reference::Id(tokens::issued(&call)?.id);
    let wish = crate::changes::Wish::Patch(target, Value::Object(patch));
    super::resources::write(call, wish).await.map_err(|fault| as_sent(fault, str::to_owned))
}
