//! Paths with parameters: `/orders/{id}/items/{*rest}`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Path;
use crate::scalar::text_scalar;

/// A path with parameters. `{name}` takes one segment that is not empty; `{*name}`, at the end, takes the rest, which may be
/// empty and may hold slashes. Everything else is literal and canonical.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathTemplate {
    text: Box<str>,
    segments: Arc<[Segment]>,
}

/// A part of a template between slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// This text; empty only at the end, after a last slash.
    Literal(Box<str>),
    /// Any segment that is not empty, captured by this name.
    Parameter(Box<str>),
    /// All that is left, captured by this name; always the last.
    Rest(Box<str>),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// No leading slash.
    #[error("`{0}` is not a path; it starts with `/`")]
    NotAbsolute(String),
    /// Longer than a path may be.
    #[error("a path has at most {} bytes", Path::LENGTH_MAX)]
    TooLong,
    /// A brace within a segment.
    #[error(
        "`{0}` is neither a parameter nor literal; a parameter is a whole segment, `{{name}}`, and for parts of one there is `regex`"
    )]
    Part(String),
    /// A name that is none.
    #[error("`{0}` is not a name for a parameter; write a letter or `_`, then letters, digits and `_`, in lower case")]
    Name(String),
    /// One name for two.
    #[error("the parameter `{0}` is there twice")]
    Twice(String),
    /// More than can be captured.
    #[error("a path has at most {} parameters", PathTemplate::PARAMETERS_MAX)]
    TooMany,
    /// The rest before the end.
    #[error("`{{*{0}}}` takes the rest of the path, so it can only be the last segment")]
    RestNotLast(String),
    /// A literal that no canonical path holds.
    #[error("`{0}` can never match: {1}")]
    Literal(String, String),
}

impl PathTemplate {
    /// The most parameters that one has.
    pub const PARAMETERS_MAX: usize = 16;

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its segments, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The names of its parameters, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }
}

impl Segment {
    /// The name of what it captures.
    pub fn name(&self) -> Option<&str> {
        match self {
            Segment::Literal(_) => None,
            Segment::Parameter(name) | Segment::Rest(name) => Some(name),
        }
    }
}

/// Whether a text can name a capture.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && text.len() <= 64
}

impl FromStr for PathTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        use InvalidTemplate as E;
        let path = text.strip_prefix('/').ok_or_else(|| E::NotAbsolute(text.to_owned()))?;
        if text.len() > Path::LENGTH_MAX {
            return Err(E::TooLong);
        }
        let mut segments: Vec<Segment> = Vec::new();
        // what is literal must be canonical where it stands: a stand-in takes the place of each parameter
        let mut stands = String::with_capacity(text.len());
        for part in path.split('/') {
            if let Some(Segment::Rest(name)) = segments.last() {
                return Err(E::RestNotLast(name.to_string()));
            }
            let segment = segment(part)?;
            if let Some(name) = segment.name()
                && segments.iter().any(|other| other.name() == Some(name))
            {
                return Err(E::Twice(name.to_owned()));
            }
            stands.push('/');
            stands.push_str(if let Segment::Literal(text) = &segment { text } else { "x" });
            segments.push(segment);
        }
        if segments.iter().filter(|segment| segment.name().is_some()).count() > PathTemplate::PARAMETERS_MAX {
            return Err(E::TooMany);
        }
        stands.parse::<Path>().map_err(|why| E::Literal(text.to_owned(), why.to_string()))?;
        Ok(PathTemplate { text: text.into(), segments: segments.into() })
    }
}

fn segment(part: &str) -> Result<Segment, InvalidTemplate> {
    let Some(inner) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) else {
        return if part.contains(['{', '}']) {
            Err(InvalidTemplate::Part(part.to_owned()))
        } else {
            Ok(Segment::Literal(part.into()))
        };
    };
    if inner.contains(['{', '}']) {
        return Err(InvalidTemplate::Part(part.to_owned()));
    }
    let rest = inner.strip_prefix('*');
    let name = rest.unwrap_or(inner);
    if !is_name(name) {
        return Err(InvalidTemplate::Name(name.to_owned()));
    }
    Ok(if rest.is_some() { Segment::Rest(name.into()) } else { Segment::Parameter(name.into()) })
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

text_scalar!(
    PathTemplate,
    "PathTemplate",
    "path-template",
    "An absolute path; `{name}` takes one segment, `{*name}` at the end takes the rest.",
    "/orders/{id}/items/{*rest}"
);
