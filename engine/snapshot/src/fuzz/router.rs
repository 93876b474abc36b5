//! The router finds what a scan over all routes finds.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use tidegate_model::{Change, Delta, HostPattern, Id, Instant, Kind, PathRule, Route, Segment, State, Test};
use tidegate_policy::Registry;
use uuid::Uuid;

use crate::{Lookup, Requested, Snapshot, advance};

/// Makes routes and requests of bytes: for each request the router finds the route, the captures and the methods that comparing
/// all routes one by one finds.
pub fn router(data: &[u8]) {
    found(data);
}

/// Tells how many requests found a route.
fn found(bytes: &[u8]) -> usize {
    let mut bytes = Bytes(bytes);
    let documents: Vec<Value> = (0..1 + bytes.below(12)).map(|_| a_route(&mut bytes)).collect();
    let mut changes = vec![put(Kind::Service, 1000, &json!({ "url": "http://127.0.0.1:9000" }))];
    changes.extend(documents.iter().enumerate().map(|(n, document)| put(Kind::Route, n as u128, document)));
    let delta = Delta { class: None, from: 0, to: 1, changes };
    let snapshot = advance(&Snapshot::empty(Registry::standard()), &delta).unwrap_or_else(|p| panic!("{p:#?}"));
    let routes: Vec<(Id, Route)> = documents
        .iter()
        .enumerate()
        .map(|(n, document)| (id(n as u128), serde_json::from_value(document.clone()).expect("it was read before")))
        .collect();
    let mut found = 0;
    for _ in 0..6 {
        let request = a_request(&mut bytes);
        let expected = naive(&routes, &request);
        let outcome = request.outcome(&snapshot);
        assert_eq!(outcome, expected, "{request:?}\n{}", json!(documents));
        found += usize::from(matches!(outcome, Outcome::Found(..)));
    }
    found
}

/// What was found: a route with its captures, or the methods that would have been taken.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Found(Id, Vec<(String, String)>),
    Methods(BTreeSet<String>),
}

#[derive(Debug)]
struct Request {
    host: Option<&'static str>,
    method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
}

impl Request {
    fn outcome(&self, snapshot: &Snapshot) -> Outcome {
        let requested = Requested {
            host: self.host,
            method: &self.method,
            path: self.target.path(),
            query: self.target.query(),
            headers: &self.headers,
        };
        match snapshot.route(&requested) {
            Lookup::Found(found) => {
                let captures = found.captures(&self.target);
                let captures = captures.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                Outcome::Found(found.route.facts.route, captures.collect())
            }
            Lookup::MethodNotAllowed(allow) => Outcome::Methods(allow.split(", ").map(str::to_owned).collect()),
            Lookup::NotFound => Outcome::Methods(BTreeSet::new()),
        }
    }
}

fn id(n: u128) -> Id {
    Id::new(Uuid::from_u128(n))
}

fn put(kind: Kind, n: u128, document: &Value) -> Change {
    let at = Instant::from_millis(0);
    let name = format!("{kind}-{n}").parse().ok();
    let state = State { name, revision: 1, created_at: at, updated_at: at, document: document.to_string().into() };
    Change { kind, id: id(n), after: Some(state) }
}

/// Choices, made of bytes; the first of each once they are used up.
struct Bytes<'b>(&'b [u8]);

impl Bytes<'_> {
    fn below(&mut self, end: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % end
    }

    fn one<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    fn some<T: Clone>(&mut self, max: usize, list: &[T]) -> Vec<T> {
        (0..self.below(max + 1)).map(|_| self.one(list)).collect()
    }
}

const SEGMENTS: [&str; 6] = ["a", "b", "7", "c%2Bd", "v1", "ab"];

/// A path of up to four segments, as `part` makes them.
fn a_path(bytes: &mut Bytes<'_>, mut part: impl FnMut(&mut Bytes<'_>, usize) -> String) -> String {
    let mut path: String = (0..bytes.below(5)).map(|n| format!("/{}", part(bytes, n))).collect();
    if path.is_empty() || bytes.below(4) == 0 {
        path.push('/');
    }
    path
}

fn a_rule(bytes: &mut Bytes<'_>) -> Value {
    let literal = |bytes: &mut Bytes<'_>, _| bytes.one(&SEGMENTS[..3]).to_owned();
    match bytes.below(5) {
        0 => json!({ "exact": a_path(bytes, literal) }),
        1 => json!(a_path(bytes, literal)),
        2 | 3 => {
            let mut template = a_path(bytes, |bytes, n| match bytes.below(3) {
                0 => format!("{{p{n}}}"),
                _ => literal(bytes, n),
            });
            if bytes.below(3) == 0 {
                let above = template.trim_end_matches('/').len();
                template.truncate(above);
                template.push_str("/{*rest}");
            }
            json!({ "template": template })
        }
        _ => json!({ "regex": bytes.one(&[
            "^/a/(?<x>[^/]+)$", "/a/b|/b", "/(?<x>[a-z]+)(?:/(?<y>[0-9]+))?", "/a/b/.*", "/.*", "(?<x>/a.*)/b", "/a/(b|7)/?",
        ]) }),
    }
}

fn a_test(bytes: &mut Bytes<'_>, name: &str) -> Value {
    match bytes.below(4) {
        0 => json!({ "name": name, "exact": bytes.one(&["1", "a b", ""]) }),
        1 => json!({ "name": name, "present": true }),
        2 => json!({ "name": name, "present": false }),
        _ => json!({ "name": name, "regex": bytes.one(&["[0-9]+", "a.b|x*", "1|2"]) }),
    }
}

fn a_route(bytes: &mut Bytes<'_>) -> Value {
    let hosts = bytes.some(2, &["a.x", "b.x", "*.x", "*.b.x", "c.b.x"]);
    let methods = bytes.some(2, &["GET", "POST", "PURGE", "GET"]);
    let headers: Vec<Value> = bytes.some(2, &["x-a", "x-b"]).into_iter().map(|name| a_test(bytes, name)).collect();
    let query: Vec<Value> = bytes.some(2, &["q", "a b"]).into_iter().map(|name| a_test(bytes, name)).collect();
    let mut matches = json!({ "hosts": hosts, "methods": methods });
    // most routes ask nothing of either
    if bytes.below(3) == 0 {
        matches["headers"] = json!(headers);
    }
    if bytes.below(3) == 0 {
        matches["query"] = json!(query);
    }
    let paths: Vec<Value> = (0..bytes.below(4)).map(|_| a_rule(bytes)).collect();
    if !paths.is_empty() {
        matches["path"] = json!(paths);
    }
    let mut route = json!({ "service": id(1000), "match": matches });
    if bytes.below(4) == 0 {
        route["priority"] = json!(bytes.one(&[-1, 1, 2]));
    }
    route
}

fn a_request(bytes: &mut Bytes<'_>) -> Request {
    let host = bytes.one(&[Some("a.x"), Some("b.x"), Some("c.b.x"), Some("d.b.x"), Some("y"), None]);
    let method = bytes.one(&["GET", "GET", "HEAD", "POST", "PURGE", "TRACE"]).parse().expect("a method");
    let mut target = a_path(bytes, |bytes, _| bytes.one(&SEGMENTS).to_owned());
    if bytes.below(2) == 0 {
        let pairs = ["q=1", "q=2&q=a+b", "a%20b=a%20b", "a+b", "q", "%71=xx", "z=1&&q=%"];
        target.push('?');
        target.push_str(&bytes.some(2, &pairs).join("&"));
    }
    let mut headers = HeaderMap::new();
    for name in bytes.some(2, &["x-a", "x-b"]) {
        let value = bytes.one(&["1", "2", "a b", "", "x"]);
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Request { host, method, target: target.parse().expect("a target"), headers }
}

/// How specific the path of a match is, of those that take a path; the greatest goes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Any,
    /// Prefixes and templates with a rest: 3 for a literal segment, 2 for a parameter, then 1 for what takes only what is below, 0
    /// for what takes the place itself too.
    Open(Vec<u8>),
    Expression(usize),
    Closed(Vec<u8>),
}

type Captured = Vec<(String, String)>;

fn of_path(rule: &PathRule, path: &str) -> Option<(Rank, Captured)> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let nothing = Vec::new();
    match rule {
        PathRule::Exact(exact) => (exact.as_str() == path).then(|| (Rank::Closed(vec![3; segments.len()]), nothing)),
        PathRule::Prefix(prefix) if prefix.as_str() == "/" => Some((Rank::Open(vec![0]), nothing)),
        PathRule::Prefix(prefix) => {
            let bare = prefix.as_str().trim_end_matches('/');
            let rest = path.strip_prefix(bare)?;
            let only_below = prefix.as_str().ends_with('/');
            let mut rank = vec![3; bare.split('/').count() - 1];
            rank.push(u8::from(only_below));
            (rest.starts_with('/') || rest.is_empty() && !only_below).then_some((Rank::Open(rank), nothing))
        }
        PathRule::Regex(pattern) => {
            let regex = regex::Regex::new(&format!("^(?:{})$", pattern.as_str())).expect("it was read before");
            let groups = regex.captures(path)?;
            let named = regex.capture_names().flatten();
            let captured = named.filter_map(|name| Some((name.to_owned(), groups.name(name)?.as_str().to_owned())));
            Some((Rank::Expression(pattern.as_str().len()), captured.collect()))
        }
        PathRule::Template(template) => {
            let mut rank = Vec::new();
            let mut captured = Vec::new();
            for (n, wanted) in template.segments().iter().enumerate() {
                let there = segments.get(n)?;
                match wanted {
                    Segment::Literal(text) if &**text == *there => rank.push(3),
                    Segment::Literal(_) => return None,
                    Segment::Parameter(_) if there.is_empty() => return None,
                    Segment::Parameter(name) => {
                        rank.push(2);
                        captured.push((name.to_string(), (*there).to_owned()));
                    }
                    Segment::Rest(name) => {
                        rank.push(1);
                        captured.push((name.to_string(), segments[n..].join("/")));
                        return Some((Rank::Open(rank), captured));
                    }
                }
            }
            (segments.len() == template.segments().len()).then_some((Rank::Closed(rank), captured))
        }
    }
}

fn of_host(hosts: &[HostPattern], host: Option<&str>) -> Option<usize> {
    if hosts.is_empty() {
        return Some(0);
    }
    let host = host?;
    let of = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => (&**name == host).then_some(usize::MAX),
        HostPattern::Below(suffix) => host.strip_suffix(&**suffix)?.strip_suffix('.').map(|_| suffix.len()),
    };
    hosts.iter().filter_map(of).max()
}

fn fits(test: Test<'_>, values: &[String]) -> bool {
    match test {
        Test::Present(present) => values.is_empty() != present,
        Test::Exact(exact) => values.iter().any(|value| value == exact),
        Test::Regex(pattern) => {
            let regex = regex::Regex::new(&format!("^(?:{})$", pattern.as_str())).expect("it was read before");
            values.iter().any(|value| regex.is_match(value))
        }
    }
}

fn decoded(text: &str) -> String {
    text.replace('+', " ").replace("%20", " ").replace("%71", "q")
}

/// What the router must equal: every route, compared one by one.
fn naive(routes: &[(Id, Route)], request: &Request) -> Outcome {
    let mut best = None;
    let mut methods: BTreeSet<String> = BTreeSet::new();
    for (id, route) in routes {
        let matches = &route.matches;
        let Some(host) = of_host(&matches.hosts, request.host) else { continue };
        let rules: Vec<PathRule> = matches.paths().collect();
        let path = if rules.is_empty() {
            Some((Rank::Any, Reverse(0), Vec::new()))
        } else {
            let all = rules.iter().enumerate();
            all.filter_map(|(n, rule)| {
                let (rank, captured) = of_path(rule, request.target.path())?;
                Some((rank, Reverse(n), captured))
            })
            .max()
        };
        let Some((rank, number, captured)) = path else { continue };
        let headers = matches.headers.iter().all(|wanted| {
            let values = request.headers.get_all(wanted.name.as_str());
            let values: Vec<String> = values.iter().map(|v| v.to_str().expect("ASCII").to_owned()).collect();
            fits(wanted.test(), &values)
        });
        let query = matches.query.iter().all(|wanted| {
            let pairs = request.target.query().unwrap_or("").split('&').filter(|pair| !pair.is_empty());
            let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            let values = pairs.filter(|(key, _)| decoded(key) == wanted.name).map(|(_, value)| decoded(value));
            fits(wanted.test(), &values.collect::<Vec<_>>())
        });
        if !headers || !query {
            continue;
        }
        let mut taken: Vec<&str> = matches.methods.iter().map(|method| method.as_str()).collect();
        if taken.contains(&"GET") {
            taken.push("HEAD");
        }
        if !taken.is_empty() && !taken.contains(&request.method.as_str()) {
            methods.extend(taken.into_iter().map(str::to_owned));
            continue;
        }
        let order = (
            route.priority.unwrap_or(0),
            host,
            rank,
            !matches.methods.is_empty(),
            matches.headers.len(),
            matches.query.len(),
            Reverse(*id),
            number,
        );
        if best.as_ref().is_none_or(|(other, _, _)| order > *other) {
            best = Some((order, *id, captured));
        }
    }
    match best {
        Some((_, id, captured)) => Outcome::Found(id, captured),
        None => Outcome::Methods(methods),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 64..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn equals_a_scan_over_all_routes(bytes in bytes()) {
            super::router(&bytes);
        }
    }

    #[test]
    fn what_is_generated_reaches_routes() {
        let mut runner = TestRunner::deterministic();
        let mut some = || bytes().new_tree(&mut runner).expect("bytes").current();
        let found: usize = (0..50).map(|_| super::found(&some())).sum();
        assert!((75..275).contains(&found), "{found} of 300 requests found a route");
    }
}
