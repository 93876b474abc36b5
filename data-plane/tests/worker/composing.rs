//! Answers that are composed of several calls.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_data_plane::limits::Limits;
use tidegate_data_plane::telemetry::access_log::{AccessLog, LogTarget, Options};
use tidegate_model::{Change, Kind};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use crate::support::client::{Message, Reply, read};
use crate::support::upstream::Upstream;
use crate::support::{Gateway, Net, id, policy, resource, run, service, until};

/// Services `a` to `e`, each at a host of its own name, and a route `page` that composes their answers.
fn page(compose: Value) -> Vec<Change> {
    let matches = json!({ "path": { "template": "/page/{id}" } });
    let mut all: Vec<Change> =
        ["a", "b", "c", "d", "e"].map(|name| service(name, json!({ "url": format!("http://{name}") }))).into();
    all.push(resource(Kind::Route, "page", json!({ "match": matches, "compose": with_ids(compose) })));
    all
}

fn with_ids(mut compose: Value) -> Value {
    for step in compose["steps"].as_object_mut().unwrap().values_mut() {
        step["service"] = json!(id(Kind::Service, step["service"].as_str().unwrap()));
    }
    compose
}

fn answer_of(status: &str, content_type: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn ok(body: &str) -> String {
    answer_of("200 OK", "application/json", body)
}

fn json_upstream(net: &Net, name: &str, body: &str) -> Upstream {
    let upstream = net.upstream(&format!("{name}:80"));
    upstream.answers(ok(body));
    upstream
}

/// Answers after so long, and counts those that are waited for.
fn slow_upstream(net: &Net, name: &str, millis: u64, body: &'static str) -> Rc<Cell<usize>> {
    let count = Rc::<Cell<usize>>::default();
    let counted = count.clone();
    net.serve(&format!("{name}:80"), move |mut stream| {
        let counted = counted.clone();
        async move {
            let mut buffer = Vec::new();
            while read(&mut stream, &mut buffer, false).await.is_some() {
                counted.set(counted.get() + 1);
                sleep(Duration::from_millis(millis)).await;
                if stream.write_all(ok(body).as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    });
    count
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: g.example\r\n\r\n")
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|_| panic!("{reply:?}"))
}

fn target(message: &Message) -> &str {
    message.first_line.split(' ').nth(1).unwrap()
}

#[test]
fn the_slowest_branch_decides_how_long_it_takes() {
    run(async {
        let gateway = Gateway::new(&page(json!({ "steps": {
            "a": { "service": "a" }, "b": { "service": "b" }, "c": { "service": "c" },
            "d": { "service": "d", "path": "/of/${steps.a.body.id}" },
        } })));
        for (name, millis, body) in
            [("a", 200, "{\"id\":7}"), ("b", 600, "[1]"), ("c", 500, "\"x\""), ("d", 300, "null")]
        {
            slow_upstream(&gateway.net, name, millis, body);
        }
        let began = Instant::now();
        let reply = gateway.ask(&get("/page/1")).await;
        assert_eq!(reply.text(), r#"{"a":{"id":7},"b":[1],"c":"x","d":null}"#);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        // `b` alone, and `a` with `d` behind it, take 600 and 500; one after another they would take 1600
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(600) && took < Duration::from_millis(700), "{took:?}");
        assert_eq!(reply.header("tidegate-partial"), None);
    });
}

#[test]
fn a_step_is_made_of_the_request_and_of_earlier_steps() {
    run(async {
        let gateway = Gateway::new(&page(json!({
            "steps": {
                "user": { "service": "a", "path": "/users/${captures.id}", "forward": ["Authorization"] },
                "orders": { "service": "b", "path": "/orders", "query": { "of": "${steps.user.body.key}", "q": "${request.query.q}", "none": "${request.query.none}" },
                            "headers": { "X-Name": "${steps.user.body.name}" } },
                "note": { "service": "c", "method": "POST", "path": "/notes", "body": { "jq": "{user: $steps.user.body.key, path: $request.path, id: $captures.id}" } },
                "form": { "service": "d", "method": "PUT", "body": { "template": "n=${steps.user.body.name}", "content_type": "application/x-www-form-urlencoded" } },
                "text": { "service": "e", "method": "PATCH", "body": { "template": "{\"n\": \"${steps.user.body.name}\"}" } },
            },
            "answer": {
                "status": "${steps.user.status + 1}", "headers": { "X-Of": "${steps.user.body.key}" },
                "body": "{who: .user.name, total: (.orders | add), all: ($steps | keys), s: $steps.orders.status}",
            },
        })));
        let user = json_upstream(&gateway.net, "a", r#"{"key":"k&1=2","name":"A \"b\" é"}"#);
        let others: Vec<Upstream> = [("b", "[1,2,3]"), ("c", "1"), ("d", "1"), ("e", "1")]
            .map(|(n, b)| json_upstream(&gateway.net, n, b))
            .into();
        let reply = gateway
            .ask("GET /page/7?q=a%26b HTTP/1.1\r\nHost: g.example\r\nAuthorization: Bearer x\r\nCookie: c=1\r\nAccept-Language: de\r\nX-Other: 1\r\n\r\n")
            .await;
        assert_eq!(reply.status(), 201, "{reply:?}");
        assert_eq!(reply.header("x-of"), Some("k&1=2"));
        assert_eq!(
            body(&reply),
            json!({ "who": "A \"b\" é", "total": 6, "all": ["form", "note", "orders", "text", "user"], "s": 200 })
        );
        let seen = user.last();
        assert_eq!(seen.first_line, "GET /users/7 HTTP/1.1");
        for (name, value) in [
            ("host", Some("a")),
            ("authorization", Some("Bearer x")),
            ("accept-language", Some("de")),
            ("cookie", None),
            ("x-other", None),
            ("accept-encoding", Some("identity")),
            ("x-forwarded-for", Some("192.0.2.7")),
            ("x-forwarded-host", Some("g.example")),
            ("x-request-id", reply.header("x-request-id")),
            ("via", Some("1.1 tidegate")),
        ] {
            assert_eq!(seen.header(name), value, "{name}: {seen:?}");
        }
        let [orders, note, form, text] = &others[..] else { panic!() };
        let seen = orders.last();
        assert_eq!(target(&seen), "/orders?of=k%261%3D2&q=a%26b");
        assert_eq!((seen.header("authorization"), seen.header("traceparent").is_some()), (None, true));
        assert_eq!(note.last().text(), r#"{"user":"k&1=2","path":"/page/7","id":"7"}"#);
        assert_eq!(note.last().header("content-type"), Some("application/json"));
        assert_eq!(form.last().text(), "n=A%20%22b%22%20%C3%A9");
        assert_eq!(text.last().text(), r#"{"n": "A \"b\" é"}"#);
    });
}

/// What goes wrong with a step, by which word it is told.
#[test]
fn what_goes_wrong_with_a_step_fails_is_left_out_or_replaced_as_told() {
    let big = format!("\"{}\"", "x".repeat(3000));
    let cases: Vec<(&str, Option<String>, u16)> = vec![
        ("connect", None, 502),
        ("status", Some(answer_of("500 No", "application/json", "{}")), 502),
        ("status", Some("HTTP/1.1 302 Found\r\nLocation: http://b/\r\nContent-Length: 0\r\n\r\n".into()), 502),
        ("not_json", Some(ok("{\"a\":")), 502),
        ("content_type", Some(answer_of("200 OK", "text/html", "<p>")), 502),
        ("too_large", Some(ok(&big)), 502),
        ("invalid", Some("BOO\r\n\r\n".into()), 502),
        ("encoded", Some("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}".into()), 502),
        ("timeout", Some(String::new()), 504),
        ("reset", Some("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}".into()), 502),
    ];
    for (word, answers, status) in cases {
        for (on_error, whole) in [
            (json!("fail"), None),
            (json!("omit"), Some(json!({ "good": 1 }))),
            (json!({ "default": { "none": [] } }), Some(json!({ "bad": { "none": [] }, "good": 1 }))),
        ] {
            let answers = answers.clone();
            run(async move {
                let gateway = Gateway::new(&page(json!({ "steps": {
                    "bad": { "service": "a", "on_error": on_error, "timeout": "2s", "max_body": "2KiB" },
                    "good": { "service": "b" },
                } })));
                json_upstream(&gateway.net, "b", "1");
                if let Some(answers) = answers {
                    let upstream = gateway.net.upstream("a:80");
                    upstream.answers(&answers);
                    if word == "reset" {
                        upstream.closes();
                    }
                }
                let reply = gateway.ask(&get("/page/1")).await;
                let told = format!("tidegate_composed_steps_total{{outcome=\"{word}\"}}");
                assert_eq!(gateway.metrics().value(&told), Some(1.0), "{word} {on_error}: {reply:?}");
                match whole {
                    Some(whole) => {
                        assert_eq!((reply.status(), body(&reply)), (200, whole), "{word} {on_error}");
                        assert_eq!(reply.header("tidegate-partial"), Some("bad"));
                    }
                    None => {
                        assert_eq!((reply.status(), &*reply.code()), (status, "step_failed"), "{word}");
                        let problem = body(&reply);
                        assert_eq!(
                            (&problem["step"], &problem["outcome"], &problem["blame"]),
                            (&json!("bad"), &json!(word), &json!("upstream"))
                        );
                    }
                }
            });
        }
    }
}

#[test]
fn a_partial_answer_can_be_refused() {
    run(async {
        let gateway = Gateway::new(&page(
            json!({ "partial": "refuse", "steps": { "a": { "service": "a", "on_error": "omit" } } }),
        ));
        assert_eq!(gateway.ask(&get("/page/1")).await.code(), "step_failed");
    });
}

#[test]
fn a_step_without_what_it_is_made_of_is_not_called() {
    run(async {
        let gateway = Gateway::new(&page(json!({
            "steps": {
                "user": { "service": "a", "on_error": "omit" },
                "orders": { "service": "b", "query": { "of": "${steps.user.body.id}" }, "on_error": "omit" },
                "hint": { "service": "c", "when": "steps.user.error != null" },
                "never": { "service": "d", "when": "steps.user.status == 200" },
            },
            "answer": { "body": "[.hint, $steps.user.error, $steps.orders.error, $steps.never.error, has(\"never\")]" },
        })));
        let orders = json_upstream(&gateway.net, "b", "[]");
        json_upstream(&gateway.net, "c", "\"try later\"");
        let never = json_upstream(&gateway.net, "d", "1");
        let reply = gateway.ask(&get("/page/1")).await;
        assert_eq!(reply.text(), r#"["try later","connect","missing",null,false]"#);
        assert_eq!((orders.count(), never.count()), (0, 0));
        assert_eq!(reply.header("tidegate-partial"), Some("orders, user"));
    });
}

#[test]
fn retries_are_counted_and_end() {
    for (retry, answers, calls, status) in [
        (json!({ "attempts": 3 }), answer_of("503 Busy", "application/json", "{}"), 3, 502),
        (json!({ "attempts": 3, "on": ["connect"] }), answer_of("503 Busy", "application/json", "{}"), 1, 502),
        (json!({ "attempts": 2, "on": ["timeout"], "backoff": "1s" }), String::new(), 2, 504),
        (json!({ "attempts": 5 }), answer_of("404 No", "application/json", "{}"), 1, 502),
    ] {
        run(async move {
            let gateway = Gateway::new(&page(
                json!({ "steps": { "a": { "service": "a", "retry": retry, "timeout": "300ms" } } }),
            ));
            let upstream = gateway.net.upstream("a:80");
            upstream.answers(&answers);
            let reply = gateway.ask(&get("/page/1")).await;
            assert_eq!((reply.status(), upstream.count()), (status, calls), "{retry}");
            let retries = gateway.metrics().value("tidegate_composed_step_retries_total");
            assert_eq!(retries, Some(calls as f64 - 1.0));
        });
    }
}

#[test]
fn a_further_attempt_may_succeed() {
    run(async {
        let gateway = Gateway::new(&page(
            json!({ "steps": { "a": { "service": "a", "retry": { "attempts": 3, "backoff": "1s" } } } }),
        ));
        let net = gateway.net.clone();
        let mut client = gateway.connect();
        client.send(get("/page/1")).await;
        sleep(Duration::from_millis(500)).await;
        json_upstream(&net, "a", "1");
        let reply = client.reply().await;
        assert_eq!((reply.status(), reply.header("tidegate-partial")), (200, None));
    });
}

#[test]
fn no_step_runs_longer_than_what_is_left() {
    run(async {
        let gateway = Gateway::new(&page(json!({ "timeout": "1s", "steps": {
            "first": { "service": "a", "tell_deadline": true },
            "second": { "service": "b", "timeout": "5s", "after": ["first"], "on_error": "omit", "retry": { "attempts": 5 } },
        } })));
        slow_upstream(&gateway.net, "a", 800, "1");
        let hangs = slow_upstream(&gateway.net, "b", 60_000, "2");
        let began = Instant::now();
        let reply = gateway.ask(&get("/page/1")).await;
        let took = began.elapsed();
        assert_eq!((reply.text(), reply.header("tidegate-partial")), (r#"{"first":1}"#, Some("second")));
        assert!(took >= Duration::from_millis(999) && took < Duration::from_millis(1200), "{took:?}");
        assert_eq!(hangs.get(), 1);
        let late = gateway.metrics().value("tidegate_composed_steps_total{outcome=\"deadline\"}");
        assert_eq!(late, Some(1.0));
    });
}

#[test]
fn the_deadline_is_told_where_that_is_asked_for() {
    run(async {
        let gateway = Gateway::new(&page(json!({ "timeout": "2s", "steps": {
            "a": { "service": "a", "tell_deadline": true }, "b": { "service": "b" },
        } })));
        let (a, b) = (json_upstream(&gateway.net, "a", "1"), json_upstream(&gateway.net, "b", "1"));
        gateway.ask(&get("/page/1")).await;
        assert_eq!(a.last().header("x-request-deadline"), Some("1800000002000"));
        assert_eq!(b.last().header("x-request-deadline"), None);
    });
}

#[test]
fn a_caller_who_leaves_ends_all_steps() {
    run(async {
        let gateway = Gateway::new(&page(json!({ "steps": { "a": { "service": "a" }, "b": { "service": "b" } } })));
        let open = Rc::<Cell<usize>>::default();
        for name in ["a:80", "b:80"] {
            let open = open.clone();
            gateway.net.serve(name, move |mut stream| {
                let open = open.clone();
                async move {
                    open.set(open.get() + 1);
                    let mut buffer = Vec::new();
                    while read(&mut stream, &mut buffer, false).await.is_some() {}
                    open.set(open.get() - 1);
                }
            });
        }
        let mut client = gateway.connect();
        client.send(get("/page/1")).await;
        until("both are called", || open.get() == 2).await;
        drop(client);
        until("both are given up", || open.get() == 0).await;
    });
}

#[test]
fn identical_calls_are_made_once_where_that_is_asked_for() {
    run(async {
        let gateway = Gateway::new(&page(json!({ "coalesce": {}, "steps": { "a": { "service": "a" } } })));
        let calls = slow_upstream(&gateway.net, "a", 500, "{\"n\":1}");
        let mut clients: Vec<_> = (0..5).map(|_| gateway.connect()).collect();
        for client in &mut clients {
            client.send(get("/page/1")).await;
        }
        let mut other = gateway.connect();
        other.send(get("/page/2")).await;
        let mut german = gateway.connect();
        german.send("GET /page/1 HTTP/1.1\r\nHost: a\r\nAccept-Language: de\r\n\r\n").await;
        for client in &mut clients {
            assert_eq!(client.reply().await.text(), r#"{"a":{"n":1}}"#);
        }
        assert_eq!((other.reply().await.status(), german.reply().await.status()), (200, 200));
        assert_eq!(calls.get(), 3);
        assert_eq!(gateway.metrics().value("tidegate_composed_coalesced_total"), Some(4.0));
        // what has ended is no cache
        assert_eq!(clients[0].ask(&get("/page/1")).await.status(), 200);
        assert_eq!(calls.get(), 4);
    });
}

#[test]
fn who_began_a_shared_call_can_leave_without_taking_it_from_others() {
    run(async {
        let gateway = Gateway::new(&page(json!({ "coalesce": { "key": "k", "shared": true }, "steps": {
            "a": { "service": "a" }, "b": { "service": "b", "path": "/${steps.a.body}" },
        } })));
        let calls = slow_upstream(&gateway.net, "a", 500, "1");
        slow_upstream(&gateway.net, "b", 500, "2");
        let mut leader = gateway.connect();
        leader.send(get("/page/1")).await;
        until("it began", || calls.get() == 1).await;
        let (mut second, mut third) = (gateway.connect(), gateway.connect());
        second.send(get("/page/2")).await;
        third.send(get("/page/3")).await;
        sleep(Duration::from_millis(100)).await;
        drop(leader);
        assert_eq!(second.reply().await.text(), r#"{"a":1,"b":2}"#);
        assert_eq!(third.reply().await.text(), r#"{"a":1,"b":2}"#);
        assert_eq!(calls.get(), 1);
    });
}

fn key_of(name: &str) -> String {
    tidegate_model::write_token(tidegate_model::TokenKind::ApiKey, &[name.as_bytes()[0]; 32])
}

fn with_key(name: &str) -> String {
    format!("GET /page/1 HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n\r\n", key_of(name))
}

#[test]
fn principals_do_not_share_unless_told() {
    run(async {
        for (shared, calls) in [(false, 2), (true, 1)] {
            let mut all = page(json!({ "coalesce": { "shared": shared }, "steps": { "a": { "service": "a" } } }));
            all.push(policy("keys", "page", "key-auth", json!({})));
            for name in ["ada", "bob"] {
                let key = key_of(name);
                all.push(resource(Kind::Consumer, name, json!({})));
                let hash = tidegate_model::Sha256::of(key.as_bytes());
                let credential =
                    json!({ "consumer": id(Kind::Consumer, name), "kind": "api-key", "key_hash": hash, "hint": "x" });
                all.push(resource(Kind::Credential, name, credential));
            }
            let gateway = Gateway::new(&all);
            let called = slow_upstream(&gateway.net, "a", 500, "1");
            let (mut ada, mut bob) = (gateway.connect(), gateway.connect());
            ada.send(with_key("ada")).await;
            bob.send(with_key("bob")).await;
            assert_eq!((ada.reply().await.status(), bob.reply().await.status()), (200, 200));
            assert_eq!(called.get(), calls, "{shared}");
            assert_eq!(gateway.ask(&get("/page/1")).await.status(), 401);
        }
    });
}

/// What is captured and put into a path or a header: the target that is called, or the word for why none is.
#[test]
fn what_is_put_in_cannot_leave_its_place() {
    for (given, path, outcome) in [
        ("7", "/users/${request.query.v}/x", Ok("/users/7/x")),
        ("a%2Fb%3Fc%23", "/users/${request.query.v}", Err("path")),
        ("%2E%2E", "/users/${request.query.v}/x", Err("path")),
        ("..", "/users/${request.query.v}", Err("path")),
        (".", "/users/${request.query.v}", Err("path")),
        ("%252e%252e%252fadmin", "/users/${request.query.v}", Ok("/users/%252e%252e%252fadmin")),
        ("", "/users/${request.query.v}", Err("value")),
        ("a%3Fadmin%3D1", "/users/${request.query.v}", Ok("/users/a%3Fadmin%3D1")),
        ("a%20b%C3%A9", "/users/${request.query.v}", Ok("/users/a%20b%C3%A9")),
        ("a%0D%0AX-Evil:%201", "/users/x", Err("header")),
        ("a;b", "/users/${request.query.v}", Ok("/users/a%3Bb")),
    ] {
        run(async move {
            let mut step = json!({ "service": "a", "path": path, "headers": { "X-V": "${request.query.v}" } });
            if path != "/users/x" {
                step["headers"] = json!({});
            }
            let gateway = Gateway::new(&page(json!({ "steps": { "a": step } })));
            let upstream = json_upstream(&gateway.net, "a", "1");
            let reply = gateway.ask(&get(&format!("/page/1?v={given}"))).await;
            match outcome {
                Ok(expected) => {
                    assert_eq!((reply.status(), target(&upstream.last())), (200, expected), "{given}: {reply:?}")
                }
                Err(word) => {
                    assert_eq!(upstream.count(), 0, "{given}");
                    assert_eq!(body(&reply)["outcome"], word, "{given}: {reply:?}");
                }
            }
        });
    }
}

#[test]
fn head_has_the_head_of_the_answer_alone() {
    run(async {
        let gateway = Gateway::new(&page(json!({ "steps": { "a": { "service": "a" } } })));
        let upstream = json_upstream(&gateway.net, "a", "[1]");
        let mut client = gateway.connect();
        client.send("HEAD /page/1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let reply = client.reply_head().await;
        assert_eq!((reply.status(), reply.header("content-length")), (200, Some("9")));
        assert!(upstream.last().first_line.starts_with("GET "));
        assert_eq!(client.ask(&get("/page/1")).await.text(), r#"{"a":[1]}"#);
    });
}

#[test]
fn text_is_taken_where_it_is_expected_and_large_bodies_too() {
    run(async {
        let long = "y".repeat(200 << 10);
        let gateway = Gateway::new(&page(json!({
            "steps": {
                "a": { "service": "a", "expect": { "status": ["200-299", "404"], "content": "text" } },
                "b": { "service": "b" },
            },
            "answer": { "body": "[.a, (.b | length), $steps.a.status]" },
        })));
        gateway.net.upstream("a:80").answers(answer_of("404 No", "text/plain", "line \"1\"\n"));
        json_upstream(&gateway.net, "b", &format!("\"{long}\""));
        let reply = gateway.ask(&get("/page/1")).await;
        assert_eq!(reply.text(), format!(r#"["line \"1\"\n",{},404]"#, 200 << 10));
    });
}

#[test]
fn an_answer_that_can_not_be_made_is_said_to_be_none() {
    run(async {
        let gateway =
            Gateway::new(&page(json!({ "steps": { "a": { "service": "a" } }, "answer": { "body": ".a + [1]" } })));
        json_upstream(&gateway.net, "a", "{}");
        let reply = gateway.ask(&get("/page/1")).await;
        assert_eq!((reply.status(), &*reply.code()), (502, "composition_failed"));
    });
}

#[test]
fn the_connections_of_steps_are_kept() {
    run(async {
        let gateway = Gateway::new(&page(json!({ "steps": { "a": { "service": "a" }, "b": { "service": "a" } } })));
        let upstream = json_upstream(&gateway.net, "a", "1");
        for _ in 0..5 {
            assert_eq!(gateway.ask(&get("/page/1")).await.text(), r#"{"a":1,"b":1}"#);
        }
        assert_eq!((upstream.count(), upstream.connections()), (10, 2));
    });
}

#[test]
fn a_line_of_the_log_tells_of_the_steps() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let sink = LogTarget::File(folder.path().join("log"));
        let log =
            AccessLog::start(Options { target: sink, sample: 1.0, redact: Vec::new() }, &Limits::default()).unwrap();
        let resources = page(json!({ "steps": {
            "a": { "service": "a" }, "b": { "service": "b", "on_error": "omit", "timeout": "300ms" },
            "c": { "service": "c", "when": "request.method == 'POST'" },
        } }));
        let gateway = Gateway::with_log(&resources, Limits::default(), Some(log.clone()));
        slow_upstream(&gateway.net, "a", 70, "1");
        slow_upstream(&gateway.net, "b", 60_000, "1");
        assert_eq!(gateway.ask(&get("/page/1")).await.status(), 200);
        sleep(Duration::from_millis(300)).await;
        let begun = std::time::Instant::now();
        while log.told().0 == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "the line is written");
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let line: Value = serde_json::from_str(&std::fs::read_to_string(folder.path().join("log")).unwrap()).unwrap();
        let steps = line["steps"].as_str().unwrap();
        let [a, b, c] = steps.split(", ").collect::<Vec<_>>()[..] else { panic!("{steps}") };
        assert!(a.starts_with("a=200:7") && b.starts_with("b=timeout:30") && c == "c=skipped:0", "{steps}");
    });
}
