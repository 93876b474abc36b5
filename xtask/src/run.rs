//! `run`: builds what has changed and becomes `tidegate standalone`.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};

use crate::shell::{cargo, command, run as shell_run, target};
use crate::web;

pub(crate) fn run(flags: &[String]) -> Result<()> {
    web::build_if_stale()?;
    // The upstream as well: the first tour needs something behind the gateway.
    shell_run(command(&cargo(), &["build", "--release", "-p", "tidegate", "-p", "tidegate-testkit"]))?;
    let binary = target().join("release/tidegate");
    let mut gateway = std::process::Command::new(&binary);
    gateway.arg("standalone");
    if !flags.iter().any(|flag| flag == "--data-dir" || flag.starts_with("--data-dir=")) {
        gateway.args(["--data-dir", "./data"]);
    }
    let error = gateway.args(flags).exec();
    Err(error).with_context(|| format!("{} can't be started", binary.display()))
}
