//! Expressions in the configuration: conditions and templates in CEL (the Common Expression Language, cel.dev).
//!
//! Both are read once, when a configuration is compiled. What they may name is known then, so that a slip is told when it is
//! written and not when a request meets it: an unknown variable, member or function, with its place in the text. What an
//! evaluation can cost is bounded by what is read: texts of at most [`SOURCE_BYTES_MAX`], not nested deeper than [`DEPTH_MAX`], no
//! list within a list walked through, regular expressions of constant text alone and built in advance. Everything a request
//! brings (heads, claims of a token) is bounded elsewhere.
//!
//! An evaluation looks at the request where it is: nothing is copied that is not asked for ([`Facts`]).

mod check;
mod condition;
mod facts;
mod functions;
mod json;
mod members;
mod parse;
mod template;
#[cfg(test)]
mod tests;

pub use condition::Condition;
pub use facts::{Facts, decode};
pub use members::Members;
pub use parse::{DEPTH_MAX, NODES_MAX, SOURCE_BYTES_MAX};
pub use template::Template;

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {detail}")]
pub struct ExpressionProblem {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub detail: String,
}

/// What an expression may name beside `request`, `route`, `captures` and `principal`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'a> {
    /// `response`: where there is an answer already.
    pub response: bool,
    /// Values that the caller gives ([`Facts::with`]).
    pub further: &'a [&'a str],
}

impl Names<'_> {
    /// What is known of a request on its way in.
    pub const REQUEST: Names<'static> = Names { response: false, further: &[] };
    /// That, and the head of the answer.
    pub const RESPONSE: Names<'static> = Names { response: true, further: &[] };
}

/// Why an expression had no value for a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` has no value here: {why}")]
pub struct NoValue {
    text: Box<str>,
    why: String,
}

impl From<NoValue> for crate::PolicyError {
    fn from(error: NoValue) -> Self {
        crate::PolicyError(error.to_string())
    }
}
