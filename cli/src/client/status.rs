//! `tidegate status`: the revision, and what each node serves.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};
use url::Url;

use super::output::{self, Output, cell, field};
use super::tls::ByKey;
use super::{Admin, Common};

/// How long a process may think about whether it is ready.
const READY_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidegate status\n  \
    tidegate status --output json | jq '.nodes[] | select(.status != \"current\")'\n  \
    tidegate status --ready http://127.0.0.1:8100/readyz")]
pub(crate) struct Status {
    /// Only ask one process whether it is ready, for health checks: exit code 0 if it is. Needs no token
    #[arg(long, value_name = "URL")]
    ready: Option<Url>,
    #[command(flatten)]
    common: Common,
}

impl Status {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        if let Some(url) = self.ready {
            return ready(url).await;
        }
        let admin = Admin::connect(&self.common).await?;
        let status = admin.get(&["status"], &[]).await?;
        let nodes = admin.list(&["nodes"], &[]).await?;
        match self.common.output {
            Output::Json => output::json(&json!({ "status": status, "nodes": nodes })),
            Output::Table => super::print(&screen(&status, &nodes)),
        }
    }
}

/// Asks one process whether it is ready. Any certificate will do: nothing is sent, and yes or no is all that is heard.
async fn ready(url: Url) -> anyhow::Result<()> {
    let client =
        reqwest::Client::builder().no_proxy().timeout(READY_MAX).tls_backend_preconfigured(ByKey::any().config()?);
    let client = client.build().context("the HTTP client could not be set up")?;
    let answer = client.get(url.clone()).send().await.map_err(reqwest::Error::without_url);
    let answer = answer.with_context(|| format!("{url} does not answer"))?;
    if !answer.status().is_success() {
        let status = answer.status().as_u16();
        let why = answer.text().await.unwrap_or_default();
        bail!("{url} is not ready ({status}): {}", why.trim().chars().take(500).collect::<String>());
    }
    Ok(())
}

fn screen(status: &Value, nodes: &[Value]) -> String {
    let counts = status.get("counts").and_then(Value::as_object);
    let counts: Vec<String> = counts
        .into_iter()
        .flatten()
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(kind, count)| format!("{kind} {}", cell(Some(count))))
        .collect();
    let fleet = status.get("nodes").map(|n| format!("{} of {} current", field(n, "current"), field(n, "total")));
    let mut text = String::new();
    for (what, value) in [
        ("Tidegate", format!("{} {}", field(status, "version"), field(status, "mode"))),
        ("Revision", field(status, "revision")),
        ("Nodes", fleet.unwrap_or_default()),
        ("Resources", counts.join(", ")),
    ] {
        text.push_str(format!("{what:<10} {value}").trim_end());
        text.push('\n');
    }
    if !nodes.is_empty() {
        const FIELDS: [&str; 7] =
            ["name", "status", "identity_revision", "traffic_revision", "version", "address", "last_seen"];
        let rows = nodes.iter().map(|node| FIELDS.iter().map(|name| field(node, name)).collect());
        text.push('\n');
        text.push_str(&output::table(
            &["NODE", "STATUS", "IDENTITY", "TRAFFIC", "VERSION", "ADDRESS", "LAST SEEN"],
            rows,
        ));
    }
    for node in nodes {
        for problem in node.get("problems").and_then(Value::as_array).into_iter().flatten() {
            let place = [
                field(problem, "pointer"),
                problem.get("detail").map_or_else(|| cell(Some(problem)), |d| cell(Some(d))),
            ];
            text.push_str(&format!("\n{}: {}", field(node, "name"), place.join(" ").trim()));
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_lags_is_seen() {
        let status = json!({"version": "0.1.0", "mode": "cluster", "revision": 12, "nodes": {"total": 2, "current": 1},
            "counts": {"service": 2, "route": 0}});
        let nodes = [
            json!({"name": "n1", "status": "current", "identity_revision": 12, "traffic_revision": 12, "problems": []}),
            json!({"name": "n2", "status": "rejected", "identity_revision": 12, "traffic_revision": 11,
                "problems": [{"pointer": "/config", "code": "x", "detail": "no such kind"}]}),
        ];
        let text = screen(&status, &nodes);
        for part in ["Revision   12", "1 of 2 current", "Resources  service 2\n", "n2: /config no such kind"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let lag = text.lines().find(|line| line.trim_start().starts_with("n2 ")).unwrap();
        assert_eq!(lag.split_whitespace().collect::<Vec<_>>(), ["n2", "rejected", "12", "11"]);
    }
}
