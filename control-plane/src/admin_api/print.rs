//! How resources are shown: flat, references by name, without what is secret.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use tidegate_model::{GatewayConfig, Kind, Resource, Spec, document_schema, visit_document_references};
use tidegate_policy::Registry;

use crate::changes::{is_named, visit_all_secrets};
use crate::vault::mask;

/// A resource as it is read and, but for what the API adds, written.
pub(super) fn resource(resource: &Resource, config: &GatewayConfig) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("id".into(), json!(resource.id));
    if is_named(resource.kind()) {
        shown.insert("name".into(), json!(resource.name));
    }
    if let Value::Object(fields) = document(resource.kind(), &resource.document, config) {
        shown.extend(fields);
    }
    shown.insert("revision".into(), json!(resource.revision));
    shown.insert("created_at".into(), json!(resource.created_at));
    shown.insert("updated_at".into(), json!(resource.updated_at));
    shown
}

/// The fields of a document. What it refers to is called by its name of today, or by its id once it is gone.
pub(super) fn document(kind: Kind, text: &str, config: &GatewayConfig) -> Value {
    let mut document: Value = serde_json::from_str(text).unwrap_or_default();
    if let Ok(spec) = Spec::decode(kind, &document) {
        for (pointer, kind, reference) in spec.references() {
            let name = reference.id().and_then(|id| config.get(kind, id)?.name.clone());
            if let (Some(name), Some(place)) = (name, document.pointer_mut(&pointer)) {
                *place = json!(name);
            }
        }
    }
    let registry = Registry::standard();
    visit_document_references(kind, &mut document, &registry.schemas(), &mut |_, kind, place| {
        let id = place.as_str().and_then(|text| text.parse().ok());
        if let Some(name) = id.and_then(|id| config.get(kind, id)?.name.clone()) {
            *place = json!(name);
        }
    });
    visit_all_secrets(kind, &mut document, &registry, &mut |secret| {
        let Value::String(text) = secret else { return };
        *text = mask(text);
    });
    if let Value::Object(fields) = &mut document {
        fields.retain(|field, _| !hidden_fields(kind).contains(field));
    }
    document
}

/// Hashes of keys and tokens, and of nodes' keys: of no use to who reads, of some to who guesses.
pub(super) fn hidden_fields(kind: Kind) -> &'static [String] {
    static HIDDEN: OnceLock<Vec<Vec<String>>> = OnceLock::new();
    let all = HIDDEN.get_or_init(|| {
        let mut all = vec![Vec::new(); Kind::ALL.len()];
        for kind in Kind::ALL {
            let properties = document_schema(kind).get("properties").and_then(Value::as_object);
            let hashes = properties.into_iter().flatten().filter(|(_, schema)| is_hash(schema));
            all[kind as usize] = hashes.map(|(field, _)| field.clone()).collect();
        }
        all
    });
    &all[kind as usize]
}

fn is_hash(schema: &Value) -> bool {
    let options = schema.get("anyOf").and_then(Value::as_array);
    schema.get("format").is_some_and(|format| format == "sha256" || format == "password-hash")
        || options.into_iter().flatten().any(is_hash)
}

/// The ETag of a resource.
pub(super) fn etag(resource: &Resource) -> String {
    format!("\"{}\"", resource.revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_hidden_whatever_the_kind() {
        let hidden = |kind| hidden_fields(kind).join(" ");
        assert_eq!(hidden(Kind::Credential), "key_hash password_hash");
        assert_eq!(hidden(Kind::OperatorToken), "token_hash");
        assert_eq!(hidden(Kind::JoinToken), "token_hash");
        assert_eq!(hidden(Kind::Node), "public_key");
        assert_eq!(hidden(Kind::Service), "");
    }
}
