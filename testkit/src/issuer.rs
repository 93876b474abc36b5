//! An issuer's key set at a URL: a real HTTP/1.1 server that answers as it is told, and counts how often it is asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What it answers from now on.
#[derive(Debug, Clone)]
pub struct Says {
    /// With this status.
    pub status: StatusCode,
    /// These headers.
    pub headers: HeaderMap,
    /// This body.
    pub body: Bytes,
    /// After so long.
    pub after: Duration,
}

impl Says {
    /// A document, at once.
    pub fn document(body: impl Into<Bytes>) -> Says {
        Says { status: StatusCode::OK, headers: HeaderMap::new(), body: body.into(), after: Duration::ZERO }
    }
}

/// The server. It is gone, connections and all, once this is dropped.
pub struct Issuer {
    at: SocketAddr,
    told: Arc<Told>,
    _stop: DropGuard,
}

struct Told {
    says: Mutex<Says>,
    asked: AtomicU64,
}

impl Issuer {
    /// Starts one on a port of its own.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn start(says: Says) -> Result<Issuer> {
        Self::start_at(([127, 0, 0, 1], 0).into(), says).await
    }

    /// Starts one at an address, such as that of one that is gone.
    ///
    /// # Errors
    /// If the address is taken.
    pub async fn start_at(at: SocketAddr, says: Says) -> Result<Issuer> {
        let listener = TcpListener::bind(at).await?;
        let at = listener.local_addr()?;
        let told = Arc::new(Told { says: Mutex::new(says), asked: AtomicU64::new(0) });
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(serve(listener, told.clone())));
        Ok(Issuer { at, told, _stop: stop.drop_guard() })
    }

    /// Its address.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Where its keys are.
    pub fn url(&self) -> String {
        format!("http://{}/keys?v=1", self.at)
    }

    /// What it answers from now on.
    pub fn say(&self, says: Says) {
        *self.told.says.lock() = says;
    }

    /// How often it was asked.
    pub fn asked(&self) -> u64 {
        self.told.asked.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, told: Arc<Told>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let told = told.clone();
        connections.spawn(async move {
            let answer = service_fn(move |request| answer(told.clone(), request));
            // how a connection ends is its caller's to tell
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(told: Arc<Told>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    told.asked.fetch_add(1, Ordering::Relaxed);
    let says = told.says.lock().clone();
    tokio::time::sleep(says.after).await;
    let held = |name: &str| request.headers().get(name).cloned();
    let mut response = Response::new(Full::new(says.body));
    *response.status_mut() = says.status;
    *response.headers_mut() = says.headers;
    if held("if-none-match").is_some_and(|tag| response.headers().get("etag") == Some(&tag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Full::default();
    }
    Ok(response)
}
