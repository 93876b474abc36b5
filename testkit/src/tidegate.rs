//! Finds the `tidegate` binary and reads what its processes leave in files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::process::Process;

/// How long a process may take from its start until it is ready; far more than it needs, for busy machines.
pub const READY: Duration = Duration::from_secs(60);
/// How long it may take from SIGTERM to its end: drain included.
pub const STOPPED: Duration = Duration::from_secs(60);

/// The binary under test: `TIDEGATE_BIN`, else `tidegate` beside the running program or in the folder above it
/// (`target/debug` for a test in `target/debug/deps`).
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TIDEGATE_BIN") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("TIDEGATE_BIN is {}, which is no file", path.display());
        }
        return Ok(path);
    }
    let this = std::env::current_exe()?;
    let found = this.ancestors().skip(1).take(2).map(|folder| folder.join("tidegate")).find(|path| path.is_file());
    found.with_context(|| format!("no `tidegate` near {}: `cargo build -p tidegate` makes it", this.display()))
}

/// The binary with a verb, deaf to the TIDEGATE_ variables of whoever runs the test.
pub fn command(verb: &str) -> Result<Command> {
    let mut command = Command::new(binary()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDEGATE_") {
            command.env_remove(name);
        }
    }
    command.arg(verb);
    Ok(command)
}

/// Waits until the process has written a token file, and gives its text.
pub(crate) async fn token(process: &mut Process, file: &Path) -> Result<String> {
    let what = format!("a token in {}", file.display());
    process
        .wait_until(&what, READY, async || {
            let text = std::fs::read_to_string(file)?;
            if text.trim().is_empty() {
                bail!("it is empty");
            }
            Ok(text.trim().to_owned())
        })
        .await
}
