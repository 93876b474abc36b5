//! Rewrites a program so that it pays for what it does.
//!
//! jq has no step limit, and one value of a program can take for ever. So a program, and the library it calls, is rewritten
//! before it is compiled: filters of ours stand between its terms, pass on what they get and take its price from the budget
//! of the run. Where the budget is used up they halt the program, which `try` can't catch.
//!
//! What is paid, so that time and memory are bounded by the budget:
//! - one step for each call, and for each value out of a term that can give several (`!tick`);
//! - the size of each value that is built, put into another, compared or written as text (`!charge`): no value is then ever
//!   larger, with all it shares written out, than the input and what was paid;
//! - what is copied to change a value that is also held elsewhere (`!copied`).

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Opt, Part, Path};

use super::check::{literal_text, regex_cost};

type T<'s> = Term<&'s str>;

/// The value on the right of an assignment: no program can use this name.
const ASSIGNED: &str = "$!assigned";
const ARGUMENT: &str = "$!argument";

fn call(name: &'static str) -> T<'static> {
    Term::Call(name, Vec::new())
}

fn pipe<'s>(left: T<'s>, right: T<'s>) -> T<'s> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

fn bind<'s>(value: T<'s>, name: &'s str, then: T<'s>) -> T<'s> {
    Term::BinOp(Box::new(value), BinaryOp::Pipe(Some(Pattern::Var(name))), Box::new(then))
}

/// What a call pays beside its step.
enum Price {
    /// Nothing, not even a step: a constant.
    Free,
    /// Its step.
    Step,
    /// By the length of its input.
    Length,
    /// By the size of its input.
    Size,
    /// By the size of its input, several times: it sorts, or escapes.
    Sort,
    /// By the size of its input times that of its argument.
    Product,
}

fn price(name: &str, arity: usize) -> Price {
    match (name, arity) {
        ("null" | "true" | "false" | "not" | "empty", 0) => Price::Free,
        ("explode" | "implode" | "ascii_downcase" | "ascii_upcase" | "reverse" | "trim" | "ltrim" | "rtrim", 0)
        | ("escape_sh" | "escape_html" | "unescape_html" | "encode_uri" | "decode_uri", 0)
        | ("encode_base64" | "decode_base64" | "length" | "utf8bytelength" | "keys_unsorted" | "key_values", 0)
        | ("matches" | "split_matches" | "split_", 2) => Price::Length,
        ("path" | "path_value" | "error" | "error_empty", _) => Price::Size,
        ("tojson" | "sort" | "sort_by" | "group_by" | "min_by_or_empty" | "max_by_or_empty" | "bsearch", _) => {
            Price::Sort
        }
        ("contains" | "indices", 1) => Price::Product,
        _ => Price::Step,
    }
}

/// Whether what it gives is a value that it built.
fn builds(name: &str) -> bool {
    matches!(
        name,
        "explode" | "keys_unsorted" | "key_values" | "path" | "path_value" | "group_by" | "matches" | "split_matches"
    ) || matches!(name, "split_" | "fromjson" | "indices" | "join")
}

pub(super) fn definition(Def { name, args, body }: Def<&str>) -> Def<&str> {
    // the one definition of the library that loops in a path; it is bounded by the length of its argument (`library`)
    let folds = if name == "getpath" { Folds::InPaths } else { Folds::OnlyRun };
    Def { name, args, body: Meter { folds }.term(body, true) }
}

pub(super) fn program(term: T<'_>) -> T<'_> {
    Meter { folds: Folds::OnlyRun }.term(term, false)
}

/// Whether `reduce` may stand where a path is meant: each of its rounds would nest in the last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Folds {
    OnlyRun,
    InPaths,
}

struct Meter {
    folds: Folds,
}

impl Meter {
    /// The term, with every value of it paid.
    fn paid<'s>(&self, term: T<'s>, path: bool) -> T<'s> {
        let single = single(&term);
        let term = self.term(term, path);
        if single { term } else { pipe(term, call("!tick")) }
    }

    /// The term, with the size of its values paid: they go into others, or are compared.
    fn charged<'s>(&self, term: T<'s>) -> T<'s> {
        if literal(&term) { term } else { pipe(self.paid(term, false), call("!charge")) }
    }

    /// The term with all within it paid; `path` where it may be used as a path.
    fn term<'s>(&self, term: T<'s>, path: bool) -> T<'s> {
        match term {
            Term::Id | Term::Num(_) | Term::Var(_) | Term::Break(_) | Term::Arr(None) => term,
            Term::Recurse if path => pipe(pipe(call("!charge"), Term::Recurse), call("!tick")),
            Term::Recurse => pipe(Term::Recurse, call("!tick")),
            Term::Str(format, parts) => {
                let parts = parts.into_iter().map(|part| match part {
                    StrPart::Term(term) => StrPart::Term(self.charged(term)),
                    plain => plain,
                });
                Term::Str(format, parts.collect())
            }
            Term::Arr(Some(inner)) => pipe(Term::Arr(Some(Box::new(self.term(*inner, false)))), call("!charge")),
            Term::Obj(entries) if entries.is_empty() => Term::Obj(entries),
            Term::Obj(entries) => {
                let entries = entries.into_iter().map(|(key, value)| {
                    let key = match key {
                        key @ Term::Var(_) => key,
                        key if literal_text(&key).is_some() => key,
                        key if value.is_none() => self.term(key, false),
                        key => pipe(self.paid(key, false), call("!name")),
                    };
                    (key, value.map(|value| self.paid(value, false)))
                });
                pipe(Term::Obj(entries.collect()), call("!charge"))
            }
            Term::Neg(inner) => Term::Neg(Box::new(self.paid(*inner, false))),
            Term::BinOp(left, op, right) => self.operation(*left, op, *right, path),
            Term::Label(name, inner) => Term::Label(name, Box::new(self.term(*inner, path))),
            Term::Fold(word, source, pattern, arguments) => {
                let source = Box::new(self.paid(*source, false));
                let arguments = arguments.into_iter().map(|argument| self.paid(argument, path)).collect();
                let fold = Term::Fold(word, source, self.pattern(pattern), arguments);
                if self.folds == Folds::InPaths { fold } else { pipe(call("!run"), fold) }
            }
            Term::TryCatch(inner, catch) => {
                let guarded = Term::Call("!try", vec![self.term(*inner, path)]);
                Term::TryCatch(Box::new(guarded), catch.map(|catch| Box::new(self.term(*catch, path))))
            }
            Term::IfThenElse(branches, otherwise) => {
                let branches = branches.into_iter();
                let branches = branches.map(|(condition, then)| (self.paid(condition, false), self.term(then, path)));
                Term::IfThenElse(branches.collect(), otherwise.map(|term| Box::new(self.term(*term, path))))
            }
            Term::Def(definitions, inner) => {
                let definitions = definitions.into_iter().map(|Def { name, args, body }| {
                    let body = self.term(body, true);
                    Def { name, args, body }
                });
                Term::Def(definitions.collect(), Box::new(self.term(*inner, path)))
            }
            // the library's own goes into what an update has just put there, and never comes back
            Term::Call("recurse", arguments) if arguments.is_empty() => self.term(Term::Recurse, path),
            Term::Call(name, arguments) => self.call(name, arguments),
            Term::Path(head, parts) => self.path(*head, parts, path),
        }
    }

    fn pattern<'s>(&self, pattern: Pattern<&'s str>) -> Pattern<&'s str> {
        match pattern {
            Pattern::Var(name) => Pattern::Var(name),
            Pattern::Arr(items) => Pattern::Arr(items.into_iter().map(|item| self.pattern(item)).collect()),
            Pattern::Obj(entries) => {
                let entries = entries.into_iter().map(|(key, value)| (self.paid(key, false), self.pattern(value)));
                Pattern::Obj(entries.collect())
            }
        }
    }

    fn operation<'s>(&self, left: T<'s>, op: BinaryOp<&'s str>, right: T<'s>, path: bool) -> T<'s> {
        let both = |left, op, right| Term::BinOp(Box::new(left), op, Box::new(right));
        match op {
            BinaryOp::Pipe(None) => pipe(self.paid(left, path), self.term(right, path)),
            BinaryOp::Pipe(Some(pattern)) => {
                let op = BinaryOp::Pipe(Some(self.pattern(pattern)));
                both(self.paid(left, false), op, self.term(right, path))
            }
            BinaryOp::Comma => both(self.term(left, path), op, self.term(right, path)),
            BinaryOp::Alt => both(self.paid(left, path), op, self.term(right, path)),
            BinaryOp::Or | BinaryOp::And => both(self.paid(left, false), op, self.paid(right, false)),
            BinaryOp::Cmp(_) if literal(&left) || literal(&right) => {
                both(self.paid(left, false), op, self.paid(right, false))
            }
            BinaryOp::Cmp(_) => both(self.charged(left), op, self.charged(right)),
            BinaryOp::Math(math) => {
                let left = if literal(&left) { left } else { self.paid(left, false) };
                let right = if literal(&right) { right } else { self.paid(right, false) };
                calculate(left, math, right)
            }
            // the right side is paid for each place that it is put
            BinaryOp::Assign => {
                let put = both(self.term(left, true), BinaryOp::Update, pipe(Term::Var(ASSIGNED), call("!charge")));
                bind(self.paid(right, false), ASSIGNED, put)
            }
            BinaryOp::UpdateMath(math) => {
                let calculated = calculate(Term::Id, math, Term::Var(ASSIGNED));
                let put = both(self.term(left, true), BinaryOp::Update, calculated);
                bind(self.paid(right, false), ASSIGNED, put)
            }
            BinaryOp::UpdateAlt => {
                let other = pipe(Term::Var(ASSIGNED), call("!charge"));
                let put = both(self.term(left, true), BinaryOp::Update, both(Term::Id, BinaryOp::Alt, other));
                bind(self.paid(right, false), ASSIGNED, put)
            }
            BinaryOp::Update => {
                let value = pipe(self.paid(right, false), call("!charge"));
                both(self.term(left, true), BinaryOp::Update, value)
            }
        }
    }

    fn call<'s>(&self, name: &'s str, arguments: Vec<T<'s>>) -> T<'s> {
        let price = price(name, arguments.len());
        let regex = matches!(name, "test" | "match" | "capture" | "scan" | "splits" | "sub" | "gsub" | "split");
        let states = arguments.first().filter(|_| regex).and_then(literal_text).and_then(|text| regex_cost(&text));
        let mut arguments: Vec<_> = arguments.into_iter().map(|argument| self.paid(argument, true)).collect();
        let paying = match price {
            Price::Free => return Term::Call(name, arguments),
            Price::Product => {
                let argument = arguments.pop().unwrap_or_default();
                let paying = Term::Call("!product", vec![Term::Var(ARGUMENT)]);
                let called = pipe(Term::Call(name, vec![Term::Var(ARGUMENT)]), call("!charge"));
                return bind(argument, ARGUMENT, pipe(paying, called));
            }
            Price::Step => call("!tick"),
            Price::Length => call("!copied"),
            Price::Size => call("!charge"),
            Price::Sort => call("!sort"),
        };
        let paying = match states {
            Some(states) => Term::Call("!regex", vec![Term::Num(regex_tier(states))]),
            None => paying,
        };
        let called = pipe(paying, Term::Call(name, arguments));
        match name {
            "range" => pipe(called, call("!tick")),
            built if builds(built) => pipe(called, call("!charge")),
            _ => called,
        }
    }

    fn path<'s>(&self, head: T<'s>, Path(parts): Path<T<'s>>, path: bool) -> T<'s> {
        let mut head = self.paid(head, path);
        let mut run: Vec<(Part<T<'s>>, Opt)> = Vec::new();
        let mut several = false;
        for (part, optional) in parts {
            // a slice and an iteration copy; to change a part, all that holds it may be copied
            if path || matches!(part, Part::Range(..)) {
                if !run.is_empty() {
                    head = Term::Path(Box::new(head), Path(std::mem::take(&mut run)));
                }
                head = pipe(head, call("!copied"));
            }
            several |= matches!(part, Part::Range(None, None));
            // what gives several ends its path: the parts after it would be multiplied unpaid
            let ends = match &part {
                Part::Index(index) => !single(index),
                Part::Range(from, to) => !from.iter().chain(to).all(single),
            };
            let part = match part {
                Part::Index(index) if literal(&index) => Part::Index(index),
                Part::Index(index) => Part::Index(pipe(self.paid(index, false), call("!index"))),
                Part::Range(from, to) => {
                    Part::Range(from.map(|from| self.paid(from, false)), to.map(|to| self.paid(to, false)))
                }
            };
            run.push((part, optional));
            if ends {
                head = pipe(Term::Path(Box::new(head), Path(std::mem::take(&mut run))), call("!tick"));
            }
        }
        if run.is_empty() {
            return head;
        }
        let whole = Term::Path(Box::new(head), Path(run));
        if several { pipe(whole, call("!tick")) } else { whole }
    }
}

fn calculate<'s>(left: T<'s>, math: Math, right: T<'s>) -> T<'s> {
    let with = |term: T<'s>, price| if literal(&term) { term } else { pipe(term, call(price)) };
    let both = |left, right| Term::BinOp(Box::new(left), BinaryOp::Math(math), Box::new(right));
    match math {
        Math::Add => both(with(left, "!copied"), with(right, "!charge")),
        Math::Sub => both(with(left, "!sort"), with(right, "!sort")),
        Math::Div => pipe(both(with(left, "!charge"), with(right, "!charge")), call("!charge")),
        Math::Mul => Term::Call("!times", vec![left, right]),
        Math::Rem => both(left, right),
    }
}

/// A number or a string of the text.
fn literal(term: &T<'_>) -> bool {
    matches!(term, Term::Num(_)) || literal_text(term).is_some()
}

/// Whether it surely gives one value at most, at a price that its text bounds.
fn single(term: &T<'_>) -> bool {
    match term {
        Term::Id | Term::Num(_) | Term::Var(_) | Term::Arr(_) => true,
        Term::Str(..) => literal(term),
        Term::Neg(inner) => single(inner),
        Term::Obj(entries) => entries.is_empty(),
        Term::BinOp(left, BinaryOp::Math(_) | BinaryOp::Cmp(_) | BinaryOp::And | BinaryOp::Or, right) => {
            single(left) && single(right)
        }
        Term::Path(head, Path(parts)) => {
            single(head)
                && parts.iter().all(|(part, _)| match part {
                    Part::Index(index) => single(index),
                    Part::Range(None, None) => false,
                    Part::Range(from, to) => from.iter().chain(to).all(single),
                })
        }
        _ => false,
    }
}

fn regex_tier(states: usize) -> &'static str {
    match states {
        ..=16 => "16",
        17..=64 => "64",
        65..=256 => "256",
        257..=1_024 => "1024",
        _ => "2048",
    }
}
