//! One thing wrong in a configuration, said so that it can be put right.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Id, Kind, Name};

/// One thing wrong in a document: where, what, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The resource, where more than one is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Subject>,
    /// Where in the document: a JSON pointer (RFC 6901), empty for the whole.
    pub pointer: String,
    /// Stable, for programs.
    pub code: Cow<'static, str>,
    /// For people: lower case, no full stop.
    pub detail: String,
}

/// The resource that a problem is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: Id,
    /// Its name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} `{name}`", self.kind),
            None => write!(f, "{} `{}`", self.kind, self.id),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(subject) = &self.resource {
            write!(f, "{subject}: ")?;
        }
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.detail)
    }
}

/// All that is wrong, gathered while walking a document.
///
/// Carries the pointer of the place that is being looked at, so that a check names fields relative to itself.
#[derive(Debug, Default)]
pub struct Problems {
    at: String,
    found: Vec<Problem>,
}

impl Problems {
    /// Nothing wrong so far, at the document's root.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a problem at the current place.
    pub fn add(&mut self, code: &'static str, detail: impl Into<String>) {
        self.found.push(Problem {
            resource: None,
            pointer: self.at.clone(),
            code: Cow::Borrowed(code),
            detail: detail.into(),
        });
    }

    /// Notes a problem at a field of the current place.
    pub fn add_at(&mut self, field: impl fmt::Display, code: &'static str, detail: impl Into<String>) {
        self.within(field, |p| p.add(code, detail));
    }

    /// Looks at a field (or an index) of the current place.
    pub fn within<T>(&mut self, field: impl fmt::Display, look: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.at.len();
        self.at.push('/');
        let field = field.to_string();
        if field.contains(['~', '/']) {
            self.at.push_str(&field.replace('~', "~0").replace('/', "~1"));
        } else {
            self.at.push_str(&field);
        }
        let result = look(self);
        self.at.truncate(length);
        result
    }

    /// Whether nothing was wrong.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many things were wrong.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Takes over problems found elsewhere, their pointers relative to the current place.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        for mut problem in problems {
            problem.pointer = format!("{}{}", self.at, problem.pointer);
            self.found.push(problem);
        }
    }

    /// The list.
    pub fn into_vec(self) -> Vec<Problem> {
        self.found
    }

    /// `value` if nothing was wrong, else all the problems.
    pub fn or<T>(self, value: T) -> Result<T, Vec<Problem>> {
        if self.found.is_empty() { Ok(value) } else { Err(self.found) }
    }
}

impl Problem {
    /// The same problem, said of a resource.
    #[must_use]
    pub fn of(mut self, kind: Kind, id: Id, name: Option<&Name>) -> Self {
        self.resource = Some(Subject { kind, id, name: name.cloned() });
        self
    }
}
