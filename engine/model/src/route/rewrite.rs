//! What a request is called upstream.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HostPort;
use super::template::is_name;
use crate::Path;
use crate::scalar::text_scalar;

/// What a request is called upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// The path that takes the place of the request's; `{name}` stands for what a `template` or `regex` captured. The
    /// service's own path is put in front, the query stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<CapturePath>,
    /// What the API sees as Host, whatever the service says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostPort>,
}

/// A path to be made of literal text and of what was captured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CapturePath {
    text: Box<str>,
    pieces: Arc<[Piece]>,
}

/// A piece of a path to be made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Piece {
    /// This text.
    Literal(Box<str>),
    /// What was captured by this name.
    Capture(Box<str>),
}

/// Why a text is no path to be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCapturePath {
    /// No leading slash.
    #[error("`{0}` is not a path; it starts with `/`")]
    NotAbsolute(String),
    /// Longer than a path may be.
    #[error("a path has at most {} bytes", Path::LENGTH_MAX)]
    TooLong,
    /// A brace without its other.
    #[error("`{0}` has a brace without its other; captures are written `{{name}}`")]
    Brace(String),
    /// Written as in a template.
    #[error("write `{{{0}}}` here; the `*` belongs into the template that captures it")]
    Star(String),
    /// A name that is none.
    #[error("`{0}` is not the name of a capture")]
    Name(String),
    /// Literal text that no canonical path holds.
    #[error("`{0}` is not a canonical path: {1}")]
    Literal(String, String),
}

impl CapturePath {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it is made of, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The captures that it names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Capture(name) => Some(&**name),
        })
    }
}

impl FromStr for CapturePath {
    type Err = InvalidCapturePath;

    fn from_str(text: &str) -> Result<Self, InvalidCapturePath> {
        use InvalidCapturePath as E;
        if !text.starts_with('/') {
            return Err(E::NotAbsolute(text.to_owned()));
        }
        if text.len() > Path::LENGTH_MAX {
            return Err(E::TooLong);
        }
        let brace = || E::Brace(text.to_owned());
        let mut pieces = Vec::new();
        let mut stands = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((literal, tail)) = rest.split_once('{') {
            let (name, tail) = tail.split_once('}').ok_or_else(brace)?;
            if let Some(name) = name.strip_prefix('*') {
                return Err(E::Star(name.to_owned()));
            }
            if !is_name(name) {
                return Err(E::Name(name.to_owned()));
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.into()));
            }
            pieces.push(Piece::Capture(name.into()));
            stands.push_str(literal);
            stands.push('x');
            rest = tail;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.into()));
        }
        stands.push_str(rest);
        if stands.contains('}') {
            return Err(brace());
        }
        stands.parse::<Path>().map_err(|why| E::Literal(text.to_owned(), why.to_string()))?;
        Ok(CapturePath { text: text.into(), pieces: pieces.into() })
    }
}

impl fmt::Display for CapturePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

text_scalar!(
    CapturePath,
    "CapturePath",
    "capture-path",
    "An absolute path, without query; `{name}` stands for what was captured by that name.",
    "/v2/items/{id}"
);
