//! What stands on both sides of a proxy that is measured: the API behind it, and callers that wrk and h2load can't be.
//!
//! Both are on one thread and do as little as can be, so that the proxy and not they are what takes the time.

mod backend;
mod callers;
mod pace;
mod wire;

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "\
usage: bench-peer backend PORT                        answers 1 KiB of text, of JSON where the path holds /json, and 10 MiB
                                                      under /10m; drops request bodies
       bench-peer down|up PORT CONNECTIONS SECONDS    bodies of 10 MiB, one after the other on each connection
       bench-peer pace PORT FILE CONNECTIONS RATE SECONDS
                                                      the request of a file, so many a second, however long answers take
       bench-peer idle PORT CONNECTIONS               one request on each connection, then holds them until stdin ends";

/// The long body's size.
const LONG: usize = 10 << 20;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    match words[..] {
        ["backend", port] => local.block_on(&runtime, backend::serve(number(port)?)),
        [way @ ("down" | "up"), port, connections, seconds] => {
            let seconds = Duration::from_secs(number(seconds)?);
            let done = callers::bodies(way == "up", number(port)?, number(connections)?, seconds);
            println!("{}", local.block_on(&runtime, done)?);
            Ok(())
        }
        ["pace", port, file, connections, rate, seconds] => {
            let request = std::fs::read(file).with_context(|| format!("`{file}` can't be read"))?;
            let seconds = Duration::from_secs(number(seconds)?);
            let paced = pace::pace(number(port)?, request, number(connections)?, number(rate)?, seconds);
            println!("{}", local.block_on(&runtime, paced)?);
            Ok(())
        }
        ["idle", port, connections] => local.block_on(&runtime, callers::idle(number(port)?, number(connections)?)),
        _ => bail!("{USAGE}"),
    }
}

fn number<T: std::str::FromStr<Err = std::num::ParseIntError>>(word: &str) -> Result<T> {
    word.parse().with_context(|| format!("`{word}` is no number it could be\n{USAGE}"))
}
