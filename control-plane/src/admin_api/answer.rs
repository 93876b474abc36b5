//! What the admin API answers: a document, nothing, or a problem.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use tidegate_model::Problem;

use crate::changes::ChangeError;
use crate::store::StoreError;

/// The header that says which revision a write made, or a read saw.
pub(super) const TIDEGATE_REVISION: HeaderName = HeaderName::from_static("tidegate-revision");

/// What kind of thing is wrong; stable, for programs. Codes are for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorCode {
    /// The request is not understood, or its document has problems.
    Invalid,
    /// Nobody is signed in, or what was shown does not hold.
    Unauthorized,
    /// Who is signed in may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// There is such a thing, but it can't do this.
    MethodNotAllowed,
    /// It does not go together with what is there.
    Conflict,
    /// It was changed meanwhile.
    PreconditionFailed,
    /// The body is longer than is taken.
    TooLarge,
    /// The body is of a type that is not taken.
    UnsupportedMediaType,
    /// Come back later.
    TooManyRequests,
    /// A fault of the control plane.
    Internal,
    /// Too much at once; try again.
    Busy,
    /// The database does not answer; reads go on.
    StoreUnavailable,
}

impl ErrorCode {
    /// All of them, by status.
    pub const ALL: [ErrorCode; 13] = [
        ErrorCode::Invalid,
        ErrorCode::Unauthorized,
        ErrorCode::Forbidden,
        ErrorCode::NotFound,
        ErrorCode::MethodNotAllowed,
        ErrorCode::Conflict,
        ErrorCode::PreconditionFailed,
        ErrorCode::TooLarge,
        ErrorCode::UnsupportedMediaType,
        ErrorCode::TooManyRequests,
        ErrorCode::Internal,
        ErrorCode::Busy,
        ErrorCode::StoreUnavailable,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        self.facts().0
    }

    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        self.facts().1
    }

    /// A few words.
    pub fn title(self) -> &'static str {
        self.facts().2
    }

    fn facts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            ErrorCode::Invalid => ("invalid", StatusCode::BAD_REQUEST, "The request has problems"),
            ErrorCode::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED, "Nobody is signed in"),
            ErrorCode::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "Not allowed"),
            ErrorCode::NotFound => ("not_found", StatusCode::NOT_FOUND, "Not found"),
            ErrorCode::MethodNotAllowed => {
                ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed here")
            }
            ErrorCode::Conflict => ("conflict", StatusCode::CONFLICT, "It conflicts with what is there"),
            ErrorCode::PreconditionFailed => {
                ("precondition_failed", StatusCode::PRECONDITION_FAILED, "It was changed meanwhile")
            }
            ErrorCode::TooLarge => ("too_large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            ErrorCode::UnsupportedMediaType => (
                "unsupported_media_type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body is of a type that is not taken",
            ),
            ErrorCode::TooManyRequests => ("too_many_requests", StatusCode::TOO_MANY_REQUESTS, "Too many attempts"),
            ErrorCode::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "The control plane made a mistake"),
            ErrorCode::Busy => ("busy", StatusCode::SERVICE_UNAVAILABLE, "The control plane is busy"),
            ErrorCode::StoreUnavailable => {
                ("store_unavailable", StatusCode::SERVICE_UNAVAILABLE, "The database does not answer")
            }
        }
    }
}

/// One entry of `errors`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FaultDetail {
    pub(super) pointer: String,
    pub(super) code: String,
    pub(super) detail: String,
}

/// Why a request was not done.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: ErrorCode,
    pub(super) detail: String,
    pub(super) errors: Vec<FaultDetail>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Fault {
    pub(super) fn new(code: ErrorCode, detail: impl Into<String>) -> Fault {
        Fault { code, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// A document, or a parameter, with problems.
    pub(super) fn invalid(problems: Vec<Problem>) -> Fault {
        let detail = match problems.len() {
            1 => "one thing is wrong".to_owned(),
            n => format!("{n} things are wrong"),
        };
        let entry = |p: Problem| FaultDetail { pointer: p.pointer, code: p.code.into_owned(), detail: p.detail };
        Fault { errors: problems.into_iter().map(entry).collect(), ..Fault::new(ErrorCode::Invalid, detail) }
    }

    /// One thing wrong that no pointer leads to: a parameter, a header, the form of the body.
    pub(super) fn malformed(detail: impl Into<String>) -> Fault {
        Fault::new(ErrorCode::Invalid, detail)
    }

    pub(super) fn unauthorized(detail: &'static str) -> Fault {
        let challenge = HeaderValue::from_static("Bearer realm=\"tidegate\"");
        Fault::new(ErrorCode::Unauthorized, detail).with(WWW_AUTHENTICATE, challenge)
    }

    pub(super) fn too_many(wait: Duration) -> Fault {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = format!("too many attempts failed; try again in {seconds} s");
        Fault::new(ErrorCode::TooManyRequests, detail).with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Fault {
        self.headers.push((name, value));
        self
    }

    pub(super) fn into_response(self, request_id: &str) -> Response {
        let status = self.code.status();
        let mut problem = json!({
            "type": format!("https://tidegate.dev/errors/{}", self.code.as_str()),
            "title": self.code.title(),
            "status": status.as_u16(),
            "code": self.code.as_str(),
            "detail": self.detail,
            "request_id": request_id,
        });
        if !self.errors.is_empty() {
            problem["errors"] = serde_json::to_value(self.errors).unwrap_or_default();
        }
        let mut response = Response::new(Body::from(problem.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        headers.extend(self.headers);
        response
    }
}

impl From<ChangeError> for Fault {
    fn from(error: ChangeError) -> Fault {
        let detail = error.to_string();
        match error {
            ChangeError::Invalid(problems) => Fault::invalid(problems),
            ChangeError::NotFound { .. } => Fault::new(ErrorCode::NotFound, detail),
            ChangeError::Conflict(conflict) => {
                let entry =
                    FaultDetail { pointer: String::new(), code: conflict.code().into(), detail: detail.clone() };
                Fault { errors: vec![entry], ..Fault::new(ErrorCode::Conflict, detail) }
            }
            ChangeError::Precondition { .. } => Fault::new(ErrorCode::PreconditionFailed, detail),
            ChangeError::TooLarge { .. } => Fault::new(ErrorCode::TooLarge, detail),
            ChangeError::Busy => Fault::new(ErrorCode::Busy, detail),
            ChangeError::StoreUnavailable(_) => {
                tracing::debug!(error = %crate::error_chain(&error), "a change found no database");
                Fault::new(ErrorCode::StoreUnavailable, detail)
            }
            ChangeError::Internal(_) => {
                tracing::error!(error = %crate::error_chain(&error), "a change failed");
                Fault::new(ErrorCode::Internal, detail)
            }
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        ChangeError::from(error).into()
    }
}

/// What a request is answered when it was done.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Content,
}

/// The body of an [`Answer`].
#[derive(Debug)]
pub(super) enum Content {
    Nothing,
    Json(Value),
    Other(HeaderValue, Bytes),
}

impl Answer {
    pub(super) fn ok(body: impl Into<Value>) -> Answer {
        Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Content::Json(body.into()) }
    }

    /// A document of ours.
    pub(super) fn document(body: &impl Serialize) -> Answer {
        Answer::ok(serde_json::to_value(body).expect("answers are plain data with text keys"))
    }

    /// Something else than JSON. A page, a script, a figure: not secret.
    pub(super) fn other(content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
        let body = Content::Other(content_type, body.into());
        Answer { status: StatusCode::OK, headers: HeaderMap::new(), body }
            .with(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
    }

    pub(super) fn empty(status: StatusCode) -> Answer {
        Answer { status, headers: HeaderMap::new(), body: Content::Nothing }
    }

    pub(super) fn status(mut self, status: StatusCode) -> Answer {
        self.status = status;
        self
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Answer {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn with_text(self, name: HeaderName, value: &str) -> Answer {
        let value = HeaderValue::from_str(value).expect("paths, tags and policies are visible ASCII");
        self.with(name, value)
    }

    pub(super) fn at_revision(self, revision: u64) -> Answer {
        self.with(TIDEGATE_REVISION, HeaderValue::from(revision))
    }

    pub(super) fn etag(self, tag: &str) -> Answer {
        self.with_text(ETAG, tag)
    }

    pub(super) fn into_response(self) -> Response {
        let (content_type, body) = match self.body {
            Content::Nothing => (None, Body::empty()),
            Content::Json(body) => (Some(HeaderValue::from_static("application/json")), Body::from(body.to_string())),
            Content::Other(content_type, body) => (Some(content_type), Body::from(body)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}
