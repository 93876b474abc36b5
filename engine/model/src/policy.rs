//! Behaviour attached to a scope.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::resource::{Document, Pointed};
use crate::{Kind, Problems, Reference};

/// Behaviour attached to a scope. What `config` may hold is told by its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What it does: `key-auth`, `rate-limit`, ...
    #[schemars(length(min = 1, max = 64))]
    pub kind: String,
    /// Where, and for whom. Absent: everywhere, for everyone.
    #[serde(default, skip_serializing_if = "Scope::is_global")]
    pub scope: Scope,
    /// Its settings, by the schema of its kind. Absent: the defaults of the kind.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(extend("x-policy-config" = "kind"))]
    pub config: Map<String, Value>,
    /// Whether it acts. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Acts only where this condition in CEL holds: `request.method == "POST" && !("staff" in principal.groups)`. Before it is known
    /// who calls, the principal is anonymous. Absent: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub when: Option<String>,
    /// Whether it refuses, or only tells what it would have refused. Default: `enforce`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What a request meets when the policy could not decide. Default: `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// To find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub tags: Option<Vec<String>>,
}

/// Where and for whom a policy acts: at most one of `service` and `route`, and at most one of `consumer` and `group`.
///
/// Of several policies of one kind the most specific wins whole. Who comes before where: a policy for a consumer wins
/// over one for a group, that over one for everyone; among equals a route wins over a service, that over everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// On the routes of this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Reference>,
    /// On this route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Reference>,
    /// For this consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<Reference>,
    /// For the consumers of this group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Reference>,
}

/// What a request meets when a policy could not decide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// 503, naming the policy.
    #[default]
    Deny,
    /// It goes on as if the policy were not there.
    Skip,
}

/// Whether a policy refuses, or only tells what it would have refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// What it decides holds.
    #[default]
    Enforce,
    /// It decides, counts and tells, and the request goes on. For kinds that decide and change nothing.
    Shadow,
}

impl Scope {
    /// Whether it is everywhere and for everyone.
    pub fn is_global(&self) -> bool {
        *self == Scope::default()
    }
}

impl Document for Policy {
    const KIND: Kind = Kind::Policy;

    fn check(&self, problems: &mut Problems) {
        problems.within("scope", |p| {
            if self.scope.service.is_some() && self.scope.route.is_some() {
                p.add_at(
                    "service",
                    "conflict",
                    "give `service` or `route`, not both: a route is of one service already",
                );
            }
            if self.scope.consumer.is_some() && self.scope.group.is_some() {
                p.add_at("group", "conflict", "give `consumer` or `group`, not both");
            }
        });
    }

    fn references(&self) -> Pointed<'_> {
        let scope = [
            ("/scope/service", Kind::Service, &self.scope.service),
            ("/scope/route", Kind::Route, &self.scope.route),
            ("/scope/consumer", Kind::Consumer, &self.scope.consumer),
            ("/scope/group", Kind::ConsumerGroup, &self.scope.group),
        ];
        scope.into_iter().filter_map(|(at, kind, r)| Some((at.to_owned(), kind, r.as_ref()?))).collect()
    }

    fn owners(&self) -> Pointed<'_> {
        self.references()
    }
}
