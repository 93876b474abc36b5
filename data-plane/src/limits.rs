//! Every default time-out and limit of a node, in one place.
//!
//! The page docs/operations/limits.md is made from this file; a test compares them.

use std::fmt::Write as _;
use std::time::Duration;

/// How exact time-outs are: none fires early, each at most two of these late.
///
/// One sweep looks at all that is under way on a worker, so that a request arms no timer.
pub const TICK: Duration = Duration::from_millis(100);

macro_rules! limits {
    ($( $group:literal { $( $(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr; )+ } )+) => {
        /// Every default time-out and limit of a node.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $($( $(#[doc = $doc])+ pub $name: $type, )+)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Limits { $($( $name: $default, )+)+ }
            }
        }

        impl Limits {
            /// The reference page, in Markdown.
            pub fn page(&self) -> String {
                let mut page = String::from(PAGE_HEAD);
                $(
                    let _ = write!(page, "\n## {}\n\n| name | default | meaning |\n|---|---|---|\n", $group);
                    $( let _ = writeln!(page, "| `{}` | {} |{} |", stringify!($name), self.$name.told(), concat!($($doc),+)); )+
                )+
                page
            }
        }
    };
}

const PAGE_HEAD: &str = "# Time-outs and limits of a node

Every phase of a request has a limit, and every limit has a name. Time-outs are coarse: none fires early, each at most 0.2 s late.
A service may set its own `timeouts` (`connect`, `first_byte`, `idle`, `request`); they go before the defaults here.
`tidegate_guard_total{guard=\"...\"}` counts how often each limit of callers and of the node was met, by its name.
A body has no limit of size: it streams, and is never held whole. Where an API wants one, it is the policy `request-size`, for one route or for all.
";

limits! {
    "Towards callers" {
        /// How long the head of a request may take, from its first byte; on a new connection from the moment it stands. Then the connection is closed.
        client_head: Duration = Duration::from_secs(30);
        /// How long a kept connection may say nothing between two requests. Then it is closed. Balancers keep theirs for 60 s: were this shorter, they would send requests into connections that close.
        client_idle: Duration = Duration::from_secs(75);
        /// How long a caller may pause while it sends a body. Then `408 client_body_timeout`.
        client_body: Duration = Duration::from_secs(30);
        /// How many bytes a second a body must bring on average, once it took longer than `client_body_grace` and as long as no answer has begun. Then `408 client_body_timeout`. 0 is no bound.
        client_body_rate_min: u32 = 64;
        /// How long a body may be slower than that.
        client_body_grace: Duration = Duration::from_secs(60);
        /// How long a caller may take nothing of its reply. Then the exchange is cut.
        client_write: Duration = Duration::from_secs(30);
        /// How long what a caller still sends is read and thrown away after a reply that did not wait for it, so that the reply arrives.
        client_linger: Duration = Duration::from_secs(2);
        /// The largest head of a request: `431`.
        head_bytes_max: usize = 64 << 10;
        /// The most header lines of a request: `431`.
        header_count_max: usize = 100;
        /// The longest path and query: `414 uri_too_long`.
        uri_bytes_max: usize = 8 << 10;
        /// How many requests a connection may carry, so that connections spread anew now and then; the last reply says `Connection: close`, HTTP/2 gets GOAWAY. 0 is no bound.
        client_requests_max: u32 = 100_000;
        /// How old a connection may become; then it ends with the request that is under way. 0 is no bound.
        client_age_max: Duration = Duration::ZERO;
        /// The most connections of a node, and no more than three quarters of the files it may open (`--connections-max`). Some beyond are told `503 overloaded`, more are closed at once.
        connections_max: usize = 65_000;
        /// The most connections from one address (`--connections-per-client-max`), as above. 0 is no bound: a balancer in front is one address.
        connections_per_client_max: usize = 0;
        /// The most requests under way on one worker: `503 overloaded`.
        exchanges_max: usize = 16_000;
        /// How much of a connection's data is held in memory, each way.
        connection_buffer_bytes_max: usize = 128 << 10;
        /// The most requests at a time on one HTTP/2 connection.
        h2_streams_max: u32 = 256;
        /// How much of one HTTP/2 request's body may be under way.
        h2_stream_window_bytes: u32 = 256 << 10;
        /// How much of all bodies of one HTTP/2 connection may be under way.
        h2_connection_window_bytes: u32 = 1 << 20;
        /// How many addresses of the way that trusted proxies tell are followed. Then the last one that was reached counts as the caller.
        forwarded_hops_max: usize = 32;
        /// How often a request may have passed a Tidegate before: `508 loop_detected`.
        own_hops_max: usize = 10;
        /// The largest `tracestate` that goes on; a larger one is dropped.
        tracestate_bytes_max: usize = 2 << 10;
        /// How much of a reply is held for one HTTP/2 stream while its caller takes nothing.
        h2_stream_buffer_bytes_max: usize = 64 << 10;
        /// The most HTTP/2 streams of a connection that were reset before the node looked at them. Then the connection is ended.
        h2_pending_resets_max: usize = 20;
        /// The most HTTP/2 streams of a connection that the node had to reset or refuse for what the caller sent. Then the connection is ended.
        h2_error_resets_max: usize = 1024;
        /// How many HTTP/2 frames that move no request on may come at once: SETTINGS, PING, PRIORITY, WINDOW_UPDATE, CONTINUATION, empty DATA, RST_STREAM; a request given up within a second counts for eight. Then the connection is ended.
        h2_idle_frames_max: u32 = 2048;
        /// How many of them a second are forgiven; each whole reply, and each 4 KiB that the caller takes, forgives eight.
        h2_idle_frames_rate: u32 = 100;
        /// How many accepted connections may wait for a worker that has fewer of them.
        accept_handed_max: usize = 1024;
        /// How many new connections may wait to be accepted, for each worker.
        listen_backlog: u32 = 4096;
    }
    "Towards upstreams" {
        /// Until a connection to a target stands, its name looked up and all of its addresses tried: `504 upstream_timeout_connect`.
        upstream_connect: Duration = Duration::from_secs(5);
        /// From the request's last byte until the head of the answer: `504 upstream_timeout_first_byte`.
        upstream_first_byte: Duration = Duration::from_secs(60);
        /// Between two pieces of a body, either way: `504 upstream_timeout_idle`, or the reply is cut if it is under way.
        upstream_idle: Duration = Duration::from_secs(60);
        /// How many targets are tried when connections are refused: `502 upstream_connect_failed`.
        upstream_connect_tries_max: usize = 3;
        /// The most idle connections kept to one target; each worker keeps its share.
        upstream_kept_max: usize = 1024;
        /// How long an idle connection is kept.
        upstream_kept: Duration = Duration::from_secs(60);
        /// The largest head of an answer: `502 upstream_invalid`.
        answer_head_bytes_max: usize = 64 << 10;
        /// The most header lines of an answer: `502 upstream_invalid`.
        answer_header_count_max: usize = 100;
        /// How much may come before the head of an answer is whole, interim answers (1xx) with it: `502 upstream_invalid`.
        answer_interim_bytes_max: usize = 512 << 10;
        /// The most interim answers (1xx) before an answer in HTTP/2: `502 upstream_invalid`.
        answer_interim_max: usize = 32;
        /// The most requests at a time on one HTTP/2 connection to a target; where the target takes fewer, its own limit holds.
        upstream_h2_streams_max: u32 = 100;
        /// The most HTTP/2 connections to one target; each worker has its share, and one at least. Requests wait for a stream beyond: `504 upstream_timeout_connect`.
        upstream_h2_connections_max: usize = 64;
        /// How much of one HTTP/2 answer's body may be under way. A connection takes that of all its requests.
        upstream_h2_stream_window_bytes: u32 = 128 << 10;
        /// How often a request is sent again that a target has surely not looked at (REFUSED_STREAM, GOAWAY): `502 upstream_reset`.
        upstream_h2_refusals_max: usize = 3;
        /// How long a tunnel (WebSocket) may carry nothing either way. Then it is closed. A service's `timeouts.idle` goes before it.
        tunnel_idle: Duration = Duration::from_secs(300);
    }
    "Callers who prove who they are" {
        /// How many attempts from one address may fail within `auth_failures_window` (`--auth-failures-max`); an IPv6 network of 64 bits is one address. Then no credentials from there are looked at until its end: `429 too_many_failures`. 0 is no bound.
        auth_failures_max: u32 = 100;
        /// The window, from an address's first failure on.
        auth_failures_window: Duration = Duration::from_secs(60);
        /// How many addresses whose attempts failed are kept in mind; beyond, those that failed least are forgotten.
        auth_failure_addresses_max: usize = 65_000;
        /// How many passwords are checked at a time; each takes 19 MiB and about 20 ms.
        password_checks_max: usize = 2;
        /// How many may wait for that. Then the policy can't decide: `503 policy_failed`.
        password_checks_waiting_max: usize = 512;
        /// How many passwords that fitted are remembered, as keyed hashes, by the node and by each worker.
        password_verdicts_max: usize = 16_000;
        /// For how long.
        password_verdict_kept: Duration = Duration::from_secs(300);
        /// Of how many credentials it is kept in mind that they were used, until a control plane knows.
        credentials_used_max: usize = 250_000;
    }
    "Kept answers (policy `cache`)" {
        /// How much memory all kept answers may take; of more, those go that were asked for least lately (`--cache-bytes-max`).
        cache_bytes_max: usize = 128 << 20;
        /// The most keys under which answers are kept.
        cache_entries_max: usize = 100_000;
        /// The most variants (`Vary`) of one answer; the oldest goes.
        cache_variants_max: usize = 16;
        /// How much of bodies that are not whole yet is held to be kept. What comes beyond passes and is not kept.
        cache_held_bytes_max: usize = 64 << 20;
        /// The most answers that are fetched for others to wait for; requests beyond fetch by themselves.
        cache_turns_max: usize = 10_000;
        /// How long a request waits for another one's answer. Then it goes on by itself.
        cache_wait: Duration = Duration::from_secs(10);
        /// How long nobody waits for an answer that turned out not to be for others.
        cache_unshared: Duration = Duration::from_secs(5);
        /// The most answers that one worker fetches anew in the background (`stale-while-revalidate`). What comes beyond stays stale.
        cache_refreshes_max: usize = 64;
    }
    "Towards Redis" {
        /// How long a request waits for the counters of its limits (`--redis-timeout`). Then each limit does as its `on_store_loss` says.
        redis_wait: Duration = Duration::from_millis(20);
    }
    "Towards issuers of tokens" {
        /// Until a connection to an issuer stands, its name looked up and its addresses tried. Then the fetch failed.
        jwks_connect: Duration = Duration::from_secs(5);
        /// How long a fetch of keys may take. Then it failed.
        jwks_fetch: Duration = Duration::from_secs(10);
        /// The largest set of keys. A larger one is not taken; the keys fetched before stay in use.
        jwks_bytes_max: usize = 256 << 10;
        /// How long keys are used before they are fetched again, where the issuer does not say (`Cache-Control: max-age`). They are fetched a little ahead of that.
        jwks_age: Duration = Duration::from_secs(600);
        /// No sooner than that, whatever the issuer says.
        jwks_age_min: Duration = Duration::from_secs(60);
        /// No later than that, so that a key that was withdrawn goes.
        jwks_age_max: Duration = Duration::from_secs(3600);
        /// How long keys stay in use while they can't be fetched again. Then tokens meet `503 policy_failed`.
        jwks_stale: Duration = Duration::from_secs(24 * 3600);
        /// After one fetch, how long no token by an unknown key makes another.
        jwks_miss_pause: Duration = Duration::from_secs(5);
        /// How long a request waits for keys: while there are none yet, and when its token is by an unknown key.
        jwks_wait: Duration = Duration::from_secs(7);
        /// How many requests may wait for keys. Those beyond are answered at once, as if there were none.
        jwks_waiting_max: usize = 1000;
        /// Before the second attempt after a failure, about; doubles with each.
        jwks_backoff: Duration = Duration::from_secs(1);
        /// Before any attempt, about.
        jwks_backoff_max: Duration = Duration::from_secs(20);
        /// How long keys are kept fresh that no policy uses any more.
        jwks_unused: Duration = Duration::from_secs(600);
    }
    "The node" {
        /// How long a node that was told to stop goes on accepting (`--drain-delay`), with its readiness at 503, so that balancers notice.
        drain_delay: Duration = Duration::ZERO;
        /// How long a connection that waits for a request is left open once the node accepts no more, so that a request on its way is served.
        drain_idle: Duration = Duration::from_secs(1);
        /// How long requests under way may take to end once it accepts no more.
        drain_timeout: Duration = Duration::from_secs(30);
        /// How much memory the node may use (`--memory-max`). 0 is what its control group may, else what the machine has.
        memory_max: usize = 0;
        /// From this part of it on, in percent, requests and new connections are told `503 overloaded` and idle connections are closed.
        memory_high: u32 = 92;
        /// Below this part of it, in percent, all is as before.
        memory_low: u32 = 88;
        /// How long a process that takes over from another (`--handover`) may take until it can serve. Then it ends, and the other goes on.
        handover_ready: Duration = Duration::from_secs(30);
    }
    "Metrics and the access log" {
        /// The most routes that have series of their own; the rest is summed as `_other`.
        metric_routes_max: usize = 20_000;
        /// The most services that have histograms of their own; the rest is summed as `_other`.
        metric_services_max: usize = 1_000;
        /// The most targets that have series of their own; the rest is summed as `_other`.
        metric_targets_max: usize = 5_000;
        /// How long what was deleted is still told, so that its last numbers are seen.
        metric_kept: Duration = Duration::from_secs(600);
        /// So much of the access log is handed over at a time, by each worker.
        access_log_batch_bytes: usize = 32 << 10;
        /// How many such batches may wait for the sink. The lines of what comes then are lost: `tidegate_access_log_dropped_total`.
        access_log_batches_max: usize = 128;
        /// The most of a text in the access log: host, path, user agent. What is longer is cut and ends in `…`.
        access_log_text_bytes_max: usize = 1024;
    }
}

/// How a value reads in the page.
trait Told {
    fn told(&self) -> String;
}

impl Told for Duration {
    fn told(&self) -> String {
        format!("{} s", self.as_secs_f64())
    }
}

impl Told for u32 {
    fn told(&self) -> String {
        (*self as usize).told()
    }
}

impl Told for usize {
    fn told(&self) -> String {
        match *self {
            n if n >= 1 << 20 && n.is_multiple_of(1 << 20) => format!("{} MiB", n >> 20),
            n if n > 4096 && n.is_multiple_of(1 << 10) => format!("{} KiB", n >> 10),
            n => n.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_the_code_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations/limits.md");
        let page = Limits::default().page();
        if std::env::var_os("TIDEGATE_WRITE_DOCS").is_some() {
            std::fs::write(path, &page).expect("the page can be written");
        }
        let told = std::fs::read_to_string(path).expect("the page is there");
        assert_eq!(told, page, "write it anew: TIDEGATE_WRITE_DOCS=1 cargo test -p tidegate-data-plane limits");
    }
}
