//! What nodes let go of on demand: asked by operators, by way of a control plane.

use serde::{Deserialize, Serialize};
use tidegate_model::Id;

use crate::StoredAnswer;

/// The question's name on the config stream.
pub const PURGE_QUERY: &str = "cache-purge";

/// What is let go of: all that fits each of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// What this policy keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Id>,
    /// What came by this route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Id>,
    /// What this service said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Id>,
    /// Of these.
    pub what: PurgeWhat,
}

/// Which answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PurgeWhat {
    /// All.
    All,
    /// Those to this: host, path and query.
    Url(String),
    /// Those to what begins so.
    Prefix(String),
    /// Those with this tag.
    Tag(String),
}

impl Purge {
    /// All there is.
    pub const ALL: Purge = Purge { policy: None, route: None, service: None, what: PurgeWhat::All };

    /// Whether an answer is meant.
    pub fn means(&self, answer: &StoredAnswer) -> bool {
        self.policy.is_none_or(|policy| policy == answer.policy)
            && self.route.is_none_or(|route| route == answer.route)
            && self.service.is_none_or(|service| Some(service) == answer.service)
            && match &self.what {
                PurgeWhat::All => true,
                PurgeWhat::Url(url) => **url == *answer.url,
                PurgeWhat::Prefix(prefix) => answer.url.starts_with(&**prefix),
                PurgeWhat::Tag(tag) => answer.tags.iter().any(|own| **own == **tag),
            }
    }
}
