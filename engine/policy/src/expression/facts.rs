//! What expressions see of a request: looked at where it is, copied only as far as it is asked for.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Sizer};
use cel::common::types::{CelInt, CelList, CelNull, CelString, DYN_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use http::HeaderMap;
use http::header::HOST;
use serde_json::{Map, Value};
use smallvec::SmallVec;
use tidegate_model::Id;

use super::json;
use super::parse::Expression;
use crate::{
    Captures, ConsumerFacts, Principal, RequestContext, RequestHead, RequestId, ResponseHead, RouteFacts, Subject,
};

/// What expressions see of a request.
#[derive(Clone)]
pub struct Facts<'a> {
    head: &'a RequestHead,
    response: Option<&'a ResponseHead>,
    request_id: &'a RequestId,
    client: IpAddr,
    route: RouteFacts,
    captures: &'a Captures,
    principal: &'a Principal,
    further: &'a [(&'a str, &'a Value)],
    groups: SmallVec<[Arc<str>; 2]>,
}

impl<'a> Facts<'a> {
    /// Of a request on its way in.
    pub fn of_request(head: &'a RequestHead, cx: &'a RequestContext) -> Self {
        Facts {
            head,
            response: None,
            request_id: &cx.request_id,
            client: cx.client,
            route: cx.route,
            captures: &cx.captures,
            principal: &cx.principal,
            further: &[],
            groups: SmallVec::new(),
        }
    }

    /// And of its answer.
    #[must_use]
    pub fn and_response(self, response: &'a ResponseHead) -> Self {
        Facts { response: Some(response), ..self }
    }

    /// With further values, by name.
    #[must_use]
    pub fn with(self, further: &'a [(&'a str, &'a Value)]) -> Self {
        Facts { further, ..self }
    }

    /// With what the expression needs a look-up for.
    pub(super) fn prepared(&self, expression: &Expression, cx: &RequestContext) -> Cow<'_, Self> {
        if !expression.needs_groups {
            return Cow::Borrowed(self);
        }
        let groups = self.principal.groups().filter_map(|id| cx.directory.group_name(id)).collect();
        Cow::Owned(Facts { groups, ..self.clone() })
    }
}

impl VariableResolver for Facts<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let node = match variable {
            "request" => Node::Request(self),
            "route" => Node::Route(self),
            "captures" => Node::Captures(self.captures),
            "principal" => Node::Principal(self),
            "response" => Node::Response(self.response?),
            name => {
                let (_, value) = self.further.iter().find(|(known, _)| *known == name)?;
                return Some(json::value(value));
            }
        };
        Some(CowVal::owned(node))
    }
}

/// A value that is looked into, not copied. A member that is absent reads as null; `has(...)` and `in` tell.
#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    Request(&'a Facts<'a>),
    Route(&'a Facts<'a>),
    Principal(&'a Facts<'a>),
    Consumer(Option<&'a ConsumerFacts>),
    Captures(&'a Captures),
    Response(&'a ResponseHead),
    Headers(&'a HeaderMap),
    Query(&'a str),
    /// Of JSON.
    Object(&'a Map<String, Value>),
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // it may hold credentials
        f.write_str("a part of the request")
    }
}

pub(super) fn text<'b, 'v>(text: impl Into<Cow<'v, str>>) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(text.into()))
}

fn texts<'b, 'v, 'a: 'v>(all: impl Iterator<Item = &'a str>) -> CowVal<'b, 'v> {
    let all: Vec<Box<dyn Val + 'v>> = all.map(|text| Box::new(CelString::from(text)) as _).collect();
    CowVal::owned(CelList::from(all))
}

impl<'a> Node<'a> {
    fn member<'b, 'v>(self, name: &str) -> Option<CowVal<'b, 'v>>
    where
        'a: 'v,
    {
        Some(match self {
            Node::Request(facts) => match name {
                "method" => text(facts.head.method.as_str()),
                "path" => text(facts.head.path()),
                "query" => CowVal::owned(Node::Query(facts.head.query().unwrap_or(""))),
                "headers" => CowVal::owned(Node::Headers(&facts.head.headers)),
                "host" => text(String::from_utf8_lossy(facts.head.headers.get(HOST)?.as_bytes())),
                "client_ip" => text(facts.client.to_string()),
                "id" => text(facts.request_id.as_str()),
                _ => return None,
            },
            Node::Route(facts) => match name {
                "id" => id(facts.route.route),
                "service" => id(facts.route.service?),
                _ => return None,
            },
            Node::Principal(facts) => {
                let principal = facts.principal;
                match name {
                    "kind" => text(match principal.subject {
                        Subject::Anonymous => "anonymous",
                        Subject::Consumer(_) if principal.is_stand_in => "anonymous",
                        Subject::Consumer(_) => "consumer",
                        Subject::External(_) => "external",
                    }),
                    "consumer" => CowVal::owned(Node::Consumer(principal.consumer().map(|consumer| &**consumer))),
                    "subject" => match &principal.subject {
                        Subject::External(subject) => text(&**subject),
                        Subject::Anonymous | Subject::Consumer(_) => return None,
                    },
                    "credential" => id(principal.credential?),
                    "groups" => texts(facts.groups.iter().map(|group| &**group)),
                    "scopes" => texts(principal.scopes.iter().map(|scope| &**scope)),
                    "claims" => json::value(principal.claims.as_deref().unwrap_or(&json::NOTHING)),
                    _ => return None,
                }
            }
            Node::Consumer(consumer) => {
                let consumer = consumer?;
                match name {
                    "id" => id(consumer.id),
                    "name" => text(&*consumer.name),
                    "custom_id" => text(consumer.custom_id_header.as_ref()?.to_str().ok()?),
                    _ => return None,
                }
            }
            Node::Captures(captures) => text(decode(captures.get(name)?, false)),
            Node::Response(response) => match name {
                "status" => CowVal::owned(CelInt::from(i64::from(response.status.as_u16()))),
                "headers" => CowVal::owned(Node::Headers(&response.headers)),
                _ => return None,
            },
            Node::Headers(headers) => {
                let mut all = headers.get_all(name.to_ascii_lowercase()).iter();
                let first = String::from_utf8_lossy(all.next()?.as_bytes());
                let mut joined = first;
                for value in all {
                    let written = write!(joined.to_mut(), ", {}", String::from_utf8_lossy(value.as_bytes()));
                    debug_assert!(written.is_ok());
                }
                text(joined)
            }
            Node::Object(members) => json::value(members.get(name)?),
            Node::Query(query) => {
                let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
                let (_, value) = pairs.into_iter().find(|(key, _)| decode(key, true) == name)?;
                text(decode(value, true))
            }
        })
    }
}

fn id<'b, 'v>(id: Id) -> CowVal<'b, 'v> {
    text(id.to_string())
}

/// Takes percent-encoding off, and where it is a form's, `+` for a space.
pub fn decode(text: &str, form: bool) -> Cow<'_, str> {
    if !text.bytes().any(|b| b == b'%' || (form && b == b'+')) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 3;
                continue;
            }
            (b'+', ..) if form => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

impl Val for Node<'_> {
    fn get_type(&self) -> &Type {
        &DYN_TYPE
    }

    fn cel_type() -> &'static Type {
        &DYN_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        matches!(self, Node::Object(_)).then_some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn into_indexer<'v>(self: Box<Self>) -> Option<Box<dyn Indexer + 'v>>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl Container for Node<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        let name = value.downcast_ref::<CelString>();
        Ok(name.is_some_and(|name| self.member(name.inner()).is_some()))
    }
}

impl Sizer for Node<'_> {
    fn size(&self) -> CelInt {
        let members = if let Node::Object(members) = self { members.len() } else { 0 };
        CelInt::from(i64::try_from(members).unwrap_or(i64::MAX))
    }
}

impl Indexer for Node<'_> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        match index.downcast_ref::<CelString>() {
            Some(name) => Ok(self.member(name.inner()).unwrap_or_else(|| CowVal::owned(CelNull))),
            None => Err(ExecutionError::UnexpectedType {
                got: index.get_type().name().to_owned(),
                want: "string".to_owned(),
            }),
        }
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(index).map(CowVal::into_owned)
    }
}
