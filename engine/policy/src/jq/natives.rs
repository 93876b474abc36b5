//! The filters that programs are made of: those of the library that are safe to offer, and ours that take the price.

use std::cell::Cell;

use jaq_core::box_iter::box_once;
use jaq_core::data::HasLut;
use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Bind, Cv, DataT, Error, Exn, Native, ValX};
use jaq_json::{Num, Val};

use super::JqError;
use super::json;

/// The deepest value that a program builds.
pub(super) const DEPTH_MAX: usize = 200;
/// The largest number, in bits: a product has as many as both factors.
const NUMBER_BITS_MAX: u64 = 8_192;
/// The longest message of an error that a program catches or raises.
pub(super) const MESSAGE_BYTES_MAX: usize = 1_024;

/// Values are jaq's; what a run knows beside its program is its budget.
pub(super) struct Metered;

impl DataT for Metered {
    type V<'a> = Val;
    type Data<'a> = &'a Budget<'a>;
}

/// What is left of a run's budget.
pub(super) struct Budget<'a> {
    pub(super) lut: &'a jaq_core::Lut<Metered>,
    pub(super) steps: Cell<u64>,
}

impl<'a> HasLut<'a, Metered> for &'a Budget<'a> {
    fn lut(&self) -> &'a jaq_core::Lut<Metered> {
        self.lut
    }
}

/// Why a program was halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    Steps,
    Depth,
    Number,
}

impl Halt {
    pub(super) fn error(code: i32) -> JqError {
        match code {
            1 => JqError::Depth,
            2 => JqError::Number,
            _ => JqError::Steps,
        }
    }

    fn exception<'a>(self) -> Exn<'a, Val> {
        Exn::halt(match self {
            Halt::Steps => 0,
            Halt::Depth => 1,
            Halt::Number => 2,
        })
    }
}

impl Budget<'_> {
    fn take(&self, steps: u64) -> Result<(), Halt> {
        let left = self.steps.get().checked_sub(steps).ok_or(Halt::Steps);
        self.steps.set(*left.as_ref().unwrap_or(&0));
        left.map(drop)
    }

    /// Takes the size of a value, with all that it shares written out.
    fn take_size(&self, value: &Val, times: u64) -> Result<(), Halt> {
        self.take(times)?;
        self.take_parts(value, times, DEPTH_MAX)
    }

    fn take_parts(&self, value: &Val, times: u64, depth_left: usize) -> Result<(), Halt> {
        match value {
            Val::Null | Val::Bool(_) | Val::Num(Num::Int(_) | Num::Float(_)) => Ok(()),
            Val::Num(Num::BigInt(number)) if number.bits() > NUMBER_BITS_MAX => Err(Halt::Number),
            Val::Num(_) => self.take(4 * times),
            Val::BStr(text) | Val::TStr(text) => self.take(times * (text.len() as u64 / 64)),
            Val::Arr(_) | Val::Obj(_) if depth_left == 0 => Err(Halt::Depth),
            Val::Arr(items) => {
                self.take(times * items.len() as u64)?;
                items.iter().try_for_each(|item| self.take_parts(item, times, depth_left - 1))
            }
            Val::Obj(members) => {
                self.take(times * 2 * members.len() as u64)?;
                members.iter().try_for_each(|(name, value)| {
                    self.take_parts(name, times, depth_left - 1)?;
                    self.take_parts(value, times, depth_left - 1)
                })
            }
        }
    }

    /// Takes the price of copying the outermost level of a value.
    fn take_copy(&self, value: &Val) -> Result<(), Halt> {
        self.take(
            1 + match value {
                Val::BStr(text) | Val::TStr(text) => text.len() as u64 / 1_024,
                Val::Arr(items) => items.len() as u64 / 64,
                Val::Obj(members) => members.len() as u64 / 16,
                _ => 0,
            },
        )
    }
}

type Pay = fn(&Budget<'_>, &Val) -> Result<(), Halt>;

/// A filter that takes a price and passes on what it gets; it can stand in a path.
macro_rules! paying {
    ($name:literal, $pay:expr) => {{
        const PAY: Pay = $pay;
        let native = Native::<Metered>::new(|cv| box_once(paid(PAY, cv.0.data(), &cv.1).map(|()| cv.1)))
            .with_paths(|cv| box_once(paid(PAY, cv.0.data(), &cv.1.0).map(|()| cv.1)))
            .with_update(|cv, update| match paid(PAY, cv.0.data(), &cv.1) {
                Ok(()) => update(cv.1),
                Err(halt) => box_once(Err(halt)),
            });
        ($name, v(0), native)
    }};
}

fn paid<'a>(pay: Pay, budget: &Budget<'_>, value: &Val) -> Result<(), Exn<'a, Val>> {
    pay(budget, value).map_err(Halt::exception)
}

/// Filters of the library that are not offered, or that are ours instead.
const LEFT_OUT: [&str; 18] = [
    "env",
    "now",
    "halt",
    "localtime",
    "strflocaltime",
    "strftime",
    "strptime",
    "gmtime",
    "mktime",
    "debug_empty",
    "stderr_empty",
    "input",
    "inputs",
    "input_line_number",
    "fromjson",
    "tobytes",
    "jn",
    "yn",
];

pub(super) fn all() -> Vec<Fun<Metered>> {
    let library = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let mut all: Vec<_> = library.filter(|(name, ..)| !LEFT_OUT.contains(name)).collect();
    all.push(paying!("!tick", |budget, _| budget.take(1)));
    all.push(paying!("!charge", |budget, value| budget.take_size(value, 1)));
    all.push(paying!("!sort", |budget, value| budget.take_size(value, 8)));
    all.push(paying!("!copied", |budget, value| budget.take_copy(value)));
    all.push(run(("!run", v(0), |cv| box_once(Ok(cv.1)))));
    all.push(run(("!name", v(0), |cv| bome(name(cv.1)))));
    all.push(run(("!index", v(0), |cv| bome(index(cv.1)))));
    all.push(run(("!product", v(1), |cv| box_once(product(cv)))));
    all.push(run(("!regex", v(1), |cv| box_once(regex(cv)))));
    all.push(run(("!times", v(2), |cv| box_once(times(cv)))));
    all.push(run(("join", v(1), |cv| box_once(join(cv)))));
    all.push(run(("fromjson", v(0), |cv| bome(from_json(&cv.1)))));
    all.push(("!try", Box::new([Bind::Fun(())]), trying()));
    all
}

fn trying() -> Native<Metered> {
    Native::new(|mut cv| {
        let (inner, context) = cv.0.pop_fun();
        Box::new(inner.run((context, cv.1)).map(|value| value.map_err(cut)))
    })
    .with_paths(|mut cv| {
        let (inner, context) = cv.0.pop_fun();
        Box::new(inner.paths((context, cv.1)).map(|value| value.map_err(cut)))
    })
}

fn name(value: Val) -> Result<Val, Error<Val>> {
    match value {
        Val::TStr(_) => Ok(value),
        _ => Err(Error::str("a member's name is not a string")),
    }
}

fn index(value: Val) -> Result<Val, Error<Val>> {
    match value {
        // it would search
        Val::Arr(_) => Err(Error::str("an array is no index: use `indices`")),
        _ => Ok(value),
    }
}

fn product<'a>(mut cv: Cv<'a, Metered>) -> ValX<'a, Val> {
    let size = |value: &Val| match value {
        Val::BStr(text) | Val::TStr(text) => text.len() as u64,
        Val::Arr(items) => items.len() as u64,
        Val::Obj(members) => members.len() as u64,
        _ => 1,
    };
    let argument = cv.0.pop_var();
    let budget = *cv.0.data();
    // both in full, and what is compared with what
    let pairs = size(&argument).max(1).saturating_mul(size(&cv.1)) / 16;
    let times = 1 + size(&argument).min(1 << 16);
    let whole = if matches!(cv.1, Val::Arr(_) | Val::Obj(_)) { times } else { 1 };
    let paid = budget.take(pairs).and_then(|()| budget.take_size(&argument, 1));
    paid.and_then(|()| budget.take_size(&cv.1, whole)).map_err(Halt::exception)?;
    Ok(cv.1)
}

fn regex<'a>(mut cv: Cv<'a, Metered>) -> ValX<'a, Val> {
    let states = match cv.0.pop_var() {
        Val::Num(Num::Int(states)) => states.unsigned_abs() as u64,
        _ => 2_048,
    };
    let length = match &cv.1 {
        Val::TStr(text) | Val::BStr(text) => text.len() as u64,
        _ => 0,
    };
    // 256 for making the matcher, which is not kept
    cv.0.data().take(256 + states + states * length / 64).map_err(Halt::exception)?;
    Ok(cv.1)
}

/// `l * r`: numbers multiply and objects merge; a string is repeated as often as was written in the text (`check`).
fn times<'a>(mut cv: Cv<'a, Metered>) -> ValX<'a, Val> {
    let right = cv.0.pop_var();
    let left = cv.0.pop_var();
    let budget = *cv.0.data();
    let halted = Halt::exception;
    budget.take_size(&left, 1).and_then(|()| budget.take_size(&right, 1)).map_err(halted)?;
    match (&left, &right) {
        (Val::Num(a), Val::Num(b)) if bits(a) + bits(b) > NUMBER_BITS_MAX => return Err(halted(Halt::Number)),
        (Val::TStr(text) | Val::BStr(text), Val::Num(n)) | (Val::Num(n), Val::TStr(text) | Val::BStr(text)) => {
            let Some(n) = n.as_isize() else { return Err(halted(Halt::Steps)) };
            let bytes = (text.len() as u64).saturating_mul(u64::try_from(n).unwrap_or(0));
            budget.take(bytes).map_err(halted)?;
        }
        _ => {}
    }
    (left * right).map_err(Exn::from)
}

fn bits(number: &Num) -> u64 {
    match number {
        Num::BigInt(number) => number.bits(),
        _ => 64,
    }
}

fn join<'a>(mut cv: Cv<'a, Metered>) -> ValX<'a, Val> {
    let separator = cv.0.pop_var();
    let budget = *cv.0.data();
    let (Val::Arr(items), Val::TStr(separator)) = (&cv.1, &separator) else {
        return Err(Error::str("`join` takes an array and a string").into());
    };
    budget.take_size(&cv.1, 1).map_err(Halt::exception)?;
    budget.take(items.len() as u64 * (1 + separator.len() as u64 / 64)).map_err(Halt::exception)?;
    let mut joined = Vec::new();
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            joined.extend_from_slice(separator);
        }
        match item {
            Val::TStr(text) => joined.extend_from_slice(text),
            Val::Null => {}
            Val::Bool(_) | Val::Num(_) => joined.extend_from_slice(item.to_string().as_bytes()),
            _ => return Err(Error::str("`join` takes strings, numbers and booleans").into()),
        }
    }
    Ok(Val::utf8_str(joined))
}

fn from_json(value: &Val) -> Result<Val, Error<Val>> {
    let Val::TStr(text) = value else { return Err(Error::str("only a string can be read as JSON")) };
    json::parse(text, DEPTH_MAX / 2).map_err(|problem| Error::str(format!("the string {problem}")))
}

/// Errors on their way to a `try` are cut to a length: what catches one writes it out.
fn cut<'a>(exception: Exn<'a, Val>) -> Exn<'a, Val> {
    match exception.get_err() {
        Err(control) => control,
        Ok(error) => match message(&error) {
            Ok(_) => error.into(),
            Err(start) => Error::str(format!("{start}...")).into(),
        },
    }
}

/// The error's text; `Err` with its start if it is too long.
pub(super) fn message(error: &Error<Val>) -> Result<String, String> {
    let mut text = Bounded(String::new());
    match std::fmt::write(&mut text, format_args!("{error}")) {
        // a string that was raised is its own message
        Ok(()) => Ok(serde_json::from_str::<String>(&text.0).unwrap_or(text.0)),
        Err(_) => Err(text.0),
    }
}

struct Bounded(String);

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let left = MESSAGE_BYTES_MAX.saturating_sub(self.0.len());
        if text.len() <= left {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=left).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.0.push_str(&text[..end]);
        Err(std::fmt::Error)
    }
}
