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
";

limits! {
    "Towards callers" {
        /// How long the head of a request may take, from its first byte; on a new connection from the moment it stands. Then the connection is closed.
        client_head: Duration = Duration::from_secs(30);
        /// How long a kept connection may say nothing between two requests. Then it is closed.
        client_idle: Duration = Duration::from_secs(75);
        /// How long a caller may pause while it sends a body. Then `408 client_body_timeout`.
        client_body: Duration = Duration::from_secs(30);
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
        /// How much of a connection's data is held in memory, each way.
        connection_buffer_bytes_max: usize = 128 << 10;
        /// The most requests at a time on one HTTP/2 connection.
        h2_streams_max: u32 = 256;
        /// How much of one HTTP/2 request's body may be under way.
        h2_stream_window_bytes: u32 = 256 << 10;
        /// How much of all bodies of one HTTP/2 connection may be under way.
        h2_connection_window_bytes: u32 = 1 << 20;
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
    }
    "Towards Redis" {
        /// How long a request waits for the counters of its limits (`--redis-timeout`). Then each limit does as its `on_store_loss` says.
        redis_wait: Duration = Duration::from_millis(20);
    }
    "The node" {
        /// How long a node that was told to stop goes on accepting (`--drain-delay`), with its readiness at 503, so that balancers notice.
        drain_delay: Duration = Duration::ZERO;
        /// How long requests under way may take to end once it accepts no more.
        drain_timeout: Duration = Duration::from_secs(30);
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
