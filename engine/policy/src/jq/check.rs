//! What is refused when a program is written.
//!
//! What is left can still cost much, but it ends: there is no loop in it but those over the parts of a value, and those are
//! counted as they run (`meter`).

use jaq_core::load::lex::{StrPart, Tok, Token};
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::Part;

/// What a program may nest: brackets in its text, and terms in its tree with its definitions put in.
const BRACKETS_MAX: usize = 48;
const DEPTH_MAX: usize = 160;
/// Words and operators that the parser nests by without a bracket.
const NESTING_TOKENS_MAX: usize = 400;
const SIGNS_IN_A_ROW_MAX: usize = 8;
/// The largest literal that `range` takes, and the largest that repeats a literal string.
const RANGE_MAX: f64 = 10_000.0;
const REPEAT_MAX: f64 = 1_024.0;
const NUMBER_CHARACTERS_MAX: usize = 64;
const REGEX_BYTES_MAX: usize = 256;

/// Something in the text, and what is wrong with it.
pub(super) type Found<'s> = (&'s str, String);

/// Before the text is parsed: the lexer and the parser nest as deep as the text does.
pub(super) fn brackets(text: &str) -> Option<Found<'_>> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > BRACKETS_MAX {
            return Some((&text[at..], format!("nests more than {BRACKETS_MAX} brackets")));
        }
    }
    None
}

/// Before the tokens are parsed: what nests without a bracket.
pub(super) fn nesting<'s>(tokens: &[Token<&'s str>]) -> Option<Found<'s>> {
    let mut count = 0;
    walk_tokens(tokens, &mut count)
}

fn walk_tokens<'s>(tokens: &[Token<&'s str>], count: &mut usize) -> Option<Found<'s>> {
    let mut signs = 0;
    for Token(text, token) in tokens {
        let nests = matches!(
            *text,
            "|" | "=" | "|=" | "+=" | "-=" | "*=" | "/=" | "%=" | "//=" | "as" | "def" | "if" | "try" | "reduce"
        ) || matches!(*text, "foreach" | "label");
        *count += usize::from(nests);
        signs = if *text == "-" { signs + 1 } else { 0 };
        if *count > NESTING_TOKENS_MAX || signs > SIGNS_IN_A_ROW_MAX {
            return Some((text, "nests too deep from here on: split the program up".to_owned()));
        }
        let inner = match token {
            Tok::Block(tokens) => walk_tokens(tokens, count),
            Tok::Str(parts) => parts.iter().find_map(|part| match part {
                StrPart::Term(token) => walk_tokens(std::slice::from_ref(token), count),
                _ => None,
            }),
            _ => None,
        };
        if inner.is_some() {
            return inner;
        }
    }
    None
}

/// All that is wrong with a program.
pub(super) fn program<'s>(term: &Term<&'s str>) -> Vec<Found<'s>> {
    let mut check = Check { found: Vec::new(), scope: Vec::new(), near: "" };
    let depth = check.term(term);
    if depth > DEPTH_MAX && check.found.is_empty() {
        check.found.push((check.near, format!("nests more than {DEPTH_MAX} terms, with its definitions put in")));
    }
    check.found
}

/// A name that a program gave.
struct Named<'s> {
    name: &'s str,
    arity: usize,
    /// Its body is being looked at: who calls it now calls itself.
    open: bool,
    depth: usize,
}

struct Check<'s> {
    found: Vec<Found<'s>>,
    scope: Vec<Named<'s>>,
    /// The last word seen, for what has no text of its own.
    near: &'s str,
}

impl<'s> Check<'s> {
    fn refuse(&mut self, at: &'s str, why: impl Into<String>) {
        self.found.push((at, why.into()));
    }

    fn terms<'a>(&mut self, terms: impl IntoIterator<Item = &'a Term<&'s str>>) -> usize
    where
        's: 'a,
    {
        terms.into_iter().map(|term| self.term(term)).max().unwrap_or(0)
    }

    /// How deep it is.
    fn term(&mut self, term: &Term<&'s str>) -> usize {
        1 + match term {
            Term::Id | Term::Recurse | Term::Break(_) | Term::Arr(None) => 0,
            Term::Var(name) => {
                self.near = name;
                0
            }
            Term::Num(text) => {
                self.near = text;
                if text.len() > NUMBER_CHARACTERS_MAX {
                    self.refuse(text, format!("a number has at most {NUMBER_CHARACTERS_MAX} characters"));
                }
                0
            }
            Term::Str(_, parts) => {
                let inner = parts.iter().filter_map(|part| match part {
                    StrPart::Term(term) => Some(term),
                    _ => None,
                });
                self.terms(inner) + 1
            }
            Term::Arr(Some(inner)) | Term::Neg(inner) | Term::Label(_, inner) => self.term(inner),
            Term::Obj(entries) => {
                let depths = entries.iter().map(|(key, value)| self.term(key).max(self.terms(value)));
                depths.collect::<Vec<_>>().into_iter().max().unwrap_or(0)
            }
            Term::BinOp(left, op, right) => self.operation(left, op, right),
            Term::Fold(word, source, pattern, arguments) => {
                self.near = word;
                self.term(source).max(self.pattern(pattern)).max(self.terms(arguments))
            }
            Term::TryCatch(inner, catch) => self.term(inner).max(self.terms(catch.as_deref())),
            Term::IfThenElse(branches, otherwise) => {
                let branches = branches.iter().map(|(condition, then)| self.term(condition).max(self.term(then)));
                let depth = branches.collect::<Vec<_>>().into_iter().max().unwrap_or(0);
                depth.max(self.terms(otherwise.as_deref()))
            }
            Term::Def(definitions, inner) => self.definitions(definitions, inner),
            Term::Call(name, arguments) => {
                self.near = name;
                self.call(name, arguments)
            }
            Term::Path(head, path) => {
                let mut depth = self.term(head);
                for (part, _) in &path.0 {
                    depth = depth.max(match part {
                        Part::Index(index) => self.term(index),
                        Part::Range(from, to) => self.terms(from).max(self.terms(to)),
                    });
                }
                depth
            }
        }
    }

    fn pattern(&mut self, pattern: &Pattern<&'s str>) -> usize {
        match pattern {
            Pattern::Var(_) => 0,
            Pattern::Arr(items) => 1 + items.iter().map(|item| self.pattern(item)).max().unwrap_or(0),
            Pattern::Obj(entries) => {
                let depths = entries.iter().map(|(key, value)| self.term(key).max(self.pattern(value)));
                1 + depths.collect::<Vec<_>>().into_iter().max().unwrap_or(0)
            }
        }
    }

    fn operation(&mut self, left: &Term<&'s str>, op: &BinaryOp<&'s str>, right: &Term<&'s str>) -> usize {
        let mut depth = self.term(left);
        if let BinaryOp::Pipe(Some(pattern)) = op {
            depth = depth.max(self.pattern(pattern));
        }
        depth = depth.max(self.term(right));
        if matches!(op, BinaryOp::Math(Math::Mul)) {
            for (text, times) in [(left, right), (right, left)] {
                let small = matches!(times, Term::Num(n) if n.parse::<f64>().is_ok_and(|n| n <= REPEAT_MAX));
                if matches!(text, Term::Str(..)) && !small {
                    let at = first_text(text).unwrap_or(self.near);
                    self.refuse(at, format!("a string is repeated at most {REPEAT_MAX} times, by a literal number"));
                }
            }
        }
        depth
    }

    fn definitions(&mut self, definitions: &[Def<&'s str>], inner: &Term<&'s str>) -> usize {
        let outer = self.scope.len();
        let mut deepest = 0;
        for Def { name, args, body } in definitions {
            let at = self.scope.len();
            self.scope.push(Named { name, arity: args.len(), open: true, depth: 0 });
            for argument in args.iter().filter(|argument| !argument.starts_with('$')) {
                self.scope.push(Named { name: argument, arity: 0, open: false, depth: 1 });
            }
            for argument in args {
                // `$x` is called `x` too
                self.scope.push(Named { name: argument.trim_start_matches('$'), arity: 0, open: false, depth: 1 });
            }
            let depth = self.term(body);
            self.scope.truncate(at + 1);
            self.scope[at].open = false;
            self.scope[at].depth = depth;
            deepest = deepest.max(depth);
        }
        let depth = self.term(inner).max(deepest);
        self.scope.truncate(outer);
        depth
    }

    fn call(&mut self, name: &'s str, arguments: &[Term<&'s str>]) -> usize {
        let depth = self.terms(arguments);
        let own = self.scope.iter().rev().find(|named| named.name == name && named.arity == arguments.len());
        if let Some(Named { open, depth: body, .. }) = own {
            let (open, body) = (*open, *body);
            if open {
                self.refuse(name, format!("`{name}` calls itself: nothing would bound it"));
            }
            return body + depth;
        }
        if name == super::PROGRAM {
            self.refuse(name, format!("there is no filter `{name}`"));
        }
        if let Some(why) = refused(name, arguments.len()) {
            self.refuse(name, format!("`{name}` is refused: {why}"));
        }
        match name {
            "range" => self.range(name, arguments),
            "test" | "match" | "capture" | "scan" | "splits" | "sub" | "gsub" => self.regex(name, arguments),
            "split" if arguments.len() == 2 => self.regex(name, arguments),
            _ => {}
        }
        // what the library's own definition nests
        depth + 8
    }

    fn range(&mut self, name: &'s str, arguments: &[Term<&'s str>]) {
        for (i, argument) in arguments.iter().enumerate() {
            let value = literal_number(argument);
            if value.is_some_and(|n| n.abs() > RANGE_MAX) {
                self.refuse(name, format!("`range` goes to {RANGE_MAX} at most"));
            } else if value.is_none() && !is_length(argument) {
                self.refuse(name, "`range` takes literal numbers or `length`: with others nothing would bound it");
            } else if i == 2 && value.is_none_or(|step| step == 0.0) {
                self.refuse(name, "the step of `range` is a literal number other than 0");
            }
        }
    }

    fn regex(&mut self, name: &'s str, arguments: &[Term<&'s str>]) {
        let (Some(pattern), flags) = (arguments.first(), arguments.get(if name.ends_with("sub") { 2 } else { 1 }))
        else {
            return;
        };
        let Some(text) = literal_text(pattern) else {
            return self.refuse(name, format!("the pattern of `{name}` is a literal string"));
        };
        if flags.is_some_and(|flags| literal_text(flags).is_none()) {
            self.refuse(name, format!("the flags of `{name}` are a literal string"));
        }
        if text.len() > REGEX_BYTES_MAX || regex_cost(&text).is_none() {
            self.refuse(
                name,
                format!(
                    "the pattern of `{name}` is too costly: at most {REGEX_BYTES_MAX} bytes, and small counts in `{{}}`"
                ),
            );
        }
    }
}

/// Why a filter of jq's is not there.
fn refused(name: &str, arity: usize) -> Option<&'static str> {
    Some(match (name, arity) {
        ("repeat" | "while" | "until", _) => {
            "nothing would bound it; use `map`, `reduce` or `limit` over what is there"
        }
        ("recurse", 1..) => "nothing would bound it; `..` walks all that is there",
        ("combinations", _) => "it grows with the power of its input",
        ("input" | "inputs", _) => "there is one input, `.`",
        ("debug" | "stderr" | "input_line_number", _) => "a program writes nothing but its result",
        ("halt" | "halt_error", _) => "use `error`",
        ("env" | "get_search_list" | "input_filename", _) => "a program sees nothing of the machine",
        ("now" | "localtime" | "strflocaltime" | "mktime" | "gmtime" | "strftime" | "strptime", _) => {
            "a result depends on its input alone; of dates there are `todate` and `fromdate`"
        }
        _ => return None,
    })
}

fn literal_number(term: &Term<&str>) -> Option<f64> {
    match term {
        Term::Num(text) => text.parse().ok(),
        Term::Neg(inner) => literal_number(inner).map(|n| -n),
        _ => None,
    }
}

/// `length`, or what ends in it: as many as something has parts.
fn is_length(term: &Term<&str>) -> bool {
    match term {
        Term::Call("length", arguments) => arguments.is_empty(),
        Term::BinOp(_, BinaryOp::Pipe(_), right) => is_length(right),
        Term::BinOp(left, BinaryOp::Math(Math::Sub), right) => is_length(left) && literal_number(right).is_some(),
        _ => false,
    }
}

/// The text of a string without terms in it.
pub(super) fn literal_text(term: &Term<&str>) -> Option<String> {
    let Term::Str(None, parts) = term else { return None };
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(part) => text.push_str(part),
            StrPart::Char(c) => text.push(*c),
            StrPart::Term(_) => return None,
        }
    }
    Some(text)
}

/// About how many states a pattern has: the cost of each character it looks at. `None` if too many.
pub(super) fn regex_cost(pattern: &str) -> Option<usize> {
    let mut cost = pattern.len().max(16);
    for counted in pattern.split('{').skip(1) {
        let digits: String = counted.chars().skip_while(|c| *c == ',').take_while(char::is_ascii_digit).collect();
        let after = counted[digits.len().min(counted.len())..].trim_start_matches(',');
        let upper: String = after.chars().take_while(char::is_ascii_digit).collect();
        let times = digits.parse::<usize>().unwrap_or(1).max(upper.parse().unwrap_or(1)).max(1);
        cost = cost.checked_mul(times)?;
    }
    (cost <= 2_048).then_some(cost)
}

fn first_text<'s>(term: &Term<&'s str>) -> Option<&'s str> {
    match term {
        Term::Str(Some(format), _) => Some(format),
        Term::Str(None, parts) => parts.iter().find_map(|part| match part {
            StrPart::Str(text) => Some(*text),
            StrPart::Term(term) => first_text(term),
            StrPart::Char(_) => None,
        }),
        Term::Var(text) | Term::Num(text) | Term::Call(text, _) => Some(text),
        Term::Path(head, path) => first_text(head).or_else(|| match path.0.first() {
            Some((Part::Index(index), _)) => first_text(index),
            _ => None,
        }),
        _ => None,
    }
}
