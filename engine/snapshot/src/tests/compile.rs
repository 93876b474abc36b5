//! What is built, what is refused, and what is closed.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_model::{Delta, Kind, Sha256};
use tidegate_policy::{Directory, Overlays, Phase, Principal, Registry, RouteFacts, Subject};

use super::{delete, delta, id, problems, put, request, route, service, snapshot};
use crate::{Action, Live, Lookup, Revisions, Snapshot, advance};

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
fn a_kind_that_screens_may_be_for_some_where_it_can_wait_until_they_are_known() {
    let policy = |n, scope: Value| {
        put(Kind::Policy, n, json!({ "kind": "ip-restriction", "scope": scope, "config": { "deny": ["10.0.0.0/8"] } }))
    };
    let snapshot = snapshot(vec![
        service(100),
        route(1, 100, json!({})),
        put(Kind::ConsumerGroup, 50, json!({})),
        policy(10, json!({})),
        policy(11, json!({ "group": id(50) })),
    ]);
    let screening = snapshot.route_by_id(id(1)).expect("a route").chain.links().map(|link| link.built.phase);
    assert_eq!(screening.collect::<Vec<_>>(), [Phase::Screen]);
    let principal = Principal { groups: [id(50)].into_iter().collect(), ..Principal::default() };
    let facts = RouteFacts { route: id(1), service: Some(id(100)) };
    let reaching = snapshot.overlays().reaching(&principal, facts);
    assert_eq!(reaching.iter().map(|link| link.built.phase).collect::<Vec<_>>(), [Phase::Authorize]);
}

#[test]
fn what_a_config_points_at_is_known_and_on_a_node_may_be_missing() {
    let acl =
        |groups: Value| put(Kind::Policy, 10, json!({ "kind": "acl", "config": { "allow": { "groups": groups } } }));
    // the group is not there: it matches nobody, and is no problem
    let first = snapshot(vec![service(100), route(1, 100, json!({})), acl(json!([id(50), id(51)]))]);
    let referrers = |snapshot: &Snapshot, n| snapshot.config().referrers(id(n)).count();
    assert_eq!((referrers(&first, 50), referrers(&first, 51)), (1, 1));
    let changed = advance(&first, &delta(vec![acl(json!([id(51)]))])).expect("right");
    assert_eq!((referrers(&changed, 50), referrers(&changed, 51)), (0, 1));
    let gone = advance(&changed, &delta(vec![delete(Kind::Policy, 10)])).expect("right");
    assert_eq!(referrers(&gone, 51), 0);
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
        let facts = RouteFacts { route: id(1), service: Some(id(service)) };
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
    let closed = |path: &str| match request(&format!("GET {path}"), &[]).lookup(&snapshot) {
        Lookup::Found(found) => {
            matches!(found.route.action, Action::Closed(_))
                || found.route.chain.links().any(|link| link.kind == "closed")
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
    assert!(!healed.describe().contains("Closed(\"it can't be read"), "{}", healed.describe());
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

#[test]
fn two_credentials_can_not_have_the_same_username_and_a_changed_one_is_free() {
    let credential = |n, name: &str| {
        let hash = format!("$argon2id$v=19$m=64,t=1,p=1${}${}", "A".repeat(22), "A".repeat(43));
        let document = json!({ "consumer": id(51), "kind": "basic", "username": name, "password_hash": hash });
        put(Kind::Credential, n, document)
    };
    let now = snapshot(vec![credential(52, "ann"), put(Kind::Consumer, 51, json!({}))]);
    assert_eq!(problems(&now, vec![credential(53, "ann")]).len(), 1);
    assert_eq!(now.identity().basic("ann").expect("it").credential, id(52));
    assert!(now.identity().basic("Ann").is_none() && now.identity().basic("bob").is_none());
    let both = snapshot(vec![credential(52, "bob"), credential(53, "ann")]);
    assert_eq!(both.identity().basic("ann").expect("it").credential, id(53));
}

#[test]
fn consumers_are_found_by_name_and_custom_id_and_groups_by_name() {
    let consumer = |n, custom_id: &str| put(Kind::Consumer, n, json!({ "custom_id": custom_id }));
    let find = |now: &Snapshot, custom_id: &str| {
        now.identity().consumer_by_custom_id(custom_id).map(|consumer| consumer.id.as_u128())
    };
    let first = snapshot(vec![put(Kind::ConsumerGroup, 50, json!({})), consumer(51, "a"), consumer(52, "b")]);
    let by_name = |name: &str| first.identity().consumer_by_name(name).map(|consumer| consumer.id.as_u128());
    assert_eq!((by_name("consumer-51"), by_name("consumer-53")), (Some(51), None));
    assert_eq!(first.identity().group_by_name("consumer-group-50"), Some(id(50)));
    assert_eq!((find(&first, "a"), find(&first, "b"), find(&first, "c")), (Some(51), Some(52), None));
    // what one gives up another may take in the same step, in whatever order they are written
    for changes in [vec![consumer(51, "b"), consumer(52, "a")], vec![consumer(52, "a"), consumer(51, "b")]] {
        let next = advance(&first, &delta(changes)).expect("they swap");
        assert_eq!((find(&next, "a"), find(&next, "b")), (Some(52), Some(51)));
    }
    let next = advance(&first, &delta(vec![delete(Kind::Consumer, 51), consumer(53, "a")])).expect("taken over");
    assert_eq!(find(&next, "a"), Some(53));
    assert!(next.identity().consumer_by_name("consumer-51").is_none());
    assert_eq!(problems(&first, vec![consumer(53, "a")]), ["consumer `consumer-53` /custom_id conflict"]);
    let sent = Delta { class: Some(tidegate_model::Class::Identity), ..delta(vec![consumer(53, "a")]) };
    assert_eq!(find(&advance(&first, &sent).expect("a node takes it"), "a"), Some(51));
    // two that were there before this was refused: the older one is found
    let both = [consumer(61, "x"), consumer(60, "x")];
    let (now, found) = Snapshot::compile(&both, Revisions { identity: 1, traffic: 1 }, Registry::standard());
    assert_eq!((find(&now, "x"), found.len()), (Some(60), 1));
}
