//! How loud the logs are, of this control plane and of each node: changed while they run, and for a while only.

use std::time::Duration;

use futures_util::FutureExt;
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::{Instant, Kind, Span};
use tidegate_telemetry::LogState;
use tidegate_telemetry::log_level::{Ask, FOR_DEFAULT, FOR_MAX, QUERY};
use tracing::info;

use super::answer::{Answer, ErrorCode, Fault};
use super::call::Call;
use super::operations::{Operation, Shape, reference};
use crate::fleet::AskError;

/// How long a node may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How loud a log is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LogLevel {
    /// What holds now.
    level: String,
    /// What the settings of the process say.
    configured: String,
    /// When the configured level holds again; absent if that is not bound to a time.
    until: Option<String>,
}

/// How loud a log should be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogLevelChange {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`; also per target: `info,hyper=debug`.
    level: String,
    /// For how long, up to `24h`; then what the settings say holds again. 10 minutes if nothing is said.
    #[serde(rename = "for")]
    time: Option<Span>,
}

pub(super) fn operations() -> Vec<Operation> {
    let of_node = "/v1/nodes/{ref}/log-level";
    let here = "/v1/log-level";
    let named = || Shape::Named("LogLevel".into());
    let change = || Shape::Named("LogLevelChange".into());
    let node_errors: &[ErrorCode] = &[ErrorCode::Conflict, ErrorCode::Busy];
    vec![
        Operation::new(Method::GET, of_node, "getNodeLogLevel", |c| of_node_is(c).boxed())
            .about("Nodes", "Read how loud the log of a node is")
            .takes(&[reference()])
            .answers(200, "This is it.", named())
            .errors(node_errors),
        Operation::new(Method::PUT, of_node, "putNodeLogLevel", |c| of_node_set(c).boxed())
            .about("Nodes", "Change how loud the log of a node is, for a while")
            .takes(&[reference()])
            .body(change())
            .answers(200, "From now on.", named())
            .errors(node_errors),
        Operation::new(Method::DELETE, of_node, "resetNodeLogLevel", |c| of_node_reset(c).boxed())
            .about("Nodes", "Let the log of a node be as loud as its settings say")
            .takes(&[reference()])
            .answers(200, "From now on.", named())
            .errors(node_errors),
        Operation::new(Method::GET, here, "getLogLevel", |c| is(c).boxed())
            .about("Status", "Read how loud the log of this control plane is")
            .answers(200, "This is it.", named()),
        Operation::new(Method::PUT, here, "putLogLevel", |c| set(c).boxed())
            .about("Status", "Change how loud the log of this control plane is, for a while")
            .body(change())
            .answers(200, "From now on.", named()),
        Operation::new(Method::DELETE, here, "resetLogLevel", |c| reset(c).boxed())
            .about("Status", "Let the log of this control plane be as loud as its settings say")
            .answers(200, "From now on.", named()),
    ]
}

async fn is(call: Call) -> Result<Answer, Fault> {
    here(&call, &Ask::Get)
}

async fn set(call: Call) -> Result<Answer, Fault> {
    here(&call, &wanted(&call)?)
}

async fn reset(call: Call) -> Result<Answer, Fault> {
    here(&call, &Ask::Reset)
}

async fn of_node_is(call: Call) -> Result<Answer, Fault> {
    of_node(&call, &Ask::Get).await
}

async fn of_node_set(call: Call) -> Result<Answer, Fault> {
    of_node(&call, &wanted(&call)?).await
}

async fn of_node_reset(call: Call) -> Result<Answer, Fault> {
    of_node(&call, &Ask::Reset).await
}

fn wanted(call: &Call) -> Result<Ask, Fault> {
    let LogLevelChange { level, time } = call.read()?;
    let time = time.map_or(FOR_DEFAULT, |time| time.duration());
    if time.is_zero() || time > FOR_MAX {
        return Err(Fault::malformed("`for` must be more than nothing and at most `24h`"));
    }
    Ok(Ask::Set { level, for_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX) })
}

fn here(call: &Call, ask: &Ask) -> Result<Answer, Fault> {
    let state = call.api.log_level.answer(ask).map_err(Fault::malformed)?;
    told(call, "this control plane", ask);
    Ok(answer(state))
}

async fn of_node(call: &Call, ask: &Ask) -> Result<Answer, Fault> {
    let node = call.resource("ref", Kind::Node)?;
    let arguments = serde_json::to_string(ask).expect("plain data");
    let answered = call.api.fleet.ask(node.id, QUERY, &arguments, ANSWER_MAX).await;
    let state = answered.map_err(|error| match error {
        AskError::NotConnected => Fault::new(
            ErrorCode::Conflict,
            format!(
                "node `{}` is not connected to this control plane; ask the one that it is connected to",
                node.label()
            ),
        ),
        AskError::TimedOut => Fault::new(ErrorCode::Busy, error.to_string()),
        AskError::Refused(why) => Fault::malformed(why),
    })?;
    let state = serde_json::from_str(&state).map_err(|error| {
        tracing::error!(%error, "the answer of node `{}` can't be read", node.label());
        Fault::new(ErrorCode::Internal, "the answer of the node can't be read")
    })?;
    told(call, &format!("node `{}`", node.label()), ask);
    Ok(answer(state))
}

/// It is no change of the configuration, so the log of the process is where it is written down.
fn told(call: &Call, whose: &str, ask: &Ask) {
    let operator = call.caller.as_ref().map_or("", |caller| &*caller.name);
    match ask {
        Ask::Get => {}
        Ask::Set { level, for_ms } => {
            info!(
                operator,
                log.level = level,
                for_ms,
                request.id = call.request_id,
                "operator `{operator}` set the log level of {whose} to `{level}`"
            );
        }
        Ask::Reset => {
            info!(operator, request.id = call.request_id, "operator `{operator}` set the log level of {whose} back");
        }
    }
}

fn answer(state: LogState) -> Answer {
    let LogState { level, configured, until_ms } = state;
    let until = until_ms.map(|ms| Instant::from_millis(ms).to_string());
    Answer::document(&LogLevel { level, configured, until })
}
