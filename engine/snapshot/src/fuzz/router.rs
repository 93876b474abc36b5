//! The router finds what a scan over all routes finds.

use http::Method;
use serde_json::{Value, json};
use tidegate_model::{Change, Delta, Id, Instant, Kind, State};
use tidegate_policy::Registry;
use uuid::Uuid;

use crate::{Lookup, Snapshot, advance};

const HOSTS: [&str; 5] = ["a", "b.a", "c.b.a", "*.a", "*.b.a"];
const PATHS: [&str; 8] = ["/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/b/a", "/a/b/c"];
const METHODS: [&str; 3] = ["GET", "POST", "PUT"];

/// Makes a few routes and one request of bytes. Names are few, so that they meet.
pub fn router(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let mut next = move || bytes.next().map_or(0, usize::from);
    let request = Request { host: HOSTS[next() % 3], method: METHODS[next() % 3], path: PATHS[next() % 8] };
    let routes: Vec<Route> = (0..next() % 8).map(|number| Route::of(number, &mut next)).collect();
    let snapshot = snapshot(&routes);
    let method = Method::from_bytes(request.method.as_bytes()).expect("a method");
    let found = match snapshot.route(Some(request.host), &method, request.path) {
        Lookup::Found(found) => Scanned::Found(found.route.facts.route),
        Lookup::MethodNotAllowed(_) => Scanned::OtherMethods,
        Lookup::NotFound => Scanned::Nothing,
    };
    assert_eq!(found, scan(&routes, &request), "{request:?} among {routes:#?}");
}

#[derive(Debug)]
struct Request {
    host: &'static str,
    method: &'static str,
    path: &'static str,
}

#[derive(Debug)]
struct Route {
    id: Id,
    priority: i32,
    hosts: Vec<&'static str>,
    paths: Vec<(&'static str, bool)>,
    methods: Vec<&'static str>,
}

#[derive(Debug, PartialEq)]
enum Scanned {
    Found(Id),
    OtherMethods,
    Nothing,
}

impl Route {
    fn of(number: usize, next: &mut impl FnMut() -> usize) -> Route {
        let (shape, picks) = (next(), [next(), next(), next(), next()]);
        Route {
            id: Id::new(Uuid::from_u128(number as u128 + 1)),
            priority: i32::from(shape & 64 != 0),
            hosts: picks[..shape & 1].iter().map(|pick| HOSTS[pick % 5]).collect(),
            paths: picks[1..1 + (shape >> 1 & 3) % 3].iter().map(|pick| (PATHS[pick % 8], pick & 8 != 0)).collect(),
            methods: picks[3..3 + (shape >> 3 & 1)].iter().map(|pick| METHODS[pick % 3]).collect(),
        }
    }

    fn document(&self) -> Value {
        let mut matches = json!({ "hosts": self.hosts, "methods": self.methods });
        if !self.paths.is_empty() {
            let rule = |(path, exact): &(&str, bool)| if *exact { json!({ "exact": path }) } else { json!(path) };
            matches["path"] = self.paths.iter().map(rule).collect();
        }
        json!({ "service": Id::new(Uuid::from_u128(100)), "match": matches, "priority": self.priority })
    }

    /// How well host and path fit: what comes first in the published precedence, without the method.
    fn fit(&self, request: &Request) -> Option<(usize, usize)> {
        let host = match self.hosts.is_empty() {
            true => Some(0),
            false => self.hosts.iter().filter_map(|pattern| host_fits(pattern, request.host)).max(),
        };
        let path = match self.paths.is_empty() {
            true => Some(0),
            false => self.paths.iter().filter_map(|rule| path_fits(rule, request.path)).max(),
        };
        Some((host?, path?))
    }
}

fn host_fits(pattern: &str, host: &str) -> Option<usize> {
    match pattern.strip_prefix('*') {
        Some(below) => host.ends_with(below).then_some(below.len()),
        None => (pattern == host).then_some(usize::MAX),
    }
}

fn path_fits((rule, exact): &(&str, bool), path: &str) -> Option<usize> {
    if *exact {
        return (*rule == path).then_some(usize::MAX);
    }
    let rest = path.strip_prefix(*rule)?;
    (rule.ends_with('/') || rest.is_empty() || rest.starts_with('/')).then_some(rule.len())
}

fn scan(routes: &[Route], request: &Request) -> Scanned {
    let fitting = || routes.iter().filter_map(|route| Some((route, route.fit(request)?)));
    let takes = |route: &Route| route.methods.is_empty() || route.methods.contains(&request.method);
    let first = fitting()
        .filter(|(route, _)| takes(route))
        .max_by_key(|(route, fit)| (route.priority, *fit, !route.methods.is_empty(), std::cmp::Reverse(route.id)));
    match first {
        Some((route, _)) => Scanned::Found(route.id),
        None if fitting().next().is_some() => Scanned::OtherMethods,
        None => Scanned::Nothing,
    }
}

fn snapshot(routes: &[Route]) -> Snapshot {
    let service = change(Kind::Service, Id::new(Uuid::from_u128(100)), &json!({ "url": "http://127.0.0.1:9000" }));
    let routes = routes.iter().map(|route| change(Kind::Route, route.id, &route.document()));
    let delta = Delta { class: None, from: 0, to: 1, changes: std::iter::once(service).chain(routes).collect() };
    advance(&Snapshot::empty(Registry::standard()), &delta).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn change(kind: Kind, id: Id, document: &Value) -> Change {
    let at = Instant::from_millis(0);
    let name = format!("{kind}-{}", id.as_u128()).parse().ok();
    let state = State { name, revision: 1, created_at: at, updated_at: at, document: document.to_string().into() };
    Change { kind, id, after: Some(state) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_a_scan_over_all_routes(bytes in proptest::collection::vec(any::<u8>(), 4..48)) {
            super::router(&bytes);
        }
    }
}
