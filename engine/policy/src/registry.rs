//! The kinds there are: one line each.

use crate::{AnyKind, Typed};

static KEY_AUTH: Typed<crate::key_auth::KeyAuth> = Typed::new();
static RATE_LIMIT: Typed<crate::rate_limit::RateLimit> = Typed::new();
static REQUEST_SIZE: Typed<crate::request_size::RequestSize> = Typed::new();

static KINDS: [&dyn AnyKind; 3] = [&KEY_AUTH, &RATE_LIMIT, &REQUEST_SIZE];

/// All the kinds of this build.
pub fn kinds() -> &'static [&'static dyn AnyKind] {
    &KINDS
}

/// The kinds that a snapshot is compiled with.
#[derive(Clone, Copy)]
pub struct Registry(&'static [&'static dyn AnyKind]);

impl Registry {
    /// All the kinds of this build.
    pub fn standard() -> Self {
        Registry(kinds())
    }

    /// Only these: for tests.
    pub const fn of(kinds: &'static [&'static dyn AnyKind]) -> Self {
        Registry(kinds)
    }

    /// A kind by its name.
    pub fn get(&self, name: &str) -> Option<&'static dyn AnyKind> {
        self.0.iter().copied().find(|kind| kind.info().name == name)
    }

    /// The names there are.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|kind| kind.info().name)
    }
}
