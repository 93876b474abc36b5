//! Usernames and passwords. A password is hashed here, off the async threads, a few at a time: each takes 19 MiB.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_model::{Instant, Kind, PasswordHash, Problems, Spec, why_weak_password};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::super::answer::{Answer, ErrorCode, Fault};
use super::super::call::Call;
use super::super::resources::write;
use super::super::tokens;
use super::{as_sent, fields_of, label_and_end, patch};
use crate::changes::Wish;

/// How many passwords are hashed at a time.
const HASHING_MAX: usize = 2;
/// How long one may wait for its turn.
const TURN_MAX: Duration = Duration::from_secs(5);

static HASHING: Semaphore = Semaphore::const_new(HASHING_MAX);

/// A username and a password that a consumer proves itself with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct BasicRequest {
    /// No other credential has it; without `:`. Compared exactly.
    #[schemars(length(min = 1, max = 128))]
    username: String,
    /// 12 to 256 bytes that are hard to guess. Never shown again.
    #[schemars(length(max = 256), extend("writeOnly" = true))]
    password: String,
    /// For people.
    #[schemars(length(max = 200))]
    label: Option<String>,
    /// From when on it is refused. Absent: never.
    expires_at: Option<Instant>,
}

pub(in super::super) async fn issue_basic(call: Call) -> Result<Answer, Fault> {
    let owner = call.resource("ref", Kind::Consumer)?;
    let BasicRequest { username, password, label, expires_at } = call.read()?;
    let mut problems = Problems::new();
    tokens::check_end(expires_at, &mut problems);
    check(&username, &password, &mut problems);
    problems.or(()).map_err(Fault::invalid)?;
    let hash = hashed(&call, &format!("{}\0{username}", owner.id), password).await?;
    let mut document = json!({ "consumer": owner.id, "kind": "basic", "username": username, "password_hash": hash });
    if let Some(label) = label {
        document["label"] = json!(label);
    }
    if let Some(expires_at) = expires_at {
        document["expires_at"] = json!(expires_at);
    }
    write(call, Wish::Create(document)).await.map_err(|fault| as_sent(fault, str::to_owned))
}

/// Changes what is sent. The id stays: policies and logs know it as the same credential.
pub(super) async fn change(call: Call) -> Result<Answer, Fault> {
    let stored = tokens::issued(&call)?;
    let sent = fields_of(&call, &["username", "password", "label", "expires_at"])?;
    let mut problems = Problems::new();
    let mut change = label_and_end(&sent, &mut problems);
    let Spec::Credential(spec) = &stored.spec else { unreachable!("basic credentials are credentials") };
    let mut username = spec.username.clone().unwrap_or_default();
    match sent.get("username") {
        None => {}
        Some(Value::String(text)) => {
            username.clone_from(text);
            change.insert("username".into(), json!(text));
        }
        Some(_) => problems.add_at("username", "wrong_type", "must be a string"),
    }
    let password = match sent.get("password") {
        None => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => {
            problems.add_at("password", "wrong_type", "must be a string");
            None
        }
    };
    if let Some(password) = &password {
        check(&username, password, &mut problems);
    }
    problems.or(()).map_err(Fault::invalid)?;
    if let Some(password) = password {
        let hash = hashed(&call, &format!("{}\0{username}", stored.id), password).await?;
        change.insert("password_hash".into(), json!(hash));
    }
    patch(call, change).await
}

fn check(username: &str, password: &str, problems: &mut Problems) {
    if username.chars().any(|c| c == ':' || c.is_control()) {
        problems.add_at("username", "invalid_value", "must be without `:` and control characters");
    }
    if let Some(why) = why_weak_password(password, username) {
        problems.add_at("password", "invalid_value", why);
    }
}

/// The salt is that of keys: drawn, or under an idempotency key the same for the same operator.
async fn hashed(call: &Call, whose: &str, password: String) -> Result<PasswordHash, Fault> {
    let bits = tokens::token_bits(call, whose)?;
    let password = Zeroizing::new(password);
    let mut salt = [0; 16];
    salt.copy_from_slice(&bits[..16]);
    let turn = tokio::time::timeout(TURN_MAX, HASHING.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        return Err(Fault::new(ErrorCode::Busy, "too many passwords are being hashed at once"));
    };
    let hashing = tokio::task::spawn_blocking(move || PasswordHash::of(password.as_bytes(), &salt));
    hashing.await.map_err(|_| Fault::new(ErrorCode::Internal, "the password could not be hashed"))
}
