//! An answer that the gateway composes of several calls.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HeaderName;
use super::template::is_name;
use crate::scalar::text_scalar;
use crate::{ByteSize, Method, Problems, Reference, Span};

/// An answer that is composed of several calls. Steps that need nothing of each other run at the same time; one that names
/// another waits for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    /// The calls, by name: 1 to 32. A name is of lower-case letters, digits and `_`.
    pub steps: BTreeMap<String, Step>,
    /// What is made of them. Absent: an object of the steps' bodies by name, with 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<ComposedAnswer>,
    /// Whether an answer goes out that lacks a step which failed: `allow` sends it and names the steps in `Tidegate-Partial`, `refuse`
    /// answers 502. Default: `allow`; what a step's own `on_error` says comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<Partial>,
    /// How long all of it may take, from the head of the request to the head of the answer. No step runs longer than what is left of
    /// it. Default: `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Whether identical calls that are under way at the same time are made once. Absent: each is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coalesce: Option<Coalesce>,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The service that is called.
    pub service: Reference,
    /// Default: `GET`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// A template for the path; it stands behind the service's own. What is put in is percent-encoded; where it is empty or would make another
    /// path of it, the step fails. Default: `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub path: Option<String>,
    /// Templates for the parameters of the query, by name. One that is empty is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Templates for headers, by name. One that is empty is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Headers of the request that go along, beside `Accept-Language`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub forward: Vec<HeaderName>,
    /// The body that is sent. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<StepBody>,
    /// How long one attempt may take, to the last byte of its answer. Default: what is left of the route's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Whether the step is told until when its answer is of use, as `X-Request-Deadline` in milliseconds since 1970. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tell_deadline: Option<bool>,
    /// Further attempts. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// What becomes of the answer if the step fails: `fail` fails it, `omit` leaves the step out, `{"default": ...}` puts this in its place.
    /// Default: `fail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnStepError>,
    /// Which answers are taken; any other fails the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// The largest body of an answer. Default: `1MiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body: Option<ByteSize>,
    /// A condition in CEL: where it does not hold, the step is left out, and that is no failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub when: Option<String>,
    /// Steps that must have ended before, beside those that it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub after: Vec<String>,
}

/// The body of a call. Either `jq` or `template`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-one-of" = ["jq", "template"]))]
pub struct StepBody {
    /// A jq program that makes it. It sees `$request`, `$captures`, `$principal` and `$steps`; `.` holds the bodies of the steps that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8192))]
    pub jq: Option<String>,
    /// A template that makes it. What is put in is escaped as the content type asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub template: Option<String>,
    /// Default: `application/json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub content_type: Option<String>,
}

/// Further attempts of a call. A step with a method that is not idempotent is not repeated, unless `any_method` says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How often it is tried in all.
    #[schemars(range(min = 2, max = 5))]
    pub attempts: u8,
    /// After what. Default: `connect`, `timeout` and `5xx`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub on: Vec<RetryOn>,
    /// How long is waited before a further attempt; doubled each time. Default: `50ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Span>,
    /// Whether a step with a method like POST is repeated, which may then happen twice. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any_method: Option<bool>,
}

/// What a call is repeated after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOn {
    /// No connection could be made, or it ended before an answer.
    Connect,
    /// No answer came in time.
    Timeout,
    /// The answer has a status of 500 or above.
    #[serde(rename = "5xx")]
    Status5xx,
}

/// What becomes of the answer if a step fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnStepError {
    /// It fails too, with 502 or 504.
    Fail,
    /// It goes out without the step.
    Omit,
    /// It has this in the place of the step's body.
    Default(Value),
}

/// Which answers of a step are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Any of these. Default: `200-299`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub status: Vec<StatusRange>,
    /// Of which form its body is. Default: `json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<ExpectedContent>,
}

/// Of which form a body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectedContent {
    /// JSON, and said to be. No body at all is `null`.
    #[default]
    Json,
    /// Any text in UTF-8: a string in the answer.
    Text,
}

/// What is made of the steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComposedAnswer {
    /// A template for the status, such as `200` or `${steps.user.status}`. Default: 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub status: Option<String>,
    /// Templates for headers, by name. One that is empty is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A jq program that makes the body. `.` holds the bodies of the steps by name; it sees `$request`, `$captures`, `$principal`, and `$steps` with
    /// `status`, `error` and `body` of each. Absent: the bodies by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8192))]
    pub body: Option<String>,
    /// Default: `application/json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub content_type: Option<String>,
}

/// Whether an answer goes out that lacks a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Partial {
    /// It does, and says so.
    #[default]
    Allow,
    /// It does not.
    Refuse,
}

/// Which calls are taken for identical, of GET and HEAD requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Coalesce {
    /// A template for what must be the same. Default: the path and query of the request. The headers that go along are part of it in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub key: Option<String>,
    /// Whether callers share an answer whoever they are. Default: false, and it is shared only by requests of the same principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
}

/// Statuses from one to another, `200-299`, or a single one, `404`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// The lowest.
    pub from: u16,
    /// The highest.
    pub to: u16,
}

/// Why a text is no range of statuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no status; write `404`, or `200-299` for several, between 200 and 599")]
pub struct InvalidStatusRange(String);

impl FromStr for StatusRange {
    type Err = InvalidStatusRange;

    fn from_str(text: &str) -> Result<Self, InvalidStatusRange> {
        let invalid = || InvalidStatusRange(text.to_owned());
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.parse().ok().filter(|status| (200..=599).contains(status));
        let (from, to) = (number(from).ok_or_else(invalid)?, number(to).ok_or_else(invalid)?);
        if from <= to { Ok(StatusRange { from, to }) } else { Err(invalid()) }
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from == self.to {
            true => write!(f, "{}", self.from),
            false => write!(f, "{}-{}", self.from, self.to),
        }
    }
}

text_scalar!(
    StatusRange,
    "StatusRange",
    "status-range",
    "A status, or the lowest and the highest of several.",
    "200-299"
);

impl Compose {
    /// The most steps.
    pub const STEPS_MAX: usize = 32;
    /// How many steps run at the same time.
    pub const FAN_OUT_MAX: usize = 16;
    /// What the bodies of all steps may be together.
    pub const BODIES_MAX: ByteSize = ByteSize::new(64 << 20);

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.steps.is_empty() || self.steps.len() > Self::STEPS_MAX {
            let detail = format!("there are 1 to {} steps, not {}", Self::STEPS_MAX, self.steps.len());
            problems.add_at("steps", "out_of_range", detail);
        }
        let all: u64 = self.steps.values().map(|step| step.body_max()).fold(0, u64::saturating_add);
        if all > Self::BODIES_MAX.bytes() {
            let detail = format!(
                "the bodies of all steps may be {} together, by their `max_body` {}",
                Self::BODIES_MAX,
                ByteSize::new(all)
            );
            problems.add_at("steps", "out_of_range", detail);
        }
        at_least_a_millisecond(self.timeout, "timeout", problems);
        problems.within("steps", |p| {
            for (name, step) in &self.steps {
                p.within(name, |p| {
                    if !is_name(name) {
                        let detail =
                            format!("`{name}` is not a name for a step; write a letter or `_`, then letters, digits and `_`, in lower case");
                        p.add("invalid_value", detail);
                    }
                    step.check(p);
                });
            }
        });
    }
}

impl Step {
    /// The largest body of an answer, in bytes.
    pub fn body_max(&self) -> u64 {
        self.max_body.map_or(1 << 20, ByteSize::bytes)
    }

    /// Whether the same call twice does the same as once.
    pub fn is_idempotent(&self) -> bool {
        let method = self.method.as_ref().map_or("GET", Method::as_str);
        matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
    }

    fn check(&self, problems: &mut Problems) {
        at_least_a_millisecond(self.timeout, "timeout", problems);
        if let Some(method @ ("CONNECT" | "TRACE")) = self.method.as_ref().map(Method::as_str) {
            problems.add_at("method", "invalid_value", format!("{method} is not sent to services"));
        }
        if self.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            problems.add_at("path", "invalid_value", "a path starts with `/`");
        }
        if self.query.len() > 64 {
            problems.add_at("query", "out_of_range", "there are at most 64 parameters");
        }
        problems.within("headers", |p| check_headers(&self.headers, p));
        for (at, name) in self.forward.iter().enumerate() {
            if let Some(why) = not_set_here(name.as_str()) {
                problems.within("forward", |p| p.add_at(at, "conflict", why));
            }
        }
        if let Some(retry) = &self.retry
            && !self.is_idempotent()
            && retry.any_method != Some(true)
        {
            let detail = "a step with this method may happen twice if it is repeated; say `any_method: true` if that does no harm";
            problems.add_at("retry", "conflict", detail);
        }
        if self.body.is_some() && matches!(self.method.as_ref().map_or("GET", Method::as_str), "GET" | "HEAD") {
            problems.add_at("body", "conflict", "a GET or HEAD has no body; give the step another `method`");
        }
    }
}

impl ComposedAnswer {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.within("headers", |p| check_headers(&self.headers, p));
    }
}

fn at_least_a_millisecond(span: Option<Span>, field: &str, problems: &mut Problems) {
    if span.is_some_and(|span| span.millis() == 0) {
        problems.add_at(field, "out_of_range", "must be at least 1ms");
    }
}

fn check_headers(headers: &BTreeMap<String, String>, problems: &mut Problems) {
    if headers.len() > 64 {
        problems.add("out_of_range", "there are at most 64 headers");
    }
    for name in headers.keys() {
        match name.parse::<HeaderName>() {
            Err(why) => problems.add_at(name, "invalid_value", why.to_string()),
            Ok(name) => {
                if let Some(why) = not_set_here(name.as_str()) {
                    problems.add_at(&name, "conflict", why);
                }
            }
        }
    }
}

/// Headers that the gateway alone sets.
fn not_set_here(name: &str) -> Option<&'static str> {
    match name {
        "host" => Some("the host is that of the service, or what its `preserve_host` says"),
        "content-length" | "transfer-encoding" | "connection" | "keep-alive" | "te" | "trailer" | "upgrade"
        | "expect" | "proxy-connection" | "http2-settings" => {
            Some("this header belongs to the connection; the gateway sets it")
        }
        "accept-encoding" => Some("the answers of steps are asked for without encoding"),
        "content-type" => Some("give `content_type`"),
        "x-request-id" | "traceparent" | "tracestate" | "via" | "forwarded" | "x-request-deadline"
        | "tidegate-partial" => Some("the gateway sets this header itself"),
        _ if name.starts_with("x-forwarded-") || name.starts_with("x-consumer-") || name == "x-credential-id" => {
            Some("the gateway sets this header itself")
        }
        _ => None,
    }
}
