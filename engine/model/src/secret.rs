//! Values that must not be seen: sealed in documents, or kept elsewhere and named.

use std::fmt;
use std::str::FromStr;

use crate::scalar::text_scalar;

/// A secret inside a document: an envelope sealed with the fleet's data key, or a reference to a place outside.
///
/// What an operator writes in plain text is sealed before the change reaches the log ([`crate::visit_document_secrets`]); no document
/// that is stored or sent holds [`Secret::Plain`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Secret {
    /// As an operator wrote it; lives no longer than the request that brought it.
    Plain(Box<str>),
    /// `sealed:v1:<base64>`: AES-256-GCM under the fleet's data key.
    Sealed(Box<str>),
    /// `env://NAME`: an environment variable of the process that uses it.
    Env(Box<str>),
    /// `file:///path`: a file on the machine that uses it.
    File(Box<str>),
}

/// Why a text is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Nothing at all.
    #[error("a secret has at least one character")]
    Empty,
    /// A reference without a name.
    #[error("a reference reads `env://NAME` or `file:///path`")]
    Reference,
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        if text.is_empty() {
            Err(InvalidSecret::Empty)
        } else if text.starts_with("sealed:v1:") {
            Ok(Secret::Sealed(text.into()))
        } else if let Some(name) = text.strip_prefix("env://") {
            let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if fits { Ok(Secret::Env(name.into())) } else { Err(InvalidSecret::Reference) }
        } else if let Some(path) = text.strip_prefix("file://") {
            if path.starts_with('/') { Ok(Secret::File(path.into())) } else { Err(InvalidSecret::Reference) }
        } else {
            Ok(Secret::Plain(text.into()))
        }
    }
}

/// What the document holds. Never use it for people: that is what the admin API's masks are for.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Plain(text) | Secret::Sealed(text) => f.write_str(text),
            Secret::Env(name) => write!(f, "env://{name}"),
            Secret::File(path) => write!(f, "file://{path}"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Plain(_) => f.write_str("Secret(plain)"),
            Secret::Sealed(_) => f.write_str("Secret(sealed)"),
            Secret::Env(name) => write!(f, "Secret(env://{name})"),
            Secret::File(path) => write!(f, "Secret(file://{path})"),
        }
    }
}

text_scalar!(
    Secret,
    "Secret",
    "secret",
    "A secret; or `env://NAME`, `file:///path`. Never shown again.",
    "env://SIGNING_KEY"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed_by_debug() {
        let secret: Secret = "hunter2".parse().expect("plain");
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!("env://".parse::<Secret>(), Err(InvalidSecret::Reference));
        assert_eq!("file://x".parse::<Secret>(), Err(InvalidSecret::Reference));
        assert_eq!("env://A_B".parse(), Ok(Secret::Env("A_B".into())));
    }
}
