use std::sync::Arc;

use http::HeaderValue;
use serde_json::{Value, json};
use smallvec::smallvec;

use crate::testing::{Bench, id, problems};
use crate::{ConsumerFacts, Principal, Subject};

const ACME: u128 = 0xac;
const STAFF: u128 = 0x57;
const SUSPENDED: u128 = 0x50;

fn consumer(n: u128, groups: &[u128]) -> Principal {
    let header = HeaderValue::from_static("x");
    let facts = ConsumerFacts {
        id: id(n),
        name: "it".into(),
        groups: groups.iter().map(|group| id(*group)).collect(),
        id_header: header.clone(),
        name_header: header,
        custom_id_header: None,
    };
    Principal { subject: Subject::Consumer(Arc::new(facts)), ..Principal::default() }
}

fn external(groups: &[u128], scopes: &[&str]) -> Principal {
    Principal {
        subject: Subject::External("someone".into()),
        groups: groups.iter().map(|group| id(*group)).collect(),
        scopes: scopes.iter().map(|scope| (*scope).into()).collect(),
        ..Principal::default()
    }
}

/// Let through, or refused with this status and code.
type Outcome = Result<(), (u16, &'static str)>;

fn check(config: &Value, cases: &[(Principal, Outcome)]) {
    for (principal, expected) in cases {
        let mut bench = Bench::new("acl", config.clone());
        bench.cx.principal = principal.clone();
        let outcome = bench.request().map_err(|reply| (reply.status.as_u16(), reply.code));
        assert_eq!(outcome, *expected, "{config} {principal:?}");
    }
}

const FORBIDDEN: Outcome = Err((403, "forbidden"));

#[test]
fn who_is_in_a_list_is_in_it_by_consumer_by_group_or_by_token() {
    let config = json!({ "allow": { "consumers": [id(ACME)], "groups": [id(STAFF)] } });
    check(
        &config,
        &[
            (consumer(ACME, &[]), Ok(())),
            (consumer(1, &[]), FORBIDDEN),
            (consumer(1, &[SUSPENDED, STAFF]), Ok(())),
            (consumer(STAFF, &[ACME]), FORBIDDEN),
            (external(&[STAFF], &[]), Ok(())),
            (external(&[ACME], &[]), FORBIDDEN),
            (external(&[], &[]), FORBIDDEN),
            (Principal::default(), FORBIDDEN),
        ],
    );
}

#[test]
fn deny_wins_over_allow() {
    let config =
        json!({ "allow": { "groups": [id(STAFF)] }, "deny": { "groups": [id(SUSPENDED)], "consumers": [id(ACME)] } });
    check(
        &config,
        &[
            (consumer(1, &[STAFF]), Ok(())),
            (consumer(1, &[STAFF, SUSPENDED]), FORBIDDEN),
            (consumer(ACME, &[STAFF]), FORBIDDEN),
            (external(&[STAFF, SUSPENDED], &[]), FORBIDDEN),
        ],
    );
}

#[test]
fn scopes_of_one_entry_are_needed_together() {
    let config = json!({ "allow": { "scopes": ["orders:read orders:write", "admin"] } });
    check(
        &config,
        &[
            (external(&[], &["orders:write", "x", "orders:read"]), Ok(())),
            (external(&[], &["admin"]), Ok(())),
            (external(&[], &["orders:read"]), FORBIDDEN),
            (external(&[], &["orders:read orders:write"]), FORBIDDEN),
            (external(&[], &["ADMIN"]), FORBIDDEN),
            (external(&[], &[]), FORBIDDEN),
        ],
    );
    check(
        &json!({ "deny": { "scopes": ["trial"] } }),
        &[(external(&[], &["trial"]), FORBIDDEN), (external(&[], &["paid"]), Ok(()))],
    );
}

#[test]
fn who_shows_no_credentials_is_refused_unless_told_otherwise() {
    let deny = json!({ "deny": { "groups": [id(SUSPENDED)] } });
    check(&deny, &[(Principal::default(), FORBIDDEN), (consumer(1, &[]), Ok(()))]);
    let allow = json!({ "allow": { "groups": [id(STAFF)] }, "anonymous": "allow" });
    check(&allow, &[(Principal::default(), Ok(())), (consumer(1, &[]), FORBIDDEN)]);
    // the consumer that stands for such callers is one like any other
    let stand_in = Principal { is_stand_in: true, ..consumer(1, &[STAFF]) };
    check(&json!({ "allow": { "groups": [id(STAFF)] } }), &[(stand_in, Ok(()))]);
}

#[test]
fn hidden_means_as_if_there_were_nothing() {
    let config = json!({ "allow": { "groups": [id(STAFF)] }, "hide": true });
    check(&config, &[(consumer(1, &[]), Err((404, "no_route"))), (consumer(1, &[STAFF]), Ok(()))]);
}

#[test]
fn a_name_that_is_not_resolved_matches_nobody() {
    let mut external = external(&[], &[]);
    external.groups = smallvec![];
    check(
        &json!({ "allow": { "groups": ["staff"], "consumers": ["acme"] } }),
        &[(consumer(1, &[STAFF]), FORBIDDEN), (external, FORBIDDEN)],
    );
}

#[test]
fn a_config_that_can_not_work_is_refused() {
    for (config, pointer) in [
        (json!({}), ""),
        (json!({ "allow": {} }), "/allow"),
        (json!({ "allow": { "groups": ["a b"] } }), "/allow/groups/0"),
        (json!({ "deny": { "scopes": ["a", " "] } }), "/deny/scopes/1"),
        (json!({ "deny": { "users": ["a"] } }), "/deny/users"),
        (json!({ "deny": { "scopes": ["a"] }, "anonymous": "maybe" }), "/anonymous"),
    ] {
        assert_eq!(problems("acl", &config)[0].pointer, pointer, "{config}");
    }
}
