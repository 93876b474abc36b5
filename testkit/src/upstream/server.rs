//! The server itself, on a thread of its own, so that a busy or paused test runtime never slows it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use super::knobs::{Knobs, Shape};

/// How many requests are remembered in full.
const SEEN_MAX: usize = 10_000;
/// The largest piece of a long body.
const PIECE: usize = 64 * 1024;
const TICK: Duration = Duration::from_millis(20);

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A request as it reached the upstream.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET`, ...
    pub method: String,
    /// The path and query, as on the wire.
    pub target: String,
    /// All header lines.
    pub headers: HeaderMap,
    /// What the body held, without its framing.
    pub body_bytes: usize,
}

/// A running sample upstream; it ends with its owner.
pub struct Upstream {
    name: String,
    address: SocketAddr,
    state: Arc<State>,
    running: Option<Running>,
}

struct Running {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

struct State {
    name: String,
    requests: AtomicU64,
    seen: Mutex<VecDeque<Seen>>,
}

impl Upstream {
    /// Starts one on a loopback port of the kernel's choice.
    pub fn start() -> Result<Upstream> {
        Upstream::start_named("upstream")
    }

    /// Likewise, with a name that its answers carry.
    pub fn start_named(name: &str) -> Result<Upstream> {
        Upstream::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), name)
    }

    /// Starts one on this address.
    pub fn start_on(address: SocketAddr, name: &str) -> Result<Upstream> {
        let state = State { name: name.to_owned(), requests: AtomicU64::new(0), seen: Mutex::default() };
        let mut upstream = Upstream { name: name.to_owned(), address, state: Arc::new(state), running: None };
        upstream.start_again()?;
        Ok(upstream)
    }

    /// Listens again where it did, after [`stop`](Self::stop); the counts go on.
    pub fn start_again(&mut self) -> Result<()> {
        let (stop, stopped) = watch::channel(false);
        let (ready, is_ready) = mpsc::channel();
        let (state, address) = (Arc::clone(&self.state), self.address);
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a current-thread runtime needs nothing that could be lacking");
            runtime.block_on(async move {
                let listener = match listen(address) {
                    Ok(listener) => listener,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                // The one who started this waits for the word.
                let _ = ready.send(listener.local_addr());
                accept(listener, state, stopped).await;
            });
        };
        let thread = std::thread::Builder::new().name(self.name.clone()).spawn(serve)?;
        let bound = is_ready.recv().context("the upstream's thread ended")?;
        self.address = bound.with_context(|| format!("the upstream can't listen on {address}"))?;
        self.running = Some(Running { stop, thread });
        Ok(())
    }

    /// Closes the listener and every connection, also those in the middle of an answer.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.send_replace(true);
            // Its panic, if any, is on the terminal already.
            let _ = running.thread.join();
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests have reached it, since it was made.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// The last requests, oldest first (up to 10,000).
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("nothing panics while holding it").iter().cloned().collect()
    }

    /// The latest request, with its body read to the end.
    pub fn last(&self) -> Option<Seen> {
        self.state.seen.lock().expect("nothing panics while holding it").back().cloned()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

async fn accept(listener: TcpListener, state: Arc<State>, mut stopped: watch::Receiver<bool>) {
    // The set aborts what is left when it is dropped, so `stop` leaves nothing behind.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue, // the caller was gone before it was greeted
            },
            _ = stopped.changed() => return,
            Some(_) = connections.join_next() => continue,
        };
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&state), request));
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).half_close(true);
            // A cut body and a caller who leaves both end here.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let knobs = Knobs::of(&head);
    if knobs.shape == Shape::Requests {
        return Ok(json_answer(&json!({ "requests": state.requests.load(Ordering::SeqCst) })));
    }
    let number = state.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let told = echo(&state, number, &head, &body);
    remember(&state, head, body.len());

    if let Some(delay) = knobs.delay {
        tokio::time::sleep(delay).await;
    }
    let mut response = match knobs.shape {
        Shape::Echo | Shape::Requests => json_answer(&told),
        Shape::Bytes(count) => with_length(count, count, false),
        Shape::Cut(count) => with_length(count, count.saturating_mul(2).max(1), true),
        Shape::Chunks(count) => {
            let chunks = stream::iter((0..count).map(|n| Ok(Frame::data(Bytes::from(format!("chunk {n}\n"))))));
            Response::new(BodyExt::boxed_unsync(StreamBody::new(chunks)))
        }
        Shape::Ticks(count) => ticks(count),
        Shape::Hang => std::future::pending().await,
    };
    if let Some(status) = knobs.status {
        *response.status_mut() = http::StatusCode::from_u16(status).expect("knobs take no other status");
    }
    let name = HeaderValue::from_str(&state.name).unwrap_or(HeaderValue::from_static("upstream"));
    response.headers_mut().insert("x-upstream-name", name);
    Ok(response)
}

fn echo(state: &State, number: u64, head: &http::request::Parts, body: &Bytes) -> Value {
    let mut headers = serde_json::Map::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        match headers.get_mut(name.as_str()).and_then(|held| held.as_str().map(|held| format!("{held}, {value}"))) {
            Some(joined) => headers.insert(name.to_string(), joined.into()),
            None => headers.insert(name.to_string(), value.into()),
        };
    }
    json!({
        "upstream": state.name,
        "request": number,
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query().unwrap_or_default(),
        "headers": headers,
        "body_bytes": body.len(),
    })
}

fn remember(state: &State, head: http::request::Parts, body_bytes: usize) {
    let seen =
        Seen { method: head.method.to_string(), target: head.uri.to_string(), headers: head.headers, body_bytes };
    let mut all = state.seen.lock().expect("nothing panics while holding it");
    if all.len() == SEEN_MAX {
        all.pop_front();
    }
    all.push_back(seen);
}

fn json_answer(value: &Value) -> Response<Body> {
    let text = format!("{value:#}\n");
    let mut response = Response::new(BodyExt::boxed_unsync(Full::new(text.into()).map_err(|never| match never {})));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `sent` bytes under a Content-Length of `announced`; then the end, or a broken connection.
fn with_length(sent: usize, announced: usize, cut: bool) -> Response<Body> {
    let pieces =
        (0..sent).step_by(PIECE).map(move |from| Ok(Frame::data(Bytes::from(vec![b'x'; PIECE.min(sent - from)]))));
    let end = cut.then(|| Err(io::Error::other("cut on purpose")));
    // A pause lets what was sent reach the wire before the break does.
    let pieces = stream::unfold(pieces.chain(end), async |mut pieces| {
        let piece: io::Result<Frame<Bytes>> = pieces.next()?;
        if piece.is_err() {
            tokio::time::sleep(TICK).await;
        }
        Some((piece, pieces))
    });
    let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(pieces)));
    response.headers_mut().insert(header::CONTENT_LENGTH, announced.into());
    response
}

fn ticks(count: usize) -> Response<Body> {
    let events = stream::unfold(0, move |n| async move {
        if n == count {
            return None;
        }
        if n > 0 {
            tokio::time::sleep(TICK).await;
        }
        Some((Ok(Frame::data(Bytes::from(format!("id: {n}\ndata: tick {n}\n\n")))), n + 1))
    });
    let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(events)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
