//! `basic-auth`: a caller proves itself with a username and a password.

mod config;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::BasicAuthConfig;

use std::sync::Arc;

use tidegate_model::{Problem, Problems};

use crate::authenticate::challenge_of;
use crate::{Attachment, Behaviour, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// The kind.
pub struct BasicAuth;

impl PolicyKind for BasicAuth {
    type Config = BasicAuthConfig;

    const INFO: KindInfo = KindInfo {
        name: "basic-auth",
        title: "Username and password",
        summary: "Lets in who shows the username and password of a consumer, and says who that is.",
        combine: Combine::Replace,
        by_principal: false,
        decides: true,
        page: include_str!("README.md"),
    };

    fn build(config: BasicAuthConfig, _: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let challenge = challenge_of("Basic", config.realm.as_deref(), ", charset=\"UTF-8\"", &mut problems);
        let Some(challenge) = challenge else { return Err(problems.into_vec()) };
        let forward_credentials = config.forward_credentials.unwrap_or(false);
        let authenticator = runtime::BasicAuthenticator { challenge, forward_credentials };
        problems.or(Built {
            behaviour: Behaviour::Authenticator(Arc::new(authenticator)),
            phase: Phase::Authenticate,
            needs: Needs::default(),
        })
    }
}
