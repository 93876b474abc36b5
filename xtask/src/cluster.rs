//! `cluster`: builds, then becomes the testbed that runs the processes.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};

use crate::shell::{cargo, command, run, target};
use crate::web;

pub(crate) fn cluster(flags: &[String]) -> Result<()> {
    web::build_if_stale()?;
    run(command(&cargo(), &["build", "--release", "-p", "tidegate", "-p", "tidegate-testkit"]))?;
    let binary = target().join("release/testbed");
    let error = std::process::Command::new(&binary).arg("cluster").args(flags).exec();
    Err(error).with_context(|| format!("{} can't be started", binary.display()))
}
