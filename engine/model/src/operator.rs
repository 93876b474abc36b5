//! Who runs the gateway: operators and their tokens, nodes and the tokens they join with.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::{Document, Pointed};
use crate::{Instant, Kind, Problems, Reference, Sha256};

/// Who uses the admin API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// What it may do.
    pub role: Role,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// To find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub tags: Option<Vec<String>>,
}

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// See everything, change nothing.
    Viewer,
    /// Everything.
    Admin,
}

impl Document for Operator {
    const KIND: Kind = Kind::Operator;

    fn references(&self) -> Pointed<'_> {
        Pointed::new()
    }
}

/// What an operator proves itself with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorToken {
    /// Whose it is; it goes when the operator goes.
    pub operator: Reference,
    /// The SHA-256 of the token.
    pub token_hash: Sha256,
    /// What may be shown of the token.
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

impl Document for OperatorToken {
    const KIND: Kind = Kind::OperatorToken;

    fn references(&self) -> Pointed<'_> {
        [("/operator".into(), Kind::Operator, &self.operator)].into_iter().collect()
    }

    fn owners(&self) -> Pointed<'_> {
        self.references()
    }
}

/// What lets a new node join.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinToken {
    /// The SHA-256 of the token's secret.
    pub token_hash: Sha256,
    /// What may be shown of the token.
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

impl Document for JoinToken {
    const KIND: Kind = Kind::JoinToken;

    fn references(&self) -> Pointed<'_> {
        Pointed::new()
    }
}

/// An enrolled data-plane process. Deleting it retires the node: its certificate is refused from then on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// What the node said of itself when it joined: zone, rack, ...
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The SHA-256 of the public key that its certificate speaks for. Absent on the node inside a standalone process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<Sha256>,
}

impl Document for Node {
    const KIND: Kind = Kind::Node;

    fn check(&self, problems: &mut Problems) {
        if self.labels.len() > 32 {
            problems.add_at("labels", "out_of_range", "must hold at most 32 labels");
        }
        for (name, value) in &self.labels {
            if name.is_empty() || name.len() > 63 || value.len() > 63 {
                let detail = "label names have 1 to 63 characters, values at most 63";
                problems.within("labels", |p| p.add_at(name, "out_of_range", detail));
            }
        }
    }

    fn references(&self) -> Pointed<'_> {
        Pointed::new()
    }
}
