//! The nouns of Tidegate: what an operator configures and what a node runs on.
//!
//! Pure: no files, sockets, clocks or randomness. The control plane and the nodes share every type here, so what one
//! accepts the other understands.
//!
//! - [`Kind`], [`Id`], [`Name`], [`Reference`] say which resource is meant.
//! - [`Resource`] is one resource at one revision; its document holds only what the operator set.
//! - [`GatewayConfig`] is the fold of the log at a revision; [`Delta`] leads from one to a later one.
//! - [`Problem`] is one thing wrong in a document, with a JSON pointer; all are reported at once.

mod canonical;
mod consumer;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod gateway_config;
mod kind;
mod log;
mod marked;
mod network;
mod operator;
mod password;
mod pointing;
mod policy;
mod problem;
mod resource;
mod route;
mod scalar;
pub mod schema;
mod secret;
mod service;
mod strength;
mod token;
mod upstream;

pub use canonical::{PathRefused, canonical_path};
pub use consumer::{Consumer, ConsumerGroup, Credential, CredentialKind};
pub use gateway_config::{GatewayConfig, change_of};
pub use kind::{Class, Id, InvalidId, InvalidName, Kind, Name, Reference, UnknownKind};
pub use log::{Chain, Change, Delta, Digest, Position, State};
pub use marked::{ConfigSchemas, visit_references, visit_secrets};
pub use network::{InvalidNetwork, Network};
pub use operator::{JoinToken, Node, Operator, OperatorToken, Role};
pub use password::{InvalidPasswordHash, PasswordHash};
pub use pointing::{ToConsumer, ToGroup};
pub use policy::{Mode, OnError, Policy, Scope};
pub use problem::{Problem, Problems, Subject};
pub use resource::{
    AsSpec, Document, Pointed, Resource, Spec, document_schema, visit_document_references, visit_document_secrets,
};
pub use route::{
    CapturePath, Coalesce, Compose, ComposedAnswer, Expect, ExpectedContent, HeaderMatch, HeaderName, HostPort,
    InvalidCapturePath, InvalidHeaderName, InvalidHostPort, InvalidPattern, InvalidStatusRange, InvalidTemplate, Match,
    OnStepError, Partial, PathMatch, PathRule, PathTemplate, Paths, Pattern, Piece, QueryMatch, Redirect,
    RedirectQuery, RedirectScheme, RedirectStatus, Retry, RetryOn, Rewrite, Route, Segment, StatusRange, Step,
    StepBody, Test,
};
pub use scalar::{
    Authority, ByteSize, HostPattern, HttpUrl, Instant, InvalidAuthority, InvalidByteSize, InvalidHostPattern,
    InvalidHttpUrl, InvalidInstant, InvalidMethod, InvalidPath, InvalidSpan, Method, Path, Span,
};
pub use secret::{InvalidSecret, Secret};
pub use service::{Protocol, Service, Timeouts};
pub use strength::{KEY_LENGTH_MAX, PASSWORD_BYTES, why_weak_key, why_weak_password};
pub use token::{InvalidSha256, Sha256, TokenKind, hint, is_well_formed, write_token};
pub use upstream::{Target, Upstream};
