//! `bench`: builds what is shipped and hands over to the runner in `bench/`.

use anyhow::Result;

use crate::shell::{cargo, command, root, run, target};

pub(crate) fn bench(flags: &[String]) -> Result<()> {
    run(command(&cargo(), &["build", "--profile", "dist", "-p", "tidegate"]))?;
    let mut runner = command(&root().join("bench/run").to_string_lossy(), &[]);
    if !flags.iter().any(|flag| flag.starts_with("--binary")) {
        runner.arg("--binary").arg(target().join("dist/tidegate"));
    }
    runner.args(flags);
    run(runner)
}
