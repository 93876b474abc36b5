//! A path of a match, ready to be compared, and what it captures.

use std::sync::Arc;

use http::uri::PathAndQuery;
use smallvec::SmallVec;
use tidegate_model::{PathRule, Segment};
use tidegate_policy::{Captures, Span};

/// A path of a match.
#[derive(Debug)]
pub(crate) struct CompiledPath {
    pub(crate) rule: PathRule,
    /// What it captures; `None` for nothing.
    names: Option<Arc<[Box<str>]>>,
}

impl CompiledPath {
    pub(crate) fn new(rule: PathRule) -> Self {
        let names: Arc<[Box<str>]> = rule.captures().map(Into::into).collect();
        CompiledPath { names: Some(names).filter(|names| !names.is_empty()), rule }
    }

    /// How many bytes of a path a prefix takes: what is left starts with `/` or is empty.
    pub(crate) fn prefix(&self) -> usize {
        match &self.rule {
            PathRule::Prefix(path) => path.as_str().trim_end_matches('/').len(),
            PathRule::Exact(_) | PathRule::Template(_) | PathRule::Regex(_) => 0,
        }
    }

    /// Whether an expression fits a path. What it begins with is compared first, which costs next to nothing.
    pub(crate) fn expression_fits(&self, path: &str) -> bool {
        match &self.rule {
            PathRule::Regex(pattern) => {
                path.starts_with(pattern.head()) && pattern.compiled().is_match(path.as_bytes())
            }
            PathRule::Prefix(_) | PathRule::Exact(_) | PathRule::Template(_) => false,
        }
    }

    /// How much an expression says; 0 for what is none.
    pub(crate) fn expression_length(&self) -> usize {
        match &self.rule {
            PathRule::Regex(pattern) => pattern.as_str().len(),
            PathRule::Prefix(_) | PathRule::Exact(_) | PathRule::Template(_) => 0,
        }
    }

    /// What it captures of a path that it takes.
    pub(crate) fn captures(&self, target: &PathAndQuery) -> Captures {
        let Some(names) = &self.names else { return Captures::default() };
        let spans = match &self.rule {
            PathRule::Template(template) => of_segments(template.segments(), target.path()),
            PathRule::Regex(pattern) => {
                let regex = pattern.compiled();
                let mut groups = regex.capture_locations();
                regex.captures_read(&mut groups, target.path().as_bytes());
                let named = regex.capture_names().enumerate().filter(|(_, name)| name.is_some());
                named.map(|(group, _)| groups.get(group).map(|(start, end)| span(start, end))).collect()
            }
            PathRule::Prefix(_) | PathRule::Exact(_) => SmallVec::new(),
        };
        Captures::new(names.clone(), target.clone(), spans)
    }
}

fn of_segments(segments: &[Segment], path: &str) -> SmallVec<[Span; 4]> {
    let mut spans = SmallVec::new();
    let mut at = 0;
    for segment in segments {
        // the slash before it
        at += 1;
        let rest = path.get(at..).unwrap_or("");
        let length = rest.find('/').unwrap_or(rest.len());
        match segment {
            Segment::Literal(_) => {}
            Segment::Parameter(_) => spans.push(Some(span(at, at + length))),
            Segment::Rest(_) => spans.push(Some(span(at, at + rest.len()))),
        }
        at += length;
    }
    spans
}

/// A request's target is far shorter than 4 GiB.
fn span(start: usize, end: usize) -> (u32, u32) {
    (start as u32, end as u32)
}
