//! The one binary: the servers, and the verbs that talk to them.
//!
//! `settings` is what a server can be told, `server` runs them, `client` holds the verbs that use the admin API. This is the
//! only crate that sees both planes.

mod client;
mod command;
mod server;
mod settings;

use std::process::ExitCode;

use command::Chosen;

/// Many small allocations per request, on many threads: that is what it is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the process ends with when the command line or the settings are wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let chosen = match command::read() {
        Ok(chosen) => chosen,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            return ExitCode::from(USAGE);
        }
    };
    // one provider for all TLS of the process; nothing else may choose
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("error: a TLS provider was installed already");
        return ExitCode::FAILURE;
    }
    let done = match chosen {
        Chosen::Serve(settings) => server::serve(&settings),
        Chosen::Print(text) => client::print(&text),
        Chosen::Ask(verb) => client::run(*verb),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
