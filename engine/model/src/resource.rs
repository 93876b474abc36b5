//! One resource at one revision, whatever its kind.

use std::sync::{Arc, OnceLock};

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use smallvec::SmallVec;

use crate::schema::{decode, schema_of};
use crate::{
    ConfigSchemas, Consumer, ConsumerGroup, Credential, Id, Instant, JoinToken, Kind, Name, Node, Operator,
    OperatorToken, Policy, Problem, Problems, Reference, Route, Service, Upstream, visit_references, visit_secrets,
};

/// References of a document: where each stands, what it must point at, what it says.
pub type Pointed<'a> = SmallVec<[(String, Kind, &'a Reference); 2]>;

/// What every noun gives.
pub trait Document: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static {
    /// Its kind.
    const KIND: Kind;

    /// Notes what the schema can't tell.
    fn check(&self, _problems: &mut Problems) {}

    /// Where it points at other resources.
    fn references(&self) -> Pointed<'_>;

    /// Those references whose target takes this resource with it when it is deleted.
    fn owners(&self) -> Pointed<'_> {
        Pointed::new()
    }
}

macro_rules! nouns {
    ($($noun:ident),*) => {
        /// What a resource's document says, read.
        #[expect(missing_docs, reason = "the nouns document themselves")]
        #[derive(Debug, Clone, PartialEq)]
        pub enum Spec { $($noun($noun)),* }

        impl Spec {
            /// Reads a document; all that is wrong with it is told at once.
            ///
            /// # Errors
            /// The problems, with pointers into the document.
            pub fn decode(kind: Kind, document: &Value) -> Result<Spec, Vec<Problem>> {
                match kind {
                    $(Kind::$noun => {
                        let spec: $noun = decode(document_schema(kind), document)?;
                        let mut problems = Problems::new();
                        spec.check(&mut problems);
                        problems.or(Spec::$noun(spec))
                    })*
                }
            }

            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self { $(Spec::$noun(_) => Kind::$noun),* }
            }

            /// Where it points at other resources.
            pub fn references(&self) -> Pointed<'_> {
                match self { $(Spec::$noun(spec) => spec.references()),* }
            }

            /// Those references whose target takes this resource with it when it is deleted.
            pub fn owners(&self) -> Pointed<'_> {
                match self { $(Spec::$noun(spec) => spec.owners()),* }
            }

            /// The document: only what was set.
            pub fn to_document(&self) -> Value {
                let value = match self { $(Spec::$noun(spec) => serde_json::to_value(spec)),* };
                value.expect("documents are plain data with text keys")
            }
        }

        /// The JSON schema of a kind's document.
        pub fn document_schema(kind: Kind) -> &'static Schema {
            match kind {
                $(Kind::$noun => {
                    static SCHEMA: OnceLock<Schema> = OnceLock::new();
                    SCHEMA.get_or_init(schema_of::<$noun>)
                })*
            }
        }

        $(impl AsSpec for $noun {
            fn of(spec: &Spec) -> Option<&Self> {
                match spec { Spec::$noun(spec) => Some(spec), _ => None }
            }
        })*
    };
}

nouns!(Service, Route, Upstream, Policy, Consumer, ConsumerGroup, Credential, Operator, OperatorToken, JoinToken, Node);

/// A noun that a [`Spec`] may hold.
pub trait AsSpec: Document {
    /// The noun, if it is this one.
    fn of(spec: &Spec) -> Option<&Self>;
}

/// One resource at one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// For ever.
    pub id: Id,
    /// Unique among its kind; credentials and tokens have none.
    pub name: Option<Name>,
    /// The revision that last changed it: its ETag.
    pub revision: u64,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// The document as stored and streamed, references as ids: JSON text.
    pub document: Arc<str>,
    /// The document, read.
    pub spec: Spec,
}

impl Resource {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.spec.kind()
    }

    /// What a person would call it.
    pub fn label(&self) -> String {
        self.name.as_ref().map_or_else(|| self.id.to_string(), Name::to_string)
    }
}

/// Visits each secret of a document of this kind, those of policies' configs too: to seal what is plain, to mask what is shown.
pub fn visit_document_secrets(
    kind: Kind,
    document: &mut Value,
    configs: &ConfigSchemas,
    visit: &mut dyn FnMut(&mut Value),
) {
    visit_secrets(document_schema(kind), document, configs, visit);
}

/// Visits each reference of a document of this kind that only a schema tells of: those of policies' configs. Others are told
/// by [`Spec::references`].
pub fn visit_document_references(
    kind: Kind,
    document: &mut Value,
    configs: &ConfigSchemas,
    visit: &mut dyn FnMut(&str, Kind, &mut Value),
) {
    visit_references(document_schema(kind), document, configs, visit);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(kind: Kind, document: Value) -> Vec<String> {
        let found = Spec::decode(kind, &document).map(drop).expect_err("it is wrong");
        found.into_iter().map(|p| format!("{} {}", p.pointer, p.code)).collect()
    }

    #[test]
    fn ten_mistakes_in_one_route_are_ten_problems() {
        let found = problems(
            Kind::Route,
            json!({
                "servce": "orders", "strip_prefix": "yes", "priority": 5_000_000, "tags": "x", "description": 7,
                "match": { "hosts": ["http://a", "b c"], "path": ["orders", { "exakt": "/x" }], "methods": ["get"] },
            }),
        );
        for expected in [
            "/servce unknown_field",
            "/service missing_field",
            "/strip_prefix wrong_type",
            "/priority out_of_range",
            "/tags wrong_type",
            "/description wrong_type",
            "/match/hosts/0 invalid_value",
            "/match/hosts/1 invalid_value",
            "/match/path/0 invalid_value",
            "/match/path/1/exakt unknown_field",
            "/match/methods/0 invalid_value",
        ] {
            assert!(found.iter().any(|f| f == expected), "{expected} is not in {found:#?}");
        }
    }

    #[test]
    fn a_document_holds_only_what_was_set() {
        for (kind, document) in [
            (Kind::Service, json!({ "url": "http://127.0.0.1:9000" })),
            (Kind::Route, json!({ "service": "orders", "match": { "path": "/orders" }, "strip_prefix": true })),
            (
                Kind::Route,
                json!({ "service": "orders", "match": { "hosts": ["*.a.example"], "path": [{ "exact": "/a" }, "/b"], "methods": ["GET"] } }),
            ),
            (Kind::Policy, json!({ "kind": "key-auth", "scope": { "service": "orders" } })),
            (Kind::Consumer, json!({})),
            (Kind::Upstream, json!({ "targets": [{ "address": "a:1" }, { "address": "b:1", "weight": 3 }] })),
            (Kind::Operator, json!({ "role": "admin" })),
        ] {
            let spec = Spec::decode(kind, &document).unwrap_or_else(|e| panic!("{kind}: {e:?}"));
            assert_eq!(spec.to_document(), document);
        }
    }

    #[test]
    fn what_the_schema_cannot_tell_is_checked_too() {
        assert_eq!(problems(Kind::Service, json!({})), ["/url missing_field"]);
        assert_eq!(problems(Kind::Service, json!({ "url": "http://a", "upstream": "b" })), ["/upstream conflict"]);
        assert_eq!(
            problems(Kind::Service, json!({ "url": "http://a", "timeouts": { "connect": "0s" } })),
            ["/timeouts/connect out_of_range"]
        );
        assert_eq!(problems(Kind::Route, json!({ "service": "a", "strip_prefix": true })), ["/strip_prefix conflict"]);
        assert_eq!(
            problems(Kind::Policy, json!({ "kind": "x", "scope": { "service": "a", "route": "b" } })),
            ["/scope/service conflict"]
        );
        let twice = json!({ "targets": [{ "address": "a:1" }, { "address": "a:1" }] });
        assert_eq!(problems(Kind::Upstream, twice), ["/targets/1/address conflict"]);
    }
}
