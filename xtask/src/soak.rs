//! `soak`: the long runs of `e2e/src/soak`, on binaries as fast as those that run for real.

use anyhow::{Result, bail};

use crate::shell::{cargo, command, run, target};

pub(crate) fn soak(arguments: &[String]) -> Result<()> {
    if let Some(flag) = arguments.iter().find(|word| word.starts_with('-')) {
        bail!("`{flag}` is not a flag of `soak`: ./dev soak [name]...");
    }
    run(command(&cargo(), &["build", "--release", "--locked", "-p", "tidegate", "-p", "tidegate-e2e", "--bins"]))?;
    let mut soak = command(&target().join("release/soak").to_string_lossy(), &[]);
    soak.args(arguments);
    run(soak)
}
