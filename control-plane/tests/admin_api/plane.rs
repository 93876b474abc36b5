//! A control plane in this process, and a caller of its API.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_control_plane::app::{Config, Mode, Ready, TlsFiles, run};
use tidegate_telemetry::LogLevel;
use tidegate_telemetry::log_level::{LogControl, LogState};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long something may take to come about that takes milliseconds as a rule.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running control plane.
pub(crate) struct Plane {
    pub(crate) api: Caller,
    pub(crate) ready: Ready,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
    _folder: Option<TempDir>,
}

/// Who calls, with what token.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) url: String,
    pub(crate) token: Option<String>,
    pub(crate) http: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Plane {
    /// A control plane on a fresh SQLite.
    pub(crate) async fn start() -> Plane {
        let folder = tempfile::tempdir().expect("a folder");
        let mut plane = Plane::start_in(folder.path(), &sqlite_in(folder.path())).await;
        plane._folder = Some(folder);
        plane
    }

    /// One with its files in a folder.
    pub(crate) async fn start_in(folder: &Path, database_url: &str) -> Plane {
        Plane::start_with(folder, database_url, None).await.expect("it starts")
    }

    pub(crate) async fn start_with(folder: &Path, database_url: &str, tls: Option<TlsFiles>) -> anyhow::Result<Plane> {
        // what it logs is shown where a test fails
        let _ = tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::INFO).try_init();
        let (ready, told) = oneshot::channel();
        let shutdown = CancellationToken::new();
        let operator_token_file = folder.join("operator-token");
        let config = Config {
            mode: Mode::Cluster,
            database_url: database_url.to_owned(),
            data_dir: folder.to_owned(),
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            stream_listen: None,
            status_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            metrics_beside: Default::default(),
            log_level: LogLevel::new(Arc::<Log>::default()),
            secret_key_file: folder.join("secret-key"),
            operator_token_file: operator_token_file.clone(),
            join_token_file: folder.join("join-token"),
            admin_tls: tls,
            in_process: None,
            data_key: Default::default(),
            ready: Some(ready),
        };
        let running = tokio::spawn(run(config, shutdown.clone()));
        let Ok(ready) = told.await else {
            running.await.expect("it does not panic")?;
            anyhow::bail!("it ended before it was ready");
        };
        let token = std::fs::read_to_string(operator_token_file)?.trim().to_owned();
        let scheme = if ready.admin_tls { "https" } else { "http" };
        let http = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).no_proxy();
        let http = http.redirect(reqwest::redirect::Policy::none()).build()?;
        let api = Caller { url: format!("{scheme}://{}", ready.admin), token: Some(token), http };
        Ok(Plane { api, ready, shutdown, running, _folder: None })
    }

    /// A page of its status listener.
    pub(crate) async fn status_page(&self, path: &str) -> Reply {
        let at = self.ready.status.expect("it has one");
        let page = self.api.http.get(format!("http://{at}{path}"));
        reply(page).await
    }

    /// Stops it in order.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.expect("it does not panic").expect("it stops in order");
    }
}

/// A log that is loud on paper only.
#[derive(Default)]
struct Log(Mutex<Option<(String, Duration)>>);

impl LogControl for Log {
    fn state(&self) -> LogState {
        let set = self.0.lock().expect("nobody panics").clone();
        let (level, until_ms) = set.map_or(("info".to_owned(), None), |(l, t)| (l, Some(t.as_millis() as i64)));
        LogState { level, configured: "info".into(), until_ms }
    }

    fn set(&self, level: &str, time: Duration) -> Result<LogState, String> {
        if level == "inof" {
            return Err("`inof` is no level".into());
        }
        *self.0.lock().expect("nobody panics") = Some((level.to_owned(), time));
        Ok(self.state())
    }

    fn reset(&self) -> LogState {
        *self.0.lock().expect("nobody panics") = None;
        self.state()
    }
}

pub(crate) fn sqlite_in(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("tidegate.db").display())
}

impl Caller {
    /// The same address, with another token or none.
    pub(crate) fn with_token(&self, token: Option<&str>) -> Caller {
        Caller { token: token.map(str::to_owned), ..self.clone() }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let request = self.request(method, path);
        reply(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.send("PUT", path, Some(&body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, Some(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send("PATCH", path, Some(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, None).await
    }

    /// A viewer of the same control plane.
    pub(crate) async fn viewer(&self) -> Caller {
        self.put("/v1/operators/viewer", json!({ "role": "viewer" })).await;
        let issued = self.post("/v1/operators/viewer/tokens", json!({})).await.expect(201);
        self.with_token(issued["token"].as_str())
    }
}

pub(crate) async fn reply(request: RequestBuilder) -> Reply {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a whole answer");
    let body = serde_json::from_str(&text).unwrap_or_default();
    Reply { status, headers, text, body }
}

impl Reply {
    /// The body, if the status is as expected.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    /// The same, and a problem with this code.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.body["code"], code, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["type"], format!("https://tidegate.dev/errors/{code}"));
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        self.body
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn revision(&self) -> u64 {
        self.header("tidegate-revision").parse().unwrap_or_default()
    }

    /// `pointer code` of each entry of `errors`.
    pub(crate) fn errors(&self) -> Vec<String> {
        errors_of(&self.body)
    }
}

pub(crate) fn errors_of(problem: &Value) -> Vec<String> {
    let entries = problem["errors"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    entries.iter().map(|entry| format!("{} {}", text(&entry["pointer"]), text(&entry["code"]))).collect()
}

/// Looks until something is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut look: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !look().await {
        assert!(tokio::time::Instant::now() < deadline, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
