//! Where callers are sent instead of an answer.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::{CapturePath, HostPort};
use crate::Problems;

/// Where callers are sent. What is not given stays as in the request; without scheme, host and port only the path is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// 301 and 308 are for good, 302 and 307 for now; 307 and 308 keep the method; 303 makes it GET. Default: 302.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RedirectStatus>,
    /// Default: the one that the caller uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<RedirectScheme>,
    /// Default: the host that the caller asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostPort>,
    /// Default: the scheme's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// `{name}` stands for what a `template` or `regex` captured. Default: the path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<CapturePath>,
    /// Whether the query of the request stays, byte for byte. Default: `keep`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<RedirectQuery>,
}

/// The status of a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RedirectStatus(u16);

/// The scheme of a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RedirectScheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// What becomes of the query in a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RedirectQuery {
    /// It stays as it came.
    Keep,
    /// It is left out.
    Drop,
}

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

impl RedirectStatus {
    /// As a number.
    pub const fn code(self) -> u16 {
        self.0
    }
}

impl Default for RedirectStatus {
    fn default() -> Self {
        RedirectStatus(302)
    }
}

impl RedirectScheme {
    /// As it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            RedirectScheme::Http => "http",
            RedirectScheme::Https => "https",
        }
    }
}

impl<'de> Deserialize<'de> for RedirectStatus {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let code = u16::deserialize(from)?;
        if STATUSES.contains(&code) {
            Ok(RedirectStatus(code))
        } else {
            Err(serde::de::Error::custom(format!("`{code}` is not one of 301, 302, 303, 307, 308")))
        }
    }
}

impl JsonSchema for RedirectStatus {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "RedirectStatus".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "enum": STATUSES })
    }
}

impl Redirect {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.host.as_ref().is_some_and(|host| host.port().is_some()) {
            problems.add_at("host", "invalid_value", "give the port in `port`");
        }
        let elsewhere = self.scheme.is_some() || self.host.is_some() || self.port.is_some() || self.path.is_some();
        if !elsewhere && self.query != Some(RedirectQuery::Drop) {
            problems.add("missing_field", "give `scheme`, `host`, `port` or `path`; else it leads to itself");
        }
    }
}
