//! The fields of a line, once: what is written and docs/operations/access-log.md both come from this table.

use std::fmt::Write as _;

macro_rules! fields {
    ($( $(#[doc = $doc:literal])+ $variant:ident: $name:literal, $kind:literal, $when:literal; )+) => {
        /// A field of a line.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Field {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl Field {
            /// All of them, in the order of a line.
            pub const ALL: &'static [Field] = &[$( Field::$variant ),+];

            /// As it is written.
            pub const fn name(self) -> &'static str {
                match self { $( Field::$variant => $name, )+ }
            }

            /// What kind of value, when it is there, and what it means.
            const fn told(self) -> (&'static str, &'static str, &'static str) {
                match self { $( Field::$variant => ($kind, $when, concat!($($doc),+)), )+ }
            }
        }
    };
}

fields! {
    /// When the request's head had come: RFC 3339, UTC, with milliseconds.
    Time: "time", "text", "always";
    /// The id that caller and upstream were told as `X-Request-Id`.
    RequestId: "request_id", "text", "always";
    /// The id of the W3C trace that the request is part of.
    TraceId: "trace_id", "text", "unless `--trace-context off`";
    /// The name of the node.
    Node: "node", "text", "always";
    /// The revision of services, routes, upstreams and policies that the request ran on.
    TrafficRevision: "traffic_revision", "number", "always";
    /// The revision of consumers, groups and credentials that the request ran on.
    IdentityRevision: "identity_revision", "number", "always";
    /// The caller's address, as far as proxies in front are trusted.
    Client: "client", "text", "unless redacted";
    /// The address that the connection came from.
    Peer: "peer", "text", "if it is not the caller's, unless `client` is redacted";
    /// The protocol: `HTTP/1.0`, `HTTP/1.1`, `HTTP/2`.
    Protocol: "protocol", "text", "always";
    /// The method.
    Method: "method", "text", "always";
    /// The host that was asked for.
    Host: "host", "text", "if there was one";
    /// The canonical path; of a request that the gate refused, the path as it came. Never the query.
    Path: "path", "text", "unless redacted";
    /// What the caller calls its program.
    UserAgent: "user_agent", "text", "if there was one, unless redacted";
    /// The name of the route.
    Route: "route", "text", "if one was found";
    /// The id of the route, which stays when it is renamed.
    RouteId: "route_id", "text", "if one was found";
    /// The name of the service.
    Service: "service", "text", "if a route was found";
    /// The name of the consumer.
    Consumer: "consumer", "text", "if it was one";
    /// The id of the credential that the caller showed. Never the credential.
    Credential: "credential", "text", "if one was known";
    /// The status that the caller was sent.
    Status: "status", "number", "unless the caller left before";
    /// The code of the reply, where the gateway made it itself: see docs/api/errors.md.
    Code: "code", "text", "if the gateway replied";
    /// Whose turn it is: `downstream`, `upstream` or `gateway`.
    Blame: "blame", "text", "if the gateway replied";
    /// The name of the policy that turned the request away.
    Policy: "policy", "text", "if one did";
    /// The kind of that policy.
    PolicyKind: "policy_kind", "text", "if one did";
    /// The policies in shadow that would have turned the request away, each with the code of its reply: `strict-schema=request_invalid`.
    WouldRefuse: "would_refuse", "text", "if any would have";
    /// How a cache had to do with it: `hit`, `stale`, `revalidated`, `miss` or `bypass`.
    Cache: "cache", "text", "if the route has one";
    /// What rate limits said: `admitted`, `refused` or `undecided`.
    Limit: "limit", "text", "if there were any";
    /// What is left of each limit: an object by the limit's name.
    LimitLeft: "limit_left", "object", "if there were any";
    /// The steps of a composed answer, each with its status, or with why it has none, and with how long it took in milliseconds: `user=200:12, orders=timeout:300`.
    Steps: "steps", "text", "if the answer was composed";
    /// The address of the target that was tried last.
    Target: "target", "text", "if one was tried";
    /// How many targets were tried.
    Tries: "tries", "number", "if any was tried";
    /// From the request's head to the reply's last byte, in microseconds.
    Duration: "duration_us", "number", "always";
    /// How long the policies took with the request's head.
    Policies: "policies_us", "number", "if the route has any";
    /// How long making connections to targets took.
    Connect: "connect_us", "number", "if one was made";
    /// From the request's head to the head of the target's answer.
    FirstByte: "upstream_first_byte_us", "number", "if a target answered";
    /// Bytes of the request's body that went upstream.
    RequestBytes: "request_bytes", "number", "always";
    /// Bytes of the reply's body that the caller's connection took.
    ResponseBytes: "response_bytes", "number", "always";
    /// Whether the reply went out whole.
    Complete: "complete", "true or false", "always";
    /// Why it did not: `caller_left`, `upstream_broke`, or the time-out: `connect`, `first_byte`, `idle`, `request`, `client_body`; `body_broken` and `body_refused` are about the request's body.
    Reason: "reason", "text", "if it is not complete";
}

impl Field {
    /// What may be left out of all lines, as `--access-log-redact` calls it.
    pub const REDACTABLE: [Field; 6] =
        [Field::Client, Field::Host, Field::Path, Field::UserAgent, Field::Consumer, Field::Credential];
}

/// The table of the reference page.
pub fn table() -> String {
    let mut page = String::from("| field | value | there | meaning |\n|---|---|---|---|\n");
    for field in Field::ALL {
        let (kind, when, meaning) = field.told();
        let _ = writeln!(page, "| `{}` | {kind} | {when} |{meaning} |", field.name());
    }
    page
}
