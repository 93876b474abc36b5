//! An answer that refuses, told in full.

use std::fmt;

use reqwest::StatusCode;
use serde::Deserialize;

/// What a control plane says when it refuses: `application/problem+json`.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Refused {
    #[serde(skip)]
    status: u16,
    title: String,
    code: String,
    detail: String,
    request_id: String,
    errors: Vec<Place>,
    /// What else the reader may need, from here and not from the answer.
    #[serde(skip)]
    pub(super) hint: String,
}

/// One thing wrong in what was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Place {
    pointer: String,
    code: String,
    detail: String,
}

impl Default for Refused {
    fn default() -> Self {
        let none = String::new;
        Refused {
            status: 0,
            title: none(),
            code: none(),
            detail: none(),
            request_id: none(),
            errors: Vec::new(),
            hint: none(),
        }
    }
}

impl Refused {
    /// From an answer; also from one that no Tidegate wrote.
    pub(super) fn read(status: StatusCode, body: &[u8]) -> Self {
        let mut refused = serde_json::from_slice::<Refused>(body).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(body);
            let start: String = text.trim().chars().take(300).collect();
            Refused { detail: start, ..Refused::default() }
        });
        refused.status = status.as_u16();
        if refused.title.is_empty() {
            refused.title = status.canonical_reason().unwrap_or("refused").to_lowercase();
        }
        refused
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = if self.detail.is_empty() { &self.title } else { &self.detail };
        write!(f, "{said} ({}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        f.write_str(")")?;
        let width = self.errors.iter().map(|place| place.pointer.chars().count()).max().unwrap_or_default();
        for Place { pointer, code, detail } in &self.errors {
            write!(f, "\n  {pointer:width$}  {detail}")?;
            if !code.is_empty() {
                write!(f, " ({code})")?;
            }
        }
        if !self.request_id.is_empty() {
            write!(f, "\n  request {}", self.request_id)?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n  {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_printed_with_its_place() {
        let body = br#"{"type":"t","title":"invalid","status":400,"code":"invalid","detail":"the service has 2 problems","request_id":"r1",
            "errors":[{"pointer":"/url","code":"missing","detail":"give a url or an upstream"},{"pointer":"/x","code":"unknown","detail":"no such field"}]}"#;
        assert_eq!(
            Refused::read(StatusCode::BAD_REQUEST, body).to_string(),
            "the service has 2 problems (400 invalid)\n  /url  give a url or an upstream (missing)\n  /x    no such field (unknown)\n  request r1"
        );
    }

    #[test]
    fn an_answer_of_something_else_is_printed_as_it_is() {
        assert_eq!(Refused::read(StatusCode::BAD_GATEWAY, b"<html>").to_string(), "<html> (502)");
        assert_eq!(Refused::read(StatusCode::BAD_GATEWAY, b"").to_string(), "bad gateway (502)");
    }
}
