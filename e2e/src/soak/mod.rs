//! Long runs: what must hold not once but on and on. Each has a small form that runs with the tests, the same code with
//! smaller numbers.

mod big_body;
mod floods;
mod hand_over;
mod idle_stalled;
mod plain_h1;
mod rolling_restart;
mod streams;

use std::fmt;

use anyhow::{Result, bail};

/// What the run saw, in lines for people.
#[derive(Default)]
pub struct Report(Vec<String>);

impl Report {
    fn note(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.0 {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Seconds: with the tests.
    Small,
    /// Minutes: `./dev soak`.
    Whole,
}

impl Size {
    fn pick<T>(self, small: T, whole: T) -> T {
        match self {
            Size::Small => small,
            Size::Whole => whole,
        }
    }
}

/// Name and what it shows.
pub const SOAKS: &[(&str, &str)] = &[
    ("rolling-restart", "nodes restart one by one behind a balancer under constant load; no request fails"),
    ("hand-over", "a node hands its sockets to the next process under constant load; no request fails"),
    ("big-body", "10 GB up and down in constant memory"),
    ("idle-stalled", "idle and stalled connections while others are served"),
    ("floods", "attacks on HTTP/1 and HTTP/2 in bounded memory while others are served"),
    ("streams", "event streams, WebSockets and gRPC calls for minutes in constant memory"),
];

/// Runs one. What does not hold is the error.
pub async fn run(name: &str, size: Size) -> Result<Report> {
    match name {
        "rolling-restart" => rolling_restart::run(size).await,
        "hand-over" => hand_over::run(size).await,
        "big-body" => big_body::run(size).await,
        "idle-stalled" => idle_stalled::run(size).await,
        "floods" => floods::run(size).await,
        "streams" => streams::run(size).await,
        _ => bail!("there is no soak `{name}`"),
    }
}
