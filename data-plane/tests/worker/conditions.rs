//! Policies that act only on some requests, and those that only tell what they would refuse.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_data_plane::limits::Limits;
use tidegate_data_plane::telemetry::access_log::{AccessLog, LogTarget, Options};
use tidegate_model::{Change, Kind};

use crate::support::{Gateway, resource, route, run, service, until};

fn size_policy(more: Value) -> [Change; 3] {
    let mut policy = json!({ "kind": "request-size", "config": { "max": "4B" } });
    policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    [
        service("api", json!({ "url": "http://up" })),
        route("all", "api", json!({ "match": { "path": { "template": "/{tenant}/{*rest}" } } })),
        resource(Kind::Policy, "small", policy),
    ]
}

fn post(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef")
}

#[test]
fn a_policy_acts_where_its_condition_holds() {
    run(async {
        let gateway =
            Gateway::new(&size_policy(json!({ "when": "captures.tenant != 'big' && request.method == 'POST'" })));
        let _upstream = gateway.net.upstream("up:80");
        assert_eq!(gateway.ask(&post("/small/a")).await.status(), 413);
        assert_eq!(gateway.ask(&post("/big/a")).await.status(), 200);
    });
}

#[test]
fn a_condition_without_a_value_refuses_or_skips_as_told() {
    run(async {
        for (on_error, status) in [("deny", 503), ("skip", 200)] {
            let when = json!({ "when": "request.headers['x-none'].startsWith('a')", "on_error": on_error });
            let gateway = Gateway::new(&size_policy(when));
            let _upstream = gateway.net.upstream("up:80");
            assert_eq!(gateway.ask(&post("/a/b")).await.status(), status, "{on_error}");
        }
    });
}

#[test]
fn what_one_in_shadow_would_refuse_passes_and_is_told() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let target = LogTarget::File(folder.path().join("log"));
        let log = AccessLog::start(Options { target, sample: 1.0, redact: Vec::new() }, &Limits::default()).unwrap();
        let resources = size_policy(json!({ "mode": "shadow" }));
        let gateway = Gateway::with_log(&resources, Limits::default(), Some(log.clone()));
        let upstream = gateway.net.upstream("up:80");
        let reply = gateway.ask(&post("/a/b")).await;
        assert_eq!((reply.status(), upstream.last().body.as_slice()), (200, b"abcdef".as_slice()));
        until("it is counted", || {
            gateway.metrics().value("tidegate_policy_shadow_refusals_total{kind=\"request-size\"}") == Some(1.0)
        })
        .await;
        assert_eq!(gateway.metrics().sum("tidegate_policy_refusals_total"), 0.0);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        while log.told().0 == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "the line is written");
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let line: Value = serde_json::from_str(&std::fs::read_to_string(folder.path().join("log")).unwrap()).unwrap();
        assert_eq!(line["would_refuse"], "small=body_too_large", "{line}");
    });
}
