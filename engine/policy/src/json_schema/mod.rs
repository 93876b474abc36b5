//! JSON Schema (draft 2020-12): what validating kinds share.
//!
//! Schemas are compiled when a config is built. A `$ref` leads into its own schema, or to one of the `definitions` of the
//! config by its id; nothing is ever fetched, from the network or from a file. `pattern` is matched by an engine whose time
//! grows with the text alone. What is validated was read by [`read`]: within bounds, and without a member that is there twice.

mod content;
mod read;
mod report;

use std::collections::BTreeMap;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, Registry, Retrieve, Uri, Validator};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidegate_model::Problems;

pub use content::Content;
pub(crate) use content::{ContentKind, Fits, coded, find, kinds};
pub(crate) use read::read;
pub(crate) use report::{Place, Report};

/// From how many bytes on a body is validated off the worker: below, it takes less than about 100 µs.
pub(crate) const COMPUTE_BYTES_MIN: usize = 8 << 10;
/// The largest body that is validated, where the config says nothing; and the largest that it may say.
pub(crate) const BODY_BYTES: u64 = 1 << 20;
pub(crate) const BODY_BYTES_MAX: u64 = 16 << 20;

/// The largest schema of a config, as JSON, with all its definitions.
const SCHEMA_BYTES_MAX: usize = 256 << 10;
/// How deep a schema nests.
const SCHEMA_DEPTH_MAX: usize = 64;
/// How many values it is made of.
const SCHEMA_NODES_MAX: usize = 20_000;
/// What a compiled `pattern` may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// What schemas without a place of their own are relative to.
const BASE: &str = "json-schema:///";

/// A JSON Schema (draft 2020-12).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SchemaText(pub Map<String, Value>);

/// Whether `format` is more than a remark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Formats {
    /// It says what is meant and refuses nothing, as the standard has it.
    #[default]
    Describe,
    /// What does not look like the format is refused.
    Assert,
}

/// Compiles the schemas of one config.
pub(crate) struct Schemas<'a> {
    registry: Option<Registry<'a>>,
    formats: Formats,
}

/// A compiled schema.
pub(crate) struct Schema(Validator);

/// Nothing is fetched.
struct Nowhere;

impl Retrieve for Nowhere {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("there is no `{uri}`").into())
    }
}

impl Schemas<'_> {
    /// What all schemas of a config may refer to. What is wrong with it is noted at `definitions`.
    pub(crate) fn new(definitions: &BTreeMap<String, SchemaText>, formats: Formats, problems: &mut Problems) -> Self {
        let mut bounded = true;
        problems.within("definitions", |problems| {
            for (id, schema) in definitions {
                bounded &= within_bounds(&schema.0, id, problems);
            }
        });
        let resources = definitions.iter().map(|(id, schema)| {
            let uri = if id.contains(':') { id.clone() } else { format!("{BASE}{id}") };
            (uri, Value::Object(schema.0.clone()))
        });
        let built = if bounded { Some(Registry::new().retriever(Nowhere).draft(Draft::Draft202012)) } else { None };
        let built = built.and_then(|builder| match builder.extend(resources).and_then(|all| all.prepare()) {
            Ok(registry) => Some(registry),
            Err(error) => {
                problems.add_at("definitions", "invalid_schema", readable(&error.to_string()));
                None
            }
        });
        Schemas { registry: built, formats }
    }

    /// Compiles one; what is wrong with it is noted at the place that `problems` stands at, with the way into the schema.
    pub(crate) fn compile(&self, schema: &SchemaText, problems: &mut Problems) -> Option<Schema> {
        if !within_bounds(&schema.0, "", problems) {
            return None;
        }
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_registry(self.registry.as_ref()?)
            .with_retriever(Nowhere)
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
            .should_validate_formats(self.formats == Formats::Assert);
        match options.build(&Value::Object(schema.0.clone())) {
            Ok(validator) => Some(Schema(validator)),
            Err(error) => {
                let pointer = error.instance_path().as_str().to_owned();
                let mut found = Problems::new();
                let message = readable(&error.to_string());
                found.add("invalid_schema", match error.kind() {
                    ValidationErrorKind::Referencing(_) => format!(
                        "a reference leads neither into the schema nor to one of `definitions`, and nothing is fetched: {message}"
                    ),
                    _ => message,
                });
                let mut found = found.into_vec();
                found[0].pointer = pointer;
                problems.extend(found);
                None
            }
        }
    }
}

impl Schema {
    /// Notes all that a value breaks, as many as the report takes.
    pub(crate) fn check(&self, value: &Value, place: &Place<'_>, report: &mut Report) {
        if self.0.is_valid(value) {
            return;
        }
        for error in self.0.iter_errors(value) {
            // what was sent is not repeated to whom it may not concern
            let detail = error.masked().to_string();
            if !report.add(place, error.instance_path().as_str(), error.kind().keyword(), &detail) {
                return;
            }
        }
    }
}

fn readable(message: &str) -> String {
    message.chars().take(300).collect::<String>().replace(BASE, "")
}

fn within_bounds(schema: &Map<String, Value>, id: &str, problems: &mut Problems) -> bool {
    let mut nodes = 0;
    let depth = schema.values().map(|value| depth(value, SCHEMA_DEPTH_MAX, &mut nodes)).max().unwrap_or(0);
    let bytes = serde_json::to_vec(schema).map_or(usize::MAX, |text| text.len());
    let wrong = if depth >= SCHEMA_DEPTH_MAX {
        format!("nests deeper than {SCHEMA_DEPTH_MAX}")
    } else if nodes > SCHEMA_NODES_MAX {
        format!("is made of more than {SCHEMA_NODES_MAX} values")
    } else if bytes > SCHEMA_BYTES_MAX {
        format!("is larger than {SCHEMA_BYTES_MAX} bytes")
    } else {
        return true;
    };
    let detail = format!("the schema {wrong}");
    if id.is_empty() {
        problems.add("out_of_range", detail);
    } else {
        problems.add_at(id, "out_of_range", detail);
    }
    false
}

fn depth(value: &Value, left: usize, nodes: &mut usize) -> usize {
    *nodes += 1;
    if left == 0 {
        return 1;
    }
    let inner = match value {
        Value::Array(items) => items.iter().map(|item| depth(item, left - 1, nodes)).max(),
        Value::Object(members) => members.values().map(|member| depth(member, left - 1, nodes)).max(),
        _ => None,
    };
    1 + inner.unwrap_or(0)
}
