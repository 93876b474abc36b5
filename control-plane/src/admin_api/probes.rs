//! What machines and browsers may see without signing in: health, the description of the API, and the pages.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use rust_embed::RustEmbed;
use serde_json::json;
use tidegate_model::Sha256;

use super::answer::{Answer, ErrorCode, Fault};
use super::call::Call;
use super::openapi::openapi_bytes;
use super::operations::{Access, Operation, Parameter, Shape};

/// The web admin, as `npm run build` made it. Without it, a page says how to.
#[derive(RustEmbed)]
#[folder = "../web-admin/dist"]
#[allow_missing = true]
struct WebAdmin;

/// The reference at `/docs`.
#[derive(RustEmbed)]
#[folder = "src/admin_api/docs"]
struct Docs;

pub(super) fn operations() -> Vec<Operation> {
    let open = |path: &str, id: &str, handler, summary: &str, shape| {
        Operation::new(Method::GET, path, id, handler).about("Open to anyone", summary).access(Access::Open).answers(
            200,
            "This is it.",
            shape,
        )
    };
    let page = || Shape::Other("text/html");
    vec![
        open(
            "/healthz",
            "getHealth",
            |c| healthz(c).boxed(),
            "Whether the process lives",
            Shape::Inline(json!({ "type": "object", "properties": { "status": { "type": "string" } } })),
        ),
        open(
            "/readyz",
            "getReadiness",
            |c| readyz(c).boxed(),
            "Whether it takes requests; 503 while it shuts down",
            Shape::Inline(json!({
                "type": "object",
                "properties": { "status": { "type": "string" }, "store_up": { "type": "boolean" } },
            })),
        )
        .errors(&[ErrorCode::Busy]),
        open(
            "/v1/openapi.json",
            "getOpenApi",
            |c| openapi(c).boxed(),
            "This document",
            Shape::Inline(json!({ "type": "object" })),
        ),
        open("/docs", "getDocs", |c| docs_index(c).boxed(), "The reference, to browse", page()),
        open("/docs/{file}", "getDocsFile", |c| docs_file(c).boxed(), "A file of the reference", page())
            .takes(&[Parameter::path("file", "Its name.")]),
        open("/ui", "getUiRoot", |c| to_ui(c).boxed(), "Leads to the web admin", page()),
        open("/ui/", "getUi", |c| ui(c).boxed(), "The web admin", page()),
        open("/ui/{*path}", "getUiFile", |c| ui(c).boxed(), "A page or a file of the web admin", page())
            .takes(&[Parameter::path("path", "Which one.")]),
        open("/", "getRoot", |c| to_ui(c).boxed(), "Leads to the web admin", page()),
    ]
}

async fn healthz(_: Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "status": "ok" })))
}

/// Without the database it is ready all the same: reads and nodes are served.
async fn readyz(call: Call) -> Result<Answer, Fault> {
    if call.api.draining.load(Ordering::Relaxed) {
        return Err(Fault::new(ErrorCode::Busy, "shutting down"));
    }
    Ok(Answer::ok(json!({ "status": "ready", "store_up": call.api.changes.store_is_up() })))
}

async fn openapi(call: Call) -> Result<Answer, Fault> {
    Ok(file(&call, HeaderValue::from_static("application/json"), openapi_bytes()))
}

async fn to_ui(_: Call) -> Result<Answer, Fault> {
    Ok(Answer::empty(StatusCode::FOUND).with(LOCATION, HeaderValue::from_static("/ui/")))
}

async fn docs_index(call: Call) -> Result<Answer, Fault> {
    docs(&call, "index.html")
}

async fn docs_file(call: Call) -> Result<Answer, Fault> {
    docs(&call, call.path_text("file"))
}

fn docs(call: &Call, name: &str) -> Result<Answer, Fault> {
    let found = Docs::get(name).ok_or_else(|| no_file(name))?;
    Ok(file(call, content_type(name), bytes_of(found.data)))
}

/// A file of the web admin; any other path is one of its pages, which it finds itself.
async fn ui(call: Call) -> Result<Answer, Fault> {
    let path = call.path_text("path");
    if let Some(found) = WebAdmin::get(path).filter(|_| !path.starts_with('.')) {
        let answer = file(&call, content_type(path), bytes_of(found.data));
        // the names of assets hold a hash of what is in them
        let immutable = HeaderValue::from_static("public, max-age=31536000, immutable");
        return Ok(if path.starts_with("assets/") { answer.with(CACHE_CONTROL, immutable) } else { answer });
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    if path.starts_with("assets/") || last.contains('.') && content_type(last) != "application/octet-stream" {
        return Err(no_file(path));
    }
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let Some(index) = WebAdmin::get("index.html") else {
        let page = Bytes::from_static(include_bytes!("docs/ui-missing.html"));
        return Ok(file(&call, html, page));
    };
    let Ok(page) = std::str::from_utf8(&index.data) else { return Err(no_file("index.html")) };
    if !page.contains(NONCE_PLACE) {
        return Ok(file(&call, html, bytes_of(index.data)));
    }
    // styles that the page's library writes at run time carry the nonce of this answer
    let mut bits = [0; 16];
    aws_lc_rs::rand::fill(&mut bits).expect("the system gives randomness");
    let nonce = STANDARD.encode(bits);
    let policy = PAGE_POLICY.replace("style-src 'self'", &format!("style-src 'self' 'nonce-{nonce}'"));
    let mut answer = Answer::other(html, page.replace(NONCE_PLACE, &nonce));
    answer = answer.with_text(CONTENT_SECURITY_POLICY, &policy);
    Ok(answer.with(CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

/// Where the page of the web admin wants the nonce.
const NONCE_PLACE: &str = "__CSP_NONCE__";

/// What a page may load, and where it may be shown.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn file(call: &Call, content_type: HeaderValue, bytes: Bytes) -> Answer {
    let etag = format!("\"{}\"", &Sha256::of(&bytes).to_string()[..24]);
    if call.has_already(&etag) {
        let cache = HeaderValue::from_static("no-cache");
        return Answer::empty(StatusCode::NOT_MODIFIED).with_text(ETAG, &etag).with(CACHE_CONTROL, cache);
    }
    Answer::other(content_type, bytes).etag(&etag)
}

fn no_file(name: &str) -> Fault {
    Fault::new(ErrorCode::NotFound, format!("there is no file `{name}`"))
}

fn bytes_of(data: std::borrow::Cow<'static, [u8]>) -> Bytes {
    match data {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => bytes.into(),
    }
}

fn content_type(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    })
}
