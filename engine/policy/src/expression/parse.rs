//! Reads an expression, within bounds.

use cel::Context;
use cel::common::ast::IdedExpr;
use cel::parser::PrattParser;

use super::{ExpressionProblem, Names, check, functions};

/// The longest expression, in bytes.
pub const SOURCE_BYTES_MAX: usize = 4096;
/// The deepest nesting: each level costs stack when it is evaluated.
pub const DEPTH_MAX: usize = 32;
/// The most nodes of its syntax tree.
pub const NODES_MAX: usize = 2000;

/// An expression that was read and checked.
pub(super) struct Expression {
    pub(super) text: Box<str>,
    pub(super) tree: IdedExpr,
    /// Its functions, the patterns of its regular expressions among them.
    pub(super) root: Context<'static, 'static>,
    /// It names `principal.groups`, which takes a look-up.
    pub(super) needs_groups: bool,
}

impl Expression {
    pub(super) fn parse(text: &str, names: Names<'_>) -> Result<Self, ExpressionProblem> {
        if text.len() > SOURCE_BYTES_MAX {
            let detail = format!("an expression has at most {SOURCE_BYTES_MAX} bytes; this one has {}", text.len());
            return Err(ExpressionProblem { line: 1, column: 1, detail });
        }
        if text.trim().is_empty() {
            return Err(ExpressionProblem { line: 1, column: 1, detail: "there is no expression".into() });
        }
        let parser = PrattParser::new()
            .max_recursion_depth(DEPTH_MAX as u16)
            .max_expression_node_count(NODES_MAX)
            .error_reporting_limit(1)
            .error_recovery_limit(1);
        let mut tree = parser.parse(text).map_err(|errors| problem_of(&errors))?;
        let checked = check::check(text, &mut tree, names)?;
        let root = functions::root(checked.patterns);
        Ok(Expression { text: text.into(), tree, root, needs_groups: checked.needs_groups })
    }
}

fn problem_of(errors: &cel::ParseErrors) -> ExpressionProblem {
    let first = errors.errors.iter().min_by_key(|error| if error.pos.0 > 0 { error.pos } else { (isize::MAX, 0) });
    let (pos, detail) = first.map_or(((1, 1), "it can't be read"), |error| (error.pos, error.msg.as_str()));
    let detail = detail.strip_prefix("Syntax error: ").unwrap_or(detail).to_owned();
    let at = |n: isize| usize::try_from(n).unwrap_or(1).max(1);
    ExpressionProblem { line: at(pos.0), column: at(pos.1), detail }
}
