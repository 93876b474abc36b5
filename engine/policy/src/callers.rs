//! What authenticators ask of the node about those who call: whether a password fits, and whether an address may try at all.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tidegate_model::{Id, PasswordHash};

/// Checks passwords: slow by nature, so never on a worker, and a few at a time.
pub trait Passwords {
    /// Whether a password fits. Who is not known costs what known ones cost, and never fits.
    fn check(&self, shown: ShownPassword<'_>) -> PasswordCheck;
}

/// What a request showed, and what is kept of it.
#[derive(Clone, Copy)]
pub struct ShownPassword<'a> {
    /// The credential with this username, if there is one, and what its password is recognised by.
    pub known: Option<(Id, &'a Arc<PasswordHash>)>,
    /// The username.
    pub username: &'a str,
    /// The password.
    pub password: &'a str,
}

/// How a check answers.
pub enum PasswordCheck {
    /// It fitted a moment ago.
    Fits,
    /// It must be computed; the future is bounded by how many may wait.
    Later(LocalBoxFuture<'static, Result<bool, PasswordsBusy>>),
}

/// Too many checks wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be checked")]
pub struct PasswordsBusy;

/// What is noted of those who try to prove who they are.
pub trait Attempts {
    /// Whether too many attempts from this address failed: for how long none is looked at.
    fn blocked(&self, client: IpAddr) -> Option<Duration>;
    /// A request's credentials were not looked at, as it was blocked.
    fn turned_away(&self) {}
    /// An attempt failed.
    fn failed(&self, client: IpAddr);
    /// A credential was good.
    fn used(&self, credential: Id);
}

/// Where nobody calls: passwords can't be checked and nothing is noted.
pub struct NoCallers;

impl Passwords for NoCallers {
    fn check(&self, _: ShownPassword<'_>) -> PasswordCheck {
        PasswordCheck::Later(Box::pin(std::future::ready(Err(PasswordsBusy))))
    }
}

impl Attempts for NoCallers {
    fn blocked(&self, _: IpAddr) -> Option<Duration> {
        None
    }

    fn failed(&self, _: IpAddr) {}

    fn used(&self, _: Id) {}
}
