//! How steps end, and all of them.

use http::StatusCode;
use tidegate_model::RetryOn;
use tidegate_policy::{Blame, Reply};

use super::Composed;
use crate::proxy::GatewayError;

/// Why a step has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum StepError {
    NoTarget,
    Connect,
    Reset,
    Invalid,
    Timeout,
    Deadline,
    Status(u16),
    TooLarge,
    Encoded,
    ContentType,
    NotJson,
    NotText,
    Missing,
    Value,
    Path,
    Header,
    Body,
    Busy,
}

impl StepError {
    /// As metrics, the log and answers call it.
    pub(in crate::proxy) const fn as_str(self) -> &'static str {
        match self {
            StepError::NoTarget => "no_target",
            StepError::Connect => "connect",
            StepError::Reset => "reset",
            StepError::Invalid => "invalid",
            StepError::Timeout => "timeout",
            StepError::Deadline => "deadline",
            StepError::Status(_) => "status",
            StepError::TooLarge => "too_large",
            StepError::Encoded => "encoded",
            StepError::ContentType => "content_type",
            StepError::NotJson => "not_json",
            StepError::NotText => "not_text",
            StepError::Missing => "missing",
            StepError::Value => "value",
            StepError::Path => "path",
            StepError::Header => "header",
            StepError::Body => "body",
            StepError::Busy => "busy",
        }
    }

    /// What a retry calls it.
    pub(super) const fn retry(self) -> Option<RetryOn> {
        match self {
            StepError::NoTarget | StepError::Connect | StepError::Reset => Some(RetryOn::Connect),
            StepError::Timeout => Some(RetryOn::Timeout),
            StepError::Status(500..) => Some(RetryOn::Status5xx),
            _ => None,
        }
    }

    const fn is_late(self) -> bool {
        matches!(self, StepError::Timeout | StepError::Deadline)
    }
}

impl From<GatewayError> for StepError {
    fn from(error: GatewayError) -> Self {
        match error {
            GatewayError::NoTarget => StepError::NoTarget,
            GatewayError::UpstreamConnectFailed | GatewayError::UpstreamTimeoutConnect => StepError::Connect,
            GatewayError::UpstreamReset => StepError::Reset,
            GatewayError::UpstreamTooLarge(_) => StepError::TooLarge,
            error if error.status() == StatusCode::GATEWAY_TIMEOUT => StepError::Timeout,
            _ => StepError::Invalid,
        }
    }
}

/// How a step ended, for metrics and the log.
#[derive(Debug)]
pub(in crate::proxy) struct Told {
    pub(in crate::proxy) name: Box<str>,
    pub(in crate::proxy) end: End,
    pub(in crate::proxy) millis: u64,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum End {
    Answered(StatusCode),
    Failed(StepError),
    /// Its condition did not hold.
    Skipped,
}

impl End {
    /// As metrics call it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            End::Answered(_) => "answered",
            End::Failed(error) => error.as_str(),
            End::Skipped => "skipped",
        }
    }
}

/// All that came of a composition.
pub(in crate::proxy) struct Done {
    pub(super) answer: Result<Composed, Failure>,
    pub(in crate::proxy) told: Vec<Told>,
}

impl Done {
    pub(super) fn is_partial(&self) -> bool {
        self.told.iter().any(|told| matches!(told.end, End::Failed(_)))
    }

    /// For the access log: `user=200:12, orders=timeout:300`, in milliseconds.
    pub(in crate::proxy) fn line(&self) -> String {
        let mut line = String::new();
        for told in &self.told {
            let comma = if line.is_empty() { "" } else { ", " };
            let millis = told.millis.to_string();
            match told.end {
                End::Answered(status) => line.extend([comma, &told.name, "=", status.as_str(), ":", &millis]),
                end => line.extend([comma, &told.name, "=", end.as_str(), ":", &millis]),
            }
        }
        line
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// A step failed that the answer can't do without.
    Step(Box<str>, StepError),
    /// The steps went well, and no answer could be made of them.
    Answer(String),
    /// There is too much to do.
    Busy,
}

impl Failure {
    pub(super) fn reply(&self) -> Box<Reply> {
        match self {
            Failure::Step(name, error) => {
                let mut reply = Box::<Reply>::from(GatewayError::StepFailed(name.clone(), error.as_str()));
                debug_assert_eq!(reply.blame, Blame::Upstream);
                if error.is_late() {
                    reply.status = StatusCode::GATEWAY_TIMEOUT;
                }
                // names of steps are of letters, digits and `_`
                let status = match error {
                    StepError::Status(status) => format!(r#","step_status":{status}"#),
                    _ => String::new(),
                };
                reply.members = Some(format!(r#""step":"{name}","outcome":"{}"{status}"#, error.as_str()).into());
                reply
            }
            Failure::Answer(why) => GatewayError::CompositionFailed(why.as_str().into()).into(),
            Failure::Busy => GatewayError::Overloaded.into(),
        }
    }
}
