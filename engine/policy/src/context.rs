//! What is known of a request beside its head.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::Value;
use smallvec::SmallVec;
use tidegate_model::Id;

use crate::cache::Refresh;
use crate::{Captures, Directory, Link, Notes, Ports, Quotas, RefusedBy, Reply, RequestHead};

/// One request on its way: lives on its worker and never leaves it.
pub struct RequestContext {
    /// What policies may ask the world.
    pub ports: Rc<Ports>,
    /// Who is known: the identity part of the configuration that this request runs on.
    pub directory: Rc<dyn Directory>,
    /// Told to the caller, the upstream and the log.
    pub request_id: RequestId,
    /// Whom the request came from, as far as proxies in front are trusted.
    pub client: IpAddr,
    /// Where it goes.
    pub route: RouteFacts,
    /// What the route captured of the path.
    pub captures: Captures,
    /// Who it turned out to be.
    pub principal: Principal,
    /// What limits said, for the headers of the reply and the log.
    pub quotas: Quotas,
    /// What limits decided, if any did.
    pub limited: Option<LimitOutcome>,
    /// What policies in shadow would have refused.
    pub shadowed: ShadowLog,
    /// The head of the request, kept by a policy that asks for it when the answer comes.
    pub kept_request: Option<Rc<RequestHead>>,
    /// What is known of the request beside its head.
    pub seen: Seen,
    /// What policies note for their later hooks.
    pub notes: Notes,
    /// How a cache had to do with it.
    pub cached: Option<CacheOutcome>,
    /// The body in the place of the reply's, put there while its head was looked at.
    pub instead: Option<Bytes>,
    /// A request to be sent upstream in the background, once this one is answered.
    pub refresh: Option<Box<Refresh>>,
}

/// What is known of a request beside its head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// More than a head comes: a body, or another protocol.
    pub has_body: bool,
    /// The caller speaks TLS, to us or to a trusted proxy in front.
    pub is_secure: bool,
    /// Names the route as it is compiled: another number after each change of it.
    pub route_version: u64,
}

/// How a cache had to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheOutcome {
    /// A stored answer that is fresh.
    Hit,
    /// A stored answer that is not fresh any more.
    Stale,
    /// A stored answer, once the API said that it still holds.
    Revalidated,
    /// Nothing was stored that fits: the API's answer.
    Miss,
    /// The cache had nothing to do with it.
    Bypass,
}

impl CacheOutcome {
    /// All of them, as metrics and the access log call them.
    pub const NAMES: [&'static str; 5] = ["hit", "stale", "revalidated", "miss", "bypass"];

    /// As metrics and the access log call it.
    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl RequestContext {
    /// What expressions look at, apart from the request's own way: a call that is made for it may outlive it.
    #[must_use]
    pub fn apart(&self) -> Self {
        RequestContext {
            ports: self.ports.clone(),
            directory: self.directory.clone(),
            request_id: self.request_id.clone(),
            client: self.client,
            route: self.route,
            captures: self.captures.clone(),
            principal: self.principal.clone(),
            quotas: Quotas::new(),
            limited: None,
            shadowed: ShadowLog::default(),
            kept_request: None,
            seen: self.seen,
            notes: Notes::default(),
            cached: None,
            instead: None,
            refresh: None,
        }
    }
}

/// What policies in shadow would have refused. Nothing is allocated until one would.
#[derive(Debug, Default)]
pub struct ShadowLog(OnceCell<Told>);

/// The same, for those who may note something while the request is lent to a policy.
pub(crate) type Told = Rc<RefCell<Vec<Shadowed>>>;

/// A refusal that did not take place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadowed {
    /// The policy, and its kind.
    pub by: RefusedBy,
    /// The status that the caller would have got.
    pub status: StatusCode,
    /// The code of the reply.
    pub code: &'static str,
}

impl ShadowLog {
    /// Opens it for one that may note something later.
    pub(crate) fn share(&self) -> Told {
        self.0.get_or_init(Rc::default).clone()
    }

    pub(crate) fn note(&self, link: &Link, reply: &Reply) {
        self.share().borrow_mut().push(Shadowed::new(link, reply));
    }

    /// Looks at each.
    pub fn each(&self, mut look: impl FnMut(&Shadowed)) {
        if let Some(all) = self.0.get() {
            all.borrow().iter().for_each(&mut look);
        }
    }
}

impl Shadowed {
    pub(crate) fn new(link: &Link, reply: &Reply) -> Self {
        let by = RefusedBy { kind: link.kind, policy: link.name.clone() };
        Shadowed { by, status: reply.status, code: reply.code }
    }
}

/// What limits decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitOutcome {
    /// The request goes on.
    Admitted,
    /// A limit is used up.
    Refused,
    /// The counters can't be reached, and the limit says to refuse then.
    Undecided,
}

/// What policies may know of the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteFacts {
    /// The route.
    pub route: Id,
    /// Its service; a route that redirects has none.
    pub service: Option<Id>,
}

/// A request's id: one that the gateway made, or one that a trusted proxy in front gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(Text);

/// Ours costs no allocation; one that was given is the header that it came in.
#[derive(Clone, PartialEq, Eq)]
enum Text {
    Made([u8; 24]),
    Given(HeaderValue),
}

impl RequestId {
    /// The longest id that is taken from another.
    pub const GIVEN_LENGTH_MAX: usize = 128;

    /// From 96 bits, written as 24 hexadecimal digits.
    pub fn new(high: u32, low: u64) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let number = u128::from(high) << 64 | u128::from(low);
        let mut text = [0; 24];
        for (i, digit) in text.iter_mut().enumerate() {
            *digit = DIGITS[(number >> (4 * (23 - i)) & 15) as usize];
        }
        RequestId(Text::Made(text))
    }

    /// The id that somebody else gave: letters, digits and `._~-`, so that it needs no escaping in a log, a header or JSON.
    pub fn given(value: &HeaderValue) -> Option<Self> {
        let text = value.as_bytes();
        let fits = (1..=Self::GIVEN_LENGTH_MAX).contains(&text.len())
            && text.iter().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(b));
        fits.then(|| RequestId(Text::Given(value.clone())))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Made(text) => std::str::from_utf8(text).unwrap_or(""),
            Text::Given(value) => value.to_str().unwrap_or(""),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who a request turned out to be, and by what right.
#[derive(Debug, Clone, Default)]
pub struct Principal {
    /// Who.
    pub subject: Subject,
    /// What it proved itself with, if that is a resource of ours.
    pub credential: Option<Id>,
    /// Groups that a token says it is in, beside those of the consumer.
    pub groups: SmallVec<[Id; 2]>,
    /// What it may do, as the credential says.
    pub scopes: SmallVec<[Box<str>; 2]>,
    /// What a token said of it.
    pub claims: Option<Arc<Value>>,
    /// It showed no credentials: its consumer stands for all such callers.
    pub is_stand_in: bool,
}

/// Who a request turned out to be.
#[derive(Debug, Clone, Default)]
pub enum Subject {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// One of the configured consumers.
    Consumer(Arc<ConsumerFacts>),
    /// Somebody whom an outside authority vouched for.
    External(Arc<str>),
}

impl Principal {
    /// The consumer, if it is one.
    pub fn consumer(&self) -> Option<&Arc<ConsumerFacts>> {
        match &self.subject {
            Subject::Consumer(consumer) => Some(consumer),
            Subject::Anonymous | Subject::External(_) => None,
        }
    }

    /// All the groups that it is in.
    pub fn groups(&self) -> impl Iterator<Item = Id> + '_ {
        let own = self.consumer().map_or(&[][..], |consumer| &consumer.groups);
        own.iter().chain(&self.groups).copied()
    }

    /// Whether it is in a group.
    pub fn in_group(&self, group: Id) -> bool {
        self.groups().any(|own| own == group)
    }
}

/// What a node knows of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerFacts {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: Box<str>,
    /// Its groups.
    pub groups: SmallVec<[Id; 2]>,
    /// The id, ready to go upstream.
    pub id_header: HeaderValue,
    /// The name, ready to go upstream.
    pub name_header: HeaderValue,
    /// What another system calls it, ready to go upstream.
    pub custom_id_header: Option<HeaderValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_has_all_its_bits() {
        assert_eq!(RequestId::new(0x0123_4567, 0x89ab_cdef_0011_2233).as_str(), "0123456789abcdef00112233");
    }

    #[test]
    fn an_id_from_elsewhere_is_taken_if_it_needs_no_escaping() {
        let given = |text: &str| RequestId::given(&HeaderValue::from_str(text).expect("a header"));
        let longest = "a".repeat(128);
        for text in ["a", "0197c1f2-aaaa-7bbb-8ccc-000000000000", "Az09._~-", &longest] {
            assert_eq!(given(text).map(|id| id.to_string()).as_deref(), Some(text));
        }
        for text in ["", "a b", "a\"b", "a,b", "a/b", "\u{e4}", &format!("{longest}a")] {
            assert_eq!(given(text), None, "{text}");
        }
    }
}
