//! A match that leads to a service.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::{Document, Pointed};
use crate::{HostPattern, Kind, Method, Path, Problems, Reference};

/// A match that leads to a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The service that answers.
    pub service: Reference,
    /// Which requests it takes. Absent: all of them.
    #[serde(rename = "match", default, skip_serializing_if = "Match::is_any")]
    pub matches: Match,
    /// Whether the prefix that matched is taken off before the path goes upstream. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<bool>,
    /// Goes before every other rule of precedence: of two routes that match, the higher one wins. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub priority: Option<i32>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// To find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub tags: Option<Vec<String>>,
}

/// Which requests a route takes: those that fit all the parts that are given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Any of these hosts. Absent: any host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub hosts: Vec<HostPattern>,
    /// Any of these paths. Absent: any path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Paths>,
    /// Any of these methods. Absent: any method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub methods: Vec<Method>,
}

/// One path to match, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Paths {
    /// This one.
    One(PathMatch),
    /// Any of these.
    Many(#[schemars(length(min = 1, max = 256))] Vec<PathMatch>),
}

/// A path to match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PathMatch {
    /// A prefix, by whole segments: `/orders` takes `/orders` and `/orders/1`, not `/orders2`.
    Short(Path),
    /// Says how it is compared.
    Rule(PathRule),
}

/// How a path is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PathRule {
    /// By whole segments: `/orders` takes `/orders` and `/orders/1`, not `/orders2`.
    Prefix(Path),
    /// This path and no other.
    Exact(Path),
}

impl Match {
    /// Whether it takes every request.
    pub fn is_any(&self) -> bool {
        *self == Match::default()
    }

    /// The paths as rules; empty for any path.
    pub fn paths(&self) -> impl Iterator<Item = PathRule> + '_ {
        let all: &[PathMatch] = match &self.path {
            None => &[],
            Some(Paths::One(one)) => std::slice::from_ref(one),
            Some(Paths::Many(many)) => many,
        };
        all.iter().map(|path| match path {
            PathMatch::Short(path) => PathRule::Prefix(path.clone()),
            PathMatch::Rule(rule) => rule.clone(),
        })
    }
}

impl Document for Route {
    const KIND: Kind = Kind::Route;

    fn check(&self, problems: &mut Problems) {
        let exact = self.matches.paths().any(|rule| matches!(rule, PathRule::Exact(_)));
        if self.strip_prefix == Some(true) && (exact || self.matches.path.is_none()) {
            problems.add_at(
                "strip_prefix",
                "conflict",
                "there is no prefix to strip; `match.path` must hold prefixes only",
            );
        }
    }

    fn references(&self) -> Pointed<'_> {
        [("/service".into(), Kind::Service, &self.service)].into_iter().collect()
    }
}
