//! What a node answers when an operator asks it, by way of the control plane, for what only the node knows.

use std::sync::Arc;

use tidegate_telemetry::{LogLevel, log_level};
use tracing::info;

use crate::config_sync::Answers;

/// Answers about the log of the process. Who asked is in the log of the control plane.
pub(crate) fn of(log: LogLevel) -> Answers {
    Arc::new(move |query, arguments| match query {
        log_level::QUERY => Some(about_log(&log, arguments)),
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
