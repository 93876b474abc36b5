//! `test`: every check and every test, in the order that tells of a mistake soonest.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::shell::{cargo, command, has, root, run, shown, target};
use crate::suites::{Count, count};
use crate::web::{install_if_stale, npm};

/// What a step's time is booked under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Share {
    Checks,
    Build,
    Web,
    Unit,
    Browser,
    EndToEnd,
}

const SHARES: [Share; 6] = [Share::Checks, Share::Build, Share::Web, Share::Unit, Share::Browser, Share::EndToEnd];

struct Step {
    name: &'static str,
    share: Share,
    does: fn() -> Result<Count>,
}

const STEPS: &[Step] = &[
    Step { name: "tidy", share: Share::Checks, does: || crate::tidy::tidy().map(no_tests) },
    Step { name: "format", share: Share::Checks, does: || run(with_cargo(&["fmt", "--check"])).map(no_tests) },
    Step { name: "web: packages", share: Share::Web, does: || in_web(install_if_stale) },
    Step { name: "web: lint", share: Share::Web, does: || in_web(|| run(npm(&["run", "lint"]))) },
    Step { name: "web: tests", share: Share::Web, does: web_tests },
    Step { name: "web: build", share: Share::Web, does: || in_web(crate::web::build_if_stale) },
    Step { name: "clippy", share: Share::Checks, does: clippy },
    Step { name: "build", share: Share::Build, does: build },
    Step { name: "unit and integration", share: Share::Unit, does: || rust_tests(Which::Unit) },
    Step { name: "browser", share: Share::Browser, does: browser },
    Step { name: "end to end", share: Share::EndToEnd, does: || rust_tests(Which::EndToEnd) },
];

struct Outcome {
    step: &'static Step,
    took: Duration,
    count: Count,
    error: Option<anyhow::Error>,
}

pub(crate) fn test(flags: &[String]) -> Result<()> {
    let mut keep_going = false;
    for flag in flags {
        match flag.as_str() {
            "--keep-going" => keep_going = true,
            other => bail!("`{other}` is not a flag of `test`; there is `--keep-going`"),
        }
    }
    let mut outcomes = Vec::new();
    for step in STEPS {
        println!("\n=== {}", step.name);
        let start = Instant::now();
        let done = (step.does)();
        let took = start.elapsed();
        let outcome = match done {
            Ok(count) => Outcome { step, took, count, error: red(count) },
            Err(error) => Outcome { step, took, count: failed_count(&error), error: Some(error) },
        };
        let is_red = outcome.error.is_some();
        outcomes.push(outcome);
        if is_red && !keep_going {
            break;
        }
    }
    summarise(&outcomes)
}

/// A suite that failed, with what it had counted.
#[derive(Debug)]
struct Red {
    what: String,
    count: Count,
}

impl std::fmt::Display for Red {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Red {}

fn failed_count(error: &anyhow::Error) -> Count {
    error.downcast_ref::<Red>().map_or(Count::default(), |red| red.count)
}

/// A runner that counts failures has failed, whatever its exit code.
fn red(count: Count) -> Option<anyhow::Error> {
    (count.failed > 0).then(|| anyhow::anyhow!("{} tests failed", count.failed))
}

fn summarise(outcomes: &[Outcome]) -> Result<()> {
    println!("\n=== summary");
    for Outcome { step, took, count, error } in outcomes {
        let tests =
            if *count == Count::default() { String::new() } else { format!("{} tests", count.passed + count.failed) };
        let verdict = if error.is_some() { "RED" } else { "ok" };
        println!("{verdict:<4}{:<22}{:>8.1} s  {tests}", step.name, took.as_secs_f64());
    }
    let left_out: Vec<&str> = STEPS[outcomes.len()..].iter().map(|step| step.name).collect();
    if !left_out.is_empty() {
        println!("not reached: {}", left_out.join(", "));
    }
    let shares = SHARES.map(|share| {
        let took: Duration =
            outcomes.iter().filter(|outcome| outcome.step.share == share).map(|outcome| outcome.took).sum();
        format!("{share:?} {:.0} s", took.as_secs_f64()).to_lowercase()
    });
    let whole: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    println!("shares: {}; whole {:.0} s", shares.join(", "), whole.as_secs_f64());
    for Outcome { step, error, .. } in outcomes {
        if let Some(error) = error {
            println!("{}: {error:#}", step.name);
        }
    }
    let mut total = Count::default();
    for outcome in outcomes {
        total += outcome.count;
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    let red = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    if red > 0 {
        bail!("{red} of {} steps are red", outcomes.len());
    }
    Ok(())
}

fn no_tests((): ()) -> Count {
    Count::default()
}

fn with_cargo(arguments: &[&str]) -> Command {
    command(&cargo(), arguments)
}

fn clippy() -> Result<Count> {
    run(with_cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])).map(no_tests)
}

/// The binaries as well as the tests: journeys run `target/debug/tidegate`.
fn build() -> Result<Count> {
    run(with_cargo(&["build", "--workspace", "--bins", "--locked"]))?;
    run(with_cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--locked", "--no-run", "--quiet"]))?;
    Ok(Count::default())
}

#[derive(Clone, Copy)]
enum Which {
    Unit,
    EndToEnd,
}

fn rust_tests(which: Which) -> Result<Count> {
    if has("cargo-nextest") {
        let filter = match which {
            Which::Unit => "not package(tidegate-e2e)",
            Which::EndToEnd => "package(tidegate-e2e)",
        };
        let arguments =
            ["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--no-tests=pass", "-E", filter];
        return counted(with_cargo(&arguments));
    }
    let mut total = Count::default();
    let mut red = Vec::new();
    for program in test_programs(which)? {
        // Programs of one package run in its folder, as cargo does it.
        let mut test = Command::new(&program.file);
        test.current_dir(&program.folder).env("CARGO_MANIFEST_DIR", &program.folder);
        match counted(test) {
            Ok(count) => total += count,
            Err(error) => {
                total += failed_count(&error);
                red.push(format!("{error:#}"));
            }
        }
    }
    if red.is_empty() { Ok(total) } else { Err(Red { what: red.join("; "), count: total }.into()) }
}

struct TestProgram {
    file: String,
    folder: std::path::PathBuf,
}

/// The test programs as `build` has made them; the same selection, so that nothing is built twice.
fn test_programs(which: Which) -> Result<Vec<TestProgram>> {
    let arguments =
        ["test", "--workspace", "--lib", "--bins", "--tests", "--locked", "--no-run", "--message-format=json"];
    let messages = crate::shell::output(with_cargo(&arguments))?;
    let mut programs = Vec::new();
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        let (Some(file), Some(manifest)) = (message["executable"].as_str(), message["manifest_path"].as_str()) else {
            continue;
        };
        let folder = std::path::Path::new(manifest).parent().context("a manifest lies in a folder")?.to_owned();
        let is_e2e = folder == root().join("e2e");
        if message["profile"]["test"] == true && is_e2e == matches!(which, Which::EndToEnd) {
            programs.push(TestProgram { file: file.to_owned(), folder });
        }
    }
    Ok(programs)
}

fn has_web() -> bool {
    root().join("web-admin/package.json").is_file()
}

fn in_web(step: fn() -> Result<()>) -> Result<Count> {
    if !has_web() {
        println!("there is no web-admin yet");
        return Ok(Count::default());
    }
    step().map(no_tests)
}

fn web_tests() -> Result<Count> {
    if !has_web() { in_web(|| Ok(())) } else { counted(npm(&["test"])) }
}

/// The browser's journeys against a real gateway, which the testbed starts on free ports and ends.
fn browser() -> Result<Count> {
    if !has_web() {
        return in_web(|| Ok(()));
    }
    let testbed = target().join("debug/testbed");
    let mut browser = Command::new(testbed);
    browser.args(["standalone", "--", "npm", "run", "e2e"]).current_dir(root().join("web-admin"));
    counted(browser)
}

/// Runs a test runner, lets its output through and adds up its closing lines.
fn counted(mut command: Command) -> Result<Count> {
    println!("$ {}", shown(&command));
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always").env("FORCE_COLOR", "1");
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("`{}` can't be started", shown(&command)))?;
    let errors = child.stderr.take().context("stderr is piped")?;
    let from_errors = std::thread::spawn(move || pass_on(errors, std::io::stderr()));
    let mut count = pass_on(child.stdout.take().context("stdout is piped")?, std::io::stdout())?;
    count += from_errors.join().expect("passing lines on does not panic")?;
    let status = child.wait()?;
    if !status.success() {
        return Err(Red { what: format!("`{}` failed ({status})", shown(&command)), count }.into());
    }
    Ok(count)
}

fn pass_on(from: impl Read, mut to: impl Write) -> Result<Count> {
    let mut total = Count::default();
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        total += count(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(total)
}
