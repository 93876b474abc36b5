//! Who calls: consumers, their groups, their credentials.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::{Document, Pointed};
use crate::{Instant, Kind, Problems, Reference, Sha256};

/// A calling application.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    /// The groups it is in; policies may be scoped to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub groups: Vec<Reference>,
    /// What another system calls it; sent upstream as `X-Consumer-Custom-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub custom_id: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// To find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub tags: Option<Vec<String>>,
}

impl Document for Consumer {
    const KIND: Kind = Kind::Consumer;

    fn check(&self, problems: &mut Problems) {
        let visible = |b: u8| (0x21..0x7f).contains(&b);
        if self.custom_id.as_ref().is_some_and(|id| !id.bytes().all(visible)) {
            problems.add_at(
                "custom_id",
                "invalid_value",
                "must be of visible ASCII characters, as it is sent in a header",
            );
        }
    }

    fn references(&self) -> Pointed<'_> {
        self.groups.iter().enumerate().map(|(i, r)| (format!("/groups/{i}"), Kind::ConsumerGroup, r)).collect()
    }
}

/// Consumers that are treated alike.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsumerGroup {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// To find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub tags: Option<Vec<String>>,
}

impl Document for ConsumerGroup {
    const KIND: Kind = Kind::ConsumerGroup;

    fn references(&self) -> Pointed<'_> {
        Pointed::new()
    }
}

/// What a consumer proves itself with. Holds no secret: only what a secret is recognised by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Whose it is; it goes when the consumer goes.
    pub consumer: Reference,
    /// How it is presented.
    pub kind: CredentialKind,
    /// The SHA-256 of the key.
    pub key_hash: Sha256,
    /// What may be shown of the key: its prefix and last four characters.
    #[schemars(length(max = 32))]
    pub hint: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub label: Option<String>,
    /// From when on it is refused. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
}

/// How a credential is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// A key in a header.
    ApiKey,
}

impl Document for Credential {
    const KIND: Kind = Kind::Credential;

    fn references(&self) -> Pointed<'_> {
        [("/consumer".into(), Kind::Consumer, &self.consumer)].into_iter().collect()
    }

    fn owners(&self) -> Pointed<'_> {
        self.references()
    }
}
