//! The OpenAPI 3.1 document, made of the table of operations and the schemas of the types that they read and answer.

use std::sync::LazyLock;

use bytes::Bytes;
use http::StatusCode;
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tidegate_model::{Kind, document_schema};

use super::answer::ErrorCode;
use super::operations::{Access, Operation, Parameter, Place, Shape, all};
use super::print::hidden_fields;
use super::resources::{NOUNS, Noun};
use super::{cache, credentials, log_level, nodes, revisions, session, status, tokens, waiting};
use crate::changes::is_named;

/// The description of the admin API.
pub fn openapi_document() -> Value {
    let operations = all();
    let mut paths = Map::new();
    for operation in &operations {
        let path = operation.path.replace("{*", "{");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[operation.method.as_str().to_lowercase()] = describe(operation);
    }
    let mut tags: Vec<&str> = Vec::new();
    for operation in &operations {
        if !tags.contains(&operation.tag) {
            tags.push(operation.tag);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate Admin API",
            "version": "1",
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "session": [] }],
        "tags": tags.iter().map(|tag| json!({ "name": tag })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "An operator's token." },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "tidegate_session",
                    "description": "A session; writes also need the header `X-CSRF-Token`.",
                },
            },
        },
    })
}

const DESCRIPTION: &str = "Configures the gateway. Every write is one revision of the configuration, or nothing; its number is in the header \
`Tidegate-Revision`. Resources are pointed at by name or id. Unknown fields are refused, and all problems of a document are told at once, with \
JSON pointers. Send JSON; under curl's default content type it is taken with a bearer token.";

/// The document as it is served and kept in the repository.
pub(super) fn openapi_bytes() -> Bytes {
    static BYTES: LazyLock<Bytes> = LazyLock::new(|| openapi_text().into());
    BYTES.clone()
}

/// The document as text.
pub fn openapi_text() -> String {
    let mut text = serde_json::to_string_pretty(&openapi_document()).expect("a value is JSON");
    text.push('\n');
    text
}

fn describe(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
    });
    if operation.access == Access::Open {
        described["security"] = json!([]);
    }
    if !operation.parameters.is_empty() {
        described["parameters"] = operation.parameters.iter().map(parameter).collect();
    }
    if let Some(shape) = &operation.request {
        let content = match shape {
            Shape::Patch(_) => json!({
                "application/merge-patch+json": { "schema": schema(shape) },
                "application/json": { "schema": schema(shape) },
            }),
            _ => json!({ "application/json": { "schema": schema(shape) } }),
        };
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    let mut responses = Map::new();
    for (status, description, shape) in &operation.responses {
        let mut response = json!({ "description": description });
        match shape {
            Shape::Nothing => {}
            Shape::Other(content_type) => response["content"] = json!({ *content_type: {} }),
            shape => response["content"] = json!({ "application/json": { "schema": schema(shape) } }),
        }
        if operation.is_write() && operation.access == Access::Admin {
            response["headers"] = json!({ "Tidegate-Revision": {
                "description": "The revision that was made.", "schema": { "type": "integer" },
            } });
        }
        responses.insert(status.to_string(), response);
    }
    if operation.parameters.iter().any(|p| p.name == "If-None-Match") {
        responses.insert("304".into(), json!({ "description": "It is still the same." }));
    }
    for (status, codes) in by_status(&operation.error_codes()) {
        let description: Vec<String> =
            codes.iter().map(|code| format!("`{}`: {}.", code.as_str(), code.title())).collect();
        let content = json!({ "application/problem+json": { "schema": named("Problem") } });
        responses
            .insert(status.as_str().to_owned(), json!({ "description": description.join(" "), "content": content }));
    }
    described["responses"] = Value::Object(responses);
    described
}

fn by_status(codes: &[ErrorCode]) -> Vec<(StatusCode, Vec<ErrorCode>)> {
    let mut grouped: Vec<(StatusCode, Vec<ErrorCode>)> = Vec::new();
    for code in codes {
        match grouped.iter_mut().find(|(status, _)| *status == code.status()) {
            Some((_, codes)) => codes.push(*code),
            None => grouped.push((code.status(), vec![*code])),
        }
    }
    grouped
}

fn parameter(parameter: &Parameter) -> Value {
    let (place, required) = match parameter.place {
        Place::Path => ("path", true),
        Place::Query => ("query", false),
        Place::Header => ("header", false),
    };
    json!({
        "name": parameter.name, "in": place, "required": required,
        "description": parameter.description, "schema": parameter.schema,
    })
}

fn schema(shape: &Shape) -> Value {
    match shape {
        Shape::Nothing | Shape::Other(_) => json!({}),
        Shape::Named(name) => named(name),
        Shape::Page(name) => json!({
            "type": "object",
            "required": ["data", "next"],
            "properties": {
                "data": { "type": "array", "items": named(name) },
                "next": { "type": ["string", "null"], "description": "The `cursor` of the next page; `null` on the last." },
            },
        }),
        Shape::Inline(schema) => schema.clone(),
        Shape::Patch(name) => json!({
            "type": "object",
            "description": format!("A part of a {name}; `null` takes a field away (RFC 7396)."),
            "additionalProperties": true,
        }),
    }
}

fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A refusal (RFC 9457).
#[derive(Serialize, JsonSchema)]
struct Problem {
    /// Names the code.
    r#type: String,
    title: String,
    status: u16,
    /// Stable, for programs.
    code: String,
    /// For people.
    detail: Option<String>,
    /// Also in the header `X-Request-Id`, and in the log.
    request_id: Option<String>,
    /// All that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldProblem>>,
}

/// One thing that is wrong.
#[derive(Serialize, JsonSchema)]
struct FieldProblem {
    /// Where in the document (RFC 6901); empty for the whole.
    pointer: String,
    /// Stable, for programs.
    code: String,
    /// For people.
    detail: String,
}

/// What a delete answers that was waited for.
#[derive(Serialize, JsonSchema)]
struct Waited {
    applied: waiting::Applied,
}

fn schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .for_serialize();
    let mut generator = SchemaGenerator::new(settings);
    generator.subschema_for::<Problem>();
    generator.subschema_for::<FieldProblem>();
    generator.subschema_for::<Waited>();
    generator.subschema_for::<session::Session>();
    generator.subschema_for::<session::SignIn>();
    generator.subschema_for::<status::Status>();
    generator.subschema_for::<status::PolicyKind>();
    generator.subschema_for::<nodes::NodeAnswer>();
    generator.subschema_for::<log_level::LogLevel>();
    generator.subschema_for::<cache::CachePurged>();
    generator.subschema_for::<revisions::Revision>();
    generator.subschema_for::<revisions::RevisionDetail>();
    let mut schemas = generator.take_definitions(true);
    schemas.extend(request_schemas());
    for noun in &NOUNS {
        if noun.kind != Kind::Node {
            add_noun(noun, &mut schemas);
        }
    }
    for (name, of, shown) in [
        ("IssuedKey", "Credential", "key"),
        ("IssuedOperatorToken", "OperatorToken", "token"),
        ("IssuedJoinToken", "JoinToken", "token"),
    ] {
        let mut schema = schemas[of].clone();
        schema["description"] = json!(format!("A {} that was issued just now.", of));
        schema["properties"][shown] =
            json!({ "type": "string", "description": "Shown this once; only its hash is kept." });
        if let Some(required) = schema["required"].as_array_mut() {
            required.push(json!(shown));
        }
        schemas.insert(name.to_owned(), schema);
    }
    credentials::add_schemas(&mut schemas);
    schemas.sort_keys();
    schemas
}

/// The schemas of what is only ever sent: a field with a default may be left out.
fn request_schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
    });
    let mut generator = SchemaGenerator::new(settings);
    generator.subschema_for::<tokens::TokenRequest>();
    generator.subschema_for::<credentials::KeyRequest>();
    generator.subschema_for::<credentials::RotateRequest>();
    generator.subschema_for::<credentials::BulkRequest>();
    generator.subschema_for::<credentials::BasicRequest>();
    generator.subschema_for::<log_level::LogLevelChange>();
    generator.subschema_for::<cache::CachePurge>();
    generator.take_definitions(true)
}

/// The schemas of a kind: as it is read, and, if it can be written, as it is written.
fn add_noun(noun: &Noun, schemas: &mut Map<String, Value>) {
    let mut document = document_schema(noun.kind).as_value().clone();
    rename_references(&mut document);
    leave_out_null(&mut document);
    if let Some(Value::Object(definitions)) = document.get_mut("$defs").map(Value::take) {
        schemas.extend(definitions);
    }
    let properties = document["properties"].as_object().cloned().unwrap_or_default();
    let required = document["required"].as_array().cloned().unwrap_or_default();
    let description = document["description"].clone();

    let text = |description: &str| json!({ "type": "string", "description": description });
    let name = text("Unique among its kind: letters, digits, `.`, `_`, `~` and `-`.");
    let instant = |description: &str| json!({ "type": "string", "format": "date-time", "description": description });
    let id = json!({ "type": "string", "format": "uuid", "description": "For ever." });
    let revision =
        json!({ "type": "integer", "minimum": 0, "description": "The revision that changed it last: its ETag." });
    let (made, changed) = (instant("When it was made."), instant("When it was changed last."));
    let applied = json!({
        "allOf": [named("Applied")], "description": "Only in the answer to a write that was waited for.",
    });

    let mut read = Map::new();
    read.insert("id".into(), id.clone());
    if is_named(noun.kind) {
        read.insert("name".into(), name.clone());
    }
    read.extend(properties.clone().into_iter().filter(|(field, _)| !hidden_fields(noun.kind).contains(field)));
    read.extend([("revision".into(), revision.clone()), ("created_at".into(), made.clone())]);
    read.extend([("updated_at".into(), changed.clone()), ("applied".into(), applied)]);
    let is_shown =
        |field: &&Value| field.as_str().is_some_and(|field| !hidden_fields(noun.kind).iter().any(|h| h == field));
    let mut must: Vec<Value> = ["id", "revision", "created_at", "updated_at"].map(|field| json!(field)).to_vec();
    must.extend(is_named(noun.kind).then(|| json!("name")));
    must.extend(required.iter().filter(is_shown).cloned());
    schemas.insert(
        noun.type_name.to_owned(),
        json!({ "type": "object", "description": description, "properties": read, "required": must }),
    );

    if !noun.is_written() {
        return;
    }
    let passed_over = |mut schema: Value| {
        schema["readOnly"] = json!(true);
        schema
    };
    let mut write = Map::new();
    write.insert("name".into(), name);
    write.extend(properties);
    write.insert("id".into(), passed_over(id));
    write.insert("revision".into(), passed_over(revision));
    write.extend([("created_at".into(), passed_over(made)), ("updated_at".into(), passed_over(changed))]);
    schemas.insert(
        format!("{}Write", noun.type_name),
        json!({
            "type": "object",
            "description": format!("A {} as it is written. What the API adds to its answers is passed over.", noun.type_name),
            "properties": write, "required": required, "additionalProperties": false,
        }),
    );
}

/// What is not set is left out of a document; `null` only takes a field away, in a patch.
fn leave_out_null(schema: &mut Value) {
    let is_null = |option: &Value| option == "null" || option["type"] == "null";
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|each| !is_null(each));
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    fields.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(options)) = fields.get_mut("anyOf") {
                options.retain(|each| !is_null(each));
                if let [only] = options.as_slice() {
                    let only = only.clone();
                    fields.remove("anyOf");
                    fields.extend(only.as_object().cloned().unwrap_or_default());
                }
            }
            fields.values_mut().for_each(leave_out_null);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_null),
        _ => {}
    }
}

fn rename_references(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(pointer)) = fields.get_mut("$ref") {
                *pointer = pointer.replace("#/$defs/", "#/components/schemas/");
            }
            fields.values_mut().for_each(rename_references);
        }
        Value::Array(items) => items.iter_mut().for_each(rename_references),
        _ => {}
    }
}
