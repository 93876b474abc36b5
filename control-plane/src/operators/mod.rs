//! Who may use the admin API: operators by their tokens, people by sessions that a token was traded for.
//!
//! All is looked up in the fold of the log, so that operators are known while the database is away. A token is kept as its
//! SHA-256 only. A session is a signed cookie and holds no secret: it names a token, and ends with it.

mod bootstrap;
mod limiter;
mod session;

pub use bootstrap::{FirstTokens, make_first, write_token_files};
pub use limiter::Limiter;
pub(crate) use session::csrf_matches;
pub use session::{SESSION_MAX, Sessions, SignedSession};

use std::net::IpAddr;
use std::time::Duration;

use tidegate_model::{Id, Instant, Kind, Operator, OperatorToken, Role, Sha256, TokenKind, is_well_formed};

use crate::changes::Folded;
use crate::telemetry::Words;

/// Someone who is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The operator.
    pub operator: Id,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The token that proves it.
    pub token: Id,
    /// When that ends.
    pub expires_at: Option<Instant>,
    /// How the token was shown.
    pub by: ShownBy,
}

/// How a token was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownBy {
    /// In the `Authorization` header: no browser sends that by itself.
    Bearer,
    /// By a session's cookie, which browsers send by themselves.
    Session,
}

/// Why someone is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// What was shown does not hold.
    Unknown,
    /// Too many from there did not hold; come back later.
    TooMany(Duration),
}

/// Knows operators, and slows down who guesses.
pub struct Operators {
    sessions: Sessions,
    limiter: Limiter,
    denied: Words<2>,
}

impl Operators {
    /// With a key to sign sessions with, known to all replicas and to nobody else.
    pub fn new(session_key: &[u8; 32]) -> Operators {
        Operators {
            sessions: Sessions::new(session_key),
            limiter: Limiter::default(),
            denied: Words::new(["unknown", "too_many"]),
        }
    }

    /// Who shows this token. One that holds is always let in, however many others failed from its address: 256 random bits are
    /// not guessed, and who shares an address with a guesser must not be locked out.
    ///
    /// # Errors
    /// The token does not hold, or too many did not.
    pub fn by_token(&self, config: &Folded, token: &str, from: IpAddr, now: Instant) -> Result<Caller, Denied> {
        let known = is_well_formed(TokenKind::Operator, token)
            .then(|| config.operator_token(&Sha256::of(token.as_bytes())))
            .flatten()
            .and_then(|token| self.caller(config, token, ShownBy::Bearer, now));
        known.ok_or_else(|| match self.limiter.fail(from, now) {
            Ok(()) => self.deny(Denied::Unknown),
            Err(wait) => self.deny(Denied::TooMany(wait)),
        })
    }

    /// How many were not let in.
    pub(crate) fn denied(&self) -> &Words<2> {
        &self.denied
    }

    fn deny(&self, why: Denied) -> Denied {
        self.denied.count(match why {
            Denied::Unknown => "unknown",
            Denied::TooMany(_) => "too_many",
        });
        why
    }

    /// Trades a token for a session. After too many failures from an address, nothing from there is even looked at.
    ///
    /// # Errors
    /// The token does not hold, or too many did not.
    pub fn sign_in(
        &self,
        config: &Folded,
        token: &str,
        from: IpAddr,
        now: Instant,
    ) -> Result<(Caller, SignedSession), Denied> {
        self.limiter.admits(from, now).map_err(|wait| self.deny(Denied::TooMany(wait)))?;
        let mut caller = self.by_token(config, token, from, now)?;
        caller.by = ShownBy::Session;
        let latest = Instant::from_millis(now.millis() + SESSION_MAX.as_millis() as i64);
        let until = caller.expires_at.map_or(latest, |expires| expires.min(latest));
        caller.expires_at = Some(until);
        let session = self.sessions.sign(caller.token, until);
        Ok((caller, session))
    }

    /// Who has this session, and its value against forged requests.
    pub fn by_session(&self, config: &Folded, cookie: &str, now: Instant) -> Option<(Caller, String)> {
        let session = self.sessions.verify(cookie, now)?;
        let mut caller = self.caller(config, session.token, ShownBy::Session, now)?;
        caller.expires_at = Some(session.until);
        Some((caller, session.csrf))
    }

    fn caller(&self, config: &Folded, token: Id, by: ShownBy, now: Instant) -> Option<Caller> {
        let spec: &OperatorToken = config.config().spec(token)?;
        if spec.expires_at.is_some_and(|expires| expires <= now) {
            return None;
        }
        let operator = spec.operator.id()?;
        let role = config.config().spec::<Operator>(operator)?.role;
        let name = config.config().get(Kind::Operator, operator)?.label();
        Some(Caller { operator, name, role, token, expires_at: spec.expires_at, by })
    }
}
