//! Regular expressions, compiled as they are read.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use super::template::{PathTemplate, is_name};
use crate::scalar::text_scalar;

/// A regular expression that must fit the whole of what it is compared with. Linear in time, whatever it is given; bounded in
/// size. Works on bytes: `\w`, `\d` and classes know ASCII only, which is all that a canonical path holds.
#[derive(Clone)]
pub struct Pattern {
    text: Box<str>,
    compiled: Arc<Regex>,
    head: Box<str>,
}

/// Why a text is no regular expression that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Nothing at all.
    #[error("an empty expression fits only what is empty")]
    Empty,
    /// Longer than [`Pattern::LENGTH_MAX`].
    #[error("a regular expression has at most {} bytes", Pattern::LENGTH_MAX)]
    TooLong,
    /// Not by the syntax.
    #[error("not a regular expression at character {at}: {why}")]
    Syntax {
        /// Counted from 1.
        at: usize,
        /// What is wrong there.
        why: String,
    },
    /// Its compiled form is larger than [`Pattern::SIZE_MAX`].
    #[error("the regular expression is too large once compiled ({} KiB at most); repeat less", Pattern::SIZE_MAX >> 10)]
    TooLarge,
    /// It ends what is put around it.
    #[error("the flag `x` can't be used here; write the expression in one line without comments")]
    Verbose,
    /// A group's name that is none.
    #[error("`{0}` is not a name for a capture; write a letter or `_`, then letters, digits and `_`, in lower case")]
    Name(String),
    /// More than can be captured.
    #[error("a regular expression has at most {} named groups", PathTemplate::PARAMETERS_MAX)]
    TooMany,
}

impl Pattern {
    /// The longest text, in bytes.
    pub const LENGTH_MAX: usize = 1024;
    /// The largest compiled form, in bytes.
    pub const SIZE_MAX: usize = 256 << 10;

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Compiled, and bound to both ends.
    pub fn compiled(&self) -> &Arc<Regex> {
        &self.compiled
    }

    /// Literal text that everything it fits begins with; empty if there is none.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The names of its groups, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.compiled.capture_names().flatten()
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        use InvalidPattern as E;
        if text.is_empty() {
            return Err(E::Empty);
        }
        if text.len() > Pattern::LENGTH_MAX {
            return Err(E::TooLong);
        }
        let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(text).map_err(syntax)?;
        let compiled = RegexBuilder::new(&format!(r"\A(?:{text})\z"))
            .unicode(false)
            .size_limit(Pattern::SIZE_MAX)
            .dfa_size_limit(2 * Pattern::SIZE_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => E::TooLarge,
                // alone it was right
                _ => E::Verbose,
            })?;
        let names: Vec<&str> = compiled.capture_names().flatten().collect();
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            return Err(E::Name((*name).to_owned()));
        }
        if names.len() > PathTemplate::PARAMETERS_MAX {
            return Err(E::TooMany);
        }
        let mut head = Vec::new();
        literal_head(&parsed, &mut head);
        // cut within a character, it is a shorter head and as true
        let head = String::from_utf8(head).unwrap_or_default();
        Ok(Pattern { text: text.into(), compiled: Arc::new(compiled), head: head.into() })
    }
}

/// Gathers the literal text that an expression begins with; tells whether what follows it still belongs to it.
fn literal_head(parsed: &Hir, head: &mut Vec<u8>) -> bool {
    match parsed.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => {
            head.extend_from_slice(&literal.0);
            true
        }
        HirKind::Capture(group) => literal_head(&group.sub, head),
        HirKind::Concat(parts) => parts.iter().all(|part| literal_head(part, head)),
        HirKind::Alternation(branches) => {
            let mut heads = branches.iter().map(|branch| {
                let mut head = Vec::new();
                literal_head(branch, &mut head);
                head
            });
            let mut shared = heads.next().unwrap_or_default();
            for other in heads {
                let same = shared.iter().zip(&other).take_while(|(a, b)| a == b).count();
                shared.truncate(same);
            }
            head.extend(shared);
            false
        }
        HirKind::Class(_) | HirKind::Repetition(_) => false,
    }
}

fn syntax(error: regex_syntax::Error) -> InvalidPattern {
    let (at, why) = match &error {
        regex_syntax::Error::Parse(error) => (error.span().start.column, error.kind().to_string()),
        regex_syntax::Error::Translate(error) => (error.span().start.column, error.kind().to_string()),
        other => (1, other.to_string()),
    };
    InvalidPattern::Syntax { at, why }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

text_scalar!(
    Pattern,
    "Pattern",
    "pattern",
    "A regular expression (syntax of Rust's `regex`: no look-around, no back-references) that fits the whole.",
    "^/v[0-9]+/(?<item>[^/]+)$"
);
