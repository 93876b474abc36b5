//! Help says all there is, and shows what to do next.

use crate::{run, stdout, tidegate};

const SERVERS: [&str; 3] = ["standalone", "control-plane", "data-plane"];

fn help(arguments: &[&str]) -> String {
    let dir = tempfile::tempdir().expect("there is room");
    let output = run(tidegate(dir.path()).args(arguments).arg("--help"));
    assert!(output.status.success(), "{arguments:?}");
    stdout(&output)
}

/// What `--print-config` lists is what a server takes.
fn settings(verb: &str) -> Vec<String> {
    let dir = tempfile::tempdir().expect("there is room");
    let mut command = tidegate(dir.path());
    command.args([verb, "--print-config"]);
    match verb {
        "control-plane" => command.args(["--database-url", "postgres://h/d"]),
        "data-plane" => command.args(["--control-plane", "https://h"]),
        _ => &mut command,
    };
    let printed = stdout(&run(&mut command));
    let names = printed.lines().skip(1).filter_map(|line| line.trim_start_matches("# ").split_once(':'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn help_lists_every_flag_with_its_variable_and_default() {
    for verb in SERVERS {
        let help = help(&[verb]);
        let words: Vec<&str> = help.split_whitespace().collect();
        let names = settings(verb);
        assert!(names.len() >= 10, "{verb}: {names:?}");
        for name in &names {
            // with its value: help also speaks of flags in passing
            let is_it = |two: &[&str]| {
                two[0] == format!("--{name}") && two[1].starts_with('<') || two[0].starts_with(&format!("--{name}[=<"))
            };
            let at = words.windows(2).position(is_it).unwrap_or_else(|| panic!("{verb} --{name}"));
            let told = words[at..].join(" ");
            let (told, rest) = told.split_once("[env: ").unwrap_or_default();
            assert!(
                rest.starts_with(&format!("TIDEGATE_{}]", name.replace('-', "_").to_uppercase())),
                "{verb} --{name}: {rest}"
            );
            assert!(told.contains("[default: ") || told.contains("[required]"), "{verb} --{name}: {told}");
        }
        assert!(help.contains("TIDEGATE_CONFIG"), "{verb}");
    }
}

#[test]
fn help_teaches() {
    for verb in SERVERS {
        let help = help(&[verb]);
        for part in ["Listeners:", "Data and secrets:", "Process:", "Examples:", "Next: "] {
            assert!(help.contains(part), "{verb}: no `{part}`");
        }
    }
    assert!(help(&["data-plane"]).contains("Cluster:"));
    let root = help(&[]);
    for verb in [
        "standalone",
        "control-plane",
        "data-plane",
        "status",
        "keys",
        "cache",
        "log-level",
        "get",
        "put",
        "delete",
        "openapi",
        "version",
    ] {
        assert!(root.lines().any(|line| line.trim_start().starts_with(&format!("{verb} "))), "{verb} is not listed");
    }
    for verb in [
        &["keys", "issue"][..],
        &["keys", "revoke"],
        &["get"],
        &["put"],
        &["delete"],
        &["status"],
        &["log-level"],
        &["cache", "purge"],
    ] {
        assert!(help(verb).contains("Examples:"), "{verb:?}");
    }
}

#[test]
fn the_version_is_printed() {
    let dir = tempfile::tempdir().expect("there is room");
    for arguments in ["version", "--version"] {
        let output = run(tidegate(dir.path()).arg(arguments));
        assert!(stdout(&output).starts_with(concat!("tidegate ", env!("CARGO_PKG_VERSION"))));
    }
}
