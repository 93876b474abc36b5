//! The plane that operators talk to: it judges changes, keeps them, and streams them to the nodes.

pub mod admin_api;
pub mod app;
pub mod changes;
pub mod config_stream;
pub mod fleet;
pub mod operators;
pub mod store;
pub mod telemetry;
pub mod vault;

/// An error and what it came from, in one line, for the log.
pub(crate) fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
