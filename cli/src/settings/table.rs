//! Every setting of every server, once.

use super::form::Form;
use super::{Fallback, Group, Setting, Verb};

use Fallback::{Beside, Cpus, Fixed, Hostname, Required, Unset};
use Group::{Cluster, Data, Listeners, Process};
use Verb::{ControlPlane, DataPlane, Standalone};

const ALL: &[Verb] = &[Standalone, ControlPlane, DataPlane];
const WITH_PROXY: &[Verb] = &[Standalone, DataPlane];
const WITH_ADMIN: &[Verb] = &[Standalone, ControlPlane];

pub(crate) static PROXY_LISTEN: Setting = Setting {
    name: "proxy-listen",
    value: "ADDRESS",
    verbs: WITH_PROXY,
    group: Listeners,
    form: Form::Address,
    fallback: Fixed("0.0.0.0:8000"),
    help: "Where callers reach the APIs behind the gateway",
};

pub(crate) static PROXY_PROTOCOL: Setting = Setting {
    name: "proxy-protocol",
    value: "WHEN",
    verbs: WITH_PROXY,
    group: Listeners,
    form: Form::OneOf(&["off", "require"]),
    fallback: Fixed("off"),
    help: "require: every connection to --proxy-listen begins with a PROXY protocol header (version 1 or 2), else it is closed. \
           Let callers reach the port through the balancer only, or name the balancer by --trusted-proxies",
};

pub(crate) static TRUSTED_PROXIES: Setting = Setting {
    name: "trusted-proxies",
    value: "NETWORK",
    verbs: WITH_PROXY,
    group: Listeners,
    form: Form::Networks,
    fallback: Unset("none"),
    help: "Proxies in front that are believed when they say who the caller is: 10.0.0.0/8, 192.0.2.7. Repeat it or separate by commas",
};

pub(crate) static TRUSTED_HEADERS: Setting = Setting {
    name: "trusted-headers",
    value: "FAMILY",
    verbs: WITH_PROXY,
    group: Listeners,
    form: Form::OneOf(&["x-forwarded", "forwarded"]),
    fallback: Fixed("x-forwarded"),
    help: "How trusted proxies say it: by X-Forwarded-For, -Proto, -Host and -Port, or by Forwarded (RFC 7239). The other is never believed",
};

pub(crate) static TRACE_CONTEXT: Setting = Setting {
    name: "trace-context",
    value: "WHETHER",
    verbs: WITH_PROXY,
    group: Process,
    form: Form::OneOf(&["on", "off"]),
    fallback: Fixed("on"),
    help: "on: the node is a hop in W3C traces, and begins one where none comes. off: traceparent and tracestate pass as they come",
};

pub(crate) static ADMIN_LISTEN: Setting = Setting {
    name: "admin-listen",
    value: "ADDRESS",
    verbs: WITH_ADMIN,
    group: Listeners,
    form: Form::Address,
    fallback: Fixed("127.0.0.1:8001"),
    help: "Admin API and web admin. Anywhere but on loopback it speaks TLS only: with --admin-tls-cert, or with a certificate made for it",
};

pub(crate) static STREAM_LISTEN: Setting = Setting {
    name: "stream-listen",
    value: "ADDRESS",
    verbs: &[ControlPlane],
    group: Listeners,
    form: Form::Address,
    fallback: Fixed("127.0.0.1:8005"),
    help: "Where nodes join and receive the configuration (gRPC, mutual TLS)",
};

pub(crate) static STATUS_LISTEN: Setting = Setting {
    name: "status-listen",
    value: "ADDRESS",
    verbs: WITH_PROXY,
    group: Listeners,
    form: Form::Address,
    fallback: Fixed("127.0.0.1:8100"),
    help: "The node's /livez, /readyz, /metrics and /status",
};

pub(crate) static CONTROL_STATUS_LISTEN: Setting = Setting {
    name: "status-listen",
    value: "ADDRESS",
    verbs: &[ControlPlane],
    group: Listeners,
    form: Form::Address,
    fallback: Fixed("127.0.0.1:8101"),
    help: "The control plane's /livez, /readyz and /metrics",
};

pub(crate) static ADMIN_TLS_CERT: Setting = Setting {
    name: "admin-tls-cert",
    value: "FILE",
    verbs: WITH_ADMIN,
    group: Listeners,
    form: Form::Path,
    fallback: Unset("plain on loopback, else made at the first start"),
    help: "Certificate chain of the admin listener, PEM. Goes with --admin-tls-key",
};

pub(crate) static ADMIN_TLS_KEY: Setting = Setting {
    name: "admin-tls-key",
    value: "FILE",
    verbs: WITH_ADMIN,
    group: Listeners,
    form: Form::Path,
    fallback: Unset("none"),
    help: "Private key of that certificate, PEM",
};

pub(crate) static DATA_DIR: Setting = Setting {
    name: "data-dir",
    value: "DIR",
    verbs: ALL,
    group: Data,
    form: Form::Path,
    fallback: Fixed("./data"),
    help: "What must survive a restart. Made if it is missing, readable by its owner only; one process at a time",
};

pub(crate) static DATABASE_URL: Setting = Setting {
    name: "database-url",
    value: "URL",
    verbs: &[ControlPlane],
    group: Data,
    form: Form::Url(&["postgres", "postgresql", "sqlite"]),
    fallback: Required,
    help: "The database that all control planes share: postgres://user:password@host/database. Other users of the machine \
           can read a command line: give a password by environment or file",
};

pub(crate) static SECRET_KEY_FILE: Setting = Setting {
    name: "secret-key-file",
    value: "FILE",
    verbs: WITH_ADMIN,
    group: Data,
    form: Form::Path,
    fallback: Beside("secret-key"),
    help: "Seals the secrets in the database; made if it is missing. All control planes of a cluster need the same. Keep a copy",
};

pub(crate) static OPERATOR_TOKEN_FILE: Setting = Setting {
    name: "operator-token-file",
    value: "FILE",
    verbs: WITH_ADMIN,
    group: Data,
    form: Form::Path,
    fallback: Beside("operator-token"),
    help: "Where the first operator's token is written, for you to sign in with",
};

pub(crate) static JOIN_TOKEN_OUT: Setting = Setting {
    name: "join-token-file",
    value: "FILE",
    verbs: &[ControlPlane],
    group: Cluster,
    form: Form::Path,
    fallback: Beside("join-token"),
    help: "Where the first join token is written, for nodes to join with",
};

pub(crate) static CONTROL_PLANE: Setting = Setting {
    name: "control-plane",
    value: "URL",
    verbs: &[DataPlane],
    group: Cluster,
    form: Form::Endpoints,
    fallback: Required,
    help: "Config stream of a control plane: https://host:8005. Repeat it or separate by commas: any one of them will do",
};

pub(crate) static JOIN_TOKEN_IN: Setting = Setting {
    name: "join-token-file",
    value: "FILE",
    verbs: &[DataPlane],
    group: Cluster,
    form: Form::Path,
    fallback: Unset("none"),
    help: "The token to join with. Needed until the node has joined; from then on its certificate in --data-dir does",
};

pub(crate) static REDIS_URL: Setting = Setting {
    name: "redis-url",
    value: "URL",
    verbs: &[DataPlane],
    group: Cluster,
    form: Form::Url(&["redis", "rediss"]),
    fallback: Unset("each node counts for itself"),
    help: "Where the nodes share the counters of rate limits: redis://host:6379, rediss:// for TLS",
};

pub(crate) static REDIS_TIMEOUT: Setting = Setting {
    name: "redis-timeout",
    value: "DURATION",
    verbs: &[DataPlane],
    group: Cluster,
    form: Form::Duration,
    fallback: Fixed("20ms"),
    help: "How long a request waits for Redis at most; after that each rate limit does as its on_store_loss says",
};

pub(crate) static DRAIN_DELAY: Setting = Setting {
    name: "drain-delay",
    value: "DURATION",
    verbs: WITH_PROXY,
    group: Process,
    form: Form::Duration,
    fallback: Fixed("0s"),
    help: "How long the node goes on accepting after SIGTERM, with /readyz at 503, so that a balancer notices",
};

/// A node drains within the time that all parts of a server have to stop.
pub(super) const DRAIN_TIMEOUT_MAX: std::time::Duration = std::time::Duration::from_secs(40);

pub(crate) static DRAIN_TIMEOUT: Setting = Setting {
    name: "drain-timeout",
    value: "DURATION",
    verbs: WITH_PROXY,
    group: Process,
    form: Form::Duration,
    fallback: Fixed("30s"),
    help: "How long requests under way may take to end once the node accepts no more; 40s at most",
};

pub(crate) static HANDOVER: Setting = Setting {
    name: "handover",
    value: "BOOLEAN",
    verbs: &[DataPlane],
    group: Process,
    form: Form::Switch,
    fallback: Fixed("false"),
    help: "If another process uses --data-dir, take its listening sockets and its place: no connection is refused or lost. \
           It ends once this one serves. Without another this is a start like any",
};

pub(crate) static CONNECTIONS_MAX: Setting = Setting {
    name: "connections-max",
    value: "COUNT",
    verbs: WITH_PROXY,
    group: Process,
    form: Form::Count { max: 10_000_000 },
    fallback: Fixed("65000"),
    help: "The most connections of callers, and never more than three quarters of the files that the process may open. More are told 503",
};

pub(crate) static CONNECTIONS_PER_CLIENT_MAX: Setting = Setting {
    name: "connections-per-client-max",
    value: "COUNT",
    verbs: WITH_PROXY,
    group: Process,
    form: Form::CountOrZero { max: 10_000_000 },
    fallback: Fixed("0"),
    help: "The most connections from one address; 0 is any number. A balancer in front is one address",
};

pub(crate) static AUTH_FAILURES_MAX: Setting = Setting {
    name: "auth-failures-max",
    value: "COUNT",
    verbs: WITH_PROXY,
    group: Process,
    form: Form::CountOrZero { max: 1_000_000 },
    fallback: Fixed("100"),
    help: "How many attempts to sign in from one address may fail in a minute; then none is looked at for its rest. 0 is any number",
};

pub(crate) static MEMORY_MAX: Setting = Setting {
    name: "memory-max",
    value: "SIZE",
    verbs: WITH_PROXY,
    group: Process,
    form: Form::Size,
    fallback: Unset("what the control group allows, else what the machine has"),
    help: "How much memory the process may use: near it, requests are told 503 until there is room again",
};

pub(crate) static CACHE_BYTES_MAX: Setting = Setting {
    name: "cache-bytes-max",
    value: "SIZE",
    verbs: WITH_PROXY,
    group: Process,
    form: Form::Size,
    fallback: Unset("128MiB"),
    help: "How much memory the answers may take that policies of kind `cache` keep; of more, those go that were asked for least lately",
};

pub(crate) static NAME: Setting = Setting {
    name: "name",
    value: "NAME",
    verbs: &[DataPlane],
    group: Cluster,
    form: Form::Name,
    fallback: Hostname,
    help: "This node's name in the fleet",
};

pub(crate) static LABEL: Setting = Setting {
    name: "label",
    value: "KEY=VALUE",
    verbs: &[DataPlane],
    group: Cluster,
    form: Form::Labels,
    fallback: Unset("none"),
    help: "Something to find this node by, such as zone=eu-1. Repeat it or separate by commas; a map in the file",
};

pub(crate) static WORKERS: Setting = Setting {
    name: "workers",
    value: "COUNT",
    verbs: WITH_PROXY,
    group: Process,
    form: Form::Count { max: 1024 },
    fallback: Cpus,
    help: "Threads that carry traffic",
};

pub(crate) static LOG_LEVEL: Setting = Setting {
    name: "log-level",
    value: "LEVEL",
    verbs: ALL,
    group: Process,
    form: Form::Level,
    fallback: Fixed("info"),
    help: "off, error, warn, info, debug or trace; also per target: info,hyper=debug. Signal USR1 turns a running server to debug, USR2 back; see also `tidegate log-level`",
};

pub(crate) static LOG_FORMAT: Setting = Setting {
    name: "log-format",
    value: "FORMAT",
    verbs: ALL,
    group: Process,
    form: Form::OneOf(&["text", "json"]),
    fallback: Fixed("text"),
    help: "text for people, json for machines; to standard error",
};

pub(crate) static ACCESS_LOG: Setting = Setting {
    name: "access-log",
    value: "off|stdout|FILE",
    verbs: WITH_PROXY,
    group: Process,
    form: Form::LogTarget,
    fallback: Fixed("off"),
    help: "A line of JSON for each request. Signal HUP opens the file anew; what its sink does not take in time is lost and counted",
};

pub(crate) static ACCESS_LOG_SAMPLE: Setting = Setting {
    name: "access-log-sample",
    value: "SHARE",
    verbs: WITH_PROXY,
    group: Process,
    form: Form::Share,
    fallback: Fixed("1"),
    help: "The share of requests that have a line, such as 0.01. Those that failed always have",
};

/// The fields of a line that may be left out. The names are those of the lines; a test compares.
pub(crate) const REDACTABLE: &[&str] = &["client", "host", "path", "user_agent", "consumer", "credential"];

pub(crate) static ACCESS_LOG_REDACT: Setting = Setting {
    name: "access-log-redact",
    value: "FIELD",
    verbs: WITH_PROXY,
    group: Process,
    form: Form::SomeOf(REDACTABLE),
    fallback: Unset("none"),
    help: "What is left out of all lines: any of client, host, path, user_agent, consumer, credential. Repeat it or separate by commas",
};

/// In the order in which help shows them.
pub(super) static SETTINGS: &[&Setting] = &[
    &PROXY_LISTEN,
    &PROXY_PROTOCOL,
    &TRUSTED_PROXIES,
    &TRUSTED_HEADERS,
    &ADMIN_LISTEN,
    &STREAM_LISTEN,
    &STATUS_LISTEN,
    &CONTROL_STATUS_LISTEN,
    &ADMIN_TLS_CERT,
    &ADMIN_TLS_KEY,
    &DATA_DIR,
    &DATABASE_URL,
    &SECRET_KEY_FILE,
    &OPERATOR_TOKEN_FILE,
    &CONTROL_PLANE,
    &JOIN_TOKEN_OUT,
    &JOIN_TOKEN_IN,
    &REDIS_URL,
    &REDIS_TIMEOUT,
    &NAME,
    &LABEL,
    &WORKERS,
    &DRAIN_DELAY,
    &TRACE_CONTEXT,
    &DRAIN_TIMEOUT,
    &HANDOVER,
    &CONNECTIONS_MAX,
    &CONNECTIONS_PER_CLIENT_MAX,
    &AUTH_FAILURES_MAX,
    &MEMORY_MAX,
    &CACHE_BYTES_MAX,
    &LOG_LEVEL,
    &LOG_FORMAT,
    &ACCESS_LOG,
    &ACCESS_LOG_SAMPLE,
    &ACCESS_LOG_REDACT,
];

/// Names that mean something, but not in this version: said with the reason, so that nobody believes them in force.
pub(super) static NOT_YET: &[(&str, &str)] = &[(
    "proxy-tls-listen",
    "TLS on the proxy comes with certificates, which this version does not have; until then let something in front of --proxy-listen end TLS",
)];
