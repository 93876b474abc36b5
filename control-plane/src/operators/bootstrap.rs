//! The first operator, its token, and the first join token: made on an empty log, the same by every control plane.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::json;
use tidegate_model::{Kind, Sha256, hint};
use tidegate_proto::join::JoinToken;
use tracing::info;

use crate::changes::{Actor, ChangeError, ChangeSet, Changes, Expected, Item, Wish};
use crate::vault::{SecretKey, write_private};

/// The tokens that are there from the first revision on.
pub struct FirstTokens {
    /// Of the operator `admin`.
    pub operator: String,
    /// For nodes, with the fingerprint of the authority; none where no node can join.
    pub join: Option<JoinToken>,
    /// Whether this process made the first revision.
    pub made: bool,
}

const CHANGE_ID: &str = "tidegate/first-start";

/// Makes the first revision if the log is empty. Of several control planes one makes it, and all know its tokens.
///
/// # Errors
/// The store did not answer.
pub async fn make_first(changes: &Changes, key: &SecretKey, join: Option<Sha256>) -> Result<FirstTokens, ChangeError> {
    let operator = key.first_operator_token();
    let secret = key.first_join_secret();
    let mut tokens =
        FirstTokens { operator, join: join.map(|ca_key| JoinToken { secret: secret.clone(), ca_key }), made: false };
    if changes.current().revision() > 0 {
        return Ok(tokens);
    }
    let operator = json!({ "name": "admin", "role": "admin", "description": "made at the first start" });
    let operator_token = json!({
        "operator": "admin", "label": "first token",
        "token_hash": Sha256::of(tokens.operator.as_bytes()), "hint": hint(&tokens.operator),
    });
    let mut items = vec![create(Kind::Operator, operator), create(Kind::OperatorToken, operator_token)];
    if tokens.join.is_some() {
        let token =
            json!({ "label": "first token", "token_hash": Sha256::of(secret.as_bytes()), "hint": hint(&secret) });
        items.push(create(Kind::JoinToken, token));
    }
    let set = ChangeSet { items, message: Some("first start".into()), change_id: Some(CHANGE_ID.into()) };
    tokens.made = !changes.commit(&Actor::system(), set).await?.repeated;
    Ok(tokens)
}

fn create(kind: Kind, document: serde_json::Value) -> Item {
    Item { kind, wish: Wish::Create(document), expected: Expected::Anything }
}

/// Writes the first tokens where they are looked for, unless something is there, or the token was deleted meanwhile.
///
/// # Errors
/// A file can't be written.
pub fn write_token_files(
    changes: &Changes,
    tokens: &FirstTokens,
    operator_file: &Path,
    join_file: &Path,
) -> std::io::Result<()> {
    let now = changes.current();
    if now.operator_token(&Sha256::of(tokens.operator.as_bytes())).is_some() {
        write_if_missing(operator_file, &tokens.operator)?;
    }
    if let Some(token) = &tokens.join
        && now.join_token(&Sha256::of(token.secret.as_bytes())).is_some()
    {
        write_if_missing(join_file, &token.to_string())?;
    }
    Ok(())
}

fn write_if_missing(path: &Path, token: &str) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    match write_private(path, format!("{token}\n").as_bytes()) {
        Ok(()) => info!(path = %path.display(), "wrote the first token; who can read this file has its rights"),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
