//! All that a request or an answer breaks, as far as there is room to tell it.

use serde::Serialize;

/// How many violations are told.
const VIOLATIONS_MAX: usize = 50;
/// How long the sentence about one is.
const DETAIL_CHARACTERS_MAX: usize = 200;

/// Where something was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// `body`, `path`, `query`, `header`.
    pub(crate) part: &'static str,
    /// The parameter; the body has none.
    pub(crate) name: Option<&'a str>,
}

impl Place<'static> {
    pub(crate) const BODY: Place<'static> = Place { part: "body", name: None };
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Violation {
    #[serde(rename = "in")]
    part: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Box<str>>,
    /// Into the body or the parameter's value (RFC 6901).
    pointer: Box<str>,
    /// The keyword of the schema, or a word of ours.
    code: Box<str>,
    detail: Box<str>,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    found: Vec<Violation>,
    more: bool,
}

impl Report {
    /// Whether nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Notes one. `false` if there is no room for more.
    pub(crate) fn add(&mut self, place: &Place<'_>, pointer: &str, code: &str, detail: &str) -> bool {
        if self.found.len() == VIOLATIONS_MAX {
            self.more = true;
            return false;
        }
        self.found.push(Violation {
            part: place.part,
            name: place.name.map(Into::into),
            pointer: pointer.into(),
            code: code.into(),
            detail: detail.chars().take(DETAIL_CHARACTERS_MAX).collect::<String>().into(),
        });
        true
    }

    /// In a few words.
    pub(crate) fn summary(&self, of: &str) -> String {
        match (self.found.len(), self.more) {
            (1, _) => format!("{of} breaks its schema in 1 place"),
            (n, false) => format!("{of} breaks its schema in {n} places"),
            (n, true) => format!("{of} breaks its schema in more than {n} places"),
        }
    }

    /// As members of a problem document.
    pub(crate) fn members(&self) -> Box<str> {
        let errors = serde_json::to_string(&self.found).unwrap_or_else(|_| "[]".to_owned());
        format!("\"errors\":{errors}").into()
    }
}
