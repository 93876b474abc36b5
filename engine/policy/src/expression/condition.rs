//! A condition: true or false of a request.

use std::fmt;

use cel::Value;
use cel::common::types::CelBool;

use super::check::is_condition;
use super::parse::Expression;
use super::{ExpressionProblem, Facts, Names, NoValue};
use crate::RequestContext;

/// A condition, read.
pub struct Condition(Expression);

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// It can't be read, names what is not there, or may yield something else than true or false.
    pub fn compile(text: &str, names: Names<'_>) -> Result<Self, ExpressionProblem> {
        let expression = Expression::parse(text, names)?;
        if !is_condition(&expression.tree.expr) {
            let detail = "a condition must yield true or false; compare with `==`".to_owned();
            return Err(ExpressionProblem { line: 1, column: 1, detail });
        }
        Ok(Condition(expression))
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// It has no value for this request: types that don't go together, say.
    pub fn holds(&self, facts: &Facts<'_>, cx: &RequestContext) -> Result<bool, NoValue> {
        let facts = facts.prepared(&self.0, cx);
        self.0.evaluate(&facts, |value| match value.downcast_ref::<CelBool>() {
            Some(holds) => Ok(*holds.inner()),
            None => Err(format!("it yields a {}", value.get_type().name())),
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    pub(super) fn expression(&self) -> &Expression {
        &self.0
    }
}

impl Expression {
    /// Evaluates, and reads the value while what it borrows is there.
    pub(super) fn evaluate<T>(
        &self,
        facts: &Facts<'_>,
        read: impl FnOnce(&dyn cel::common::value::Val) -> Result<T, String>,
    ) -> Result<T, NoValue> {
        let none = |why: String| NoValue { text: self.text.clone(), why };
        let mut scope = self.root.new_inner_scope();
        scope.set_variable_resolver(facts);
        let value = Value::resolve_val(&self.tree, &scope).map_err(|error| none(why(&error)))?;
        read(value.as_ref()).map_err(none)
    }
}

/// Why, without what the request said: that may be a secret.
fn why(error: &cel::ExecutionError) -> String {
    use cel::ExecutionError;
    match error {
        ExecutionError::NoSuchOverload(error) => error.to_string(),
        ExecutionError::UnexpectedType { .. } | ExecutionError::UndeclaredReference(_) => error.to_string(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "a division by zero".into(),
        ExecutionError::Overflow(..) => "a number is too large".into(),
        ExecutionError::IndexOutOfBounds(_) => "a list is shorter than that".into(),
        _ => "its parts are of types that don't go together".into(),
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({})", self.0.text)
    }
}
