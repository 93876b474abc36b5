//! A match that leads to a service, or elsewhere.

mod compose;
mod matching;
mod names;
mod pattern;
mod redirect;
mod rewrite;
mod template;

pub use compose::{
    Coalesce, Compose, ComposedAnswer, Expect, ExpectedContent, InvalidStatusRange, OnStepError, Partial, Retry,
    RetryOn, StatusRange, Step, StepBody,
};
pub use matching::{HeaderMatch, Match, PathMatch, PathRule, Paths, QueryMatch, Test};
pub use names::{HeaderName, HostPort, InvalidHeaderName, InvalidHostPort};
pub use pattern::{InvalidPattern, Pattern};
pub use redirect::{Redirect, RedirectQuery, RedirectScheme, RedirectStatus};
pub use rewrite::{CapturePath, InvalidCapturePath, Piece, Rewrite};
pub use template::{InvalidTemplate, PathTemplate, Segment};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::{Document, Pointed};
use crate::{Kind, Problems, Reference};

/// A match that leads to a service, or elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-one-of" = ["service", "redirect", "compose"]))]
pub struct Route {
    /// The service that answers. Either this, `redirect` or `compose`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Reference>,
    /// Where callers are sent instead. Either this, `service` or `compose`. The route's policies act before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// Calls to several services that make one answer. Either this, `service` or `redirect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compose: Option<Box<Compose>>,
    /// Which requests it takes. Absent: all of them.
    #[serde(rename = "match", default, skip_serializing_if = "Match::is_any")]
    pub matches: Match,
    /// Whether the prefix that matched is taken off before the path goes upstream. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<bool>,
    /// What the request is called upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// Whether paths with a `;` are taken. Servers disagree on what one means: some cut off what follows it in a segment, so
    /// that they see another path than the gateway. Default: false, and such a request is refused with 400.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_path_parameters: Option<bool>,
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

impl Document for Route {
    const KIND: Kind = Kind::Route;

    fn check(&self, problems: &mut Problems) {
        problems.within("match", |p| self.matches.check(self.allow_path_parameters == Some(true), p));
        let only_prefixes = self.matches.paths().all(|rule| matches!(rule, PathRule::Prefix(_)));
        if self.strip_prefix == Some(true) && (!only_prefixes || self.matches.path.is_none()) {
            problems.add_at(
                "strip_prefix",
                "conflict",
                "there is no prefix to strip; `match.path` must hold prefixes only",
            );
        }
        if self.strip_prefix == Some(true) && self.redirect.is_some() {
            problems.add_at("strip_prefix", "conflict", "a redirect has a `path` of its own");
        }
        if self.strip_prefix == Some(true) && self.compose.is_some() {
            problems.add_at("strip_prefix", "conflict", "each step of a composition has a `path` of its own");
        }
        if let Some(compose) = &self.compose {
            problems.within("compose", |p| {
                compose.check(p);
                if let Some(answer) = &compose.answer {
                    p.within("answer", |p| answer.check(p));
                }
            });
        }
        if let Some(rewrite) = &self.rewrite {
            problems.within("rewrite", |p| self.check_rewrite(rewrite, p));
        }
        if let Some(redirect) = &self.redirect {
            problems.within("redirect", |p| {
                redirect.check(p);
                if let Some(path) = &redirect.path {
                    self.check_captures(path, p);
                }
            });
        }
    }

    fn references(&self) -> Pointed<'_> {
        let own = self.service.iter().map(|service| ("/service".into(), Kind::Service, service));
        let steps = self.compose.iter().flat_map(|compose| &compose.steps);
        let steps = steps.map(|(name, step)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            (format!("/compose/steps/{name}/service"), Kind::Service, &step.service)
        });
        own.chain(steps).collect()
    }
}

impl Route {
    fn check_rewrite(&self, rewrite: &Rewrite, problems: &mut Problems) {
        if self.redirect.is_some() {
            problems.add("conflict", "nothing goes upstream from a redirect; it has a `path` and a `host` of its own");
            return;
        }
        if self.compose.is_some() {
            problems.add("conflict", "each step of a composition has a `path` of its own");
            return;
        }
        if rewrite.path.is_none() && rewrite.host.is_none() {
            problems.add("missing_field", "give `path` or `host`");
        }
        let Some(path) = &rewrite.path else { return };
        if self.strip_prefix == Some(true) {
            problems.add_at("path", "conflict", "give either `rewrite.path` or `strip_prefix`, not both");
        }
        self.check_captures(path, problems);
    }

    /// Every capture that a path names must be there, whichever path of the match took the request.
    fn check_captures(&self, path: &CapturePath, problems: &mut Problems) {
        let rules: Vec<PathRule> = self.matches.paths().collect();
        for name in path.names() {
            let lacking = rules.iter().find(|rule| !rule.captures().any(|captured| captured == name));
            let detail = match lacking {
                None if rules.is_empty() => {
                    format!("nothing captures `{{{name}}}`; capture it with a `template` or `regex` in `match.path`")
                }
                None => continue,
                Some(rule) => {
                    let captured: Vec<String> = rule.captures().map(|name| format!("`{{{name}}}`")).collect();
                    let captured = if captured.is_empty() {
                        "it captures nothing".into()
                    } else {
                        format!("it captures {}", captured.join(", "))
                    };
                    format!("`{}` in `match.path` does not capture `{{{name}}}`; {captured}", rule.text())
                }
            };
            problems.add_at("path", "unknown_capture", detail);
        }
    }
}

#[cfg(test)]
mod tests;
