use std::sync::Arc;

use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_model::{Change, Class, Delta, HostPattern, Id, Instant, Kind, PathRule, Sha256, State};
use tidegate_policy::{Directory, Overlays, Principal, Registry, RouteFacts, Subject};
use uuid::Uuid;

use crate::{CompiledRoute, Live, Lookup, Revisions, Snapshot, advance};

fn id(n: u128) -> Id {
    Id::new(Uuid::from_u128(n))
}

fn put(kind: Kind, n: u128, document: Value) -> Change {
    let at = Instant::from_millis(0);
    let name = format!("{kind}-{n}").parse().ok();
    let state = State { name, revision: 1, created_at: at, updated_at: at, document: document.to_string().into() };
    Change { kind, id: id(n), after: Some(state) }
}

fn delete(kind: Kind, n: u128) -> Change {
    Change { kind, id: id(n), after: None }
}

fn delta(changes: Vec<Change>) -> Delta {
    Delta { class: None, from: 0, to: 1, changes }
}

fn service(n: u128) -> Change {
    put(Kind::Service, n, json!({ "url": format!("http://127.0.0.1:{}", 9000 + n) }))
}

fn route(n: u128, to: u128, matches: Value) -> Change {
    put(Kind::Route, n, json!({ "service": id(to), "match": matches }))
}

fn snapshot(changes: Vec<Change>) -> Snapshot {
    advance(&Snapshot::empty(Registry::standard()), &delta(changes)).unwrap_or_else(|p| panic!("{p:#?}"))
}

fn problems(now: &Snapshot, changes: Vec<Change>) -> Vec<String> {
    let found = advance(now, &delta(changes)).map(drop).expect_err("it is wrong");
    found
        .iter()
        .map(|p| format!("{} {} {}", p.resource.as_ref().map_or(String::new(), |r| r.to_string()), p.pointer, p.code))
        .collect()
}

/// The name of the route that takes a request, or what is said instead.
fn find(snapshot: &Snapshot, host: &str, method: &str, path: &str) -> String {
    let method: Method = method.parse().expect("a method");
    match snapshot.route(Some(host).filter(|h| !h.is_empty()), &method, path) {
        Lookup::Found(found) => format!("{} {}", found.route.facts.route.as_u128(), found.prefix),
        Lookup::MethodNotAllowed(allow) => allow,
        Lookup::NotFound => "-".to_owned(),
    }
}

/// The published precedence, each line of it.
#[test]
fn precedence() {
    let routes = [
        (1, json!({})),
        (2, json!({ "path": "/" })),
        (3, json!({ "path": "/a" })),
        (4, json!({ "path": "/a/b" })),
        (5, json!({ "path": { "exact": "/a/b" } })),
        (6, json!({ "path": "/a/b", "methods": ["POST"] })),
        (7, json!({ "hosts": ["x.example"], "path": "/h" })),
        (8, json!({ "hosts": ["*.example"], "path": "/h/i" })),
        (9, json!({ "hosts": ["*.b.example"], "path": "/h" })),
        (10, json!({ "path": "/h/i/j" })),
        (11, json!({ "path": "/a/b", "methods": ["POST"] })),
        (12, json!({ "hosts": ["only.example"], "path": "/m", "methods": ["GET", "PUT"] })),
        (13, json!({ "path": "/s/" })),
        (14, json!({ "path": { "exact": "/" }, "methods": ["DELETE"] })),
    ];
    let mut changes = vec![service(100)];
    changes.extend(routes.into_iter().map(|(n, matches)| route(n, 100, matches)));
    let snapshot = snapshot(changes);
    for (host, method, path, expected) in [
        ("", "GET", "/zzz", "2 0"),
        ("", "DELETE", "/", "14 1"),
        ("", "GET", "/", "2 0"),
        ("", "GET", "/a", "3 2"),
        ("", "GET", "/a/", "3 2"),
        ("", "GET", "/ab", "2 0"),
        ("", "GET", "/a/b", "5 4"),
        ("", "GET", "/a/b/c", "4 4"),
        ("", "POST", "/a/b/c", "6 4"),
        ("", "POST", "/a/b", "5 4"),
        ("x.example", "GET", "/h/i/j", "7 2"),
        ("y.example", "GET", "/h/i/j", "8 4"),
        ("y.b.example", "GET", "/h/i/j", "9 2"),
        ("other", "GET", "/h/i/j", "10 6"),
        ("x.example", "GET", "/a", "3 2"),
        ("only.example", "GET", "/m", "12 2"),
        ("only.example", "HEAD", "/m", "12 2"),
        ("", "GET", "/s", "2 0"),
        ("", "GET", "/s/", "13 2"),
        ("", "GET", "/s/t", "13 2"),
    ] {
        assert_eq!(find(&snapshot, host, method, path), expected, "{method} {host}{path}");
    }
}

#[test]
fn priority_goes_before_everything_else() {
    let high = put(Kind::Route, 2, json!({ "service": id(100), "priority": 1 }));
    let snapshot = snapshot(vec![
        service(100),
        route(1, 100, json!({ "hosts": ["a"], "path": { "exact": "/x" }, "methods": ["GET"] })),
        high,
    ]);
    assert_eq!(find(&snapshot, "a", "GET", "/x"), "2 0");
}

#[test]
fn a_wrong_method_is_told_from_a_wrong_path() {
    let snapshot = snapshot(vec![service(100), route(1, 100, json!({ "path": "/m", "methods": ["GET", "PUT"] }))]);
    assert_eq!(find(&snapshot, "", "POST", "/m"), "GET, HEAD, PUT");
    assert_eq!(find(&snapshot, "", "POST", "/n"), "-");
}

#[test]
fn a_route_on_another_host_changes_nothing() {
    let base = snapshot(vec![service(100), route(1, 100, json!({ "path": "/a" }))]);
    let other = put(
        Kind::Route,
        2,
        json!({ "service": id(100), "priority": 999, "match": { "hosts": ["b.example"], "path": { "exact": "/a" } } }),
    );
    let more = advance(&base, &delta(vec![other])).expect("right");
    assert_eq!(find(&more, "a.example", "GET", "/a"), find(&base, "a.example", "GET", "/a"));
}

#[test]
fn problems_name_resource_field_and_what_would_be_right() {
    let now = snapshot(vec![service(100), route(1, 100, json!({}))]);
    assert_eq!(problems(&now, vec![delete(Kind::Service, 100)]), ["route `route-1` /service not_found"]);
    let policy = |n, document| put(Kind::Policy, n, document);
    assert_eq!(problems(&now, vec![policy(5, json!({ "kind": "key-aut" }))]), ["policy `policy-5` /kind unknown_kind"]);
    let limit = json!({ "kind": "rate-limit", "config": { "limits": [{ "name": "a", "limit": 1, "window": "1ms" }] } });
    assert_eq!(problems(&now, vec![policy(5, limit)]), ["policy `policy-5` /config/limits/0/window out_of_range"]);
    let keyed = json!({ "kind": "key-auth", "scope": { "consumer": id(7) } });
    assert_eq!(problems(&now, vec![policy(5, keyed)]), ["policy `policy-5` /scope/consumer invalid_scope"]);
    let twice = vec![policy(5, json!({ "kind": "key-auth" })), policy(6, json!({ "kind": "key-auth" }))];
    assert_eq!(problems(&now, twice), ["policy `policy-6` /scope conflict"]);
}

#[test]
fn the_chain_of_a_route_is_ordered_by_phase_and_the_most_specific_of_a_kind_stays() {
    let limit = |n, scope: Value| {
        put(
            Kind::Policy,
            n,
            json!({ "kind": "rate-limit", "scope": scope, "config": { "limits": [{ "name": "a", "limit": n, "window": "1s" }] } }),
        )
    };
    let snapshot = snapshot(vec![
        service(100),
        route(1, 100, json!({ "path": "/1" })),
        route(2, 100, json!({ "path": "/2" })),
        limit(10, json!({})),
        limit(11, json!({ "service": id(100) })),
        limit(12, json!({ "route": id(2) })),
        put(Kind::Policy, 13, json!({ "kind": "request-size", "config": { "max": "1KiB" } })),
        put(Kind::Policy, 14, json!({ "kind": "key-auth" })),
        put(Kind::Policy, 15, json!({ "kind": "key-auth", "scope": { "route": id(1) }, "enabled": false })),
    ]);
    let chain = |n| {
        let route = snapshot.route_by_id(id(n)).expect("a route");
        route.chain.links().map(|link| link.policy.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(chain(1), [14, 11, 13]);
    assert_eq!(chain(2), [14, 12, 13]);
}

#[test]
fn policies_of_a_consumer_and_its_groups_reach_it_where_they_are_scoped() {
    let limit = |n, scope: Value| {
        put(
            Kind::Policy,
            n,
            json!({ "kind": "rate-limit", "scope": scope, "config": { "limits": [{ "name": "a", "limit": 1, "window": "1s" }] } }),
        )
    };
    let snapshot = snapshot(vec![
        service(100),
        service(101),
        put(Kind::ConsumerGroup, 50, json!({})),
        put(Kind::Consumer, 51, json!({ "groups": [id(50)] })),
        put(
            Kind::Credential,
            52,
            json!({ "consumer": id(51), "kind": "api-key", "key_hash": Sha256::of(b"k"), "hint": "x" }),
        ),
        limit(10, json!({ "group": id(50), "service": id(100) })),
        limit(11, json!({ "consumer": id(51) })),
    ]);
    let found = snapshot.identity().api_key(&Sha256::of(b"k")).expect("the key");
    assert_eq!(found.credential, id(52));
    let principal =
        Principal { subject: Subject::Consumer(found.consumer.expect("its consumer")), ..Principal::default() };
    let reaching = |service| {
        let facts = RouteFacts { route: id(1), service: id(service) };
        let mut ids: Vec<u128> =
            snapshot.overlays().reaching(&principal, facts).iter().map(|l| l.policy.as_u128()).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(reaching(100), [10, 11]);
    assert_eq!(reaching(101), [11]);
}

#[test]
fn a_missing_consumer_is_no_problem_and_matches_nobody() {
    let orphan = put(
        Kind::Credential,
        52,
        json!({ "consumer": id(51), "kind": "api-key", "key_hash": Sha256::of(b"k"), "hint": "x" }),
    );
    let snapshot = snapshot(vec![orphan]);
    assert!(snapshot.identity().api_key(&Sha256::of(b"k")).expect("the key").consumer.is_none());
}

#[test]
fn two_credentials_can_not_have_the_same_key() {
    let credential = |n| {
        put(
            Kind::Credential,
            n,
            json!({ "consumer": id(51), "kind": "api-key", "key_hash": Sha256::of(b"k"), "hint": "x" }),
        )
    };
    let now = snapshot(vec![credential(52)]);
    assert_eq!(problems(&now, vec![credential(53)]).len(), 1);
    let moved = advance(&now, &delta(vec![credential(53), delete(Kind::Credential, 52)])).expect("the key moves");
    assert_eq!(moved.identity().api_key(&Sha256::of(b"k")).map(|found| found.credential), Some(id(53)));
}

#[test]
fn at_boot_what_can_not_be_built_is_closed_and_the_rest_serves() {
    let changes = [
        service(100),
        route(1, 100, json!({ "path": "/good" })),
        route(2, 999, json!({ "path": "/lost" })),
        put(Kind::Route, 3, json!({ "service": id(100), "match": { "path": "/new", "weather": "fair" } })),
        route(4, 100, json!({ "path": "/guarded" })),
        put(Kind::Policy, 5, json!({ "kind": "from-the-future", "scope": { "route": id(4) } })),
        put(Kind::Policy, 6, json!({ "kind": "rate-limit", "newer": 1, "scope": { "route": id(4) } })),
        route(7, 100, json!({ "path": "/" })),
    ];
    let (snapshot, problems) = Snapshot::compile(&changes, Revisions { identity: 3, traffic: 3 }, Registry::standard());
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert_eq!(snapshot.revisions().traffic, 3);
    let closed = |path: &str| match snapshot.route(None, &Method::GET, path) {
        Lookup::Found(found) => {
            found.route.closed.is_some() || found.route.chain.links().any(|link| link.kind == "closed")
        }
        _ => panic!("no route for {path}"),
    };
    let all: Vec<bool> = ["/good", "/lost", "/new", "/guarded", "/else"].into_iter().map(closed).collect();
    assert_eq!(all, [false, true, true, true, false]);
    // the next delta heals it
    let healed = advance(
        &snapshot,
        &delta(vec![delete(Kind::Policy, 5), delete(Kind::Policy, 6), route(3, 100, json!({ "path": "/new" }))]),
    )
    .expect("right");
    assert!(!healed.describe().contains("closed Some(\"it can't be read"), "{}", healed.describe());
    assert!(!healed.describe().contains("Screen:closed"));
}

#[test]
fn a_former_snapshot_is_freed_by_who_publishes() {
    let live = Live::new(Arc::new(Snapshot::empty(Registry::standard())));
    let held = live.current();
    let before = live.version();
    live.publish(Arc::new(snapshot(vec![service(1)])));
    assert_ne!(live.version(), before);
    assert_eq!(live.collect(), 1);
    drop(held);
    assert_eq!(live.collect(), 0);
}

/// What the router must equal: every route, compared one by one.
fn naive<'a>(
    routes: &'a [Arc<CompiledRoute>],
    host: &str,
    method: &Method,
    path: &str,
) -> Option<&'a Arc<CompiledRoute>> {
    let mut takers: Vec<_> = routes
        .iter()
        .filter(|route| route.takes(method))
        .filter_map(|route| {
            let host = if route.hosts.is_empty() {
                Some(0)
            } else {
                route
                    .hosts
                    .iter()
                    .filter_map(|pattern| match pattern {
                        HostPattern::Exact(name) => (&**name == host).then_some(1000),
                        HostPattern::Below(suffix) => {
                            host.strip_suffix(&**suffix)?.strip_suffix('.').map(|_| suffix.len())
                        }
                    })
                    .max()
            }?;
            let path = if route.paths.is_empty() {
                Some(0)
            } else {
                route
                    .paths
                    .iter()
                    .filter_map(|rule| match rule {
                        PathRule::Exact(exact) => (exact.as_str() == path).then_some(10_000),
                        PathRule::Prefix(prefix) => {
                            let bare = prefix.as_str().strip_suffix('/').unwrap_or(prefix.as_str());
                            let rest = path.strip_prefix(bare)?;
                            let whole = rest.starts_with('/') || (rest.is_empty() && !prefix.as_str().ends_with('/'));
                            (whole || prefix.as_str() == "/").then_some(1 + prefix.as_str().len())
                        }
                    })
                    .max()
            }?;
            Some((route.priority, host, path, !route.methods.is_empty(), std::cmp::Reverse(route.facts.route), route))
        })
        .collect();
    takers.sort_by_key(|taker| (taker.0, taker.1, taker.2, taker.3, taker.4));
    takers.pop().map(|taker| taker.5)
}

fn some_match() -> impl Strategy<Value = Value> {
    let host = prop::sample::select(vec!["a.x", "b.x", "*.x", "*.b.x", "c.b.x"]);
    let path = prop::sample::select(vec!["/", "/a", "/a/", "/a/b", "/a/b/", "/b", "/a/b/c"]);
    let rule =
        (path, any::<bool>()).prop_map(|(path, exact)| if exact { json!({ "exact": path }) } else { json!(path) });
    let method = prop::sample::select(vec!["GET", "POST"]);
    (prop::collection::vec(host, 0..3), prop::collection::vec(rule, 0..3), prop::collection::vec(method, 0..2))
        .prop_map(|(hosts, paths, methods)| {
            let mut matches = json!({ "hosts": hosts, "methods": methods });
            if !paths.is_empty() {
                matches["path"] = json!(paths);
            }
            matches
        })
}

/// One step of a random history over a handful of resources.
fn some_change() -> impl Strategy<Value = Change> {
    let service = (1u128..4, any::<bool>()).prop_map(|(n, pooled)| {
        let document =
            if pooled { json!({ "upstream": id(40) }) } else { json!({ "url": "http://127.0.0.1:9000/base" }) };
        put(Kind::Service, n, document)
    });
    let upstream = (0u16..3)
        .prop_map(|weight| put(Kind::Upstream, 40, json!({ "targets": [{ "address": "a:1", "weight": weight }] })));
    let route = (10u128..18, 1u128..4, some_match(), -1i32..2).prop_map(|(n, to, matches, priority)| {
        put(Kind::Route, n, json!({ "service": id(to), "match": matches, "priority": priority }))
    });
    let scope = prop_oneof![
        Just(json!({})),
        (1u128..4).prop_map(|n| json!({ "service": id(n) })),
        (10u128..18).prop_map(|n| json!({ "route": id(n) })),
        Just(json!({ "consumer": id(51) })),
        Just(json!({ "group": id(50) })),
    ];
    let policy = (20u128..26, scope, any::<bool>(), any::<bool>()).prop_map(|(n, scope, sized, enabled)| {
        let (kind, config) = if sized {
            ("request-size", json!({ "max": "1KiB" }))
        } else {
            ("rate-limit", json!({ "limits": [{ "name": "a", "limit": 1, "window": "1s" }] }))
        };
        put(Kind::Policy, n, json!({ "kind": kind, "scope": scope, "config": config, "enabled": enabled }))
    });
    let consumer = (50u128..53).prop_map(|n| put(Kind::Consumer, n, json!({ "groups": [id(50)] })));
    let credential = (60u128..63, 50u128..53, 0u8..4).prop_map(|(n, of, key)| {
        put(
            Kind::Credential,
            n,
            json!({ "consumer": id(of), "kind": "api-key", "key_hash": Sha256::of(&[key]), "hint": "x" }),
        )
    });
    let gone = prop_oneof![
        (1u128..4).prop_map(|n| delete(Kind::Service, n)),
        (10u128..18).prop_map(|n| delete(Kind::Route, n)),
        (20u128..26).prop_map(|n| delete(Kind::Policy, n)),
        (50u128..53).prop_map(|n| delete(Kind::Consumer, n)),
        (60u128..63).prop_map(|n| delete(Kind::Credential, n)),
        Just(delete(Kind::Upstream, 40)),
    ];
    prop_oneof![2 => service, 1 => upstream, 5 => route, 4 => policy, 1 => consumer, 2 => credential, 3 => gone]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_router_equals_a_naive_scan(matches in prop::collection::vec((some_match(), -1i32..2), 1..12)) {
        let mut changes = vec![service(100)];
        changes.extend(matches.into_iter().enumerate().map(|(n, (matches, priority))| {
            put(Kind::Route, n as u128, json!({ "service": id(100), "match": matches, "priority": priority }))
        }));
        let snapshot = snapshot(changes);
        let routes: Vec<_> = snapshot.routes.values().cloned().collect();
        for host in ["a.x", "b.x", "c.b.x", "d.b.x", "y"] {
            for path in ["/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/ab", "/b/x", "/a/b/c/d"] {
                for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT] {
                    let expected = naive(&routes, host, &method, path).map(|route| route.facts.route);
                    let found = match snapshot.route(Some(host), &method, path) {
                        Lookup::Found(found) => Some(found.route.facts.route),
                        _ => None,
                    };
                    prop_assert_eq!(found, expected, "{} {}{}", method, host, path);
                }
            }
        }
    }

    #[test]
    fn advancing_over_any_history_equals_compiling_its_end(steps in prop::collection::vec(prop::collection::vec(some_change(), 1..4), 1..24)) {
        let mut now = Snapshot::empty(Registry::standard());
        for changes in steps {
            let mut once: Vec<Change> = Vec::new();
            for change in changes {
                once.retain(|c| (c.kind, c.id) != (change.kind, change.id));
                once.push(change);
            }
            // what is refused leaves no trace
            if let Ok(next) = advance(&now, &delta(once)) {
                now = next;
            }
            let states: Vec<Change> = now.config().states(&[Class::Identity, Class::Traffic]).collect();
            let (anew, problems) = Snapshot::compile(&states, Revisions::default(), Registry::standard());
            prop_assert_eq!(problems, vec![]);
            prop_assert_eq!(now.describe(), anew.describe());
        }
    }
}
