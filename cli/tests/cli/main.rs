//! The command line as a process: what it takes, what it says, what it ends with.

mod access_log;
mod errors_page;
mod help;
mod metrics_page;
mod servers;
mod settings;

use std::path::Path;
use std::process::{Command, Output};

/// The binary in a folder of its own, with nothing in its environment but what a test puts there.
fn tidegate(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.env_clear().env("HOME", dir).current_dir(dir);
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the binary was built for this test")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
