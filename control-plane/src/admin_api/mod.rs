//! The admin REST API: what operators, CI, the CLI and the web admin speak to.
//!
//! [`operations`] is the table of what there is; the router and the OpenAPI document are made of it. [`Api::serve`] is one
//! request's way: request id, who calls, whether they may, the operation, the answer.
//!
//! Boundary: axum and status codes are used here and nowhere else. Reads are answered from the fold of the log; all writes
//! go through [`crate::changes`].

mod answer;
mod cache;
mod call;
mod credentials;
mod last_used;
mod log_level;
mod nodes;
mod openapi;
mod operations;
mod print;
mod probes;
mod resources;
mod revisions;
mod server;
mod session;
mod status;
mod tokens;
mod waiting;

pub use answer::ErrorCode;
pub use openapi::{openapi_document, openapi_text};
pub use server::{Listener, ListenerTls, serve};

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Body;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{
    ALLOW, AUTHORIZATION, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use parking_lot::Mutex;
use tidegate_model::{Instant, Role, Sha256};
use tidegate_telemetry::LogLevel;
use tidegate_telemetry::buckets::Histogram;
use tower::ServiceExt;
use uuid::Uuid;

use crate::app::Mode;
use crate::changes::Changes;
use crate::fleet::Fleet;
use crate::operators::{Caller, Denied, Operators, ShownBy, csrf_matches};
use crate::store::Store;
use crate::telemetry::Words;
use crate::vault::SecretKey;
use answer::{Answer, Fault};
use call::Call;
use operations::{Access, Operation};

/// The longest body that is taken.
const BODY_MAX: usize = 8 << 20;
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(30);
/// How long an operation may take beside what it was told to wait.
const OPERATION_TIME: Duration = Duration::from_secs(75);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// What the operations work with.
pub struct Api {
    changes: Changes,
    operators: Operators,
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
    mode: Mode,
    /// The fingerprint of the certificate authority, for join tokens.
    authority: Sha256,
    /// Makes tokens that are asked for under an idempotency key.
    issuing: hmac::Key,
    /// Set once the process is told to stop.
    draining: AtomicBool,
    /// By operation and status.
    requests: Mutex<Requests>,
    request_time: Histogram,
    log_level: LogLevel,
}

type Requests = BTreeMap<(&'static str, u16), u64>;

/// What the API is made of.
pub struct Parts {
    /// The door for changes, and what they add up to.
    pub changes: Changes,
    /// For what was changed long ago.
    pub store: Arc<dyn Store>,
    /// Where nodes are.
    pub fleet: Arc<Fleet>,
    /// What this is a part of.
    pub mode: Mode,
    /// The hash of the key of the cluster's authority, for join tokens.
    pub authority: Sha256,
    /// The log of the process.
    pub log_level: LogLevel,
}

/// From where, and over what, a request came.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The address.
    pub address: IpAddr,
    /// Whether over TLS.
    pub tls: bool,
}

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(operations::all);

impl Api {
    /// Puts it together. The key signs sessions and makes tokens that are asked for again.
    pub fn new(parts: Parts, key: &SecretKey) -> Arc<Api> {
        Arc::new(Api {
            operators: Operators::new(&key.derive("sessions")),
            issuing: hmac::Key::new(hmac::HMAC_SHA256, &*key.derive("issued-tokens")),
            draining: AtomicBool::new(false),
            requests: Mutex::default(),
            request_time: Histogram::default(),
            log_level: parts.log_level,
            changes: parts.changes,
            store: parts.store,
            fleet: parts.fleet,
            mode: parts.mode,
            authority: parts.authority,
        })
    }

    /// Says on `/readyz` that no more requests should be sent.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether it was told so.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Requests so far, by operation and status.
    pub(crate) fn requests(&self) -> Requests {
        self.requests.lock().clone()
    }

    /// How long they took.
    pub(crate) fn request_time(&self) -> &Histogram {
        &self.request_time
    }

    /// Who was not let in.
    pub(crate) fn denied(&self) -> &Words<2> {
        self.operators.denied()
    }

    /// All operations, as a service.
    pub fn router(self: &Arc<Self>) -> Router {
        let mut router = Router::new();
        for operation in OPERATIONS.iter() {
            let filter = MethodFilter::try_from(operation.method.clone()).expect("the table has common methods only");
            let handler = move |State(api): State<Arc<Api>>, path: RawPathParams, request: Request| async move {
                api.run(Some((operation, path)), request).await
            };
            router = router.route(&operation.path, on(filter, handler));
        }
        let fallback = |State(api): State<Arc<Api>>, request: Request| async move { api.run(None, request).await };
        router.method_not_allowed_fallback(fallback).fallback(fallback).with_state(self.clone())
    }

    /// One request's way.
    pub async fn serve(self: &Arc<Self>, router: Router, mut request: http::Request<Body>, peer: Peer) -> Response {
        let request_id = request_id(request.headers());
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(RequestId(request_id.clone()));
        let routed = AssertUnwindSafe(router.oneshot(request)).catch_unwind().await;
        let mut response = match routed {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => {
                tracing::error!(request.id = %request_id, "an operation of the admin API panicked");
                Fault::new(ErrorCode::Internal, "see the log of the control plane").into_response(&request_id)
            }
        };
        secure(response.headers_mut(), peer);
        let id = HeaderValue::from_str(&request_id).expect("it was checked, or made here");
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }

    /// Finds out who calls, whether they may, and does it. What does not exist is told to who is signed in only.
    async fn run(self: Arc<Self>, found: Option<(&'static Operation, RawPathParams)>, request: Request) -> Response {
        let (operation, path) = found.map_or((None, None), |(operation, path)| (Some(operation), Some(path)));
        let (parts, body) = request.into_parts();
        let peer = parts.extensions.get::<Peer>().copied();
        let peer = peer.unwrap_or(Peer { address: IpAddr::from([127, 0, 0, 1]), tls: false });
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let request = Received { parts, body, peer, request_id: request_id.clone() };
        let began = tokio::time::Instant::now();
        let done = match operation {
            None => self.clone().refuse(&request),
            Some(operation) => {
                let running = self.clone().call(operation, path, request);
                tokio::time::timeout(OPERATION_TIME, running)
                    .await
                    .unwrap_or_else(|_| Err(Fault::new(ErrorCode::Busy, "it took too long")))
            }
        };
        let response = match done {
            Ok(answer) => answer.into_response(),
            Err(fault) => fault.into_response(&request_id),
        };
        self.request_time.observe(began.elapsed());
        let name = operation.map_or("none", |operation| operation.id.as_str());
        *self.requests.lock().entry((name, response.status().as_u16())).or_insert(0) += 1;
        response
    }

    async fn call(
        self: Arc<Self>,
        operation: &'static Operation,
        path: Option<RawPathParams>,
        request: Received,
    ) -> Result<Answer, Fault> {
        let Received { parts, body, peer, request_id } = request;
        let now = self.changes.current();
        let (caller, csrf) = match operation.access {
            Access::Open => (None, None),
            Access::SignedIn | Access::Admin => self.who(&parts.headers, peer)?,
        };
        if let Some(caller) = &caller {
            may(caller, csrf.as_deref(), operation, &parts.headers)?;
        }
        let path = path.iter().flatten().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let query = form_urlencoded(parts.uri.query().unwrap_or_default());
        let body = match operation.request {
            Some(_) => read_body(body).await?,
            None => Bytes::new(),
        };
        let call = Call {
            api: self,
            operation,
            path,
            query,
            headers: parts.headers,
            body,
            caller,
            csrf,
            address: peer.address,
            tls: peer.tls,
            request_id,
            now,
        };
        if operation.access != Access::Open {
            call.check_query()?;
        }
        (operation.handler)(call).await
    }

    /// What is not in the table: below `/v1`, nobody learns what is who is not signed in.
    fn refuse(self: Arc<Self>, request: &Received) -> Result<Answer, Fault> {
        let path = request.parts.uri.path();
        if path.starts_with("/v1") && path != "/v1/session" && path != "/v1/openapi.json" {
            self.who(&request.parts.headers, request.peer)?;
        }
        let allowed = allowed_methods(path);
        if allowed.is_empty() {
            return Err(Fault::new(ErrorCode::NotFound, format!("there is nothing at `{path}`")));
        }
        let detail = format!("`{path}` takes {}", allowed.join(", "));
        let allow = HeaderValue::from_str(&allowed.join(", ")).expect("methods are visible ASCII");
        Err(Fault::new(ErrorCode::MethodNotAllowed, detail).with(ALLOW, allow))
    }

    /// Who shows a token or a session.
    fn who(&self, headers: &HeaderMap, peer: Peer) -> Result<(Option<Caller>, Option<String>), Fault> {
        let config = self.changes.current();
        let now = Instant::from_millis(chrono::Utc::now().timestamp_millis());
        if let Some(value) = headers.get(AUTHORIZATION) {
            let token = value.to_str().ok().and_then(|value| value.split_once(' '));
            let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map_or("", |(_, t)| t.trim());
            return match self.operators.by_token(&config, token, peer.address, now) {
                Ok(caller) => Ok((Some(caller), None)),
                Err(Denied::Unknown) => Err(Fault::unauthorized("the token does not hold")),
                Err(Denied::TooMany(wait)) => Err(Fault::too_many(wait)),
            };
        }
        let Some(cookie) = session::cookie_of(headers) else {
            return Err(Fault::unauthorized("send an operator's token: `Authorization: Bearer tgo_...`"));
        };
        let known = self.operators.by_session(&config, cookie, now);
        let (caller, csrf) = known.ok_or_else(|| Fault::unauthorized("the session has ended"))?;
        Ok((Some(caller), Some(csrf)))
    }
}

/// A request whose operation is known.
struct Received {
    parts: http::request::Parts,
    body: Body,
    peer: Peer,
    request_id: String,
}

#[derive(Clone)]
struct RequestId(String);

/// Whether a caller may do this. A session's write must show what no other site can know.
fn may(caller: &Caller, csrf: Option<&str>, operation: &Operation, headers: &HeaderMap) -> Result<(), Fault> {
    if operation.access == Access::Admin && caller.role != Role::Admin {
        let detail = format!("operator `{}` has the role `viewer`, which changes nothing", caller.name);
        return Err(Fault::new(ErrorCode::Forbidden, detail));
    }
    if caller.by == ShownBy::Session && operation.is_write() {
        let shown = headers.get(CSRF_TOKEN).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !csrf.is_some_and(|csrf| csrf_matches(csrf, shown)) {
            return Err(Fault::new(ErrorCode::Forbidden, "send the session's `csrf` as `X-CSRF-Token`"));
        }
    }
    Ok(())
}

async fn read_body(body: Body) -> Result<Bytes, Fault> {
    let read = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_MAX).collect()).await;
    match read {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Fault::new(ErrorCode::TooLarge, format!("a body may have {} MiB", BODY_MAX >> 20)))
        }
        Ok(Err(_)) => Err(Fault::malformed("the body did not come whole")),
        Err(_) => Err(Fault::malformed("the body took too long to come")),
    }
}

/// The methods of a path of the table.
fn allowed_methods(path: &str) -> Vec<&'static str> {
    let mut methods: Vec<&str> = Vec::new();
    for operation in OPERATIONS.iter().filter(|operation| path_fits(&operation.path, path)) {
        methods.push(operation.method.as_str());
        if operation.method == Method::GET {
            methods.push(Method::HEAD.as_str());
        }
    }
    methods
}

fn path_fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let whole = template.last().is_some_and(|last| last.starts_with("{*"));
    let same = |(part, given): (&&str, &&str)| part.starts_with('{') && !given.is_empty() || part == given;
    (template.len() == path.len() || whole && path.len() >= template.len()) && template.iter().zip(&path).all(same)
}

/// That of the caller if it can be written to the log as it is, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let fits = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(fits);
    given.map_or_else(|| Uuid::now_v7().simple().to_string(), str::to_owned)
}

fn form_urlencoded(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// Says to browsers what they may do with an answer.
fn secure(headers: &mut HeaderMap, peer: Peer) {
    let policy = HeaderValue::from_static(probes::PAGE_POLICY);
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(PERMISSIONS_POLICY, HeaderValue::from_static("camera=(), geolocation=(), microphone=()"));
    if peer.tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fit_their_templates() {
        assert!(path_fits("/v1/services/{ref}", "/v1/services/orders"));
        assert!(!path_fits("/v1/services/{ref}", "/v1/services/"));
        assert!(!path_fits("/v1/services/{ref}", "/v1/services/a/b"));
        assert!(path_fits("/ui/{*path}", "/ui/a/b") && path_fits("/", "/"));
    }

    #[test]
    fn operations_have_ids_and_paths_of_their_own() {
        for (index, operation) in OPERATIONS.iter().enumerate() {
            for other in &OPERATIONS[..index] {
                assert_ne!(operation.id, other.id);
                assert!((&operation.method, &operation.path) != (&other.method, &other.path), "{}", operation.path);
            }
        }
    }
}
