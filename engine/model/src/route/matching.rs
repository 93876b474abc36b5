//! Which requests a route takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeaderName, PathTemplate, Pattern};
use crate::{HostPattern, Method, Path, Problems};

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
    /// All of these headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: Vec<HeaderMatch>,
    /// All of these parameters of the query.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub query: Vec<QueryMatch>,
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
    /// With parameters: `{name}` takes one segment, `{*name}` at the end takes the rest.
    Template(PathTemplate),
    /// A regular expression that fits the whole path; its named groups are captured.
    Regex(Pattern),
}

/// A header that a request must or must not have. One of `exact`, `present` and `regex`. Where it is repeated, any of its
/// values may fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-one-of" = ["exact", "present", "regex"]))]
pub struct HeaderMatch {
    /// Its name; capitals do not matter.
    pub name: HeaderName,
    /// It has this value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub exact: Option<String>,
    /// Whether it must be there (`true`) or must not (`false`), whatever its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
    /// Its whole value fits this regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<Pattern>,
}

/// A parameter that a query must or must not have. One of `exact`, `present` and `regex`. Name and value are compared
/// decoded (`%20` and `+` are a space); where it is repeated, any of its values may fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-one-of" = ["exact", "present", "regex"]))]
pub struct QueryMatch {
    /// Its name, decoded.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// It has this value, decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub exact: Option<String>,
    /// Whether it must be there (`true`) or must not (`false`), whatever its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
    /// Its whole value, decoded, fits this regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<Pattern>,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test<'a> {
    /// It is this.
    Exact(&'a str),
    /// It is there, or it is not.
    Present(bool),
    /// It fits this.
    Regex(&'a Pattern),
}

fn test<'a>(exact: &'a Option<String>, present: Option<bool>, regex: &'a Option<Pattern>) -> Test<'a> {
    match (exact, regex) {
        (Some(exact), _) => Test::Exact(exact),
        (None, Some(regex)) => Test::Regex(regex),
        (None, None) => Test::Present(present.unwrap_or(true)),
    }
}

impl HeaderMatch {
    /// How its value is compared.
    pub fn test(&self) -> Test<'_> {
        test(&self.exact, self.present, &self.regex)
    }
}

impl QueryMatch {
    /// How its value is compared.
    pub fn test(&self) -> Test<'_> {
        test(&self.exact, self.present, &self.regex)
    }
}

impl PathRule {
    /// What is captured, by name.
    pub fn captures(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            PathRule::Prefix(_) | PathRule::Exact(_) => Box::new(std::iter::empty()),
            PathRule::Template(template) => Box::new(template.names()),
            PathRule::Regex(pattern) => Box::new(pattern.names()),
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        match self {
            PathRule::Prefix(path) | PathRule::Exact(path) => path.as_str(),
            PathRule::Template(template) => template.as_str(),
            PathRule::Regex(pattern) => pattern.as_str(),
        }
    }
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

    pub(super) fn check(&self, parameters_allowed: bool, problems: &mut Problems) {
        for (number, rule) in self.paths().enumerate() {
            let found = match &rule {
                PathRule::Regex(pattern) if !pattern.as_str().is_ascii() => (
                    "invalid_value",
                    "a canonical path is of ASCII characters; write others as they stand there, like `%C3%A4`",
                ),
                PathRule::Regex(_) => continue,
                plain if plain.text().contains(';') && !parameters_allowed => {
                    ("conflict", "a path with `;` never matches unless `allow_path_parameters` is true")
                }
                _ => continue,
            };
            problems.within("path", |p| match &self.path {
                Some(Paths::Many(_)) => p.add_at(number, found.0, found.1),
                _ => p.add(found.0, found.1),
            });
        }
    }
}
