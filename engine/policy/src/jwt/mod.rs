//! `jwt`: a caller proves itself with a signed token (RFC 7519, RFC 8725).
//!
//! The request shows a token ([`place`]), it is taken apart ([`token`]), a key ([`key`], [`key_set`]) says whether it was signed
//! as it says, and only then is believed what it claims ([`claims`]). What held is remembered for a while ([`verified`]).
//!
//! Invariant: the algorithms of a key are those that fit what it is. What a token says of its algorithm can only leave keys
//! out, never make one fit.

mod algorithm;
mod claims;
mod config;
mod json;
mod key;
mod key_set;
mod keys;
mod place;
mod runtime;
#[cfg(test)]
mod signing;
#[cfg(test)]
mod tests;
mod token;
mod url;
#[cfg(test)]
mod vectors;
mod verified;

pub use algorithm::Algorithm;
pub use config::{ConsumerBy, Encoding, FixedKey, JwtConfig};
pub use key_set::{InvalidKeySet, KEYS_MAX, KeySet, Skipped};
pub use url::KeySetUrl;
pub(crate) use verified::VerifiedTokens;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue};
use tidegate_model::{Problem, Problems, Span};
use zeroize::Zeroizing;

use crate::{Attachment, Behaviour, Built, Combine, KindInfo, Needs, Phase, PolicyKind, SecretError};
use claims::{Checks, ClaimPath};
use key::{Key, KeyRefused};
use keys::{Keys, Published};
use place::Places;
use runtime::{Challenges, JwtAuthenticator};

/// The kind.
pub struct Jwt;

const LEEWAY: Duration = Duration::from_secs(30);
const LEEWAY_MAX: Duration = Duration::from_secs(600);
const TOKEN_BYTES: u64 = 8 << 10;
const TOKEN_BYTES_MAX: u64 = 32 << 10;

static SERIALS: AtomicU64 = AtomicU64::new(1);

impl PolicyKind for Jwt {
    type Config = JwtConfig;

    const INFO: KindInfo = KindInfo {
        name: "jwt",
        title: "JWT",
        summary: "Lets in who shows a signed token of an issuer that is trusted here.",
        combine: Combine::Replace,
        by_principal: false,
        decides: true,
        page: include_str!("README.md"),
    };

    fn build(config: JwtConfig, attachment: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let problem = &mut problems;
        let keys = keys_of(&config, attachment, problem);
        let places = places(&config, problem);
        let challenges = challenges(&config, problem);
        let leeway = config.leeway.map_or(LEEWAY, Span::duration);
        if leeway > LEEWAY_MAX {
            problem.add_at("leeway", "out_of_range", "must be at most `10m`");
        }
        let bytes_max = config.token_bytes_max.map_or(TOKEN_BYTES, |size| size.bytes());
        if !(256..=TOKEN_BYTES_MAX).contains(&bytes_max) {
            problem.add_at("token_bytes_max", "out_of_range", "must be from `256B` to `32KiB`");
        }
        let (Some(keys), Some(places), Some(challenges)) = (keys, places, challenges) else {
            return Err(problems.into_vec());
        };
        let checks = Checks {
            issuers: config.issuers.unwrap_or_default().into(),
            audiences: config.audiences.unwrap_or_default().into(),
            exp_required: config.without_exp != Some(true),
            claims: claims::required(&config.claims),
            scopes: config.scopes.unwrap_or_default().into(),
        };
        let authenticator = JwtAuthenticator {
            serial: SERIALS.fetch_add(1, Ordering::Relaxed),
            places,
            forward: config.forward_token == Some(true),
            bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
            keys,
            algorithms: config.algorithms.unwrap_or_default().into(),
            types: config.types.unwrap_or_default().into(),
            checks,
            leeway,
            subject: ClaimPath::new(config.subject_claim.as_deref().unwrap_or("sub")),
            groups: config.groups_claim.as_deref().map(ClaimPath::new),
            consumer: config.consumer.unwrap_or_default(),
            challenges,
        };
        problems.or(Built {
            behaviour: Behaviour::Authenticator(Arc::new(authenticator)),
            phase: Phase::Authenticate,
            needs: Needs::default(),
        })
    }
}

fn keys_of(config: &JwtConfig, attachment: &Attachment<'_>, problems: &mut Problems) -> Option<Keys> {
    let only = config.algorithms.as_deref().unwrap_or_default();
    if let Some(url) = &config.jwks_url {
        if !only.is_empty() && only.iter().all(|algorithm| algorithm.family() == algorithm::Family::Secret) {
            let detail = "keys that are published are never secrets; give `keys` for HS256, HS384 and HS512";
            problems.add_at("algorithms", "conflict", detail);
        }
        return match KeySetUrl::read(url, config.jwks_plain_http == Some(true)) {
            Ok(at) => Some(Keys::Published(Published { at, opened: Default::default() })),
            Err(detail) => {
                problems.add_at("jwks_url", "invalid_value", detail);
                None
            }
        };
    }
    let fixed = config.keys.as_deref().unwrap_or_default();
    let mut keys = Vec::new();
    let (mut elsewhere, mut whole) = (false, true);
    problems.within("keys", |problems| {
        for (index, key) in fixed.iter().enumerate() {
            problems.within(index, |problems| match fixed_key(key, only, attachment) {
                Ok(Some(key)) => keys.push(key),
                Ok(None) => elsewhere = true,
                Err((field, code, detail)) => {
                    whole = false;
                    problems.add_at(field, code, detail);
                }
            });
        }
    });
    match (whole, elsewhere) {
        (false, _) => None,
        (true, true) => Some(Keys::Elsewhere),
        (true, false) => Some(Keys::Fixed(Arc::new(KeySet::of(keys)))),
    }
}

type KeyProblem = (&'static str, &'static str, String);

/// One key of a config. `None`: its secret is for another process to open.
fn fixed_key(key: &FixedKey, only: &[Algorithm], attachment: &Attachment<'_>) -> Result<Option<Key>, KeyProblem> {
    let kid = key.kid.as_deref();
    if key.encoding.is_some() && key.secret.is_none() {
        return Err(("encoding", "conflict", "it says how a `secret` is written, and there is none".into()));
    }
    let refused = |field| {
        move |refused: KeyRefused| {
            let code = if matches!(refused, KeyRefused::Weak(_)) { "weak_key" } else { "invalid_value" };
            (field, code, refused.to_string())
        }
    };
    match (&key.pem, &key.jwk, &key.secret) {
        (Some(pem), ..) => Key::from_pem(pem, kid, only).map(Some).map_err(refused("pem")),
        (_, Some(jwk), _) if kid.is_some() && jwk.contains_key("kid") => {
            Err(("kid", "conflict", "the `jwk` says it already".into()))
        }
        (_, Some(jwk), _) => Key::from_jwk(jwk, only).map(|key| Some(key.called(kid))).map_err(refused("jwk")),
        (.., Some(secret)) => {
            let opened = match attachment.secrets().open(secret) {
                Ok(opened) => opened,
                Err(SecretError::Elsewhere) => return Ok(None),
                Err(error) => return Err(("secret", "unreadable_secret", error.to_string())),
            };
            let bytes = match key.encoding.unwrap_or_default() {
                Encoding::Text => Zeroizing::new(opened.as_bytes().to_vec()),
                Encoding::Base64 => decoded(&opened).ok_or_else(|| {
                    ("secret", "invalid_value", "it is neither base64 nor base64url, as `encoding` says".to_owned())
                })?,
            };
            Key::from_secret(&bytes, kid, only).map(Some).map_err(refused("secret"))
        }
        // the schema asks for one of them
        (None, None, None) => Err(("pem", "missing_field", "give one of `pem`, `jwk`, `secret`".into())),
    }
}

fn decoded(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim().trim_end_matches('=');
    STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok().map(Zeroizing::new)
}

fn places(config: &JwtConfig, problems: &mut Problems) -> Option<Places> {
    let elsewhere = config.cookie.is_some() || config.query.is_some();
    let header = match (config.header.as_deref(), elsewhere) {
        (None, true) => None,
        (name, _) => {
            let name = name.unwrap_or("authorization");
            match name.parse::<HeaderName>() {
                Ok(http::header::COOKIE) => {
                    problems.add_at("header", "invalid_value", "name the cookie as `cookie`");
                    return None;
                }
                Ok(header) => Some(header),
                Err(_) => {
                    problems.add_at("header", "invalid_value", format!("`{name}` is not a header name"));
                    return None;
                }
            }
        }
    };
    let of_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if config.cookie.as_ref().is_some_and(|name| !name.bytes().all(of_token)) {
        problems.add_at("cookie", "invalid_value", "it is not the name of a cookie (RFC 6265 §4.1)");
        return None;
    }
    Some(Places {
        header,
        cookie: config.cookie.as_deref().map(Into::into),
        query: config.query.as_deref().map(Into::into),
    })
}

fn challenges(config: &JwtConfig, problems: &mut Problems) -> Option<Challenges> {
    let quotable = |b: u8| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\';
    let realm = config.realm.as_deref().unwrap_or("tidegate");
    if !realm.bytes().all(quotable) {
        let detail = "must be of visible ASCII characters without quotes and backslashes";
        problems.add_at("realm", "invalid_value", detail);
        return None;
    }
    // RFC 6749 §3.3: what a scope may be made of
    let scope_fits = |scope: &String| !scope.is_empty() && scope.bytes().all(|b| quotable(b) && b != b' ');
    let scopes = config.scopes.as_deref().unwrap_or_default();
    if let Some(at) = scopes.iter().position(|scope| !scope_fits(scope)) {
        let detail = "a scope is of visible ASCII characters without spaces, quotes and backslashes";
        problems.within("scopes", |problems| problems.add_at(at, "invalid_value", detail));
        return None;
    }
    let header = |more: &str| HeaderValue::from_str(&format!("Bearer realm=\"{realm}\"{more}")).ok();
    Some(Challenges {
        plain: header("")?,
        invalid: header(", error=\"invalid_token\"")?,
        scope: header(&format!(", error=\"insufficient_scope\", scope=\"{}\"", scopes.join(" ")))?,
    })
}
