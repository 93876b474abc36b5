//! What goes wrong between a caller and an API, and what the caller is told.

use std::borrow::Cow;

use http::header::{ALLOW, CONNECTION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use tidegate_policy::{Blame, Reply};

macro_rules! errors {
    ($( $(#[doc = $doc:literal])+ $variant:ident $(($($field:ty),+))? : $status:ident, $code:literal, $blame:ident; )+) => {
        /// Why the gateway answers by itself. Codes are for ever.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum GatewayError {
            $( $(#[doc = $doc])+ $variant $(($($field),+))?, )+
        }

        impl GatewayError {
            /// Stable, for programs.
            pub const fn code(&self) -> &'static str {
                match self { $( GatewayError::$variant { .. } => $code, )+ }
            }

            /// Whose turn it is.
            pub const fn blame(&self) -> Blame {
                match self { $( GatewayError::$variant { .. } => Blame::$blame, )+ }
            }

            /// The status that goes with it.
            pub const fn status(&self) -> StatusCode {
                match self { $( GatewayError::$variant { .. } => StatusCode::$status, )+ }
            }

            /// All of them: code, status, blame and meaning, for the reference.
            pub const ALL: &'static [(&'static str, StatusCode, Blame, &'static str)] =
                &[$( ($code, StatusCode::$status, Blame::$blame, concat!($($doc),+)), )+];
        }
    };
}

errors! {
    /// The request names no host, or HTTP/1.1 came without a Host header.
    HostMissing: BAD_REQUEST, "host_missing", Downstream;
    /// There is more than one Host header.
    HostRepeated: BAD_REQUEST, "host_repeated", Downstream;
    /// The host is not a host.
    HostInvalid: BAD_REQUEST, "host_invalid", Downstream;
    /// The Host header and the request's target name different hosts.
    HostMismatch: BAD_REQUEST, "host_mismatch", Downstream;
    /// The request's target is neither a path nor an absolute http URL.
    TargetInvalid: BAD_REQUEST, "target_invalid", Downstream;
    /// The path can't be made unambiguous.
    PathRefused(tidegate_model::PathRefused): BAD_REQUEST, "path_refused", Downstream;
    /// The Transfer-Encoding is not exactly `chunked`.
    TransferEncodingInvalid: BAD_REQUEST, "transfer_encoding_invalid", Downstream;
    /// The body ended before its end, or its framing is broken.
    BodyBroken: BAD_REQUEST, "body_broken", Downstream;
    /// The request asks for another protocol and has a body.
    UpgradeWithBody: BAD_REQUEST, "upgrade_with_body", Downstream;
    /// The head of the request is not HTTP as it should be.
    HeadInvalid: BAD_REQUEST, "head_invalid", Downstream;
    /// CONNECT and TRACE are not served.
    MethodRefused: METHOD_NOT_ALLOWED, "method_refused", Downstream;
    /// The Expect header asks for something other than `100-continue`.
    ExpectationFailed: EXPECTATION_FAILED, "expectation_failed", Downstream;
    /// The path and query are too long.
    UriTooLong: URI_TOO_LONG, "uri_too_long", Downstream;
    /// The head of the request is too large or has too many lines.
    HeadTooLarge: REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", Downstream;
    /// The body of the request is larger than it may be.
    BodyTooLarge(u64): PAYLOAD_TOO_LARGE, "body_too_large", Downstream;
    /// The caller paused for too long while it sent the body.
    ClientBodyTimeout: REQUEST_TIMEOUT, "client_body_timeout", Downstream;
    /// No route takes the request.
    NoRoute: NOT_FOUND, "no_route", Downstream;
    /// There are routes for the path, none for the method.
    MethodNotAllowed(HeaderValue): METHOD_NOT_ALLOWED, "method_not_allowed", Downstream;
    /// The request has passed this gateway too often: it goes in circles.
    LoopDetected: LOOP_DETECTED, "loop_detected", Gateway;
    /// The node has no configuration yet.
    NotConfigured: SERVICE_UNAVAILABLE, "not_configured", Gateway;
    /// The route could not be built from its configuration.
    RouteBroken(Box<str>): SERVICE_UNAVAILABLE, "route_broken", Gateway;
    /// The node is shutting down.
    ShuttingDown: SERVICE_UNAVAILABLE, "shutting_down", Gateway;
    /// The node has as many connections or requests as it may, or is short of memory.
    Overloaded: SERVICE_UNAVAILABLE, "overloaded", Gateway;
    /// The upstream has no target that takes requests.
    NoTarget: SERVICE_UNAVAILABLE, "no_target", Gateway;
    /// No connection to a target could be made.
    UpstreamConnectFailed: BAD_GATEWAY, "upstream_connect_failed", Upstream;
    /// The target closed the connection before it answered.
    UpstreamReset: BAD_GATEWAY, "upstream_reset", Upstream;
    /// The target's answer is not HTTP as it should be.
    UpstreamInvalid: BAD_GATEWAY, "upstream_invalid", Upstream;
    /// The target can't do what a WebSocket needs.
    UpgradeUnsupported: NOT_IMPLEMENTED, "upgrade_unsupported", Upstream;
    /// The target's answer is larger than a policy lets it be.
    UpstreamTooLarge(u64): BAD_GATEWAY, "upstream_too_large", Upstream;
    /// No connection to a target stood in time.
    UpstreamTimeoutConnect: GATEWAY_TIMEOUT, "upstream_timeout_connect", Upstream;
    /// The target did not begin its answer in time.
    UpstreamTimeoutFirstByte: GATEWAY_TIMEOUT, "upstream_timeout_first_byte", Upstream;
    /// The target paused for too long.
    UpstreamTimeoutIdle: GATEWAY_TIMEOUT, "upstream_timeout_idle", Upstream;
    /// The whole exchange took too long.
    UpstreamTimeoutRequest: GATEWAY_TIMEOUT, "upstream_timeout_request", Upstream;
    /// A step of a composed answer failed that it can't do without; 504 where it was too late. `step` and `outcome` say which, and why.
    StepFailed(Box<str>, &'static str): BAD_GATEWAY, "step_failed", Upstream;
    /// The steps of a composed answer went well, and no answer could be made of what they brought.
    CompositionFailed(Box<str>): BAD_GATEWAY, "composition_failed", Upstream;
}

impl GatewayError {
    /// Whether the same request may succeed in a moment.
    pub const fn retryable(&self) -> bool {
        matches!(self.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
    }

    /// Whether the caller's connection ends with this reply: where it ended or what it holds is not certain any more.
    const fn closes(&self) -> bool {
        use GatewayError as E;
        matches!(
            self,
            E::HostMissing
                | E::HostRepeated
                | E::HostInvalid
                | E::HostMismatch
                | E::TargetInvalid
                | E::TransferEncodingInvalid
                | E::BodyBroken
                | E::UpgradeWithBody
                | E::HeadInvalid
                // what follows a CONNECT may be meant for who would have been reached by it
                | E::MethodRefused
                | E::HeadTooLarge
                | E::ClientBodyTimeout
                | E::ShuttingDown
                | E::Overloaded
        )
    }

    fn detail(&self) -> Cow<'static, str> {
        use GatewayError as E;
        match self {
            E::HostMissing => "the request names no host",
            E::HostRepeated => "the request has more than one Host header",
            E::HostInvalid => "the Host header is not a host",
            E::HostMismatch => "the Host header and the request's target name different hosts",
            E::TargetInvalid => "the request's target is neither a path nor an absolute http URL",
            E::TransferEncodingInvalid => "the Transfer-Encoding is not exactly `chunked`",
            E::BodyBroken => "the body did not come whole",
            E::UpgradeWithBody => "a request for another protocol has no body",
            E::HeadInvalid => "the head of the request is not valid HTTP",
            E::MethodRefused => "CONNECT and TRACE are not served",
            E::ExpectationFailed => "the only expectation that can be met is `100-continue`",
            E::UriTooLong => "the path and query are too long",
            E::HeadTooLarge => "the head is too large or has too many lines",
            E::ClientBodyTimeout => "the body did not come in time",
            E::NoRoute => "no route takes this request",
            E::MethodNotAllowed(_) => "no route takes this method on this path",
            E::LoopDetected => "the request has passed this gateway too often: a service leads back to the gateway",
            E::NotConfigured => "the node has no configuration yet",
            E::ShuttingDown => "the node is shutting down",
            E::Overloaded => "the node has more to do than it can",
            E::NoTarget => "the upstream has no target that takes requests",
            E::UpstreamConnectFailed => "no connection to the upstream could be made",
            E::UpstreamReset => "the upstream closed the connection before it answered",
            E::UpstreamInvalid => "the upstream's answer is not valid HTTP",
            E::UpgradeUnsupported => "the upstream takes no WebSocket over HTTP/2",
            E::UpstreamTimeoutConnect => "no connection to the upstream stood in time",
            E::UpstreamTimeoutFirstByte => "the upstream did not answer in time",
            E::UpstreamTimeoutIdle => "the upstream paused for too long",
            E::UpstreamTimeoutRequest => "the exchange took longer than it may",
            E::PathRefused(why) => return Cow::Owned(why.to_string()),
            E::BodyTooLarge(max) => return Cow::Owned(format!("the body is larger than {max} bytes")),
            E::UpstreamTooLarge(max) => return Cow::Owned(format!("the answer is larger than {max} bytes")),
            E::StepFailed(step, why) => return Cow::Owned(format!("step `{step}` failed: {why}")),
            E::CompositionFailed(why) => return Cow::Owned(format!("no answer could be composed: {why}")),
            E::RouteBroken(why) => return Cow::Owned(format!("the route is closed: {why}")),
        }
        .into()
    }
}

impl From<GatewayError> for Box<Reply> {
    #[cold]
    fn from(error: GatewayError) -> Self {
        let mut reply = Reply::new(error.status(), error.code(), error.detail(), error.blame());
        if error.closes() {
            reply = reply.with_header(CONNECTION, HeaderValue::from_static("close"));
        }
        if error.status() == StatusCode::SERVICE_UNAVAILABLE {
            reply = reply.with_header(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let GatewayError::MethodNotAllowed(allow) = error {
            reply = reply.with_header(ALLOW, allow);
        }
        Box::new(reply)
    }
}
