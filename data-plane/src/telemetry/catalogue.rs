//! Every metric of a node, once: the exposition and docs/operations/metrics.md are made of it.

use tidegate_telemetry::families;

families! {
    "Requests" {
        /// Requests that ended, by the class of their status: `2xx`, ..., and `none` for those whose caller left before there was one.
        REQUESTS = Counter "tidegate_requests_total" ["status"];
        /// Requests under way.
        EXCHANGES = Gauge "tidegate_exchanges_active" [];
        /// Bytes of request bodies that went on to upstreams.
        REQUEST_BYTES = Counter "tidegate_request_body_bytes_total" [];
        /// Bytes of reply bodies that went to callers.
        RESPONSE_BYTES = Counter "tidegate_response_body_bytes_total" [];
        /// Replies that the gateway made itself, by code (see docs/api/errors.md) and by whose turn it is: `downstream`, `upstream` or `gateway`.
        REPLIES = Counter "tidegate_gateway_replies_total" ["code", "blame"];
        /// Requests that did not end as they should have, by why; the words are those of `reason` in the access log.
        UNFINISHED = Counter "tidegate_requests_unfinished_total" ["reason"];
        /// Requests that policies turned away, by the kind of the policy.
        REFUSALS = Counter "tidegate_policy_refusals_total" ["kind"];
        /// Refusals of policies in shadow (`mode: shadow`), which did not take place, by the kind of the policy.
        SHADOWED = Counter "tidegate_policy_shadow_refusals_total" ["kind"];
        /// Requests on which rate limits decided: `admitted`, `refused`, or `undecided` where the counters could not be reached and the limit says to refuse then.
        LIMITED = Counter "tidegate_limit_decisions_total" ["outcome"];
    }
    "Kept answers" {
        /// Requests on routes with a cache: `hit` answered with what is kept and fresh, `stale` with what is not, `revalidated` once the API said that it still holds; `miss` went to the API, `bypass` is nothing for a cache.
        CACHE_REQUESTS = Counter "tidegate_cache_requests_total" ["outcome"];
        /// Answers that were fetched anew in the background after a stale one was given out: `fetched`, or `crowded` where too many were under way.
        CACHE_REFRESHES = Counter "tidegate_cache_refreshes_total" ["outcome"];
        /// Requests that waited for another one's answer to the same.
        CACHE_WAITED = Counter "tidegate_cache_waited_total" [];
        /// Requests that fetched by themselves, as too many are waited for.
        CACHE_CROWDED = Counter "tidegate_cache_crowded_total" [];
        /// Answers that were kept.
        CACHE_STORED = Counter "tidegate_cache_stored_total" [];
        /// Keys that were let go of: `evicted` to make room, `purged` on demand or as their target was changed.
        CACHE_REMOVED = Counter "tidegate_cache_removed_total" ["why"];
        /// Answers that were not kept for want of room.
        CACHE_REFUSED = Counter "tidegate_cache_refused_total" [];
        /// Keys under which answers are kept.
        CACHE_ENTRIES = Gauge "tidegate_cache_entries" [];
        /// Memory that kept answers take, in bytes.
        CACHE_BYTES = Gauge "tidegate_cache_bytes" [];
    }
    "Routes and services" {
        /// Requests that ended, by route. A service's are the sum over its routes.
        ROUTE_REQUESTS = Counter "tidegate_route_requests_total" ["route", "service", "status"];
        /// Bytes of request bodies, by route.
        ROUTE_REQUEST_BYTES = Counter "tidegate_route_request_body_bytes_total" ["route", "service"];
        /// Bytes of reply bodies, by route.
        ROUTE_RESPONSE_BYTES = Counter "tidegate_route_response_body_bytes_total" ["route", "service"];
        /// From the head of a request to the last byte of its reply.
        SERVICE_DURATION = Histogram "tidegate_service_request_duration_seconds" ["service"];
        /// From the head of a request to the head of the target's answer: policies, connecting and further tries are in it.
        SERVICE_FIRST_BYTE = Histogram "tidegate_service_first_byte_seconds" ["service"];
    }
    "Composed answers" {
        /// Requests whose answer was composed: `whole`, `partial` where it lacks a step, or `failed`.
        COMPOSED = Counter "tidegate_composed_total" ["outcome"];
        /// Steps of composed answers, by what came of them: `answered`, `skipped`, or why they failed (see docs/guide/aggregation.md).
        COMPOSED_STEPS = Counter "tidegate_composed_steps_total" ["outcome"];
        /// Further attempts of steps.
        COMPOSED_RETRIES = Counter "tidegate_composed_step_retries_total" [];
        /// Requests that shared the composed answer of an identical one under way.
        COALESCED = Counter "tidegate_composed_coalesced_total" [];
    }
    "Upstreams" {
        /// Requests tried at a target. `upstream` is the name of the upstream, or of the service that has a `url` of its own.
        TARGET_ATTEMPTS = Counter "tidegate_target_attempts_total" ["upstream", "target"];
        /// Connections made to a target.
        TARGET_CONNECTIONS = Counter "tidegate_target_connections_total" ["upstream", "target"];
        /// Connections to a target that were refused or did not stand in time.
        TARGET_FAILURES = Counter "tidegate_target_connect_failures_total" ["upstream", "target"];
        /// Connections to a target that wait for a request.
        TARGET_IDLE = Gauge "tidegate_target_connections_idle" ["upstream", "target"];
        /// Connections to all targets that wait for a request.
        UPSTREAM_KEPT = Gauge "tidegate_upstream_connections_kept" [];
    }
    "Callers' connections" {
        /// Connections of callers that were accepted.
        CONNECTIONS = Counter "tidegate_connections_total" [];
        /// Open connections of callers.
        CONNECTIONS_ACTIVE = Gauge "tidegate_connections_active" [];
        /// The same, by worker.
        WORKER_CONNECTIONS = Gauge "tidegate_worker_connections_active" ["worker"];
        /// Tunnels (WebSocket) that were opened.
        TUNNELS = Counter "tidegate_tunnels_total" [];
        /// Connections closed for want of a valid PROXY protocol header from a trusted proxy.
        PROXY_HEADERS_REFUSED = Counter "tidegate_proxy_headers_refused_total" [];
        /// Requests whose way through trusted proxies could not be followed to its beginning.
        FORWARDED_CUT = Counter "tidegate_forwarded_cut_total" [];
        /// Requests whose tracestate was too large to go on.
        TRACESTATE_DROPPED = Counter "tidegate_tracestate_dropped_total" [];
        /// How often a guard acted, by the limit that was met (see docs/operations/limits.md).
        GUARDS = Counter "tidegate_guard_total" ["guard"];
    }
    "Keys of issuers of tokens" {
        /// Fetches of keys: what came was `changed` or `unchanged`, the issuer `failed`, or what it said was `invalid` (no keys, or too much).
        JWKS_FETCHES = Counter "tidegate_jwks_fetches_total" ["outcome"];
        /// Requests whose token was by a key that the node did not have.
        JWKS_MISSES = Counter "tidegate_jwks_misses_total" [];
        /// Those among them that did not wait, as too many waited already (`jwks_waiting_max`).
        JWKS_CROWDED = Counter "tidegate_jwks_crowded_total" [];
        /// Requests that wait for keys.
        JWKS_WAITING = Gauge "tidegate_jwks_waiting" [];
        /// Issuers whose keys are kept.
        JWKS_ISSUERS = Gauge "tidegate_jwks_issuers" [];
        /// Issuers whose keys could not be fetched when they were asked last.
        JWKS_TROUBLE = Gauge "tidegate_jwks_issuers_failing" [];
        /// How long ago the oldest keys were fetched or confirmed, in seconds.
        JWKS_AGE = Gauge "tidegate_jwks_age_max_seconds" [];
    }
    "Counters of rate limits" {
        /// Counters that the node has in mind.
        COUNTERS = Gauge "tidegate_limit_counters" [];
        /// Asks for which there was no room among the counters.
        COUNTERS_REFUSED = Counter "tidegate_limit_counters_refused_total" [];
        /// Whether Redis is asked: 1 while the breaker is closed.
        REDIS_UP = Gauge "tidegate_redis_up" [];
        /// Decisions on limits: made by Redis (`shared`) or without it (`alone`), by outcome.
        REDIS_DECISIONS = Counter "tidegate_redis_decisions_total" ["by", "outcome"];
        /// Decisions that Redis was asked for.
        REDIS_CALLS = Counter "tidegate_redis_calls_total" [];
        /// Calls to Redis that failed (`error`), took longer than the budget (`slow`), or were not made as too many were under way (`crowded`).
        REDIS_TROUBLE = Counter "tidegate_redis_trouble_total" ["kind"];
        /// How often the breaker opened.
        REDIS_OPENED = Counter "tidegate_redis_breaker_opened_total" [];
    }
    "Configuration" {
        /// The revision that is served, by class.
        CONFIG_REVISION = Gauge "tidegate_config_revision" ["class"];
        /// Updates of the configuration, by what became of them: `applied`, `rejected`, `out_of_step`.
        CONFIG_UPDATES = Counter "tidegate_config_updates_total" ["outcome"];
        /// Problems of revisions that the node refused, by class: it serves the last good one.
        CONFIG_REFUSED = Gauge "tidegate_config_refused_problems" ["class"];
        /// Routes, services and policies that could not be built when the node started from disk: what they would serve answers 503.
        CONFIG_CLOSED = Gauge "tidegate_config_closed_at_start" [];
        /// Whether all of the configuration is on disk, to start from without a control plane.
        CONFIG_PERSISTED = Gauge "tidegate_config_persisted" [];
        /// Whether a control plane is connected.
        CONNECTED = Gauge "tidegate_control_plane_connected" [];
        /// When a control plane was last heard, in seconds since 1970: the age of what is served.
        LAST_HEARD = Gauge "tidegate_control_plane_last_heard_timestamp_seconds" [];
        /// Config streams that were opened.
        STREAMS = Counter "tidegate_control_plane_streams_total" [];
    }
    "The node" {
        /// How long each worker's thread was at work: near 1 a second it is full.
        BUSY = Counter "tidegate_worker_busy_seconds_total" ["worker"];
        /// Pieces of long work, by what became of them: `done`, `refused` as the queue was full, `panicked`.
        COMPUTE = Counter "tidegate_compute_pieces_total" ["outcome"];
        /// Pieces of long work that wait for a thread.
        COMPUTE_QUEUED = Gauge "tidegate_compute_queued" [];
        /// Lines that were written to the access log.
        LOG_LINES = Counter "tidegate_access_log_lines_total" [];
        /// Lines of the access log that are lost: `busy` as the sink did not take them in time, `failed` as it could not.
        LOG_DROPPED = Counter "tidegate_access_log_dropped_total" ["reason"];
        /// Memory that the node uses, in bytes, as its memory guard sees it.
        MEMORY = Gauge "tidegate_memory_bytes" [];
        /// Memory that the node may use, in bytes: `--memory-max`, else its control group's or the machine's.
        MEMORY_MAX = Gauge "tidegate_memory_max_bytes" [];
        /// Whether the node is shutting down.
        DRAINING = Gauge "tidegate_draining" [];
    }
}
