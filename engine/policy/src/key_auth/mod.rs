//! `key-auth`: a caller proves itself with an API key in a header, the query or a cookie.

mod config;
mod places;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::{KeyAuthConfig, Scheme};

use std::sync::Arc;

use http::HeaderName;
use tidegate_model::{Problem, Problems};

use self::places::Places;
use crate::authenticate::challenge_of;
use crate::{Attachment, Behaviour, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// The kind.
pub struct KeyAuth;

impl PolicyKind for KeyAuth {
    type Config = KeyAuthConfig;

    const INFO: KindInfo = KindInfo {
        name: "key-auth",
        title: "API key",
        summary: "Lets in who shows an API key of a consumer, and says who that is.",
        combine: Combine::Replace,
        by_principal: false,
        decides: true,
        page: include_str!("README.md"),
    };

    fn build(config: KeyAuthConfig, _: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let places = places(&config, &mut problems);
        let challenge = challenge_of("ApiKey", config.realm.as_deref(), "", &mut problems);
        let Some(challenge) = challenge else { return Err(problems.into_vec()) };
        let forward_key = config.forward_key.unwrap_or(false);
        let authenticator = runtime::KeyAuthenticator { places, forward_key, challenge };
        problems.or(Built {
            behaviour: Behaviour::Authenticator(Arc::new(authenticator)),
            phase: Phase::Authenticate,
            needs: Needs::default(),
        })
    }
}

fn places(config: &KeyAuthConfig, problems: &mut Problems) -> Places {
    let mut headers = Vec::new();
    if let Some(name) = &config.header {
        problems.within("header", |p| headers.extend(header(name, p)));
        if config.headers.is_some() {
            problems.add_at("headers", "conflict", "give `header` or `headers`, not both");
        }
    }
    for (index, name) in config.headers.iter().flatten().enumerate() {
        problems.within("headers", |p| p.within(index, |p| headers.extend(header(name, p))));
    }
    let named = [&config.query, &config.cookies, &config.headers].iter().any(|names| names.is_some());
    if !named && config.header.is_none() && config.authorization.is_none() {
        headers.push(HeaderName::from_static("x-api-key"));
    }
    let mut list = |field: &str, names: &Option<Vec<String>>, takes: fn(u8) -> bool| {
        for (index, name) in names.iter().flatten().enumerate() {
            if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.bytes().all(takes) {
                let detail = format!("`{name}` can't be one; write 1 to {NAME_LENGTH_MAX} letters, digits or `-._~`");
                problems.within(field, |p| p.within(index, |p| p.add("invalid_value", detail)));
            }
        }
        names.clone().unwrap_or_default().into_boxed_slice()
    };
    let unescaped = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let query = list("query", &config.query, unescaped);
    let cookies = list("cookies", &config.cookies, unescaped);
    let authorization = config.authorization.clone().unwrap_or_default().into_boxed_slice();
    Places { headers: headers.into(), authorization, query, cookies }
}

const NAME_LENGTH_MAX: usize = 64;

fn header(name: &str, problems: &mut Problems) -> Option<HeaderName> {
    let Some(parsed) = name.parse::<HeaderName>().ok().filter(|_| name.len() <= NAME_LENGTH_MAX) else {
        problems.add("invalid_value", format!("`{name}` is not a header name"));
        return None;
    };
    let why = match parsed.as_str() {
        "cookie" => "cookies are named in `cookies`",
        "host" | "connection" | "content-length" | "content-type" | "expect" | "te" | "trailer" | "upgrade"
        | "transfer-encoding" | "keep-alive" | "proxy-connection" => "the request needs this header itself",
        "via" | "forwarded" | "x-request-id" | "x-credential-id" => "the gateway writes it itself",
        ours if ours.starts_with("x-forwarded-") || ours.starts_with("x-consumer-") => "the gateway writes it itself",
        _ => return Some(parsed),
    };
    problems.add("invalid_value", format!("`{name}` can't carry the key: {why}"));
    None
}
