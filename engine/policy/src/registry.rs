//! The kinds there are: one line each.

use std::sync::Arc;

use tidegate_model::ConfigSchemas;

use crate::secrets::{NoSecrets, Secrets};
use crate::{AnyKind, Typed};

static ACL: Typed<crate::acl::Acl> = Typed::new();
static AUTH: Typed<crate::auth::Auth> = Typed::new();
static BASIC_AUTH: Typed<crate::basic_auth::BasicAuth> = Typed::new();
static CACHE: Typed<crate::cache::Cache> = Typed::new();
static COMPRESSION: Typed<crate::compression::Compression> = Typed::new();
static CORS: Typed<crate::cors::Cors> = Typed::new();
static IP_RESTRICTION: Typed<crate::ip_restriction::IpRestriction> = Typed::new();
static JWT: Typed<crate::jwt::Jwt> = Typed::new();
static KEY_AUTH: Typed<crate::key_auth::KeyAuth> = Typed::new();
static MAINTENANCE: Typed<crate::maintenance::Maintenance> = Typed::new();
static MOCK: Typed<crate::mock::Mock> = Typed::new();
static RATE_LIMIT: Typed<crate::rate_limit::RateLimit> = Typed::new();
static REDIRECT: Typed<crate::redirect::Redirect> = Typed::new();
static REQUEST_SIZE: Typed<crate::request_size::RequestSize> = Typed::new();
static REQUEST_TRANSFORM: Typed<crate::request_transform::RequestTransform> = Typed::new();
static RESPONSE_TRANSFORM: Typed<crate::response_transform::ResponseTransform> = Typed::new();
static SECURITY_HEADERS: Typed<crate::security_headers::SecurityHeaders> = Typed::new();
static VALIDATE_REQUEST: Typed<crate::validate_request::ValidateRequest> = Typed::new();
static VALIDATE_RESPONSE: Typed<crate::validate_response::ValidateResponse> = Typed::new();

static KINDS: &[&dyn AnyKind] = &[
    &ACL,
    &AUTH,
    &BASIC_AUTH,
    &CACHE,
    &COMPRESSION,
    &CORS,
    &IP_RESTRICTION,
    &JWT,
    &KEY_AUTH,
    &MAINTENANCE,
    &MOCK,
    &RATE_LIMIT,
    &REDIRECT,
    &REQUEST_SIZE,
    &REQUEST_TRANSFORM,
    &RESPONSE_TRANSFORM,
    &SECURITY_HEADERS,
    &VALIDATE_REQUEST,
    &VALIDATE_RESPONSE,
];

/// All the kinds of this build.
pub fn kinds() -> &'static [&'static dyn AnyKind] {
    KINDS
}

/// What a snapshot is compiled with: the kinds, and what opens their secrets.
#[derive(Clone)]
pub struct Registry {
    kinds: &'static [&'static dyn AnyKind],
    secrets: Arc<dyn Secrets>,
}

impl Registry {
    /// All the kinds of this build.
    pub fn standard() -> Self {
        Registry::of(kinds())
    }

    /// Only these: for tests.
    pub fn of(kinds: &'static [&'static dyn AnyKind]) -> Self {
        Registry { kinds, secrets: Arc::new(NoSecrets) }
    }

    /// With what opens secrets; without it, none is opened.
    #[must_use]
    pub fn with_secrets(self, secrets: Arc<dyn Secrets>) -> Self {
        Registry { secrets, ..self }
    }

    pub(crate) fn secrets(&self) -> &dyn Secrets {
        &*self.secrets
    }

    /// The schemas of the kinds' configs: what finds secrets and references in them.
    pub fn schemas(&self) -> ConfigSchemas {
        let kinds = self.kinds;
        ConfigSchemas::new(move |name| kinds.iter().find(|kind| kind.info().name == name).map(|kind| kind.schema()))
    }

    /// A kind by its name.
    pub fn get(&self, name: &str) -> Option<&'static dyn AnyKind> {
        self.kinds.iter().copied().find(|kind| kind.info().name == name)
    }

    /// The names there are.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.kinds.iter().map(|kind| kind.info().name)
    }
}
