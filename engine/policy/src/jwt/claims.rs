//! What a token has to say so that it is taken: for whom, by whom, for how long, and what else is asked of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use smallvec::SmallVec;
use tidegate_model::Instant;

/// Where in the claims something stands: a name, or a JSON pointer into them.
#[derive(Debug, Clone)]
pub(super) struct ClaimPath(Box<str>);

/// What is asked of the claims, whatever the time.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) issuers: Box<[String]>,
    pub(super) audiences: Box<[String]>,
    pub(super) exp_required: bool,
    /// Each claim must be there, and be one of the values if there are any.
    pub(super) claims: Box<[(ClaimPath, Box<[String]>)]>,
    pub(super) scopes: Box<[String]>,
}

/// From when to when a token holds, as it says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Times {
    exp: Option<i64>,
    nbf: Option<i64>,
    iat: Option<i64>,
}

/// Why claims are not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The token is none for here.
    Token(&'static str),
    /// It is one, but not of somebody who may.
    Scope,
    /// As above, for another claim.
    Claim,
}

impl ClaimPath {
    pub(super) fn new(path: &str) -> Self {
        ClaimPath(path.into())
    }

    /// What stands there; `null` is nothing.
    pub(super) fn of<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let found = match self.0.strip_prefix('/') {
            None => claims.get(&*self.0),
            Some(rest) => {
                let (first, inner) =
                    rest.split_once('/').map_or((rest, ""), |(first, _)| (first, &rest[first.len()..]));
                claims.get(&first.replace("~1", "/").replace("~0", "~")).and_then(|value| value.pointer(inner))
            }
        };
        found.filter(|value| !value.is_null())
    }
}

/// The texts that a claim holds: one, or a list of them.
pub(super) fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let many = value.as_array().map_or(&[][..], Vec::as_slice);
    value.as_str().into_iter().chain(many.iter().filter_map(Value::as_str))
}

impl Checks {
    /// Looks at what does not change with time.
    pub(super) fn hold(&self, claims: &Map<String, Value>, scopes: &[Box<str>]) -> Result<(), Wrong> {
        if !self.issuers.is_empty() {
            let issuer = claims.get("iss").and_then(Value::as_str);
            if !issuer.is_some_and(|issuer| self.issuers.iter().any(|own| own == issuer)) {
                return Err(Wrong::Token("the token is by another issuer"));
            }
        }
        if !self.audiences.is_empty() {
            let mut told = claims.get("aud").into_iter().flat_map(texts);
            if !told.any(|audience| self.audiences.iter().any(|own| own == audience)) {
                return Err(Wrong::Token("the token is for another audience"));
            }
        }
        for (path, values) in &self.claims {
            let Some(value) = path.of(claims) else { return Err(Wrong::Claim) };
            if !values.is_empty() && !is_one_of(value, values) {
                return Err(Wrong::Claim);
            }
        }
        match self.scopes.iter().all(|scope| scopes.iter().any(|own| **own == **scope)) {
            true => Ok(()),
            false => Err(Wrong::Scope),
        }
    }

    /// Reads when the token holds.
    pub(super) fn times(&self, claims: &Map<String, Value>) -> Result<Times, Wrong> {
        let at = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => millis(value).map(Some).ok_or(Wrong::Token("a time of the token can't be read")),
        };
        let times = Times { exp: at("exp")?, nbf: at("nbf")?, iat: at("iat")? };
        match times.exp.is_none() && self.exp_required {
            true => Err(Wrong::Token("the token does not say when it ends")),
            false => Ok(times),
        }
    }
}

impl Times {
    /// Whether a token holds now.
    pub(super) fn hold(self, now: Instant, leeway: Duration) -> Result<(), Wrong> {
        let (now, leeway) = (now.millis(), i64::try_from(leeway.as_millis()).unwrap_or(i64::MAX));
        if self.exp.is_some_and(|exp| now >= exp.saturating_add(leeway)) {
            return Err(Wrong::Token("the token has expired"));
        }
        if self.nbf.is_some_and(|nbf| now < nbf.saturating_sub(leeway)) {
            return Err(Wrong::Token("the token does not hold yet"));
        }
        // who signs tokens of tomorrow has a wrong clock, or keeps them for tomorrow
        if self.iat.is_some_and(|iat| now < iat.saturating_sub(leeway)) {
            return Err(Wrong::Token("the token was issued in the future"));
        }
        Ok(())
    }
}

/// What a token says its bearer may do: `scope` as one text (RFC 8693 §4.2), `scp` as text or list.
pub(super) fn scopes(claims: &Map<String, Value>) -> SmallVec<[Box<str>; 2]> {
    let told = ["scope", "scp"].into_iter().filter_map(|name| claims.get(name)).flat_map(texts);
    let mut scopes: SmallVec<[Box<str>; 2]> = SmallVec::new();
    for scope in told.flat_map(str::split_ascii_whitespace) {
        if !scopes.iter().any(|known| **known == *scope) {
            scopes.push(scope.into());
        }
    }
    scopes
}

/// The checks on claims of a config.
pub(super) fn required(claims: &BTreeMap<String, Vec<String>>) -> Box<[(ClaimPath, Box<[String]>)]> {
    claims.iter().map(|(path, values)| (ClaimPath::new(path), values.as_slice().into())).collect()
}

fn is_one_of(value: &Value, values: &[String]) -> bool {
    let is = |value: &Value| match value {
        Value::String(text) => values.contains(text),
        Value::Bool(_) | Value::Number(_) => values.contains(&value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    is(value) || value.as_array().is_some_and(|items| items.iter().any(is))
}

/// Seconds since 1970, which need not be whole (RFC 7519 §2).
fn millis(value: &Value) -> Option<i64> {
    if let Some(seconds) = value.as_i64() {
        return (seconds >= 0).then(|| seconds.saturating_mul(1000));
    }
    // what is beyond all time saturates
    value.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0).map(|seconds| (seconds * 1000.0) as i64)
}
