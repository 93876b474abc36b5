//! References of a config: what each must point at is part of its type, and of its schema by the keyword `x-reference`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{Id, Kind, Reference};

macro_rules! pointing {
    ($($(#[$doc:meta])* $type:ident => $kind:expr, $description:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Reference);

        impl $type {
            /// What it points at.
            pub const KIND: Kind = $kind;

            /// The id, once resolved. A name that is not matches nobody.
            pub fn id(&self) -> Option<Id> {
                self.0.id()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string", "format": "reference", "x-reference": $kind.as_str(), "description": $description
                })
            }
        }
    )*};
}

pointing! {
    /// A consumer, from within a config.
    ToConsumer => Kind::Consumer, "The name or id of a consumer.";
    /// A group of consumers, from within a config.
    ToGroup => Kind::ConsumerGroup, "The name or id of a group of consumers.";
}
