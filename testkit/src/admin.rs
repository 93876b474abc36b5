//! A caller of the admin API.

use anyhow::{Context as _, Result, bail};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

/// One control plane, one operator's token.
#[derive(Clone)]
pub struct Admin {
    url: String,
    token: String,
    http: reqwest::Client,
}

/// What a call brought back.
#[derive(Debug)]
pub struct Answer {
    /// The call, for messages.
    pub call: String,
    /// The status code.
    pub status: StatusCode,
    /// The header lines.
    pub headers: HeaderMap,
    /// The JSON body; null where there is none.
    pub body: Value,
}

impl Admin {
    /// For the API at this address (`http://127.0.0.1:8001`), with a bearer token.
    pub fn new(url: &str, token: &str) -> Result<Admin> {
        let http = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build()?;
        Ok(Admin { url: url.trim_end_matches('/').to_owned(), token: token.trim().to_owned(), http })
    }

    /// The address without path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The operator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// One call; the path starts with `/`. An answer of any status is an answer.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let call = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| call.clone())?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.with_context(|| call.clone())?;
        let text = || Value::from(String::from_utf8_lossy(&bytes));
        let body =
            if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or_else(|_| text()) };
        Ok(Answer { call, status, headers, body })
    }

    /// GET that must succeed.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await?.success()
    }

    /// PUT that must succeed.
    pub async fn put(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::PUT, path, Some(&body)).await?.success()
    }

    /// POST that must succeed.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::POST, path, Some(&body)).await?.success()
    }

    /// PATCH that must succeed.
    pub async fn patch(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::PATCH, path, Some(&body)).await?.success()
    }

    /// DELETE that must succeed.
    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.call(Method::DELETE, path, None).await?.success()
    }

    /// Makes a consumer if there is none of that name and issues a key; returns the key's id and text once every node knows it.
    pub async fn issue_key(&self, consumer: &str) -> Result<(String, String)> {
        self.put(&format!("/v1/consumers/{consumer}"), json!({})).await?;
        let path = format!("/v1/consumers/{consumer}/keys?wait=all&timeout=10s");
        let issued = self.post(&path, json!({ "label": "test" })).await?;
        if issued["applied"]["complete"] != true {
            bail!("not all nodes know the key: {}", issued["applied"]);
        }
        let text = |field: &str| {
            issued[field].as_str().map(str::to_owned).with_context(|| format!("no `{field}` in {issued}"))
        };
        Ok((text("id")?, text("key")?))
    }
}

impl Answer {
    /// The body of a 2xx; anything else is an error that shows the answer.
    pub fn success(self) -> Result<Value> {
        if !self.status.is_success() {
            bail!("{}: {} {:#}", self.call, self.status, self.body);
        }
        Ok(self.body)
    }

    /// A header as text; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// `Tidegate-Revision` of a write.
    pub fn revision(&self) -> Option<u64> {
        self.header("tidegate-revision").parse().ok()
    }
}
