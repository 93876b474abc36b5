//! `key-auth`: a caller proves itself with an API key in a header.

mod config;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::KeyAuthConfig;

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use tidegate_model::{Problem, Problems};

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
        let name = config.header.as_deref().unwrap_or("x-api-key");
        let header = match name.parse::<HeaderName>() {
            Ok(header) => Some(header),
            Err(_) => {
                problems.add_at("header", "invalid_value", format!("`{name}` is not a header name"));
                None
            }
        };
        let realm = config.realm.as_deref().unwrap_or("tidegate");
        let quotable = |b: u8| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\';
        let challenge = if realm.bytes().all(quotable) {
            HeaderValue::from_str(&format!("ApiKey realm=\"{realm}\"")).ok()
        } else {
            problems.add_at(
                "realm",
                "invalid_value",
                "must be of visible ASCII characters without quotes and backslashes",
            );
            None
        };
        let (Some(header), Some(challenge)) = (header, challenge) else { return Err(problems.into_vec()) };
        let authenticator = runtime::KeyAuthenticator { header, challenge };
        problems.or(Built {
            behaviour: Behaviour::Authenticator(Arc::new(authenticator)),
            phase: Phase::Authenticate,
            needs: Needs::default(),
        })
    }
}
