//! What schemas mark in documents: secrets (`format: secret`) and references (`x-reference`), wherever they stand.
//!
//! A field with `x-policy-config` holds the config of a policy kind that the named field beside it says. Its own schema is
//! looked into then, so that what a policy is made of (`auth` of `jwt`, say) is sealed and resolved as if it stood alone.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use schemars::Schema;
use serde_json::Value;

use crate::Kind;
use crate::schema::{options, type_fits};

/// The schemas of policies' configs, by kind. Nothing of a kind that is not known is looked into.
#[derive(Clone)]
pub struct ConfigSchemas(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<&'static Schema> + Send + Sync;

impl ConfigSchemas {
    /// Found by this.
    pub fn new(find: impl Fn(&str) -> Option<&'static Schema> + Send + Sync + 'static) -> Self {
        ConfigSchemas(Arc::new(find))
    }

    /// The schema of a kind's config.
    pub fn of(&self, kind: &str) -> Option<&'static Schema> {
        (self.0)(kind)
    }
}

impl Default for ConfigSchemas {
    /// None is known.
    fn default() -> Self {
        ConfigSchemas::new(|_| None)
    }
}

impl fmt::Debug for ConfigSchemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfigSchemas")
    }
}

/// Visits every secret of a document.
pub fn visit_secrets(schema: &Schema, document: &mut Value, within: &ConfigSchemas, visit: &mut dyn FnMut(&mut Value)) {
    walk(schema, document, within, &mut |_, mark, value| {
        if mark == Mark::Secret {
            visit(value);
        }
    });
}

/// Visits every reference of a document whose schema says what it must point at: where it stands, that kind, the text.
pub fn visit_references(
    schema: &Schema,
    document: &mut Value,
    within: &ConfigSchemas,
    visit: &mut dyn FnMut(&str, Kind, &mut Value),
) {
    walk(schema, document, within, &mut |pointer, mark, value| {
        if let Mark::Reference(kind) = mark {
            visit(pointer, kind, value);
        }
    });
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Secret,
    Reference(Kind),
}

type Visit<'v> = &'v mut dyn FnMut(&str, Mark, &mut Value);

fn walk(schema: &Schema, document: &mut Value, within: &ConfigSchemas, visit: Visit<'_>) {
    let mut walk = Walk { root: schema.as_value(), within, at: String::new(), seen: BTreeSet::new(), visit };
    walk.value(schema.as_value(), document);
}

struct Walk<'s, 'v> {
    root: &'s Value,
    within: &'s ConfigSchemas,
    at: String,
    /// What was visited: two alternatives may both mark a place.
    seen: BTreeSet<String>,
    visit: Visit<'v>,
}

impl<'s> Walk<'s, '_> {
    fn value(&mut self, schema: &'s Value, value: &mut Value) {
        let schema = crate::schema::resolve(self.root, schema);
        for option in options(schema).into_iter().flatten() {
            if type_fits(crate::schema::resolve(self.root, option), value) {
                self.value(option, value);
            }
        }
        match value {
            Value::String(_) => {
                if let Some(mark) = mark(schema)
                    && self.seen.insert(self.at.clone())
                {
                    (self.visit)(&self.at, mark, value);
                }
            }
            Value::Object(fields) => {
                let properties = schema.get("properties");
                let names: Vec<String> = fields.keys().cloned().collect();
                for name in names {
                    let field = properties.and_then(|p| p.get(&name)).or_else(|| schema.get("additionalProperties"));
                    let Some(field) = field else { continue };
                    let beside = field.get("x-policy-config").and_then(Value::as_str);
                    let kind = beside.and_then(|beside| fields.get(beside)).and_then(Value::as_str);
                    let config = kind.and_then(|kind| self.within.of(kind));
                    let Some(value) = fields.get_mut(&name) else { continue };
                    self.below(&name, |walk| match config {
                        Some(config) => {
                            let outer = std::mem::replace(&mut walk.root, config.as_value());
                            walk.value(config.as_value(), value);
                            walk.root = outer;
                        }
                        None => walk.value(field, value),
                    });
                }
            }
            Value::Array(items) => {
                let Some(item) = schema.get("items") else { return };
                for (index, value) in items.iter_mut().enumerate() {
                    self.below(&index.to_string(), |walk| walk.value(item, value));
                }
            }
            _ => {}
        }
    }

    fn below(&mut self, name: &str, look: impl FnOnce(&mut Self)) {
        let length = self.at.len();
        self.at.push('/');
        self.at.push_str(&name.replace('~', "~0").replace('/', "~1"));
        look(self);
        self.at.truncate(length);
    }
}

fn mark(schema: &Value) -> Option<Mark> {
    if let Some(kind) = schema.get("x-reference").and_then(Value::as_str) {
        return kind.parse().ok().map(Mark::Reference);
    }
    schema.get("format").is_some_and(|format| format == "secret").then_some(Mark::Secret)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::OnceLock;

    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::{Map, json};

    use super::*;
    use crate::schema::schema_of;
    use crate::{Secret, ToConsumer, ToGroup};

    #[expect(dead_code, reason = "only its schema is looked at")]
    #[derive(Deserialize, JsonSchema)]
    struct Outer {
        secret: Option<Secret>,
        groups: Vec<ToGroup>,
        by_name: BTreeMap<String, Secret>,
        either: Either,
        members: Vec<Member>,
    }

    #[expect(dead_code, reason = "only its schema is looked at")]
    #[derive(Deserialize, JsonSchema)]
    struct Member {
        kind: String,
        #[schemars(extend("x-policy-config" = "kind"))]
        config: Map<String, Value>,
    }

    #[expect(dead_code, reason = "only its schema is looked at")]
    #[derive(Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Either {
        One { consumer: ToConsumer },
        Two { consumer: ToConsumer, more: bool },
    }

    fn kinds() -> ConfigSchemas {
        static OUTER: OnceLock<Schema> = OnceLock::new();
        ConfigSchemas::new(|kind| (kind == "outer").then(|| OUTER.get_or_init(schema_of::<Outer>)))
    }

    #[test]
    fn what_is_marked_is_found_once_also_within_configs_of_other_kinds() {
        let mut document = json!({
            "secret": "s1", "groups": ["g1", "g2"], "by_name": { "a/b": "s2" }, "either": { "consumer": "c1" },
            "members": [
                { "kind": "outer", "config": { "secret": "s3", "members": [{ "config": { "groups": ["g3"] }, "kind": "outer" }] } },
                { "kind": "unknown", "config": { "secret": "not known", "groups": ["not known"] } },
            ],
        });
        let schema = schema_of::<Outer>();
        let mut found = Vec::new();
        visit_secrets(&schema, &mut document, &kinds(), &mut |secret| {
            found.push(secret.as_str().unwrap_or_default().to_owned());
            *secret = json!("sealed");
        });
        assert_eq!(found, ["s1", "s2", "s3"]);
        assert_eq!(document.pointer("/members/0/config/secret"), Some(&json!("sealed")));
        let mut found = Vec::new();
        visit_references(&schema, &mut document, &kinds(), &mut |pointer, kind, text| {
            found.push(format!("{pointer} {kind} {}", text.as_str().unwrap_or_default()));
        });
        let expected = [
            "/groups/0 consumer-group g1",
            "/groups/1 consumer-group g2",
            "/either/consumer consumer c1",
            "/members/0/config/members/0/config/groups/0 consumer-group g3",
        ];
        assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected.into_iter().collect());
    }
}
