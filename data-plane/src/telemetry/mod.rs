//! What a node counts: each worker in cells of its own, summed when somebody looks.

mod guards;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use tidegate_snapshot::Revisions;

pub use guards::{GUARDS, Guard};

/// A number that one thread writes and any may read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds; by the one thread that writes.
    pub fn add(&self, n: u64) {
        self.set(self.get().wrapping_add(n));
    }

    /// Sets; by the one thread that writes.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker counts. On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Cells {
    /// Requests by the class of their status, at index status / 100; at 0 those that got none.
    pub requests: [Count; 6],
    /// Replies that the gateway made itself, by whose turn it is: caller, upstream, gateway.
    pub replies: [Count; 3],
    /// Upstream errors, in the order of [`UPSTREAM_ERRORS`].
    pub upstream_errors: [Count; UPSTREAM_ERRORS.len()],
    /// Replies that were cut before their end.
    pub cut: Count,
    /// Connections of callers that were accepted.
    pub connections: Count,
    /// Connections that were closed because they did not begin with a PROXY protocol header, or not from a trusted proxy.
    pub proxy_headers_refused: Count,
    /// Requests whose way through trusted proxies was too long or could not be read.
    pub forwarded_cut: Count,
    /// Requests whose `tracestate` was too large to go on.
    pub tracestate_dropped: Count,
    /// Connections of callers.
    pub connections_active: Count,
    /// Exchanges under way.
    pub exchanges_active: Count,
    /// Connections to targets that wait for a request.
    pub upstream_kept: Count,
    /// Tunnels that were opened.
    pub tunnels: Count,
    /// Bytes of bodies towards upstreams.
    pub request_bytes: Count,
    /// Bytes of bodies towards callers.
    pub response_bytes: Count,
    /// How often each [`Guard`] acted.
    pub guards: [Count; GUARDS],
}

/// The codes that count as upstream errors.
pub const UPSTREAM_ERRORS: [&str; 9] = [
    "no_target",
    "upstream_connect_failed",
    "upstream_reset",
    "upstream_invalid",
    "upstream_too_large",
    "upstream_timeout_connect",
    "upstream_timeout_first_byte",
    "upstream_timeout_idle",
    "upstream_timeout_request",
];

impl Cells {
    /// A guard acted.
    pub(crate) fn guarded(&self, guard: Guard) {
        self.guards[guard as usize].add(1);
    }

    /// A request got its status.
    pub(crate) fn answered(&self, status: StatusCode) {
        self.requests[usize::from(status.as_u16() / 100).min(5)].add(1);
    }

    /// The gateway replied with a code.
    pub(crate) fn replied(&self, blame: tidegate_policy::Blame, code: &str) {
        self.replies[blame as usize].add(1);
        if let Some(index) = UPSTREAM_ERRORS.iter().position(|known| *known == code) {
            self.upstream_errors[index].add(1);
        }
    }
}

/// A metric without labels: its name, type, help, and how it is read from a worker's cells.
type Plain<'a> = (&'a str, &'a str, &'a str, &'a dyn Fn(&Cells) -> u64);

/// What all workers counted, in the text format of Prometheus.
pub fn exposition(workers: &[Arc<Cells>], revisions: Revisions, connected: bool) -> String {
    let mut out = Exposition(String::with_capacity(4096));
    let sum = |of: &dyn Fn(&Cells) -> u64| workers.iter().map(|cells| of(cells)).sum::<u64>();

    out.head("tidegate_requests_total", "counter", "Requests by the class of their status.");
    for (class, name) in ["none", "1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().enumerate() {
        out.line("tidegate_requests_total", &[("status", name)], sum(&|c| c.requests[class].get()));
    }
    out.head("tidegate_replies_total", "counter", "Replies that the gateway made itself, by whose turn it is.");
    for (blame, name) in ["downstream", "upstream", "gateway"].into_iter().enumerate() {
        out.line("tidegate_replies_total", &[("blame", name)], sum(&|c| c.replies[blame].get()));
    }
    out.head("tidegate_upstream_errors_total", "counter", "Requests that an upstream did not answer, by code.");
    for (index, code) in UPSTREAM_ERRORS.into_iter().enumerate() {
        out.line("tidegate_upstream_errors_total", &[("code", code)], sum(&|c| c.upstream_errors[index].get()));
    }
    let plain: [Plain<'_>; 11] = [
        ("tidegate_replies_cut_total", "counter", "Replies that ended before their end.", &|c| c.cut.get()),
        ("tidegate_connections_total", "counter", "Connections of callers.", &|c| c.connections.get()),
        (
            "tidegate_proxy_headers_refused_total",
            "counter",
            "Connections closed for want of a valid PROXY protocol header from a trusted proxy.",
            &|c| c.proxy_headers_refused.get(),
        ),
        (
            "tidegate_forwarded_cut_total",
            "counter",
            "Requests whose way through trusted proxies could not be followed to its beginning.",
            &|c| c.forwarded_cut.get(),
        ),
        ("tidegate_tracestate_dropped_total", "counter", "Requests whose tracestate was too large to go on.", &|c| {
            c.tracestate_dropped.get()
        }),
        ("tidegate_connections_active", "gauge", "Open connections of callers.", &|c| c.connections_active.get()),
        ("tidegate_exchanges_active", "gauge", "Requests under way.", &|c| c.exchanges_active.get()),
        ("tidegate_tunnels_total", "counter", "Tunnels (WebSocket) that were opened.", &|c| c.tunnels.get()),
        ("tidegate_upstream_connections_kept", "gauge", "Idle connections to targets.", &|c| c.upstream_kept.get()),
        ("tidegate_request_body_bytes_total", "counter", "Bytes of bodies to upstreams.", &|c| c.request_bytes.get()),
        ("tidegate_response_body_bytes_total", "counter", "Bytes of bodies to callers.", &|c| c.response_bytes.get()),
    ];
    for (name, kind, help, of) in plain {
        out.head(name, kind, help);
        out.line(name, &[], sum(of));
    }
    guards::expose(&mut out, workers);
    out.head("tidegate_config_revision", "gauge", "The revision that is served, by class.");
    out.line("tidegate_config_revision", &[("class", "identity")], revisions.identity);
    out.line("tidegate_config_revision", &[("class", "traffic")], revisions.traffic);
    out.head("tidegate_control_plane_connected", "gauge", "Whether the config stream stands.");
    out.line("tidegate_control_plane_connected", &[], u64::from(connected));
    out.0
}

struct Exposition(String);

impl Exposition {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{}}} {value}", labels.join(","))
        };
    }
}
