use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use tidegate_model::{Change, Delta, Id, Instant, Kind, State};
use tidegate_policy::Registry;
use uuid::Uuid;

use crate::{Lookup, Requested, Snapshot, advance};

mod compile;
mod history;
mod precedence;
mod predicates;
mod preflights;
mod rewriting;
mod routing;

pub(crate) fn id(n: u128) -> Id {
    Id::new(Uuid::from_u128(n))
}

pub(crate) fn put(kind: Kind, n: u128, document: Value) -> Change {
    let at = Instant::from_millis(0);
    let name = format!("{kind}-{n}").parse().ok();
    let state = State { name, revision: 1, created_at: at, updated_at: at, document: document.to_string().into() };
    Change { kind, id: id(n), after: Some(state) }
}

pub(crate) fn delete(kind: Kind, n: u128) -> Change {
    Change { kind, id: id(n), after: None }
}

pub(crate) fn delta(changes: Vec<Change>) -> Delta {
    Delta { class: None, from: 0, to: 1, changes }
}

pub(crate) fn service(n: u128) -> Change {
    put(Kind::Service, n, json!({ "url": format!("http://127.0.0.1:{}", 9000 + n) }))
}

fn route(n: u128, to: u128, matches: Value) -> Change {
    put(Kind::Route, n, json!({ "service": id(to), "match": matches }))
}

pub(crate) fn snapshot(changes: Vec<Change>) -> Snapshot {
    advance(&Snapshot::empty(Registry::standard()), &delta(changes)).unwrap_or_else(|p| panic!("{p:#?}"))
}

fn problems(now: &Snapshot, changes: Vec<Change>) -> Vec<String> {
    let found = advance(now, &delta(changes)).map(drop).expect_err("it is wrong");
    found
        .iter()
        .map(|p| format!("{} {} {}", p.resource.as_ref().map_or(String::new(), |r| r.to_string()), p.pointer, p.code))
        .collect()
}

/// A request by what is said of it: `GET a.example/path?query`, and its headers.
struct Request {
    host: Option<String>,
    method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
}

fn request(line: &str, headers: &[(&'static str, &'static str)]) -> Request {
    let (method, url) = line.split_once(' ').expect("a method");
    let (host, path) = url.split_at(url.find('/').expect("a path"));
    let headers = headers.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
    Request {
        host: Some(host.to_owned()).filter(|host| !host.is_empty()),
        method: method.parse().expect("a method"),
        target: path.parse().expect("a target"),
        headers: headers.fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        }),
    }
}

impl Request {
    fn lookup<'a>(&self, snapshot: &'a Snapshot) -> Lookup<'a> {
        snapshot.route(&Requested {
            host: self.host.as_deref(),
            method: &self.method,
            path: self.target.path(),
            query: self.target.query(),
            headers: &self.headers,
        })
    }
}

/// The number of the route that takes a request, or what is said instead.
fn taken(snapshot: &Snapshot, line: &str, headers: &[(&'static str, &'static str)]) -> String {
    match request(line, headers).lookup(snapshot) {
        Lookup::Found(found) => found.route.facts.route.as_u128().to_string(),
        Lookup::MethodNotAllowed(allow) => allow,
        Lookup::NotFound => "-".to_owned(),
    }
}

fn find(snapshot: &Snapshot, line: &str) -> String {
    taken(snapshot, line, &[])
}

/// A snapshot with these routes, all to one service.
fn routes(routes: &[(u128, Value)]) -> Snapshot {
    let mut changes = vec![service(100)];
    changes.extend(routes.iter().map(|(n, matches)| route(*n, 100, matches.clone())));
    snapshot(changes)
}
