//! Many ways lead to a configuration, and all give the same snapshot.

use http::{HeaderMap, Method};
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_model::{Change, Class, Kind, Sha256};
use tidegate_policy::Registry;

use super::{delete, delta, id, put};
use crate::{Lookup, Requested, Revisions, Snapshot, advance};

fn some_match() -> impl Strategy<Value = Value> {
    let host = prop::sample::select(vec!["a.x", "b.x", "*.x", "*.b.x", "c.b.x"]);
    let path = prop::sample::select(vec![
        json!("/"),
        json!("/a"),
        json!("/a/"),
        json!("/a/b"),
        json!({ "exact": "/a/b" }),
        json!({ "template": "/a/{x}" }),
        json!({ "template": "/{x}/b" }),
        json!({ "template": "/a/{*rest}" }),
        json!({ "regex": "/a/b|/b" }),
        json!({ "regex": "/a/[a-z]+" }),
    ]);
    let method = prop::sample::select(vec!["GET", "POST"]);
    let header = prop::sample::select(vec![
        json!({ "name": "x-a", "present": true }),
        json!({ "name": "x-a", "present": false }),
    ]);
    (
        prop::collection::vec(host, 0..3),
        prop::collection::vec(path, 0..3),
        prop::collection::vec(method, 0..2),
        prop::collection::vec(header, 0..2),
    )
        .prop_map(|(hosts, paths, methods, headers)| {
            let mut matches = json!({ "hosts": hosts, "methods": methods, "headers": headers });
            if !paths.is_empty() {
                matches["path"] = json!(paths);
            }
            matches
        })
}

/// What a snapshot finds for some requests: its router may not remember how it came to be.
fn finds(snapshot: &Snapshot) -> Vec<String> {
    let headers = HeaderMap::new();
    let mut found = Vec::new();
    for host in ["a.x", "c.b.x", "y"] {
        for path in ["/", "/a", "/a/", "/a/b", "/b", "/c/b", "/a/b/c"] {
            let requested = Requested { host: Some(host), method: &Method::GET, path, query: None, headers: &headers };
            found.push(match snapshot.route(&requested) {
                Lookup::Found(found) => found.route.facts.route.to_string(),
                Lookup::MethodNotAllowed(allow) => allow,
                Lookup::NotFound => "-".to_owned(),
            });
        }
    }
    found
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
    let route = (10u128..18, 1u128..8, some_match(), -1i32..2).prop_map(|(n, to, matches, priority)| {
        let mut document = json!({ "match": matches, "priority": priority });
        match to {
            4 => document["redirect"] = json!({ "path": "/elsewhere" }),
            5.. => {
                let path = "/x/${steps.a.body.id}";
                let steps = json!({ "a": { "service": id(to - 4) }, "b": { "service": id(1), "path": path } });
                document["compose"] = json!({ "steps": steps });
            }
            _ => document["service"] = json!(id(to)),
        }
        put(Kind::Route, n, document)
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
    let basic = (60u128..63, 50u128..53, 0u8..3, 0u8..2).prop_map(|(n, of, name, password)| {
        let hash = format!("$argon2id$v=19$m=64,t=1,p=1${}A${}A", "A".repeat(21), password.to_string().repeat(42));
        put(
            Kind::Credential,
            n,
            json!({ "consumer": id(of), "kind": "basic", "username": format!("u{name}"), "password_hash": hash }),
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
    prop_oneof![2 => service, 1 => upstream, 5 => route, 4 => policy, 1 => consumer, 2 => credential, 2 => basic, 3 => gone]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

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
            prop_assert_eq!(finds(&now), finds(&anew));
        }
    }
}
