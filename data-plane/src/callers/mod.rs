//! What a node keeps of those who prove who they are: passwords that fitted, addresses whose attempts failed, credentials in use.
//!
//! Entry points: [`Callers`], one for a node, and [`Callers::of_worker`], the port of one worker.
//!
//! A caller that shows an API key and never failed touches nothing here that others write. What is shared is written when an attempt
//! failed, when a password is not known yet, and once an hour for a credential.

mod failures;
mod passwords;
mod uses;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tidegate_model::Id;
use tidegate_policy::{Attempts, Clock, Compute, PasswordCheck, Passwords, ShownPassword};

use self::failures::{Failed, Failures};
use self::passwords::{Checks, Near};
pub use self::uses::{Used, Uses};
use crate::limits::Limits;
use crate::telemetry::{Cells, Guard};

/// What a node keeps.
pub struct Callers {
    failures: Failures,
    checks: Arc<Checks>,
    uses: Uses,
}

impl Callers {
    /// Nothing is known yet.
    pub fn new(compute: Arc<dyn Compute>, limits: &Limits) -> Arc<Callers> {
        Arc::new(Callers {
            failures: Failures::new(limits),
            checks: Arc::new(Checks::new(compute, limits)),
            uses: Uses::new(limits.credentials_used_max),
        })
    }

    /// When credentials were used last.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// The port of one worker.
    pub(crate) fn of_worker(self: &Arc<Self>, clock: Arc<dyn Clock>, cells: Arc<Cells>) -> Rc<OfWorker> {
        let (near, used) = (self.checks.near(), uses::Seen::default());
        Rc::new(OfWorker { node: self.clone(), near, used, clock, cells })
    }
}

/// What one worker keeps beside: what it knows itself, it need not ask the node.
pub(crate) struct OfWorker {
    node: Arc<Callers>,
    near: Rc<Near>,
    used: uses::Seen,
    clock: Arc<dyn Clock>,
    cells: Arc<Cells>,
}

impl Passwords for OfWorker {
    fn check(&self, shown: ShownPassword<'_>) -> PasswordCheck {
        let tag = self.node.checks.tag(&shown);
        if self.near.has(&tag) {
            return PasswordCheck::Fits;
        }
        let (checks, near, cells) = (self.node.checks.clone(), self.near.clone(), self.cells.clone());
        let asked = checks.ask(tag, &shown);
        PasswordCheck::Later(Box::pin(async move {
            let fits = asked.await;
            match fits {
                Ok(true) => near.keep(tag),
                Ok(false) => {}
                Err(_) => cells.guarded(Guard::PasswordChecks),
            }
            fits
        }))
    }
}

impl Attempts for OfWorker {
    fn blocked(&self, client: IpAddr) -> Option<Duration> {
        self.node.failures.blocked(client)
    }

    fn turned_away(&self) {
        self.cells.guarded(Guard::AuthFailures);
    }

    fn failed(&self, client: IpAddr) {
        if self.node.failures.failed(client) == Failed::Instead {
            self.cells.guarded(Guard::AuthFailureAddresses);
        }
    }

    fn used(&self, credential: Id) {
        let hour = uses::hour_of(self.clock.now());
        if self.used.is_new(credential, hour) && !self.node.uses.note(Used { credential, hour }) {
            self.used.forget(credential);
            self.cells.guarded(Guard::CredentialsUsed);
        }
    }
}
