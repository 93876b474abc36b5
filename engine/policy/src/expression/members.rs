//! Which members of a variable an expression looks at: what it must be given, and nothing else.

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};

use super::Condition;
use super::parse::Expression;
use super::template::Template;

/// Which members of a variable an expression looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// Those that it names: `a` and `b` of `steps.a.body == steps['b'].body`.
    pub named: BTreeSet<String>,
    /// It looks at the variable as a whole, or at a member whose name it computes.
    pub whole: bool,
}

impl Condition {
    /// Which members of a variable it looks at.
    pub fn members(&self, of: &str) -> Members {
        let mut members = Members::default();
        members.look(&self.expression().tree, of);
        members
    }
}

impl Template {
    /// Which members of a variable it looks at.
    pub fn members(&self, of: &str) -> Members {
        let mut members = Members::default();
        self.expressions().for_each(|expression: &Expression| members.look(&expression.tree, of));
        members
    }
}

impl Members {
    /// Both.
    pub fn extend(&mut self, other: Members) {
        self.named.extend(other.named);
        self.whole |= other.whole;
    }

    fn look(&mut self, expr: &IdedExpr, of: &str) {
        let is_it = |expr: &IdedExpr| matches!(&expr.expr, Expr::Ident(name) if name == of);
        match &expr.expr {
            Expr::Ident(name) => self.whole |= name == of,
            Expr::Select(select) if is_it(&select.operand) => {
                self.named.insert(select.field.clone());
            }
            Expr::Select(select) => self.look(&select.operand, of),
            Expr::Call(call) => {
                // `steps['a']`, and `has(steps.a)` as it was read
                let (variable, name) = match (&*call.func_name, &call.args[..]) {
                    (operators::INDEX, [variable, name]) | (operators::IN, [name, variable]) => (variable, name),
                    _ => (expr, expr),
                };
                if let (true, Expr::Literal(LiteralValue::String(name))) = (is_it(variable), &name.expr) {
                    self.named.insert(name.inner().to_owned());
                    return;
                }
                call.target.as_deref().into_iter().chain(&call.args).for_each(|part| self.look(part, of));
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.look(element, of)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.look(&entry.key, of);
                    self.look(&entry.value, of);
                }
                EntryExpr::StructField(_) => {}
            }),
            Expr::Comprehension(walked) => {
                for part in
                    [&walked.iter_range, &walked.accu_init, &walked.loop_cond, &walked.loop_step, &walked.result]
                {
                    self.look(part, of);
                }
            }
            Expr::Unspecified | Expr::Literal(_) | Expr::Struct(_) => {}
        }
    }
}
