//! The kinds there are: one line each.

use std::sync::Arc;

use crate::secrets::{NoSecrets, Secrets};
use crate::{AnyKind, Typed};

static JWT: Typed<crate::jwt::Jwt> = Typed::new();
static KEY_AUTH: Typed<crate::key_auth::KeyAuth> = Typed::new();
static RATE_LIMIT: Typed<crate::rate_limit::RateLimit> = Typed::new();
static REQUEST_SIZE: Typed<crate::request_size::RequestSize> = Typed::new();

static KINDS: [&dyn AnyKind; 4] = [&JWT, &KEY_AUTH, &RATE_LIMIT, &REQUEST_SIZE];

/// All the kinds of this build.
pub fn kinds() -> &'static [&'static dyn AnyKind] {
    &KINDS
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

    /// A kind by its name.
    pub fn get(&self, name: &str) -> Option<&'static dyn AnyKind> {
        self.kinds.iter().copied().find(|kind| kind.info().name == name)
    }

    /// The names there are.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.kinds.iter().map(|kind| kind.info().name)
    }
}
