//! `fuzz`: feeds the targets in `fuzz/` what libFuzzer makes up, led by which code each input reaches.
//!
//! Their bodies live in the crates that they test, where they also run as property tests. Everything is built with
//! coverage, by the stable compiler: the code is safe, so that no sanitizer is needed to see a fault, it panics.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell::{cargo, command, output, root, run, shown, target};

/// Name and what it feeds.
const TARGETS: &[(&str, &str)] = &[
    ("canonical_path", "the one form of a path"),
    ("router", "routes and a request, beside a scan over all routes"),
    ("request_gate", "heads of requests"),
    ("header_policy", "headers, both ways"),
    ("forwarded", "whom a caller says to be, before what a trusted proxy appends"),
    ("proxy_protocol", "the first bytes of a connection, and how they are cut"),
    ("trace_context", "traces that requests come with"),
    ("jq", "jq programs and what they read"),
];

/// How long each target runs where nothing is said.
const SECONDS: u64 = 30;

/// Tells the compiler to count which code is reached, in every crate.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

#[derive(Debug, PartialEq)]
struct Wish {
    target: Option<&'static str>,
    seconds: u64,
    /// Only this input, once.
    input: Option<PathBuf>,
}

pub(crate) fn fuzz(arguments: &[String]) -> Result<()> {
    let wish = read(arguments)?;
    let programs = build(wish.target)?;
    if let (Some(name), Some(input)) = (wish.target, &wish.input) {
        return run(command(&programs.join(name).to_string_lossy(), &[&input.to_string_lossy()]));
    }
    let names = TARGETS.iter().map(|(name, _)| *name).filter(|name| wish.target.is_none_or(|wanted| wanted == *name));
    let mut crashed = Vec::new();
    for name in names {
        match feed(&programs.join(name), name, wish.seconds) {
            Ok(told) => println!("{name}: {told}"),
            Err(error) => {
                println!("{name}: {error:#}");
                crashed.push(name);
            }
        }
    }
    if !crashed.is_empty() {
        bail!("found something: {}", crashed.join(", "));
    }
    Ok(())
}

fn read(arguments: &[String]) -> Result<Wish> {
    let mut wish = Wish { target: None, seconds: SECONDS, input: None };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "--seconds" {
            let number = words.next().context("`--seconds` takes a number")?;
            wish.seconds = number.parse().with_context(|| format!("`{number}` is no number of seconds"))?;
        } else if wish.target.is_none() {
            let found = TARGETS.iter().find(|(name, _)| name == word);
            let known = || format!("there is no fuzz target `{word}`; there are {}", listed(TARGETS));
            wish.target = Some(found.with_context(known)?.0);
        } else if wish.input.is_none() && !word.starts_with('-') {
            wish.input = Some(PathBuf::from(word));
        } else {
            bail!("`{word}` is one too many: ./dev fuzz [target [input]] [--seconds N]");
        }
    }
    Ok(wish)
}

/// Builds what is asked for; tells in which folder it lies.
fn build(only: Option<&str>) -> Result<PathBuf> {
    let version = output(command("rustc", &["--version", "--verbose"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc says what it builds for")?;
    let folder = target().join("fuzz");
    // said for a target, so that build scripts and macros are built without coverage
    let mut build = command(&cargo(), &["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml"]);
    build.args(["--target", host, "--target-dir"]).arg(&folder);
    match only {
        Some(name) => build.args(["--bin", name]),
        None => build.arg("--bins"),
    };
    build.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"));
    run(build)?;
    Ok(folder.join(host).join("release"))
}

/// Runs a target for a while; what it found is kept for the next time, beside the build.
fn feed(program: &Path, name: &str, seconds: u64) -> Result<String> {
    let folder = target().join("fuzz/found").join(name);
    let (corpus, crashes, log) = (folder.join("corpus"), folder.join("crashes"), folder.join("log"));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&crashes)?;
    let mut fed = Command::new(program);
    fed.arg(&corpus).arg(root().join("fuzz/seeds").join(name)).current_dir(root());
    fed.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", crashes.display()));
    fed.args(["-print_final_stats=1", "-timeout=10", "-rss_limit_mb=2048", "-max_len=4096"]);
    let dictionary = root().join("fuzz/words").join(name);
    if dictionary.is_file() {
        fed.arg(format!("-dict={}", dictionary.display()));
    }
    println!("$ {}", shown(&fed));
    let file = File::create(&log)?;
    let status = fed.stdout(file.try_clone()?).stderr(file).status()?;
    let told = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if !status.success() {
        let input = told.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path);
        let again = input.map_or_else(String::new, |input| format!("\nagain: ./dev fuzz {name} {input}"));
        let tail: Vec<&str> = told.lines().rev().take(40).collect();
        bail!("failed ({status})\n{}{again}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }
    Ok(summary(&told))
}

/// What libFuzzer's log comes to.
fn summary(log: &str) -> String {
    let number = |label: &str| log.lines().rev().find_map(|line| line.strip_prefix(label)).unwrap_or("?").trim();
    let word = |label: &str| {
        let line = log.lines().rev().find(|line| line.contains(label))?;
        line.split_once(label)?.1.split_whitespace().next()
    };
    format!(
        "{} inputs, {} a second, {} edges reached, {} features, {} inputs kept, nothing found",
        number("stat::number_of_executed_units:"),
        number("stat::average_exec_per_sec:"),
        word("cov: ").unwrap_or("?"),
        word("ft: ").unwrap_or("?"),
        word("corp: ").and_then(|kept| kept.split('/').next()).unwrap_or("?"),
    )
}

/// A list for a message.
fn listed(names: &[(&str, &str)]) -> String {
    names.iter().map(|(name, what)| format!("\n  {name}  {what}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(words: &[&str]) -> Result<Wish> {
        read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_read_in_any_order() {
        let all = Wish { target: None, seconds: SECONDS, input: None };
        assert_eq!(wish(&[]).unwrap(), all);
        let some = Wish { target: Some("router"), seconds: 5, input: None };
        assert_eq!(wish(&["--seconds", "5", "router"]).unwrap(), some);
        assert_eq!(wish(&["router", "crash-1"]).unwrap().input, Some(PathBuf::from("crash-1")));
    }

    #[test]
    fn wrong_arguments_are_told() {
        for (words, told) in [
            (&["nothing"][..], "no fuzz target `nothing`"),
            (&["--seconds", "long"], "`long` is no number"),
            (&["router", "a", "b"], "one too many"),
        ] {
            assert!(wish(words).unwrap_err().to_string().contains(told), "{words:?}");
        }
    }

    #[test]
    fn a_log_is_summed_up() {
        let log = "#2\tINITED cov: 7 ft: 8 corp: 1/1b\n#900\tDONE   cov: 70 ft: 81 corp: 12/1b lim: 4\n\
                   stat::number_of_executed_units: 900\nstat::average_exec_per_sec:     30\n";
        assert_eq!(
            summary(log),
            "900 inputs, 30 a second, 70 edges reached, 81 features, 12 inputs kept, nothing found"
        );
    }
}
