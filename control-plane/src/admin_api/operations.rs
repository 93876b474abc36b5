//! The table of operations: what the admin API can do. The router and the OpenAPI document are both made of it.

use futures_util::future::BoxFuture;
use http::Method;
use serde_json::{Value, json};
use tidegate_model::Kind;

use super::answer::{Answer, ErrorCode, Fault};
use super::call::Call;

/// What an operation does with a call.
pub(super) type Handler = fn(Call) -> BoxFuture<'static, Result<Answer, Fault>>;

/// One thing that the admin API can do.
pub(super) struct Operation {
    pub(super) method: Method,
    /// As OpenAPI and the router both write it: `/v1/services/{ref}`.
    pub(super) path: String,
    /// Unique; for generated clients.
    pub(super) id: String,
    pub(super) summary: String,
    pub(super) tag: &'static str,
    pub(super) access: Access,
    /// What it is about, where one handler serves several kinds.
    pub(super) kind: Option<Kind>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) request: Option<Shape>,
    pub(super) responses: Vec<(u16, &'static str, Shape)>,
    /// Beside those that every operation may answer.
    pub(super) errors: &'static [ErrorCode],
    pub(super) handler: Handler,
}

/// Who may do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anyone.
    Open,
    /// Who is signed in, whatever the role: reads, and one's own session.
    SignedIn,
    /// Those with the role `admin`.
    Admin,
}

/// What a body looks like.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// There is none.
    Nothing,
    /// One of `components/schemas`.
    Named(String),
    /// A page of such.
    Page(String),
    /// An object of this schema.
    Inline(Value),
    /// A part of a document (RFC 7396).
    Patch(String),
    /// Something else than JSON.
    Other(&'static str),
}

/// A parameter of an operation.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) schema: Value,
    pub(super) description: &'static str,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

impl Operation {
    pub(super) fn new(method: Method, path: impl Into<String>, id: impl Into<String>, handler: Handler) -> Operation {
        Operation {
            access: if method == Method::GET { Access::SignedIn } else { Access::Admin },
            method,
            path: path.into(),
            id: id.into(),
            summary: String::new(),
            tag: "Other",
            kind: None,
            parameters: Vec::new(),
            request: None,
            responses: Vec::new(),
            errors: &[],
            handler,
        }
    }

    pub(super) fn about(mut self, tag: &'static str, summary: impl Into<String>) -> Operation {
        self.tag = tag;
        self.summary = summary.into();
        self
    }

    pub(super) fn kind(mut self, kind: Kind) -> Operation {
        self.kind = Some(kind);
        self
    }

    pub(super) fn access(mut self, access: Access) -> Operation {
        self.access = access;
        self
    }

    pub(super) fn takes(mut self, parameters: &[Parameter]) -> Operation {
        self.parameters.extend_from_slice(parameters);
        self
    }

    pub(super) fn body(mut self, shape: Shape) -> Operation {
        self.request = Some(shape);
        self
    }

    pub(super) fn answers(mut self, status: u16, description: &'static str, shape: Shape) -> Operation {
        self.responses.push((status, description, shape));
        self
    }

    pub(super) fn errors(mut self, errors: &'static [ErrorCode]) -> Operation {
        self.errors = errors;
        self
    }

    /// Whether it changes something.
    pub(super) fn is_write(&self) -> bool {
        self.method != Method::GET
    }

    /// All the codes that it may answer.
    pub(super) fn error_codes(&self) -> Vec<ErrorCode> {
        let mut codes = vec![ErrorCode::Internal];
        if self.access != Access::Open {
            codes.extend([ErrorCode::Unauthorized, ErrorCode::TooManyRequests]);
        }
        if self.access == Access::Admin {
            codes.extend([ErrorCode::Busy, ErrorCode::StoreUnavailable]);
        }
        if self.access != Access::Open && self.is_write() {
            codes.push(ErrorCode::Forbidden);
        }
        if self.request.is_some() {
            codes.extend([ErrorCode::Invalid, ErrorCode::TooLarge, ErrorCode::UnsupportedMediaType]);
        }
        if self.path.contains('{') {
            codes.push(ErrorCode::NotFound);
        }
        if self.parameters.iter().any(|p| p.place != Place::Path) {
            codes.push(ErrorCode::Invalid);
        }
        codes.extend(self.errors);
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

impl Parameter {
    pub(super) fn path(name: &'static str, description: &'static str) -> Parameter {
        Parameter { name, place: Place::Path, schema: json!({ "type": "string" }), description }
    }

    pub(super) fn query(name: &'static str, schema: Value, description: &'static str) -> Parameter {
        Parameter { name, place: Place::Query, schema, description }
    }

    pub(super) fn header(name: &'static str, description: &'static str) -> Parameter {
        Parameter { name, place: Place::Header, schema: json!({ "type": "string" }), description }
    }
}

pub(super) fn reference() -> Parameter {
    Parameter::path("ref", "The name or the id.")
}

pub(super) fn if_match() -> Parameter {
    Parameter::header("If-Match", "The ETag that the resource must have, or `*` if it must be there; else 412.")
}

pub(super) fn if_none_match() -> Parameter {
    Parameter::header("If-None-Match", "On a read, the ETag that is known already: 304 if it is still the same.")
}

/// Of every write.
pub(super) fn write_parameters() -> Vec<Parameter> {
    let any = json!({ "type": "string", "pattern": "^(all|any|[0-9]{1,3}%)$" });
    vec![
        Parameter::query(
            "wait",
            any,
            "Answer once nodes run on it: `all`, `any`, or a share such as `50%`. What they say is in `applied`.",
        ),
        Parameter::query(
            "timeout",
            json!({ "type": "string", "format": "duration", "default": "5s" }),
            "How long to wait at most, up to `60s`. The change stays whether nodes confirm in time or not.",
        ),
        Parameter::header(
            "Idempotency-Key",
            "Up to 128 visible characters. A write that is sent again with the same key is not made twice.",
        ),
    ]
}

/// Of every list that is paged.
pub(super) fn page_parameters() -> Vec<Parameter> {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 });
    vec![
        Parameter::query("limit", limit, "The most entries of a page."),
        Parameter::query("cursor", json!({ "type": "string" }), "`next` of the page before."),
    ]
}

/// Of lists of resources.
pub(super) fn filter_parameters() -> Vec<Parameter> {
    let text = || json!({ "type": "string" });
    vec![
        Parameter::query("name", text(), "Only the one with this name."),
        Parameter::query("tag", text(), "Only those with this tag."),
        Parameter::query("q", text(), "Only those with this text in name, label or description, in any case."),
    ]
}

/// All there is, in the order of the document.
pub(super) fn all() -> Vec<Operation> {
    let mut all = Vec::new();
    all.extend(super::session::operations());
    all.extend(super::status::operations());
    all.extend(super::resources::operations());
    all.extend(super::tokens::operations());
    all.extend(super::nodes::operations());
    all.extend(super::log_level::operations());
    all.extend(super::cache::operations());
    all.extend(super::revisions::operations());
    all.extend(super::probes::operations());
    all
}
