//! Sessions of people: a token is traded for a cookie that scripts can't read.

use futures_util::FutureExt;
use http::header::SET_COOKIE;
use http::{HeaderMap, Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::{Instant, Role};

use super::answer::{Answer, ErrorCode, Fault};
use super::call::Call;
use super::operations::{Access, Operation, Shape};
use crate::operators::Denied;

const COOKIE: &str = "tidegate_session";

/// Who is signed in.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Session {
    /// The name.
    operator: String,
    /// What it may do.
    role: Role,
    /// What each write must show as `X-CSRF-Token`; empty for who shows a token instead of a session.
    csrf: String,
    /// When it ends.
    expires_at: Option<Instant>,
}

/// What a session is traded for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// An operator's token.
    #[schemars(length(min = 1, max = 200))]
    token: String,
}

pub(super) fn operations() -> Vec<Operation> {
    let session = || Shape::Named("Session".into());
    vec![
        Operation::new(Method::GET, "/v1/session", "getSession", |c| read(c).boxed())
            .about("Session", "Read who is signed in")
            .answers(200, "This is who.", session()),
        Operation::new(Method::POST, "/v1/session", "signIn", |c| sign_in(c).boxed())
            .about("Session", "Sign in: trade a token for a session")
            .access(Access::Open)
            .body(Shape::Named("SignIn".into()))
            .answers(200, "Signed in; the session is in the cookie.", session())
            .errors(&[ErrorCode::Unauthorized, ErrorCode::TooManyRequests]),
        Operation::new(Method::DELETE, "/v1/session", "signOut", |c| sign_out(c).boxed())
            .about("Session", "Sign out")
            .access(Access::SignedIn)
            .answers(204, "Signed out.", Shape::Nothing),
    ]
}

async fn read(call: Call) -> Result<Answer, Fault> {
    let caller = call.caller.expect("only who is signed in gets here");
    let csrf = call.csrf.unwrap_or_default();
    let session = Session { operator: caller.name, role: caller.role, csrf, expires_at: caller.expires_at };
    Ok(Answer::document(&session))
}

async fn sign_in(call: Call) -> Result<Answer, Fault> {
    let SignIn { token } = call.read()?;
    let now = Instant::from_millis(chrono::Utc::now().timestamp_millis());
    let signed = call.api.operators.sign_in(&call.now, token.trim(), call.address, now);
    let (caller, signed) = signed.map_err(|denied| match denied {
        Denied::Unknown => Fault::unauthorized("the token does not hold"),
        Denied::TooMany(wait) => Fault::too_many(wait),
    })?;
    let left = caller.expires_at.map_or(0, |expires| (expires.millis() - now.millis()) / 1_000);
    let cookie = cookie(&signed.cookie, left, call.tls);
    let session =
        Session { operator: caller.name, role: caller.role, csrf: signed.csrf, expires_at: caller.expires_at };
    Ok(Answer::document(&session).with_text(SET_COOKIE, &cookie))
}

async fn sign_out(call: Call) -> Result<Answer, Fault> {
    Ok(Answer::empty(StatusCode::NO_CONTENT).with_text(SET_COOKIE, &cookie("", 0, call.tls)))
}

fn cookie(value: &str, seconds: i64, tls: bool) -> String {
    let secure = if tls { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// The session's cookie of a request.
pub(super) fn cookie_of(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(http::header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}
