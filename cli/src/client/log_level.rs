//! `tidegate log-level`: how loud the log of a running server is.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use tidegate_model::Span;

use super::output::{self, Output, field};
use super::{Admin, Common, span};

/// How loud the log of a control plane or of a node is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidegate log-level\n  tidegate log-level debug --for 5m\n  \
    tidegate log-level debug --node eu-1\n  tidegate log-level --node eu-1 --reset")]
pub(crate) struct LogLevel {
    /// off, error, warn, info, debug or trace; also per target: info,hyper=debug. Without it, what holds is shown
    level: Option<String>,
    /// The node, by name or id [default: the control plane that answers]
    #[arg(long)]
    node: Option<String>,
    /// How long it holds, up to 24h; then what the settings say holds again
    #[arg(long = "for", value_name = "DURATION", default_value = "10m", value_parser = span)]
    time: Span,
    /// Back to what the settings say, now
    #[arg(long, conflicts_with = "level")]
    reset: bool,
    #[command(flatten)]
    common: Common,
}

impl LogLevel {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let admin = Admin::connect(&self.common).await?;
        let of_node = self.node.as_deref().map(|node| ["nodes", node, "log-level"]);
        let path: &[&str] = of_node.as_ref().map_or(&["log-level"], |path| path);
        let answer = match (self.level, self.reset) {
            (Some(level), _) => {
                let body = json!({ "level": level, "for": self.time });
                admin.act(Method::PUT, path, Some(&body)).await?
            }
            (None, true) => admin.act(Method::DELETE, path, None).await?,
            (None, false) => admin.get(path, &[]).await?,
        };
        match self.common.output {
            Output::Json => output::json(&answer),
            Output::Table => super::print(&sentence(&answer)),
        }
    }
}

fn sentence(state: &Value) -> String {
    let (level, configured) = (field(state, "level"), field(state, "configured"));
    match state.get("until").and_then(Value::as_str) {
        Some(until) => format!("{level} until {until}, then {configured}\n"),
        None if level == configured => format!("{level}\n"),
        None => format!("{level}; the settings say {configured}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_said_in_a_line() {
        let state =
            |level: &str, until: Value| sentence(&json!({ "level": level, "configured": "info", "until": until }));
        assert_eq!(state("info", Value::Null), "info\n");
        assert_eq!(state("debug", Value::Null), "debug; the settings say info\n");
        assert_eq!(state("debug", json!("2027-01-01T00:00:00Z")), "debug until 2027-01-01T00:00:00Z, then info\n");
    }
}
