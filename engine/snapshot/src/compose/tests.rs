use serde_json::{Value, json};
use tidegate_model::{Change, Kind};
use tidegate_policy::Registry;

use crate::compose::{Composition, encode};
use crate::tests::{delete, delta, id, put, service, snapshot};
use crate::{Action, Lookup, Requested, Revisions, Snapshot, advance};

fn composed(steps: Value) -> Change {
    put(Kind::Route, 10, json!({ "compose": { "steps": steps } }))
}

/// A step that calls service 1, and says this beside.
fn step(more: Value) -> Value {
    let mut step = json!({ "service": id(1) });
    step.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    step
}

fn with_composition<T>(snapshot: &Snapshot, look: impl FnOnce(&Composition) -> T) -> T {
    let headers = http::HeaderMap::new();
    let requested = Requested { host: None, method: &http::Method::GET, path: "/", query: None, headers: &headers };
    let Lookup::Found(found) = snapshot.route(&requested) else { panic!("no route") };
    let Action::Compose(composition) = &found.route.action else { panic!("no composition: {:?}", found.route.action) };
    look(composition)
}

/// What each step waits for, and without what it can't be called.
#[test]
fn what_a_step_names_is_what_it_waits_for() {
    for (of_c, after, needs) in [
        (json!({}), vec![], vec![]),
        (json!({ "path": "/x/${steps.a.body.id}" }), vec!["a"], vec!["a"]),
        (
            json!({ "path": "/x/${steps['a'].body.id}", "query": { "q": "${steps.b.status}" } }),
            vec!["a", "b"],
            vec!["a", "b"],
        ),
        (json!({ "headers": { "x-a": "${has(steps.a) ? 'y' : 'n'}" } }), vec!["a"], vec!["a"]),
        (json!({ "when": "steps.a.body.vip == true" }), vec!["a"], vec![]),
        (json!({ "when": "[1, 2].exists(n, n == steps.b.body.n)" }), vec!["b"], vec![]),
        (json!({ "after": ["b"] }), vec!["b"], vec![]),
        (
            json!({ "method": "POST", "body": { "jq": "{id: $steps.a.body.id, n: $steps[\"b\"].status, own: .steps}" } }),
            vec!["a", "b"],
            vec!["a", "b"],
        ),
        (
            json!({ "method": "POST", "body": { "template": "{\"id\": \"${steps.b.body.id}\"}" }, "after": ["a", "b"] }),
            vec!["a", "b"],
            vec!["b"],
        ),
    ] {
        let now = snapshot(vec![
            service(1),
            composed(json!({ "a": step(json!({})), "b": step(json!({})), "c": step(of_c.clone()) })),
        ]);
        with_composition(&now, |composition| {
            let c = &composition.steps[2];
            let names = |all: &[usize]| all.iter().map(|at| &*composition.steps[*at].name).collect::<Vec<_>>();
            assert_eq!((names(&c.after), names(&c.needs)), (after, needs), "{of_c}");
        });
    }
}

#[test]
fn what_is_wrong_with_a_composition_is_told_where_it_stands() {
    let a = || json!({ "service": id(1) });
    for (steps, place, says) in [
        (
            json!({ "a": step(json!({ "path": "/${steps.b.body}" })), "b": step(json!({ "after": ["c"] })), "c": step(json!({ "when": "steps.a.status == 200" })) }),
            "/compose/steps/a",
            "`a` → `b` → `c` → `a`",
        ),
        (json!({ "a": step(json!({ "path": "/${steps.a.body}" })) }), "/compose/steps/a", "`a` → `a`"),
        (
            json!({ "a": step(json!({ "path": "/x/${steps.usr.body}" })), "user": a() }),
            "/compose/steps/a/path",
            "line 1, column 12: there is no step `usr`; there are `a`, `user`",
        ),
        (json!({ "a": step(json!({ "after": ["b"] })) }), "/compose/steps/a/after/0", "no step `b`"),
        (
            json!({ "a": step(json!({ "method": "POST", "body": { "jq": "1 |\n  $steps.b.body" } })) }),
            "/compose/steps/a/body/jq",
            "line 2, column 10",
        ),
        (
            json!({ "a": step(json!({ "method": "POST", "body": { "jq": ".a |" } })) }),
            "/compose/steps/a/body/jq",
            "line 1",
        ),
        (json!({ "a": step(json!({ "query": { "q": "${request.nam}" } })) }), "/compose/steps/a/query/q", "column 11"),
        (
            json!({ "a": step(json!({ "when": "steps[request.method].status == 1" })) }),
            "/compose/steps/a/when",
            "name the step",
        ),
        (json!({ "a": step(json!({ "path": "/a/../b" })) }), "/compose/steps/a/path", "no plain path"),
        (json!({ "a": step(json!({ "path": "/a?b=1" })) }), "/compose/steps/a/path", "no plain path"),
        (json!({ "a": { "service": id(9) } }), "/compose/steps/a/service", "9"),
    ] {
        let problems = advance(&snapshot(vec![service(1)]), &delta(vec![composed(steps.clone())]))
            .map(drop)
            .expect_err("it is wrong");
        assert_eq!(problems.len(), 1, "{steps}: {problems:#?}");
        assert!(problems[0].pointer == place && problems[0].detail.contains(says), "{steps}: {problems:#?}");
    }
}

#[test]
fn an_answer_is_compiled_too() {
    for (compose, place, says) in [
        (json!({ "answer": { "status": "700" } }), "/compose/answer/status", "no status"),
        (
            json!({ "answer": { "body": "{a: $steps.b.body}" } }),
            "/compose/answer/body",
            "line 1, column 12: there is no step `b`",
        ),
        (
            json!({ "answer": { "headers": { "x-a": "${steps.b.body}" } } }),
            "/compose/answer/headers/x-a",
            "no step `b`",
        ),
        (json!({ "coalesce": { "key": "${steps.a.body}" } }), "/compose/coalesce/key", "there is no `steps`"),
    ] {
        let mut compose = compose;
        compose["steps"] = json!({ "a": { "service": id(1) } });
        let route = put(Kind::Route, 10, json!({ "compose": compose }));
        let problems = advance(&snapshot(vec![service(1)]), &delta(vec![route])).map(drop).expect_err("it is wrong");
        assert!(problems[0].pointer == place && problems[0].detail.contains(says), "{problems:#?}");
    }
}

#[test]
fn a_service_that_changes_changes_the_compositions_that_call_it() {
    let now = snapshot(vec![
        service(1),
        service(2),
        composed(json!({ "a": { "service": id(1) }, "b": { "service": id(2) } })),
    ]);
    let moved = put(Kind::Service, 2, json!({ "url": "http://127.0.0.1:1234" }));
    let next = advance(&now, &delta(vec![moved])).expect("it is right");
    with_composition(&next, |composition| {
        assert_eq!(composition.steps[1].service.upstream.targets[0].address.port, 1234)
    });
    let problems = advance(&next, &delta(vec![delete(Kind::Service, 2)])).map(drop).expect_err("it is called");
    assert!(problems.iter().any(|problem| problem.pointer == "/compose/steps/b/service"), "{problems:#?}");
}

#[test]
fn what_cannot_be_built_is_closed_where_a_node_starts() {
    let broken = composed(json!({ "a": step(json!({ "path": "/${steps.a.body}" })) }));
    for changes in [vec![service(1), broken.clone()], vec![composed(json!({ "a": { "service": id(1) } }))]] {
        let (now, problems) = Snapshot::compile(&changes, Revisions::default(), Registry::standard());
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(now.describe().contains("Closed("), "{}", now.describe());
    }
}

#[test]
fn what_is_put_into_a_url_cannot_leave_its_place() {
    for (text, expected) in [
        ("a/b", "a%2Fb"),
        ("..", ".."),
        ("ä?#%", "%C3%A4%3F%23%25"),
        ("a-._~Z9", "a-._~Z9"),
        ("\r\n", "%0D%0A"),
        ("", ""),
    ] {
        let mut encoded = String::new();
        encode(text, &mut encoded);
        assert_eq!(encoded, expected);
    }
}
