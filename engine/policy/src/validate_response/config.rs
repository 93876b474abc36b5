//! The config of `validate-response`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::ByteSize;

use crate::json_schema::{Content, Formats, SchemaText};

/// Replaces answers of the API that are not as they should be by 502, with all that is wrong.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateResponseConfig {
    /// What answers are to be; the first whose status fits decides.
    #[schemars(length(min = 1, max = 50))]
    pub answers: Vec<Answers>,
    /// What to do about answers whose status is not named. Default: `allow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_statuses: Option<OtherStatuses>,
    /// Schemas that others refer to by their name here: `{"$ref": "Pet"}`. A name may also be an absolute URI.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub definitions: BTreeMap<String, SchemaText>,
    /// Whether `format` refuses what does not look like it. Default: `describe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formats: Option<Formats>,
    /// The largest answer, which is held in memory whole; a larger one is replaced by 502. Default: `1MiB`, at most `16MiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<ByteSize>,
}

/// What answers of a status are to be.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// A status or all of a class: `200`, `4xx`.
    #[schemars(length(min = 3, max = 3))]
    pub status: String,
    /// The content types that may come; the first that fits decides.
    #[schemars(length(min = 1, max = 20))]
    pub content: Vec<Content>,
}

/// What to do about a status that is not named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OtherStatuses {
    /// Let it through.
    #[default]
    Allow,
    /// Replace the answer.
    Refuse,
}
