//! The config of `jwt`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidegate_model::{ByteSize, Secret, Span};

use super::Algorithm;

/// Lets in who shows a signed token (JWT) of an issuer that is trusted here.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-one-of" = ["jwks_url", "keys"]))]
pub struct JwtConfig {
    /// Where the issuer publishes its keys (RFC 7517). Nodes fetch it, and fetch it again before it is old.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), example = "https://login.example.com/.well-known/jwks.json")]
    pub jwks_url: Option<String>,
    /// Take keys that come by plain HTTP from another machine. Whoever can change what passes on the way can let anybody in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_plain_http: Option<bool>,
    /// Keys that are known beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub keys: Option<Vec<FixedKey>>,
    /// Only these algorithms. Absent: those that fit the keys. A key is never used with one that does not fit it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 12))]
    pub algorithms: Option<Vec<Algorithm>>,
    /// The claim `iss` must be one of these. Absent: it is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub issuers: Option<Vec<String>>,
    /// The claim `aud` must hold one of these. Absent: it is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub audiences: Option<Vec<String>>,
    /// The header field `typ` must be one of these, such as `at+jwt`. Absent: it is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    pub types: Option<Vec<String>>,
    /// Take tokens that never expire. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_exp: Option<bool>,
    /// How far the clock of the issuer may be off, at most `10m`. Default: `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leeway: Option<Span>,
    /// Claims that must be there, each with the values that are allowed; no values: any. Of a claim that is a list, one must be
    /// allowed. A name that starts with `/` is a JSON pointer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub claims: BTreeMap<String, Vec<String>>,
    /// All of these must be among the token's scopes (`scope`, `scp`). Else 403 `insufficient_scope`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub scopes: Option<Vec<String>>,
    /// How the claim `subject_claim` leads to a consumer. Default: `custom-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<ConsumerBy>,
    /// The claim that says who it is; a name that starts with `/` is a JSON pointer. Default: `sub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub subject_claim: Option<String>,
    /// The claim that names groups, a text or a list of texts. Names of groups that are not configured count for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub groups_claim: Option<String>,
    /// The header that carries the token. `authorization` takes the scheme Bearer. Default, if neither `cookie` nor `query` is
    /// given: `authorization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub header: Option<String>,
    /// A cookie that carries the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub cookie: Option<String>,
    /// A query parameter that carries the token. Others log queries; use it only for callers that can do nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub query: Option<String>,
    /// Leave the token on the request, for an API that looks at it too. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_token: Option<bool>,
    /// The longest token, at most `32KiB`. Default: `8KiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_bytes_max: Option<ByteSize>,
    /// What `WWW-Authenticate` names as the protected area. Default: `tidegate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub realm: Option<String>,
}

/// A key that is known beforehand.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-one-of" = ["pem", "jwk", "secret"]))]
pub struct FixedKey {
    /// What tokens call it. Absent: it may have signed any token, whatever key it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub kid: Option<String>,
    /// A public key in PEM (`-----BEGIN PUBLIC KEY-----`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8192))]
    pub pem: Option<String>,
    /// A public key as JSON (RFC 7517).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwk: Option<Map<String, Value>>,
    /// A secret that issuer and gateway share, for HS256, HS384 and HS512: at least 32, 48 or 64 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// How the secret is written. Default: `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
}

/// How a secret is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// As it is.
    #[default]
    Text,
    /// As base64 or base64url.
    Base64,
}

/// How a claim leads to a consumer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConsumerBy {
    /// By its `custom_id`.
    #[default]
    CustomId,
    /// By its name.
    Name,
    /// By its id.
    Id,
    /// Not at all: whoever holds a token is let in, known by the claim alone.
    None,
}
