//! What a policy kind gives: its name, its schema, and how a config becomes a built policy.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tidegate_model::schema::{decode, schema_of};
use tidegate_model::{Id, Problem};

use crate::{Authenticator, Policy, Registry, Reply, Secrets};

/// Where in a request's way a policy acts. What follows [`Phase::Authenticate`] may differ by principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Stands around all that follows: sees every reply, also the refusals of the others.
    Around,
    /// Turns away what need not be looked at further.
    Screen,
    /// Finds out who is calling.
    Authenticate,
    /// Decides whether the principal may.
    Authorize,
    /// Counts.
    Limit,
    /// Reads and changes what passes.
    Transform,
    /// Answers in the place of the API, once all others let the request pass.
    Answer,
    /// Answers in the API's place with what it said before. The last, so that all others act on such an answer as on any.
    Cache,
}

/// What holds when several policies of a kind are in reach of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// The most specific one, whole.
    Replace,
    /// Each of them: for those that decide on access, so that a consumer's list never switches the global one off.
    All,
}

/// What a kind says of itself.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct KindInfo {
    /// `key-auth`, `rate-limit`, ...
    pub name: &'static str,
    /// A few words.
    pub title: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What holds when several are in reach.
    pub combine: Combine,
    /// Whether it may be scoped to a consumer or a group.
    pub by_principal: bool,
    /// Whether it decides on requests and changes nothing of what passes, so that it may run in shadow.
    pub decides: bool,
    /// The user's page, in Markdown; each JSON block in it is a config that builds (a test sees to it).
    pub page: &'static str,
}

/// What a policy wants of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyNeed {
    /// Nothing; it streams by.
    #[default]
    None,
    /// To look at each piece as it streams by.
    Stream,
    /// All of it, at most so many bytes.
    Buffer(u64),
}

/// What a policy, or a whole chain, wants of the bodies. Who needs nothing costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Of the request's.
    pub request_body: BodyNeed,
    /// Of the reply's.
    pub response_body: BodyNeed,
}

impl BodyNeed {
    /// What both want: the whole, up to the smaller bound, if one wants it whole.
    #[must_use]
    pub fn and(self, other: BodyNeed) -> BodyNeed {
        match (self, other) {
            (BodyNeed::Buffer(a), BodyNeed::Buffer(b)) => BodyNeed::Buffer(a.min(b)),
            (BodyNeed::Buffer(a), _) | (_, BodyNeed::Buffer(a)) => BodyNeed::Buffer(a),
            (BodyNeed::Stream, _) | (_, BodyNeed::Stream) => BodyNeed::Stream,
            (BodyNeed::None, BodyNeed::None) => BodyNeed::None,
        }
    }
}

impl Needs {
    /// What both want.
    #[must_use]
    pub fn and(self, other: Needs) -> Needs {
        Needs {
            request_body: self.request_body.and(other.request_body),
            response_body: self.response_body.and(other.response_body),
        }
    }
}

/// Looks at a body while it streams.
pub trait BodyFilter {
    /// One piece; may be changed, also to nothing.
    ///
    /// # Errors
    /// The reply, if nothing was sent yet; else the exchange is cut.
    fn on_data(&mut self, data: &mut Bytes) -> Result<(), Box<Reply>>;

    /// The body came to its end; what is left to pass on. Not called for one that is cut off.
    ///
    /// # Errors
    /// As those of [`BodyFilter::on_data`].
    fn on_end(&mut self) -> Result<Bytes, Box<Reply>> {
        Ok(Bytes::new())
    }

    /// The largest piece that it is given: for those whose work on more would hold up the worker's other requests.
    fn piece_bytes_max(&self) -> usize {
        usize::MAX
    }
}

/// What a policy does.
#[derive(Clone)]
pub enum Behaviour {
    /// Answers hooks.
    Policy(Arc<dyn Policy>),
    /// Says who is calling.
    Authenticator(Arc<dyn Authenticator>),
}

/// A policy, built.
#[derive(Clone)]
pub struct Built {
    /// What it does.
    pub behaviour: Behaviour,
    /// When; may depend on the config.
    pub phase: Phase,
    /// What it wants of the bodies.
    pub needs: Needs,
}

/// Which policy is being built, and with what at hand.
#[derive(Clone, Copy)]
pub struct Attachment<'a> {
    /// The policy resource.
    pub policy: Id,
    /// Whether its scope names a consumer or a group: it can't act before it is known who calls then.
    pub for_some: bool,
    /// The kinds there are, for those that are made of others.
    pub registry: &'a Registry,
}

impl Attachment<'_> {
    /// Opens the secrets of its config.
    pub fn secrets(&self) -> &dyn Secrets {
        self.registry.secrets()
    }
}

/// What each room gives.
pub trait PolicyKind: Send + Sync + 'static {
    /// Its config; the doc comments are the reference manual.
    type Config: DeserializeOwned + JsonSchema;

    /// What it says of itself.
    const INFO: KindInfo;

    /// Builds it: all checking and precomputing happens here.
    ///
    /// # Errors
    /// All that is wrong, with pointers into the config.
    fn build(config: Self::Config, attachment: &Attachment<'_>) -> Result<Built, Vec<Problem>>;
}

/// A kind, whatever its config.
pub trait AnyKind: Send + Sync {
    /// What it says of itself.
    fn info(&self) -> KindInfo;

    /// The JSON schema of its config.
    fn schema(&self) -> &Schema;

    /// Reads a config and builds the policy.
    ///
    /// # Errors
    /// All that is wrong, with pointers into the config.
    fn build(&self, config: &Map<String, Value>, attachment: &Attachment<'_>) -> Result<Built, Vec<Problem>>;
}

/// A [`PolicyKind`] as [`AnyKind`]: what a room puts into the registry.
pub struct Typed<K> {
    schema: OnceLock<Schema>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Typed<K> {
    /// The kind.
    pub const fn new() -> Self {
        Typed { schema: OnceLock::new(), kind: PhantomData }
    }
}

impl<K> Default for Typed<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: PolicyKind> AnyKind for Typed<K> {
    fn info(&self) -> KindInfo {
        K::INFO
    }

    fn schema(&self) -> &Schema {
        self.schema.get_or_init(schema_of::<K::Config>)
    }

    fn build(&self, config: &Map<String, Value>, attachment: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let config = decode::<K::Config>(self.schema(), &Value::Object(config.clone()))?;
        K::build(config, attachment)
    }
}
