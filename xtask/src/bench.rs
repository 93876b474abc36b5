//! `bench`: hands over to the runner in `bench/`.

use anyhow::{Result, bail};

use crate::shell::{command, root, run};

pub(crate) fn bench(flags: &[String]) -> Result<()> {
    let runner = root().join("bench/run");
    if !runner.is_file() {
        bail!("there is no bench/run yet");
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    run(command(&runner.to_string_lossy(), &flags))
}
