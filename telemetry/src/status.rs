//! Serves what a process says of itself, on a listener of its own, so that looking never slows what it does.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 64;

/// How long a request's head may take, and a kept connection may say nothing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// What there is to see.
pub trait Pages: Send + Sync + 'static {
    /// The page at a path.
    fn page<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Page>;
}

/// A page.
#[derive(Debug)]
pub struct Page {
    status: StatusCode,
    kind: &'static str,
    text: String,
}

impl Page {
    /// Of a type.
    pub fn new(kind: &'static str, text: impl Into<String>) -> Page {
        Page { status: StatusCode::OK, kind, text: text.into() }
    }

    /// Words, in a line.
    pub fn line(text: &str) -> Page {
        Page::new("text/plain", format!("{text}\n"))
    }

    /// With another status than 200.
    #[must_use]
    pub fn status(self, status: StatusCode) -> Page {
        Page { status, ..self }
    }
}

/// Serves the pages until told to stop.
pub async fn serve(listener: std::net::TcpListener, pages: Arc<dyn Pages>, stop: CancellationToken) {
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
        let (pages, stop) = (pages.clone(), stop.clone());
        connections.spawn(async move {
            let service = service_fn(|request| answer(&*pages, request));
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

async fn answer(pages: &dyn Pages, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = response(Page::line("GET only").status(StatusCode::METHOD_NOT_ALLOWED));
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(refused);
    }
    Ok(response(pages.page(request.uri().path()).await))
}

fn response(page: Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(page.text));
    *response.status_mut() = page.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(page.kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
