//! `bench`: builds what is shipped and what stands around it, and hands over to the runner in `bench/`.

use anyhow::Result;

use crate::shell::{cargo, command, root, run, target};

pub(crate) fn bench(flags: &[String]) -> Result<()> {
    run(command(&cargo(), &["build", "--release", "--locked", "-p", "tidegate-bench-peer"]))?;
    let mut runner = command(&root().join("bench/run").to_string_lossy(), &[]);
    runner.arg("--peer").arg(target().join("release/bench-peer"));
    if !flags.iter().any(|flag| flag.starts_with("--binary")) {
        run(command(&cargo(), &["build", "--profile", "dist", "--locked", "-p", "tidegate"]))?;
        runner.arg("--binary").arg(target().join("dist/tidegate"));
    }
    runner.args(flags);
    run(runner)
}
