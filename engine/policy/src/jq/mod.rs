//! jq programs over JSON: compiled when a config is built, run on what passes, bounded in both.
//!
//! jq itself has no bounds: a program can loop for ever or fill the memory within one value, where nobody can look at the
//! clock. Three things see to it that one of ours does not:
//!
//! - **What is refused when written** ([`Jq::compile`], with line and column): filters that call themselves, `repeat`,
//!   `while`, `until`, `recurse` with arguments, `range` with anything but literals or `length`, the repetition of a string by
//!   anything but a small literal, `combinations`, regular expressions that are no literal or that are costly; what reads the
//!   clock, the environment or other inputs, and what writes anything. `..` and `recurse` without arguments stay: they
//!   walk what is there, which is finite. What is left has no loop but over the parts of a value.
//! - **A budget of steps**, so that products of such loops (`[.[] | [.[], .[]]]`) and values that are put into themselves again
//!   and again end as well. The program is rewritten so that it pays for each call, each value and the size of each value
//!   it builds (`meter`); a step takes well below 1 µs and stands for at most about 100 bytes. Where the budget is used up the
//!   program is halted, which `try` does not catch. So a run's time and memory are at most proportional to
//!   [`Bounds::steps`] and the input.
//! - **Bounds of input and output**: bytes, depth, digits of a number. What is built is no deeper than about twice
//!   what is read, so that nothing overflows the stack.
//!
//! A program gives exactly one value; none or several is an error. It sees `.` and the variables it was compiled with.

mod check;
mod json;
mod library;
mod meter;
mod natives;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;

use jaq_core::load::lex::{Lexer, Token};
use jaq_core::load::parse::{Def, Parser, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars};

pub use json::Json;
use natives::{Budget, Halt, Metered};

/// The longest program.
pub const TEXT_BYTES_MAX: usize = 8 << 10;

/// What the library calls the user's program: a name that no program can use.
const PROGRAM: &str = "tidegate_program";

/// What a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The largest input.
    pub input_bytes: usize,
    /// The deepest input.
    pub depth: usize,
    /// Steps of a program, beside one for each byte of its input.
    pub steps: u64,
    /// The largest output.
    pub output_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { input_bytes: 1 << 20, depth: 100, steps: 1_000_000, output_bytes: 4 << 20 }
    }
}

/// What is wrong with a program, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JqProblem {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for JqProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.detail)
    }
}

impl std::error::Error for JqProblem {}

/// Why a run gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    /// The input was not read.
    #[error("the input {0}")]
    Input(String),
    /// The budget is used up.
    #[error("the program took more steps than it may")]
    Steps,
    /// A value was built that nests too deep.
    #[error("the program built a value that nests deeper than {}", natives::DEPTH_MAX)]
    Depth,
    /// A number became too long.
    #[error("the program built a number that is too long")]
    Number,
    /// The output is too large.
    #[error("the program's output is larger than {0} bytes")]
    OutputBytes(usize),
    /// The program raised an error, or did what can't be done to a value.
    #[error("{0}")]
    Raised(String),
    /// The program gave no value.
    #[error("the program gave no value; it must give exactly one")]
    NoOutput,
    /// The program gave several values.
    #[error("the program gave several values; it must give exactly one: put them into an array with `[...]`")]
    ManyOutputs,
}

/// A compiled program.
pub struct Jq {
    filter: Filter<Metered>,
    variables: usize,
}

impl fmt::Debug for Jq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jq").field("variables", &self.variables).finish_non_exhaustive()
    }
}

impl Jq {
    /// Compiles a program without variables.
    ///
    /// # Errors
    /// The first thing that is wrong with it, by its place in the text.
    pub fn compile(text: &str) -> Result<Jq, JqProblem> {
        Self::compile_with(text, &[])
    }

    /// Compiles a program that sees these variables, each with its `$`.
    ///
    /// # Errors
    /// The first thing that is wrong with it, by its place in the text.
    pub fn compile_with(text: &str, variables: &[&str]) -> Result<Jq, JqProblem> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(problem(text, text, format!("a program has at most {TEXT_BYTES_MAX} bytes")));
        }
        let program = parse(text)?;
        let found = check::program(&program).into_iter().min_by_key(|(at, _)| offset(text, at));
        if let Some((at, why)) = found {
            return Err(problem(text, at, why));
        }
        let program = Def { name: PROGRAM, args: Vec::new(), body: meter::program(program) };
        let arena = Arena::default();
        let loader = Loader::new(library::definitions().chain([program]));
        let modules = loader
            .load(&arena, File { code: PROGRAM, path: () })
            .map_err(|_| problem(text, text, "is no program".to_owned()))?;
        let filter = Compiler::default()
            .with_funs(natives::all())
            .with_global_vars(variables.iter().copied())
            .compile(modules)
            .map_err(|errors| undefined(text, errors))?;
        Ok(Jq { filter, variables: variables.len() })
    }

    /// Runs it over an input, with a value for each of its variables in the order of [`Jq::compile_with`]; one that is left out
    /// is `null`.
    ///
    /// # Errors
    /// It gave no value or several, raised an error, or would have gone past a bound.
    pub fn run(&self, input: Json, variables: Vec<Json>, bounds: &Bounds) -> Result<Vec<u8>, JqError> {
        self.metered(input, variables, bounds.steps.saturating_add(bounds.input_bytes as u64), bounds)
    }

    /// Reads an input and runs the program over it.
    ///
    /// # Errors
    /// As [`Jq::run`], and if the input is no JSON.
    pub fn run_text(&self, input: &[u8], variables: Vec<Json>, bounds: &Bounds) -> Result<Vec<u8>, JqError> {
        let steps = bounds.steps.saturating_add(input.len() as u64);
        self.metered(Json::read(input, bounds)?, variables, steps, bounds)
    }

    fn metered(&self, input: Json, variables: Vec<Json>, steps: u64, bounds: &Bounds) -> Result<Vec<u8>, JqError> {
        let budget = Budget { lut: &self.filter.lut, steps: Cell::new(steps) };
        let variables = variables.into_iter().chain(std::iter::repeat_with(Json::default)).take(self.variables);
        let context = Ctx::<Metered>::new(&budget, Vars::new(variables.map(|value| value.0)));
        let mut values = self.filter.id.run((context, input.0)).map(|value| {
            value.map_err(|exception| match exception.get_err() {
                Ok(error) => JqError::Raised(natives::message(&error).unwrap_or_else(|start| format!("{start}..."))),
                Err(control) => control.get_halt().map_or(JqError::Steps, Halt::error),
            })
        });
        let value = values.next().ok_or(JqError::NoOutput)??;
        match values.next() {
            None => json::write(&value, bounds.output_bytes),
            Some(Ok(_)) => Err(JqError::ManyOutputs),
            Some(Err(error)) => Err(error),
        }
    }
}

fn parse(text: &str) -> Result<Term<&str>, JqProblem> {
    if let Some((at, why)) = check::brackets(text) {
        return Err(problem(text, at, why));
    }
    let tokens = Lexer::new(text).lex().map_err(|errors| {
        let (expected, at) = &errors[0];
        problem(text, at, format!("expected {} here", expected.as_str()))
    })?;
    if let Some((at, why)) = check::nesting(&tokens) {
        return Err(problem(text, at, why));
    }
    Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
        let (expected, found) = &errors[0];
        let at = found.map_or(&text[text.len()..], |Token(at, _)| at);
        problem(text, at, format!("expected {} here", expected.as_str()))
    })
}

fn undefined(text: &str, errors: jaq_core::compile::Errors<&str, ()>) -> JqProblem {
    use jaq_core::compile::Undefined;
    let mut errors = errors.into_iter().flat_map(|(_, errors)| errors);
    match errors.next() {
        Some((name, Undefined::Filter(arity))) => {
            let with = if arity == 0 { String::new() } else { format!(" with {arity} arguments") };
            problem(text, name, format!("there is no filter `{name}`{with}"))
        }
        Some((name, what)) => problem(text, name, format!("there is no {} `{name}`", what.as_str())),
        None => problem(text, text, "is no program".to_owned()),
    }
}

/// Where a part of the text stands in it.
fn offset(text: &str, at: &str) -> usize {
    let offset = (at.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    if offset <= text.len() { offset } else { 0 }
}

fn problem(text: &str, at: &str, detail: String) -> JqProblem {
    let before = &text[..offset(text, at)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    JqProblem { line, column, detail }
}
