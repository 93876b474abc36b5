//! Which resource is meant: its kind, its id, its name.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An API behind the gateway.
    Service,
    /// A match that leads to a service.
    Route,
    /// A pool of targets.
    Upstream,
    /// Behaviour attached to a scope.
    Policy,
    /// A calling application.
    Consumer,
    /// Consumers that are treated alike.
    ConsumerGroup,
    /// What a consumer proves itself with.
    Credential,
    /// Who uses the admin API.
    Operator,
    /// What an operator proves itself with.
    OperatorToken,
    /// What a new node proves itself with, once.
    JoinToken,
    /// An enrolled data-plane process.
    Node,
}

/// Which part of the configuration a kind belongs to. Each class is streamed, applied and acknowledged on its own, so that
/// revoking a credential never waits for a route that does not build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Consumers, groups and credentials. Follows the head of the log at all times.
    Identity,
    /// Services, routes, upstreams and policies.
    Traffic,
    /// Operators, tokens and enrolment. Never sent to nodes.
    Control,
}

impl Kind {
    /// All kinds, referenced ones before those that refer to them.
    pub const ALL: [Kind; 11] = [
        Kind::Upstream,
        Kind::Service,
        Kind::Route,
        Kind::ConsumerGroup,
        Kind::Consumer,
        Kind::Credential,
        Kind::Policy,
        Kind::Operator,
        Kind::OperatorToken,
        Kind::JoinToken,
        Kind::Node,
    ];

    /// The name on the wire, in the log and in messages: singular, kebab-case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Service => "service",
            Kind::Route => "route",
            Kind::Upstream => "upstream",
            Kind::Policy => "policy",
            Kind::Consumer => "consumer",
            Kind::ConsumerGroup => "consumer-group",
            Kind::Credential => "credential",
            Kind::Operator => "operator",
            Kind::OperatorToken => "operator-token",
            Kind::JoinToken => "join-token",
            Kind::Node => "node",
        }
    }

    /// The collection of the admin API: `services`, `consumer-groups`, ...
    pub const fn collection(self) -> &'static str {
        match self {
            Kind::Service => "services",
            Kind::Route => "routes",
            Kind::Upstream => "upstreams",
            Kind::Policy => "policies",
            Kind::Consumer => "consumers",
            Kind::ConsumerGroup => "consumer-groups",
            Kind::Credential => "credentials",
            Kind::Operator => "operators",
            Kind::OperatorToken => "operator-tokens",
            Kind::JoinToken => "join-tokens",
            Kind::Node => "nodes",
        }
    }

    /// The class whose position a change of this kind moves.
    pub const fn class(self) -> Class {
        match self {
            Kind::Service | Kind::Route | Kind::Upstream | Kind::Policy => Class::Traffic,
            Kind::Consumer | Kind::ConsumerGroup | Kind::Credential => Class::Identity,
            Kind::Operator | Kind::OperatorToken | Kind::JoinToken | Kind::Node => Class::Control,
        }
    }
}

impl Class {
    /// `identity`, `traffic` or `control`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Identity => "identity",
            Class::Traffic => "traffic",
            Class::Control => "control",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of resource")]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A resource's identity for ever: a UUID, version 7 where Tidegate makes it, so that ids sort by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(Uuid);

/// The text is no UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a UUID")]
pub struct InvalidId(pub String);

impl Id {
    /// Takes a UUID made elsewhere (the engine has no randomness of its own).
    pub const fn new(uuid: Uuid) -> Self {
        Id(uuid)
    }

    /// The UUID.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The 128 bits, for hashing and compact tables.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for Id {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if !looks_like_id(text) {
            return Err(InvalidId(text.to_owned()));
        }
        Uuid::parse_str(text).map(Id).map_err(|_| InvalidId(text.to_owned()))
    }
}

/// Whether a text has the hyphenated form of a UUID. Names may not, so that a reference is never ambiguous.
fn looks_like_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// A resource's name: unique among its kind, may be changed, never looks like an id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(Box<str>);

/// Why a text can't be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing at all.
    #[error("a name has at least one character")]
    Empty,
    /// Longer than [`Name::LENGTH_MAX`].
    #[error("a name has at most {} characters", Name::LENGTH_MAX)]
    TooLong,
    /// A character that would have to be escaped in a URL, or punctuation in the first place.
    #[error("a name starts with a letter or digit and goes on with letters, digits, `.`, `_`, `~` or `-`")]
    Character,
    /// The form of a UUID.
    #[error("a name can't have the form of an id")]
    LooksLikeId,
}

impl Name {
    /// The longest name, in characters.
    pub const LENGTH_MAX: usize = 128;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let first = text.bytes().next().ok_or(InvalidName::Empty)?;
        if text.len() > Name::LENGTH_MAX {
            return Err(InvalidName::TooLong);
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
        if !first.is_ascii_alphanumeric() || !text.bytes().all(allowed) {
            return Err(InvalidName::Character);
        }
        if looks_like_id(text) {
            return Err(InvalidName::LooksLikeId);
        }
        Ok(Name(text.into()))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How one document points at another resource: by name as an operator writes it, by id as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// Resolved: what the log, the wire and the engine hold.
    Id(Id),
    /// As written; replaced by the id when the change is committed.
    Name(Name),
}

impl Reference {
    /// The id, once resolved.
    pub fn id(&self) -> Option<Id> {
        match self {
            Reference::Id(id) => Some(*id),
            Reference::Name(_) => None,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Id(id) => id.fmt(f),
            Reference::Name(name) => name.fmt(f),
        }
    }
}

impl FromStr for Reference {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.parse() {
            Ok(id) => Ok(Reference::Id(id)),
            Err(_) => text.parse().map(Reference::Name),
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Reference {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Reference".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "reference", "description": "The name or id of a resource." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_looks_like_an_id() {
        let id = Id::new(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse::<Name>(), Err(InvalidName::LooksLikeId));
        assert_eq!(id.to_string().parse::<Reference>(), Ok(Reference::Id(id)));
    }

    #[test]
    fn names_need_no_escaping_in_a_url() {
        for good in ["orders", "a", "9", "Orders.v2_x~y-z"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "ä", "a%20", &"x".repeat(129)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_kind_reads_back_from_its_name() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }
}
