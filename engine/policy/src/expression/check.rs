//! Checks what an expression names, so that a slip is told when it is written.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use regex::{Regex, RegexBuilder};

use super::parse::DEPTH_MAX;
use super::{ExpressionProblem, Names};

/// What was found beside.
#[derive(Default)]
pub(super) struct Checked {
    /// The patterns of `matches`, built.
    pub(super) patterns: Vec<(Box<str>, Regex)>,
    pub(super) needs_groups: bool,
}

/// What a built pattern may take in memory.
const PATTERN_BYTES_MAX: usize = 256 << 10;

const REQUEST: &[&str] = &["method", "path", "query", "headers", "host", "client_ip", "id"];
const ROUTE: &[&str] = &["id", "service"];
const PRINCIPAL: &[&str] = &["kind", "consumer", "subject", "credential", "groups", "scopes", "claims"];
const CONSUMER: &[&str] = &["id", "name", "custom_id"];
const RESPONSE: &[&str] = &["status", "headers"];

/// Functions that may be called on a value: `request.path.startsWith("/a")`.
const METHODS: &[&str] = &["startsWith", "endsWith", "contains", "matches", "size", "lowerAscii"];
/// Functions by themselves: `size(principal.groups)`.
const FUNCTIONS: &[&str] = &["size", "string", "int", "double", "has"];

pub(super) fn check(text: &str, tree: &mut IdedExpr, names: Names<'_>) -> Result<Checked, ExpressionProblem> {
    let mut walk = Walk { text, names, found: Checked::default(), bound: Vec::new(), in_list: 0 };
    walk.expr(tree, 0)?;
    Ok(walk.found)
}

struct Walk<'a> {
    text: &'a str,
    names: Names<'a>,
    found: Checked,
    /// Variables of the macros around.
    bound: Vec<String>,
    /// How many lists are walked through around.
    in_list: usize,
}

type Outcome = Result<(), ExpressionProblem>;

impl Walk<'_> {
    fn expr(&mut self, expr: &mut IdedExpr, depth: usize) -> Outcome {
        if depth > 2 * DEPTH_MAX {
            return Err(self.at_start("it is nested too deeply; use fewer terms"));
        }
        match &mut expr.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.ident(&name.clone()),
            Expr::Select(select) => {
                self.expr(&mut select.operand, depth + 1)?;
                let field = select.field.clone();
                self.member(&select.operand.expr.clone(), &field)?;
                if select.test {
                    // presence is asked of the value itself, so that a member that is absent may read as null elsewhere
                    let operand = std::mem::take(&mut *select.operand);
                    let name = Expr::Literal(LiteralValue::String(field.into()));
                    expr.expr = Expr::Call(CallExpr {
                        func_name: operators::IN.to_owned(),
                        target: None,
                        args: vec![IdedExpr { id: expr.id, expr: name }, operand],
                    });
                }
                Ok(())
            }
            Expr::Call(call) => self.call(call, depth),
            Expr::List(list) => list.elements.iter_mut().try_for_each(|element| self.expr(element, depth + 1)),
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expr(&mut entry.key, depth + 1)?;
                    self.expr(&mut entry.value, depth + 1)
                }
                EntryExpr::StructField(_) => Err(self.at_start("there are no structures")),
            }),
            Expr::Struct(made) => Err(self.at(&made.type_name.clone(), "there are no structures")),
            Expr::Comprehension(walked) => {
                self.expr(&mut walked.iter_range, depth + 1)?;
                if self.in_list > 0 {
                    let detail = "a list can't be walked through within another one: its cost has no bound";
                    return Err(self.at(&walked.iter_var.clone(), detail));
                }
                self.expr(&mut walked.accu_init, depth + 1)?;
                self.in_list += 1;
                let before = self.bound.len();
                self.bound.extend([walked.iter_var.clone(), walked.accu_var.clone()]);
                self.bound.extend(walked.iter_var2.clone());
                for part in [&mut walked.loop_cond, &mut walked.loop_step, &mut walked.result] {
                    self.expr(part, depth + 1)?;
                }
                self.bound.truncate(before);
                self.in_list -= 1;
                Ok(())
            }
        }
    }

    fn ident(&self, name: &str) -> Outcome {
        let mut known = vec!["request", "route", "captures", "principal"];
        if self.names.response {
            known.push("response");
        }
        known.extend(self.names.further);
        if known.contains(&name) || self.bound.iter().any(|bound| bound == name) {
            return Ok(());
        }
        if name == "response" {
            return Err(self.at(name, "there is no `response` yet when this is evaluated"));
        }
        Err(self.at(name, &format!("there is no `{name}`; known: {}", list(&known))))
    }

    /// A member of what is known in advance must be there.
    fn member(&mut self, of: &Expr, field: &str) -> Outcome {
        let path = path_of(of);
        let known = match path.as_deref() {
            Some(["request"]) => REQUEST,
            Some(["route"]) => ROUTE,
            Some(["principal"]) => PRINCIPAL,
            Some(["principal", "consumer"]) => CONSUMER,
            Some(["response"]) if self.names.response => RESPONSE,
            _ => return Ok(()),
        };
        let of = path.unwrap_or_default().join(".");
        if self.bound.contains(&of) {
            return Ok(());
        }
        if !known.contains(&field) {
            return Err(self.at(field, &format!("`{of}` has no `{field}`; known: {}", list(known))));
        }
        self.found.needs_groups |= of == "principal" && field == "groups";
        Ok(())
    }

    fn call(&mut self, call: &mut CallExpr, depth: usize) -> Outcome {
        let name = call.func_name.clone();
        for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
            self.expr(part, depth + 1)?;
        }
        if name == operators::INDEX
            && let [of, index] = &call.args[..]
            && let Expr::Literal(LiteralValue::String(field)) = &index.expr
        {
            return self.member(&of.expr, field.inner());
        }
        let is_operator = !name.starts_with(|first: char| first.is_ascii_alphabetic());
        if is_operator {
            return Ok(());
        }
        let known = if call.target.is_some() { METHODS } else { FUNCTIONS };
        if !known.contains(&name.as_str()) {
            return Err(self.at(&name, &format!("there is no function `{name}` here; known: {}", list(known))));
        }
        if name == "matches" {
            return self.pattern(call);
        }
        let arguments = usize::from(matches!(&*name, "startsWith" | "endsWith" | "contains") || call.target.is_none());
        if call.args.len() != arguments {
            return Err(self.at(&name, &format!("`{name}` takes {arguments} arguments")));
        }
        Ok(())
    }

    fn pattern(&mut self, call: &CallExpr) -> Outcome {
        let [argument] = &call.args[..] else { return Err(self.at("matches", "`matches` takes one pattern")) };
        let Expr::Literal(LiteralValue::String(pattern)) = &argument.expr else {
            return Err(self.at("matches", "the pattern of `matches` must be a constant text"));
        };
        let pattern = pattern.inner();
        if self.found.patterns.iter().any(|(known, _)| &**known == pattern) {
            return Ok(());
        }
        let built = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
        let built = built.map_err(|error| self.at("matches", &format!("`{pattern}` is no pattern: {error}")))?;
        self.found.patterns.push((pattern.into(), built));
        Ok(())
    }

    fn at_start(&self, detail: &str) -> ExpressionProblem {
        ExpressionProblem { line: 1, column: 1, detail: format!("{detail}: `{}`", short(self.text)) }
    }

    /// At the first place where this word stands.
    fn at(&self, word: &str, detail: &str) -> ExpressionProblem {
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let whole = |at: &usize| {
            !self.text[..*at].ends_with(part_of_word) && !self.text[*at + word.len()..].starts_with(part_of_word)
        };
        let found = self.text.match_indices(word).map(|(at, _)| at).find(whole).unwrap_or(0);
        let before = &self.text[..found];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        ExpressionProblem { line, column, detail: detail.to_owned() }
    }
}

fn path_of(expr: &Expr) -> Option<Vec<&str>> {
    match expr {
        Expr::Ident(name) => Some(vec![name]),
        Expr::Select(select) if !select.test => {
            let mut path = path_of(&select.operand.expr)?;
            path.push(&select.field);
            Some(path)
        }
        _ => None,
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn short(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}

/// Whether an expression can only yield true or false, as far as its form tells; what a token claims may be anything.
pub(super) fn is_condition(expr: &Expr) -> bool {
    const YIELD_BOOL: &[&str] = &[
        operators::EQUALS,
        operators::NOT_EQUALS,
        operators::LESS,
        operators::LESS_EQUALS,
        operators::GREATER,
        operators::GREATER_EQUALS,
        operators::IN,
        operators::LOGICAL_AND,
        operators::LOGICAL_OR,
        operators::LOGICAL_NOT,
        operators::NOT_STRICTLY_FALSE,
        "startsWith",
        "endsWith",
        "contains",
        "matches",
    ];
    match expr {
        Expr::Literal(literal) => matches!(literal, LiteralValue::Boolean(_)),
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
            call.args.get(1..).is_some_and(|arms| arms.iter().all(|arm| is_condition(&arm.expr)))
        }
        Expr::Call(call) => YIELD_BOOL.contains(&call.func_name.as_str()),
        Expr::Comprehension(walked) => {
            // `map` and `filter` begin with a list
            !matches!(walked.accu_init.expr, Expr::List(_))
        }
        _ => false,
    }
}
