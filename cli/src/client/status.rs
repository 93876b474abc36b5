//! `tidegate status`: the revision, and what each node serves.

use clap::Args;
use serde_json::{Value, json};

use super::output::{self, Output, cell, field};
use super::{Admin, Common};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tidegate status\n  tidegate status --output json | jq '.nodes[] | select(.status != \"current\")'"
)]
pub(crate) struct Status {
    #[command(flatten)]
    common: Common,
}

impl Status {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let admin = Admin::connect(&self.common).await?;
        let status = admin.get(&["status"], &[]).await?;
        let nodes = admin.list(&["nodes"], &[]).await?;
        match self.common.output {
            Output::Json => output::json(&json!({ "status": status, "nodes": nodes })),
            Output::Table => super::print(&screen(&status, &nodes)),
        }
    }
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
