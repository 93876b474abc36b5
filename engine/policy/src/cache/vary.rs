//! Which requests an answer is for (RFC 9111 §4.1).

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderName, VARY};

use super::directives::words;
use crate::{StoredAnswer, Variants, Vary};

/// How many headers an answer may vary by, and how much a request may say in them. What is more is not kept.
const NAMES_MAX: usize = 8;
const SAID_BYTES_MAX: usize = 2 << 10;

/// What the gateway says to the API itself, and policies don't see: an answer that varies by it can't be told apart here.
const OURS: [&str; 4] = ["forwarded", "via", "traceparent", "tracestate"];
const OURS_BEGIN: [&str; 4] = ["x-forwarded-", "x-consumer-", "x-credential-", "x-request-id"];

/// By what an answer to this request varies, with what the request said; `None` if it can't be kept.
pub(super) fn of(answer: &HeaderMap, request: &HeaderMap) -> Option<Vary> {
    let mut names: Vec<HeaderName> = Vec::new();
    for value in answer.get_all(VARY) {
        for word in value.to_str().ok()?.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let name = HeaderName::from_bytes(word.as_bytes()).ok().filter(|name| name.as_str() != "*")?;
            let text = name.as_str();
            if OURS.contains(&text) || OURS_BEGIN.iter().any(|start| text.starts_with(start)) {
                return None;
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.len() > NAMES_MAX {
        return None;
    }
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    let vary: Box<[_]> = names.into_iter().map(|name| (name.clone(), said(request, &name))).collect();
    let bytes: usize = vary.iter().map(|(_, said)| said.len()).sum();
    (bytes <= SAID_BYTES_MAX).then_some(vary)
}

/// What a request says in a header. Its absence is another thing than an empty one; several lines are one.
fn said(request: &HeaderMap, name: &HeaderName) -> Box<[u8]> {
    let mut said = Vec::new();
    if *name == ACCEPT_ENCODING {
        // case and blanks tell nothing apart here, and there are many spellings
        for word in words(request, name) {
            said.push(b',');
            said.extend(word.bytes().filter(|b| *b != b' ').map(|b| b.to_ascii_lowercase()));
        }
        return said.into();
    }
    for value in request.get_all(name) {
        said.push(b',');
        said.extend_from_slice(value.as_bytes().trim_ascii());
    }
    said.into()
}

/// The newest that is for this request.
pub(super) fn select(variants: &Variants, request: &HeaderMap) -> Option<std::sync::Arc<StoredAnswer>> {
    let fits = |answer: &StoredAnswer| answer.vary.iter().all(|(name, kept)| said(request, name) == *kept);
    variants.iter().rev().find(|answer| fits(answer)).cloned()
}
