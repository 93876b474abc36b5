//! The verbs that talk to a control plane.

mod admin;
mod cache;
mod keys;
mod log_level;
mod output;
mod problem;
mod profile;
mod resources;
mod status;
mod tls;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use tidegate_model::{InvalidSpan, Span};

use admin::Admin;
use output::Output;

pub(crate) use profile::{DEFAULT_ADMIN_URL, DEFAULT_TOKEN_FILE};

/// What can be asked of a control plane.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show the revision, the nodes and what each of them serves
    Status(status::Status),
    /// Issue, list and revoke the API keys of a consumer
    #[command(subcommand)]
    Keys(keys::Keys),
    /// What nodes keep of answers
    #[command(subcommand)]
    Cache(cache::Cache),
    /// Show or change how loud the log of a running server is
    LogLevel(log_level::LogLevel),
    /// Show a resource, or all of a collection
    Get(resources::Get),
    /// Create a resource, or replace it
    Put(resources::Put),
    /// Delete a resource
    Delete(resources::Delete),
}

/// How to reach the control plane, and how to print.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
struct Common {
    /// Where the admin API is [default: http://127.0.0.1:8001, or what the profile says] [env: TIDEGATE_ADMIN_URL]
    #[arg(long, value_name = "URL")]
    admin_url: Option<String>,
    /// The file with your operator token [default: ./data/operator-token, or what the profile says] [env: TIDEGATE_TOKEN_FILE; or
    /// the token itself in TIDEGATE_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Trust the certificates that these sign, PEM, and no others [env: TIDEGATE_ADMIN_CA]
    #[arg(long, value_name = "FILE")]
    admin_ca: Option<PathBuf>,
    /// Trust the certificate that the control plane shows now, and keep its fingerprint in the profile
    #[arg(long, conflicts_with = "admin_ca")]
    trust: bool,
    /// Where addresses and fingerprints are kept [default: ~/.config/tidegate/profile.yaml] [env: TIDEGATE_PROFILE]
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// `table` for people, `json` as the control plane answers
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Whether to wait for the nodes.
#[derive(Debug, Args)]
struct Wait {
    /// Come back once every node serves the change; if some do not in time, they are named and the exit code is 1
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = span)]
    timeout: Span,
}

fn span(text: &str) -> Result<Span, InvalidSpan> {
    text.parse()
}

/// Does what the verb asks.
pub(crate) fn run(verb: Verb) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("the runtime could not be started")?.block_on(async {
        match verb {
            Verb::Status(verb) => verb.run().await,
            Verb::Keys(verb) => verb.run().await,
            Verb::Cache(verb) => verb.run().await,
            Verb::LogLevel(verb) => verb.run().await,
            Verb::Get(verb) => verb.run().await,
            Verb::Put(verb) => verb.run().await,
            Verb::Delete(verb) => verb.run().await,
        }
    })
}

/// Prints a text. A reader that went away is no error: `tidegate openapi | head`.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("the output could not be written")
        }
        _ => Ok(()),
    }
}
