//! Checks a JSON document against the schema of its type and tells everything that is wrong at once.
//!
//! serde stops at the first mistake. Here the schema that the API publishes is walked first, so unknown fields (with the
//! nearest known name), missing ones, wrong types, bad formats and bounds are all reported with their JSON pointer; only a
//! document without any is handed to serde. Knows the subset of JSON Schema 2020-12 that schemars writes for our types, and
//! `x-one-of`: fields of which exactly one must be there (with `oneOf` every reader of the schema would see two types).

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::scalar::check_format;
use crate::{Problem, Problems};

/// The JSON Schema (2020-12) of a type.
pub fn schema_of<T: JsonSchema>() -> Schema {
    SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<T>()
}

/// Reads a document: first all that its schema can tell, then serde.
///
/// # Errors
/// All the problems, with pointers relative to the document.
pub fn decode<T: DeserializeOwned>(schema: &Schema, document: &Value) -> Result<T, Vec<Problem>> {
    let mut problems = Problems::new();
    check(schema, document, &mut problems);
    if !problems.is_empty() {
        return Err(problems.into_vec());
    }
    serde_path_to_error::deserialize(document).map_err(|error| {
        let mut problems = Problems::new();
        let pointer: String = error
            .path()
            .iter()
            .map(|segment| match segment {
                serde_path_to_error::Segment::Seq { index } => format!("/{index}"),
                serde_path_to_error::Segment::Map { key } => format!("/{key}"),
                serde_path_to_error::Segment::Enum { variant } => format!("/{variant}"),
                serde_path_to_error::Segment::Unknown => String::new(),
            })
            .collect();
        problems.add("invalid", error.into_inner().to_string());
        let mut found = problems.into_vec();
        found[0].pointer = pointer;
        found
    })
}

/// Notes all that a schema can tell about a document.
pub fn check(schema: &Schema, document: &Value, problems: &mut Problems) {
    let walk = Walk { root: schema.as_value() };
    walk.value(schema.as_value(), document, problems);
}

/// Follows `$ref` within a schema.
pub(crate) fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut schema = schema;
    while let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
        let Some(found) = pointer.strip_prefix('#').and_then(|p| root.pointer(p)) else { break };
        schema = found;
    }
    schema
}

struct Walk<'s> {
    root: &'s Value,
}

impl<'s> Walk<'s> {
    fn resolve(&self, schema: &'s Value) -> &'s Value {
        resolve(self.root, schema)
    }

    fn value(&self, schema: &'s Value, value: &Value, problems: &mut Problems) {
        let schema = self.resolve(schema);
        if let Some(options) = options(schema) {
            return self.any_of(options, value, problems);
        }
        if let Some(constant) = schema.get("const") {
            if constant != value {
                problems.add("invalid_value", format!("must be {constant}"));
            }
            return;
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
            if !allowed.contains(value) {
                let given = value.as_str().unwrap_or_default();
                let names: Vec<String> =
                    allowed.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                problems.add("invalid_value", format!("{} is not one of {}", show(value), list(&names, given)));
            }
            return;
        }
        if !type_fits(schema, value) {
            problems.add("wrong_type", format!("must be {}, not {}", wanted_types(schema), show(value)));
            return;
        }
        match value {
            Value::Object(fields) => self.object(schema, fields, problems),
            Value::Array(items) => self.array(schema, items, problems),
            Value::String(text) => text_fits(schema, text, problems),
            Value::Number(_) => number_fits(schema, value, problems),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// The branch that takes the value, or the problems of the one that was most likely meant.
    fn any_of(&self, options: &'s [Value], value: &Value, problems: &mut Problems) {
        // what an enum becomes whose variants are described
        let constants: Option<Vec<&str>> = options.iter().map(|option| option.get("const")?.as_str()).collect();
        if let Some(names) = constants {
            if !value.as_str().is_some_and(|given| names.contains(&given)) {
                let given = value.as_str().unwrap_or_default();
                problems.add("invalid_value", format!("{} is not one of {}", show(value), list(&names, given)));
            }
            return;
        }
        let mut closest: Option<Problems> = None;
        for option in options {
            let mut found = Problems::new();
            self.value(option, value, &mut found);
            if found.is_empty() {
                return;
            }
            if self.may_take(option, value) && closest.as_ref().is_none_or(|c| found.len() < c.len()) {
                closest = Some(found);
            }
        }
        match closest {
            Some(found) => problems.extend(found.into_vec()),
            None => {
                let mut wanted: Vec<String> = options.iter().map(|o| self.wanted(o)).filter(|w| w != "null").collect();
                wanted.dedup();
                problems.add("wrong_type", format!("must be {}, not {}", wanted.join(" or "), show(value)));
            }
        }
    }

    /// Whether a value is of a type that the schema takes, whatever else is wrong with it.
    fn may_take(&self, schema: &'s Value, value: &Value) -> bool {
        let schema = self.resolve(schema);
        match options(schema) {
            Some(options) => options.iter().any(|option| self.may_take(option, value)),
            None => type_fits(schema, value),
        }
    }

    fn wanted(&self, schema: &'s Value) -> String {
        let schema = self.resolve(schema);
        match options(schema) {
            Some(options) => {
                let mut wanted: Vec<String> = options.iter().map(|o| self.wanted(o)).collect();
                wanted.dedup();
                wanted.join(" or ")
            }
            None => wanted_types(schema),
        }
    }

    fn object(&self, schema: &'s Value, fields: &Map<String, Value>, problems: &mut Problems) {
        let empty = Map::new();
        let known = schema.get("properties").and_then(Value::as_object);
        for (name, value) in fields {
            if let Some(schema) = known.and_then(|k| k.get(name)) {
                problems.within(name, |p| self.value(schema, value, p));
                continue;
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) => {
                    let names: Vec<&str> = known.unwrap_or(&empty).keys().map(String::as_str).collect();
                    let hint = if names.is_empty() {
                        "there are none".to_owned()
                    } else {
                        format!("known: {}", list(&names, name))
                    };
                    problems.add_at(name, "unknown_field", format!("unknown field `{name}`; {hint}"));
                }
                Some(schema @ Value::Object(_)) => problems.within(name, |p| self.value(schema, value, p)),
                _ => {}
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                problems.add_at(name, "missing_field", format!("`{name}` is missing"));
            }
        }
        if let Some(names) = schema.get("x-one-of").and_then(Value::as_array) {
            one_of(names, fields, problems);
        }
    }

    fn array(&self, schema: &'s Value, items: &[Value], problems: &mut Problems) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        if bound("minItems").is_some_and(|min| (items.len() as u64) < min) {
            problems.add("out_of_range", format!("must hold at least {} items", bound("minItems").unwrap_or(0)));
        }
        if bound("maxItems").is_some_and(|max| items.len() as u64 > max) {
            problems.add("out_of_range", format!("must hold at most {} items", bound("maxItems").unwrap_or(0)));
            return;
        }
        if let Some(schema) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                problems.within(index, |p| self.value(schema, item, p));
            }
        }
    }
}

/// Exactly one of these fields must be there.
fn one_of(names: &[Value], fields: &Map<String, Value>, problems: &mut Problems) {
    let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    let all: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let given: Vec<&&str> = names.iter().filter(|name| fields.get(**name).is_some_and(|v| !v.is_null())).collect();
    match given.as_slice() {
        [_] => {}
        [] => problems.add_at(names[0], "missing_field", format!("give one of {}", all.join(", "))),
        [_, second, ..] => {
            problems.add_at(second, "conflict", format!("give only one of {}", all.join(", ")));
        }
    }
}

/// The branches of a schema that takes one of several things.
pub(crate) fn options(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

pub(crate) fn type_fits(schema: &Value, value: &Value) -> bool {
    let actual = type_name(value);
    let fits = |wanted: &Value| wanted == actual || (wanted == "number" && actual == "integer");
    match schema.get("type") {
        None => true,
        Some(Value::Array(types)) => types.iter().any(fits),
        Some(one) => fits(one),
    }
}

fn wanted_types(schema: &Value) -> String {
    let say = |t: &str| match t {
        "array" => "a list".to_owned(),
        "object" => "an object".to_owned(),
        "integer" => "a whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "string" => "a text".to_owned(),
        "number" => "a number".to_owned(),
        other => other.to_owned(),
    };
    match schema.get("type") {
        Some(Value::String(one)) => say(one),
        Some(Value::Array(types)) => {
            let names: Vec<String> = types.iter().filter_map(Value::as_str).filter(|t| *t != "null").map(say).collect();
            names.join(" or ")
        }
        _ => "something else".to_owned(),
    }
}

fn text_fits(schema: &Value, text: &str, problems: &mut Problems) {
    let length = text.chars().count() as u64;
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    if let Some(min) = bound("minLength").filter(|min| length < *min) {
        problems.add("out_of_range", format!("must have at least {min} characters"));
    }
    if let Some(max) = bound("maxLength").filter(|max| length > *max) {
        problems.add("out_of_range", format!("must have at most {max} characters"));
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str)
        && let Err(why) = check_format(format, text)
    {
        problems.add("invalid_value", why);
    }
}

fn number_fits(schema: &Value, value: &Value, problems: &mut Problems) {
    let Some(number) = value.as_f64() else { return };
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    if let Some(min) = bound("minimum").filter(|min| number < *min) {
        problems.add("out_of_range", format!("must be at least {min}, not {value}"));
    }
    if let Some(max) = bound("maximum").filter(|max| number > *max) {
        problems.add("out_of_range", format!("must be at most {max}, not {value}"));
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) if text.len() > 60 => "a long text".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// The names, the one that was probably meant in front.
fn list(names: &[&str], given: &str) -> String {
    let mut names = names.to_vec();
    names.sort_by(|a, b| strsim::jaro_winkler(b, given).total_cmp(&strsim::jaro_winkler(a, given)));
    let best = names.first().is_some_and(|n| strsim::jaro_winkler(n, given) > 0.8);
    let all: Vec<String> = names.iter().take(12).map(|n| format!("`{n}`")).collect();
    if best { format!("{} (did you mean `{}`?)", all.join(", "), names[0]) } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::Span;

    #[expect(dead_code, reason = "only its schema and its reading are looked at")]
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Example {
        timeout: Option<Span>,
        #[schemars(range(min = 1, max = 5))]
        count: u32,
        shape: Option<Shape>,
        inner: Option<Inner>,
        list: Option<Vec<Inner>>,
    }

    #[expect(dead_code, reason = "only its schema and its reading are looked at")]
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        size: u8,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    enum Shape {
        Round,
        Square,
    }

    fn problems(document: Value) -> Vec<(String, String)> {
        let found = decode::<Example>(&schema_of::<Example>(), &document).map(drop).expect_err("it is wrong");
        found.into_iter().map(|p| (p.pointer, p.code.into_owned())).collect()
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let found = problems(json!({
            "timout": "1s", "timeout": "soon", "shape": "rund", "inner": { "size": "x", "colour": 1 }, "list": [{ "size": 1 }, { "sise": 2 }],
        }));
        let expected = [
            ("/timout", "unknown_field"),
            ("/timeout", "invalid_value"),
            ("/shape", "invalid_value"),
            ("/inner/size", "wrong_type"),
            ("/inner/colour", "unknown_field"),
            ("/list/1/sise", "unknown_field"),
            ("/list/1/size", "missing_field"),
            ("/count", "missing_field"),
        ];
        for (pointer, code) in expected {
            assert!(found.contains(&(pointer.into(), code.into())), "{pointer} {code} is not in {found:?}");
        }
        assert_eq!(found.len(), expected.len(), "{found:?}");
    }

    #[test]
    fn the_nearest_known_name_is_named() {
        let found =
            decode::<Example>(&schema_of::<Example>(), &json!({ "timout": "1s", "count": 1 })).expect_err("unknown");
        assert!(found[0].detail.contains("did you mean `timeout`?"), "{}", found[0].detail);
    }

    #[test]
    fn bounds_are_told() {
        assert_eq!(problems(json!({ "count": 9 })), [("/count".into(), "out_of_range".into())]);
        assert!(decode::<Example>(&schema_of::<Example>(), &json!({ "count": 5, "timeout": null })).is_ok());
    }
}
