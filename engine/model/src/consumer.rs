//! Who calls: consumers, their groups, their credentials.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::{Document, Pointed};
use crate::{Instant, Kind, PasswordHash, Problems, Reference, Sha256};

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
    /// Of an API key: its SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_hash: Option<Sha256>,
    /// Of an API key: what may be shown of it, its prefix and last four characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hint: Option<String>,
    /// Of basic credentials: the name that is shown with the password. No two credentials have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub username: Option<String>,
    /// Of basic credentials: what the password is recognised by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<PasswordHash>,
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
    /// A key, where the policy `key-auth` looks for it.
    ApiKey,
    /// A username and a password (RFC 7617), for the policy `basic-auth`.
    Basic,
}

impl Document for Credential {
    const KIND: Kind = Kind::Credential;

    fn check(&self, problems: &mut Problems) {
        let fields = [
            ("key_hash", self.key_hash.is_some(), CredentialKind::ApiKey),
            ("hint", self.hint.is_some(), CredentialKind::ApiKey),
            ("username", self.username.is_some(), CredentialKind::Basic),
            ("password_hash", self.password_hash.is_some(), CredentialKind::Basic),
        ];
        for (field, given, of) in fields {
            if of == self.kind && !given {
                problems.add_at(field, "missing_field", format!("`{field}` is missing"));
            }
            if of != self.kind && given {
                problems.add_at(field, "conflict", "belongs to another kind of credential");
            }
        }
        if self.username.as_ref().is_some_and(|name| name.chars().any(|c| c == ':' || c.is_control())) {
            problems.add_at("username", "invalid_value", "must be without `:` and control characters");
        }
    }

    fn references(&self) -> Pointed<'_> {
        [("/consumer".into(), Kind::Consumer, &self.consumer)].into_iter().collect()
    }

    fn owners(&self) -> Pointed<'_> {
        self.references()
    }
}
