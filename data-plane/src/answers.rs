//! What a node answers when an operator asks it, by way of the control plane, for what only the node knows.

use std::sync::Arc;

use tidegate_policy::{PURGE_QUERY, Purge};
use tidegate_telemetry::{LogLevel, log_level};
use tracing::info;

use crate::config_sync::Answers;
use crate::ports::Responses;

/// Answers about the log of the process and about the answers that are kept. Who asked is in the log of the control plane.
pub(crate) fn of(log: LogLevel, responses: Arc<Responses>) -> Answers {
    Arc::new(move |query, arguments| match query {
        log_level::QUERY => Some(about_log(&log, arguments)),
        PURGE_QUERY => Some(purge(&responses, arguments)),
        _ => None,
    })
}

fn about_log(log: &LogLevel, arguments: &str) -> Result<String, String> {
    let ask = serde_json::from_str(arguments).map_err(|error| format!("the question can't be read: {error}"))?;
    if ask != log_level::Ask::Get {
        info!("an operator changes the log level");
    }
    let state = log.answer(&ask)?;
    serde_json::to_string(&state).map_err(|error| error.to_string())
}

/// Lets go of what is meant; the answer is how many keys it was.
fn purge(responses: &Responses, arguments: &str) -> Result<String, String> {
    let purge: Purge =
        serde_json::from_str(arguments).map_err(|error| format!("the question can't be read: {error}"))?;
    let gone = responses.purge(&purge);
    info!(gone, "an operator purges kept answers: {gone} are gone");
    Ok(gone.to_string())
}
