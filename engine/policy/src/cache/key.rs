//! Under what an answer is kept. Each part is told with its length, so that no two requests run together into one.

use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName};
use smallvec::SmallVec;
use tidegate_model::Sha256;

use super::{Authorized, Settings};
use crate::{CacheKey, Principal, RequestContext, RequestHead, Subject};

/// Parts, each behind its length.
#[derive(Default)]
struct Parts(SmallVec<[u8; 512]>);

impl Parts {
    fn add(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&(part.len() as u64).to_le_bytes());
        self.0.extend_from_slice(part);
    }

    fn digest(&self) -> Sha256 {
        Sha256::of(&self.0)
    }
}

/// What of the query tells answers apart.
pub(super) enum Query {
    All,
    Only(Box<[String]>),
    Without(Box<[String]>),
}

impl Query {
    fn add(&self, query: Option<&str>, parts: &mut Parts) {
        let Some(query) = query else { return parts.add(b"") };
        let counts = |parameter: &&str| {
            let name = parameter.split('=').next().unwrap_or("");
            // an API may read another name in it than is written (`%69d`), or two parameters (`a=1;id=2`): it tells apart
            let is_plain = !name.contains(['%', '+', '[']) && !parameter.contains(';');
            match self {
                _ if !is_plain => true,
                Query::All => true,
                Query::Only(names) => names.iter().any(|one| one == name),
                Query::Without(names) => !names.iter().any(|one| one == name),
            }
        };
        match self {
            Query::All => {
                parts.add(b"?");
                parts.add(query.as_bytes());
            }
            _ => query.split('&').filter(counts).for_each(|parameter| parts.add(parameter.as_bytes())),
        }
    }
}

/// The key of a request for its target, whatever its method.
pub(super) fn of(settings: &Settings, head: &RequestHead, cx: &RequestContext) -> CacheKey {
    let mut parts = Parts::default();
    parts.add(&settings.scope.0);
    parts.add(cx.route.service.unwrap_or(cx.route.route).uuid().as_bytes());
    parts.add(&[u8::from(cx.seen.is_secure)]);
    let host = head.headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
    parts.add(&host.to_ascii_lowercase());
    parts.add(head.path().as_bytes());
    settings.query.add(head.query(), &mut parts);
    let target = parts.digest();

    let mut parts = Parts::default();
    parts.add(cx.route.route.uuid().as_bytes());
    parts.add(&cx.seen.route_version.to_le_bytes());
    for name in &settings.key_headers {
        add_header(head, name, &mut parts);
    }
    match settings.authorized {
        Authorized::Never | Authorized::PublicOnly => {}
        Authorized::ByConsumer => {
            add_principal(&cx.principal, &mut parts);
            add_credentials(head, &mut parts);
        }
        Authorized::ByGroup => {
            let mut groups: SmallVec<[_; 8]> = cx.principal.groups().collect();
            groups.sort_unstable();
            groups.dedup();
            groups.iter().for_each(|group| parts.add(group.uuid().as_bytes()));
            add_credentials(head, &mut parts);
        }
    }
    CacheKey { target, part: parts.digest() }
}

/// What was asked for, as operators write it: `host/path?query`.
pub(super) fn url(head: &RequestHead) -> Box<str> {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("").to_ascii_lowercase();
    format!("{host}{}", head.target).into()
}

fn add_header(head: &RequestHead, name: &HeaderName, parts: &mut Parts) {
    let values = head.headers.get_all(name);
    parts.add(&(values.iter().count() as u64).to_le_bytes());
    values.iter().for_each(|value| parts.add(value.as_bytes()));
}

/// What goes upstream as it came.
fn add_credentials(head: &RequestHead, parts: &mut Parts) {
    add_header(head, &AUTHORIZATION, parts);
    add_header(head, &COOKIE, parts);
}

/// All by which an API may tell callers apart.
fn add_principal(principal: &Principal, parts: &mut Parts) {
    match &principal.subject {
        Subject::Anonymous => parts.add(b"a"),
        Subject::Consumer(consumer) => {
            parts.add(b"c");
            parts.add(consumer.id.uuid().as_bytes());
        }
        Subject::External(name) => {
            parts.add(b"e");
            parts.add(name.as_bytes());
        }
    }
    match &principal.credential {
        Some(credential) => parts.add(credential.uuid().as_bytes()),
        None => parts.add(b""),
    }
    parts.add(&(principal.scopes.len() as u64).to_le_bytes());
    principal.scopes.iter().for_each(|scope| parts.add(scope.as_bytes()));
    principal.groups.iter().for_each(|group| parts.add(group.uuid().as_bytes()));
    if let Some(claims) = &principal.claims {
        // the same name from another issuer is another caller
        parts.add(claims.get("iss").map_or_else(String::new, ToString::to_string).as_bytes());
        parts.add(claims.get("aud").map_or_else(String::new, ToString::to_string).as_bytes());
    }
}
