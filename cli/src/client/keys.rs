//! `tidegate keys`: what a consumer proves itself with.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value};
use tidegate_model::{Instant, Span};

use super::output::{self, Output, field};
use super::{Admin, Common, Wait, span};

/// The API keys of a consumer.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key. It is shown this once and never again
    #[command(after_help = "Examples:\n  tidegate keys issue acme --label laptop\n  \
        tidegate keys issue acme --expires-in 90d --wait --output json\n\nNext: curl http://127.0.0.1:8000/... -H 'X-Api-Key: tg_...'")]
    Issue(Issue),
    /// Make a key in place of another. Both work until the overlap is over, then the other one has ended
    #[command(after_help = "Examples:\n  tidegate keys rotate acme 0197c1f2-...\n  \
        tidegate keys rotate acme 0197c1f2-... --overlap 48h --wait")]
    Rotate(Rotate),
    /// List the keys of a consumer
    List(List),
    /// Revoke a key. With --wait no node accepts it any more when this comes back
    #[command(after_help = "Examples:\n  tidegate keys list acme\n  tidegate keys revoke acme 0197c1f2-... --wait")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(crate) struct Issue {
    /// The consumer, by name or id
    consumer: String,
    /// What the key is for, to know it by later
    #[arg(long)]
    label: Option<String>,
    /// When it ends: 12h, 90d [default: never]
    #[arg(long, value_name = "DURATION", value_parser = span)]
    expires_in: Option<Span>,
    /// Read a key of your own from standard input, instead of one that is drawn: at least 32 characters
    #[arg(long)]
    key_stdin: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The consumer, by name or id
    consumer: String,
    /// The id of the key to replace, as `keys list` shows it
    id: String,
    /// How long both keys work
    #[arg(long, value_name = "DURATION", value_parser = span, default_value = "24h")]
    overlap: Span,
    /// What the new key is for [default: as the other one]
    #[arg(long)]
    label: Option<String>,
    /// When the new key ends: 12h, 90d [default: never]
    #[arg(long, value_name = "DURATION", value_parser = span)]
    expires_in: Option<Span>,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// The consumer, by name or id
    consumer: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The consumer, by name or id
    consumer: String,
    /// The key's id, as `keys list` shows it
    id: String,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    common: Common,
}

impl Keys {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Keys::Issue(verb) => verb.run().await,
            Keys::Rotate(verb) => verb.run().await,
            Keys::List(verb) => verb.run().await,
            Keys::Revoke(verb) => verb.run().await,
        }
    }
}

impl Issue {
    async fn run(self) -> anyhow::Result<()> {
        let admin = Admin::connect(&self.common).await?;
        let mut body = Map::new();
        body.extend(self.label.map(|label| ("label".to_owned(), Value::String(label))));
        if let Some(life) = self.expires_in {
            body.insert("expires_at".to_owned(), Value::String(after(life)?.to_string()));
        }
        if self.key_stdin {
            let key = std::io::read_to_string(std::io::stdin()).context("the key can't be read from standard input")?;
            body.insert("key".to_owned(), Value::String(key.trim_end_matches(['\r', '\n']).to_owned()));
        }
        let path = ["consumers", &self.consumer, "keys"];
        let answer = admin.write(Method::POST, &path, Some(&Value::Object(body)), &self.wait, None).await?;
        // first of all the key: nothing that comes after may lose it
        match self.common.output {
            Output::Json => output::json(&answer.body)?,
            Output::Table => {
                let (key, id) = (field(&answer.body, "key"), field(&answer.body, "id"));
                super::print(&format!("{key}\n"))?;
                eprintln!("key {id} of {}, shown this once: only its hash is kept", self.consumer);
            }
        }
        output::tell_applied(&answer, self.common.output)
    }
}

impl Rotate {
    async fn run(self) -> anyhow::Result<()> {
        let admin = Admin::connect(&self.common).await?;
        let mut body = Map::new();
        body.insert("overlap".to_owned(), Value::String(self.overlap.to_string()));
        body.extend(self.label.map(|label| ("label".to_owned(), Value::String(label))));
        if let Some(life) = self.expires_in {
            body.insert("expires_at".to_owned(), Value::String(after(life)?.to_string()));
        }
        let path = ["consumers", &self.consumer, "keys", &self.id, "rotate"];
        let answer = admin.write(Method::POST, &path, Some(&Value::Object(body)), &self.wait, None).await?;
        match self.common.output {
            Output::Json => output::json(&answer.body)?,
            Output::Table => {
                super::print(&format!("{}\n", field(&answer.body, "key")))?;
                let (id, end) = (field(&answer.body, "id"), field(&answer.body["replaces"], "expires_at"));
                eprintln!("key {id} of {}, shown this once; {} ends at {end}", self.consumer, self.id);
            }
        }
        output::tell_applied(&answer, self.common.output)
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let admin = Admin::connect(&self.common).await?;
        let keys = admin.list(&["consumers", &self.consumer, "keys"], &[]).await?;
        if self.common.output == Output::Json {
            return output::json(&Value::Array(keys));
        }
        const FIELDS: [&str; 6] = ["id", "label", "hint", "expires_at", "created_at", "last_used"];
        let rows = keys.iter().map(|key| FIELDS.iter().map(|name| field(key, name)).collect());
        super::print(&output::table(&["ID", "LABEL", "KEY", "EXPIRES", "CREATED", "LAST USED"], rows))
    }
}

impl Revoke {
    async fn run(self) -> anyhow::Result<()> {
        let admin = Admin::connect(&self.common).await?;
        let path = ["consumers", &self.consumer, "keys", &self.id];
        let answer = admin.write(Method::DELETE, &path, None, &self.wait, None).await?;
        output::tell_deleted(&format!("key {} of {}", self.id, self.consumer), "revoked", &answer, self.common.output)
    }
}

fn after(life: Span) -> anyhow::Result<Instant> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock of this machine is before 1970")?;
    let at = now.as_millis().saturating_add(u128::from(life.millis()));
    Ok(Instant::from_millis(i64::try_from(at).context("that is too far away")?))
}
