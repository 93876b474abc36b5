//! Every metric of a control plane, once: the exposition and docs/operations/metrics.md are made of it.

use tidegate_telemetry::families;

families! {
    "The configuration" {
        /// The last revision of the configuration known here.
        REVISION = Gauge "tidegate_control_plane_revision" [];
        /// Resources of the configuration.
        RESOURCES = Gauge "tidegate_control_plane_resources" ["kind"];
        /// Changes that were asked for, by what became of them: `made`, `unchanged` as all was so already, `repeated`, or the code of the answer.
        COMMITS = Counter "tidegate_control_plane_commits_total" ["outcome"];
        /// From asking for a change to its answer, waiting for its turn and the database included.
        COMMIT_TIME = Histogram "tidegate_control_plane_commit_seconds" [];
    }
    "The database" {
        /// Whether the database answered when it was asked last.
        STORE_UP = Gauge "tidegate_control_plane_store_up" [];
        /// How long the database took: `append` to the log, `read` it, `positions` of nodes read or written.
        STORE_TIME = Histogram "tidegate_control_plane_store_seconds" ["operation"];
        /// Calls to the database that failed.
        STORE_ERRORS = Counter "tidegate_control_plane_store_errors_total" ["operation"];
    }
    "Nodes" {
        /// Enrolled nodes, by how they stand: `current`, `behind`, `rejected`, `silent`.
        NODES = Gauge "tidegate_control_plane_nodes" ["status"];
        /// By how many revisions the node that is heard and lags most is behind.
        NODES_LAG = Gauge "tidegate_control_plane_nodes_lag_revisions" [];
        /// Config streams that end at this control plane.
        STREAMS = Gauge "tidegate_control_plane_streams" [];
        /// Updates that were sent to nodes: `delta` or `snapshot`.
        SENT = Counter "tidegate_control_plane_updates_sent_total" ["kind"];
        /// Bytes of changes that were sent to nodes.
        SENT_BYTES = Counter "tidegate_control_plane_updates_sent_bytes_total" [];
        /// Updates that nodes did not take: `rejected`, or `digest` as what they had was not what it should have been.
        REFUSED = Counter "tidegate_control_plane_updates_refused_total" ["reason"];
    }
    "The admin API" {
        /// Requests to the admin API, by operation and status.
        REQUESTS = Counter "tidegate_admin_requests_total" ["operation", "status"];
        /// How long they took, `?wait` included.
        REQUEST_TIME = Histogram "tidegate_admin_request_seconds" [];
        /// Tokens that were not let in: `unknown`, or `too_many` as too many from there had failed before.
        DENIED = Counter "tidegate_admin_sign_in_failures_total" ["reason"];
    }
}
