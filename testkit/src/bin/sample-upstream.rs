//! The sample upstream as a process of its own.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Parser;
use tidegate_testkit::upstream::Upstream;

/// An API to stand behind the gateway: answers with what reached it; `/status/503`, `/delay/250ms` and others are knobs.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// What its answers call it.
    #[arg(long, default_value = "sample")]
    name: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let upstream = Upstream::start_on(arguments.listen, &arguments.name)?;
    println!("listening on {}", upstream.url());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
