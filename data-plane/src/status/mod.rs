//! What a node says of itself: `/livez`, `/readyz`, `/metrics`, `/status`. On its own listener and threads, so that looking
//! never slows traffic.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tidegate_snapshot::Live;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::config_sync::SyncStatus;
use crate::ports::ComputePool;
use crate::ports::counters::NodeCounters;
use crate::pressure::Pressure;
use crate::telemetry::{Cells, exposition};

/// What there is to tell.
pub(crate) struct Page {
    pub(crate) live: Arc<Live>,
    pub(crate) sync: watch::Receiver<SyncStatus>,
    pub(crate) cells: Vec<Arc<Cells>>,
    pub(crate) counters: NodeCounters,
    pub(crate) compute: Arc<ComputePool>,
    pub(crate) pressure: Arc<Pressure>,
    pub(crate) draining: AtomicBool,
}

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 64;

/// How long a request's head may take, and a kept connection may say nothing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// Serves the page until told to stop.
pub(crate) async fn serve(listener: std::net::TcpListener, page: Arc<Page>, stop: CancellationToken) {
    let listener = match listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener)) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "the status page can't be served: {error}"),
    };
    let (room, connections) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), TaskTracker::new());
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "a connection to the status page was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(Ok(place)) = stop.run_until_cancelled(room.clone().acquire_owned()).await else { break };
        let (page, stop) = (page.clone(), stop.clone());
        connections.spawn(async move {
            let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(page.answer(&request))));
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            // whoever looks is not waited for at the end: a look is short
            let _ = stop.run_until_cancelled(http.serve_connection(TokioIo::new(stream), service)).await;
            drop(place);
        });
    }
    connections.close();
    connections.wait().await;
}

impl Page {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n".into());
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match request.uri().path() {
            "/livez" => text(StatusCode::OK, "text/plain", "live\n".into()),
            "/readyz" => match self.unready() {
                None => text(StatusCode::OK, "text/plain", "ready\n".into()),
                Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{why}\n")),
            },
            "/metrics" => text(StatusCode::OK, "text/plain; version=0.0.4", self.metrics()),
            "/status" => text(StatusCode::OK, "application/json", self.status()),
            _ => text(StatusCode::NOT_FOUND, "text/plain", "there are /livez, /readyz, /metrics and /status\n".into()),
        }
    }

    /// Why no balancer should send anything here.
    fn unready(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Relaxed) {
            Some("draining")
        } else if !self.sync.borrow().ready {
            Some("no configuration yet")
        } else {
            None
        }
    }

    fn metrics(&self) -> String {
        let connected = self.sync.borrow().connected;
        exposition(&self.cells, self.live.current().revisions(), connected)
    }

    fn status(&self) -> String {
        let sync = self.sync.borrow().clone();
        let mut status = json!(sync);
        status["version"] = json!(env!("CARGO_PKG_VERSION"));
        status["workers"] = json!(self.cells.len());
        let connections: Vec<u64> = self.cells.iter().map(|cells| cells.connections_active.get()).collect();
        status["connections"] = json!(connections);
        status["memory"] = self.pressure.status();
        status["draining"] = json!(self.draining.load(Ordering::Relaxed));
        status["counters"] = json!(self.counters.status());
        status["compute"] = json!(self.compute.status());
        format!("{status:#}\n")
    }
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
