//! Names that routes speak of: headers to look at, hosts to be called by.

use std::fmt;
use std::str::FromStr;

use crate::scalar::{is_host, text_scalar};

/// The name of a header that a request is matched by. Stored in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeaderName(Box<str>);

/// Why a text can't be the name of a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeaderName {
    /// Not by the grammar.
    #[error("`{0}` is not the name of a header; write it like `x-tenant`")]
    Form(String),
    /// With an underscore.
    #[error("`{0}` never matches: headers with `_` in their names are dropped, as servers may take them for others")]
    Underscore(String),
}

impl HeaderName {
    /// The text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HeaderName {
    type Err = InvalidHeaderName;

    fn from_str(text: &str) -> Result<Self, InvalidHeaderName> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^`|~_".contains(&b);
        if !(1..=256).contains(&text.len()) || !text.bytes().all(token) {
            return Err(InvalidHeaderName::Form(text.to_owned()));
        }
        if text.contains('_') {
            return Err(InvalidHeaderName::Underscore(text.to_owned()));
        }
        Ok(HeaderName(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_scalar!(HeaderName, "HeaderName", "header-name", "The name of a header; capitals do not matter.", "x-tenant");

/// A host, and a port if one is to be told. Stored in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    text: Box<str>,
    port: Option<u16>,
}

/// Why a text is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host; write `api.example.com` or `api.example.com:8080`, without scheme or path")]
pub struct InvalidHostPort(String);

impl HostPort {
    /// The host, and the port if there is one.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The port, if there is one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for HostPort {
    type Err = InvalidHostPort;

    fn from_str(text: &str) -> Result<Self, InvalidHostPort> {
        let invalid = || InvalidHostPort(text.to_owned());
        // the colons of an IPv6 address stand within its brackets
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, Some(port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(invalid)?))
            }
            _ => (text, None),
        };
        if !is_host(host) {
            return Err(invalid());
        }
        Ok(HostPort { text: text.to_ascii_lowercase().into(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

text_scalar!(HostPort, "HostPort", "host-port", "A host, and a port if one is to be told.", "api.example.com");
