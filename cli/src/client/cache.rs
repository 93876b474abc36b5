//! `tidegate cache purge`: nodes let go of answers that they keep.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::output::{self, Output, field};
use super::{Admin, Common};

/// What nodes keep.
#[derive(Debug, Subcommand)]
pub(crate) enum Cache {
    /// Have nodes let go of answers that they keep
    Purge(Purge),
}

/// What is let go of.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidegate cache purge --tag products\n  \
    tidegate cache purge --prefix api.example.com/products --policy pages\n  tidegate cache purge --all")]
#[group(id = "what", required = true, multiple = false, args = ["all", "url", "prefix", "tag"])]
pub(crate) struct Purge {
    /// Everything
    #[arg(long)]
    all: bool,
    /// One target: api.example.com/products?page=2
    #[arg(long)]
    url: Option<String>,
    /// All targets that begin so
    #[arg(long)]
    prefix: Option<String>,
    /// All answers with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only what this policy keeps, by name or id
    #[arg(long)]
    policy: Option<String>,
    /// Only what came by this route, by name or id
    #[arg(long)]
    route: Option<String>,
    /// Only what this service said, by name or id
    #[arg(long)]
    service: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Cache {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Cache::Purge(purge) = self;
        let admin = Admin::connect(&purge.common).await?;
        let answer = admin.act(Method::POST, &["cache", "purge"], Some(&purge.body())).await?;
        match purge.common.output {
            Output::Json => output::json(&answer)?,
            Output::Table => super::print(&sentences(&answer))?,
        }
        let missed = nodes(&answer).filter(|node| field(node, "outcome") != "confirmed").count();
        anyhow::ensure!(missed == 0, "{missed} nodes did not confirm");
        Ok(())
    }
}

impl Purge {
    fn body(&self) -> Value {
        let mut body = Map::new();
        if self.all {
            body.insert("all".into(), json!(true));
        }
        for (name, value) in [
            ("url", &self.url),
            ("prefix", &self.prefix),
            ("tag", &self.tag),
            ("policy", &self.policy),
            ("route", &self.route),
            ("service", &self.service),
        ] {
            if let Some(value) = value {
                body.insert(name.into(), json!(value));
            }
        }
        Value::Object(body)
    }
}

fn nodes(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("nodes").and_then(Value::as_array).into_iter().flatten()
}

fn sentences(answer: &Value) -> String {
    let mut text = String::new();
    for node in nodes(answer) {
        let purged = node.get("purged").and_then(Value::as_u64).map_or(String::new(), |n| format!(" {n}"));
        text.push_str(&format!("{}: {}{purged}\n", field(node, "name"), field(node, "outcome")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_is_told_in_a_line() {
        let answer = json!({ "purged": 3, "nodes": [
            { "name": "eu-1", "outcome": "confirmed", "purged": 3 },
            { "name": "eu-2", "outcome": "not-connected", "purged": null },
        ] });
        assert_eq!(sentences(&answer), "eu-1: confirmed 3\neu-2: not-connected\n");
    }
}
