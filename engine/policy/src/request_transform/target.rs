//! The path and the query of a request, put together anew.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use tidegate_model::canonical_path;

use crate::expression::{Facts, Template, decode};
use crate::transform::{Op, written};
use crate::{PolicyError, RequestContext, RequestHead};

/// The longest path and query.
const TARGET_BYTES_MAX: usize = 16 << 10;

/// Gives the request another path. Values are encoded, so that none adds a segment or leaves one; those of the path itself and
/// of its captures keep their slashes.
pub(super) fn set_path(template: &Template, head: &mut RequestHead, cx: &RequestContext) -> Result<(), PolicyError> {
    let mut path = String::new();
    template.write_with(&Facts::of_request(head, cx), cx, &mut path, |expression, value, path| {
        let keeps = expression.trim() == "request.path" || expression.trim_start().starts_with("captures");
        encode(value, keeps, path);
    })?;
    match canonical_path(&path) {
        Ok(Cow::Borrowed(_)) => {}
        Ok(Cow::Owned(canonical)) if canonical == path => {}
        Ok(_) => return Err(PolicyError(format!("`{path}` is not canonical"))),
        Err(why) => return Err(PolicyError(why.to_string())),
    }
    set_target(head, &path, head.query().map(str::to_owned).as_deref())
}

/// Carries out an operation on the parameters of the query.
pub(super) fn change_query(op: &Op<Box<str>>, head: &mut RequestHead, cx: &RequestContext) -> Result<(), PolicyError> {
    let value = match op {
        Op::Set(_, template) | Op::Add(_, template) => written(template, &Facts::of_request(head, cx), cx)?,
        Op::Remove(_) | Op::Rename(..) => String::new(),
    };
    let query = head.query().unwrap_or("");
    let mut pairs: Vec<Cow<'_, str>> = Vec::new();
    if !query.is_empty() {
        pairs.extend(query.split('&').map(Cow::Borrowed));
    }
    let is = |pair: &str, name: &str| decode(pair.split('=').next().unwrap_or(""), true) == name;
    match op {
        Op::Set(name, _) => {
            let first = pairs.iter().position(|pair| is(pair, name));
            let place = first.unwrap_or(pairs.len());
            pairs.retain(|pair| !is(pair, name));
            pairs.insert(place, Cow::Owned(pair(name, &value)));
        }
        Op::Add(name, _) => pairs.push(Cow::Owned(pair(name, &value))),
        Op::Remove(name) => pairs.retain(|pair| !is(pair, name)),
        Op::Rename(name, to) => {
            if !pairs.iter().any(|pair| is(pair, name)) {
                return Ok(());
            }
            if name != to {
                pairs.retain(|pair| !is(pair, to));
            }
            for pair in pairs.iter_mut().filter(|pair| is(pair, name)) {
                let mut renamed = String::new();
                encode(to, false, &mut renamed);
                renamed.push_str(pair.find('=').map_or("", |at| &pair[at..]));
                *pair = Cow::Owned(renamed);
            }
        }
    }
    let query = pairs.join("&");
    let path = head.path().to_owned();
    set_target(head, &path, (!query.is_empty()).then_some(&*query))
}

fn pair(name: &str, value: &str) -> String {
    let mut pair = String::new();
    encode(name, false, &mut pair);
    pair.push('=');
    encode(value, false, &mut pair);
    pair
}

/// All but unreserved characters (RFC 3986, section 2.3) is encoded.
fn encode(text: &str, keeps_slashes: bool, to: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (byte == b'/' && keeps_slashes) {
            to.push(char::from(byte));
        } else {
            to.push('%');
            to.push(char::from(DIGITS[usize::from(byte >> 4)]));
            to.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

fn set_target(head: &mut RequestHead, path: &str, query: Option<&str>) -> Result<(), PolicyError> {
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    if target.len() > TARGET_BYTES_MAX {
        return Err(PolicyError(format!("path and query are longer than {TARGET_BYTES_MAX} bytes")));
    }
    head.target = PathAndQuery::try_from(target).map_err(|why| PolicyError(why.to_string()))?;
    Ok(())
}
