//! A token in compact form (RFC 7515 §3.1): its three parts, and what its header may say. Nothing of it is trusted here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::json;

/// A token whose header was read. Its signature was not looked at.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// What it says it is signed with.
    pub(super) algorithm: Algorithm,
    /// What it says it is signed by.
    pub(super) kid: Option<Box<str>>,
    /// What it says it is: `at+jwt`, `JWT`, ...
    pub(super) typ: Option<Box<str>>,
    /// What is signed: header and claims as they came.
    pub(super) signed: &'a [u8],
    claims: &'a [u8],
    /// The signature.
    pub(super) signature: Vec<u8>,
}

/// The longest id of a key.
pub(super) const KID_BYTES_MAX: usize = 512;

/// Why a text is no token for this gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    TooLong,
    Form,
    Encrypted,
    Unsigned,
    Algorithm,
    Header,
    Extension,
}

impl Flaw {
    /// For people; says nothing that helps to guess.
    pub(super) const fn detail(self) -> &'static str {
        match self {
            Flaw::TooLong => "the token is longer than is taken here",
            Flaw::Form => "the token is not a signed JWT in compact form",
            Flaw::Encrypted => "the token is encrypted, which is not taken here",
            Flaw::Unsigned => "the token is not signed",
            Flaw::Algorithm => "the token is signed by an algorithm that is not taken here",
            Flaw::Header => "the token's header can't be read",
            Flaw::Extension => "the token asks for an extension that is not known here",
        }
    }
}

impl<'a> Token<'a> {
    /// Takes a token apart and reads its header.
    ///
    /// `jwk`, `jku`, `x5c` and `x5u` are left unread: a token never brings its own key.
    pub(super) fn read(text: &'a [u8], bytes_max: usize) -> Result<Token<'a>, Flaw> {
        if text.len() > bytes_max {
            return Err(Flaw::TooLong);
        }
        let mut parts = text.split(|b| *b == b'.');
        let (Some(header), Some(claims), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Flaw::Form);
        };
        match parts.count() {
            0 => {}
            2 => return Err(Flaw::Encrypted),
            _ => return Err(Flaw::Form),
        }
        let head = URL_SAFE_NO_PAD.decode(header).map_err(|_| Flaw::Form)?;
        let head = json::object(&head).ok_or(Flaw::Header)?;
        let algorithm = algorithm(&head)?;
        // RFC 7515 §4.1.11: what is critical has to be understood, and no extension is
        if head.contains_key("crit") || head.get("b64").is_some_and(|b64| *b64 != Value::Bool(true)) {
            return Err(Flaw::Extension);
        }
        if signature.is_empty() {
            return Err(Flaw::Unsigned);
        }
        Ok(Token {
            algorithm,
            kid: text_of(&head, "kid")?,
            typ: text_of(&head, "typ")?,
            signed: &text[..header.len() + 1 + claims.len()],
            claims,
            signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| Flaw::Form)?,
        })
    }

    /// What it claims. Only to be asked once the signature held.
    pub(super) fn claims(&self) -> Option<Map<String, Value>> {
        json::object(&URL_SAFE_NO_PAD.decode(self.claims).ok()?)
    }
}

fn algorithm(head: &Map<String, Value>) -> Result<Algorithm, Flaw> {
    match head.get("alg").and_then(Value::as_str) {
        None => Err(Flaw::Header),
        Some(name) if name.eq_ignore_ascii_case("none") => Err(Flaw::Unsigned),
        Some(name) => Algorithm::named(name).ok_or(Flaw::Algorithm),
    }
}

fn text_of(head: &Map<String, Value>, name: &str) -> Result<Option<Box<str>>, Flaw> {
    match head.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= KID_BYTES_MAX => Ok(Some(text.as_str().into())),
        Some(_) => Err(Flaw::Header),
    }
}
