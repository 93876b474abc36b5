//! Callers who prove who they are, through a whole worker: what they show, what upstreams see of it, and what who guesses meets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidegate_data_plane::limits::Limits;
use tidegate_model::{Change, Kind, PasswordHash, Sha256, TokenKind, write_token};

use crate::support::{Gateway, id, policy, resource, route, run, service};

const OWN: &str = "0197c1f2-5e2a-7bbb-8ccc-93ab07d5e1f2";
const PASSWORD: &str = "gr\u{fc}n:und:blau-77";

fn key(n: u8) -> String {
    write_token(TokenKind::ApiKey, &[n; 32])
}

fn credential(name: &str, consumer: &str, mut document: Value) -> Change {
    document["consumer"] = json!(id(Kind::Consumer, consumer));
    resource(Kind::Credential, name, document)
}

fn of_key(name: &str, key: &str, more: Value) -> Change {
    let mut document = json!({ "kind": "api-key", "key_hash": Sha256::of(key.as_bytes()), "hint": "x" });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    credential(name, "acme", document)
}

fn of_password(password: &str, salt: u8) -> Change {
    let hash = PasswordHash::of(password.as_bytes(), &[salt; 16]);
    credential("basic", "acme", json!({ "kind": "basic", "username": "ann", "password_hash": hash }))
}

fn config(kind: &str, config: Value, credentials: &[Change]) -> Vec<Change> {
    let mut all = vec![
        service("api", json!({ "url": "http://up" })),
        route("all", "api", json!({})),
        policy("who", "all", kind, config),
        resource(Kind::Consumer, "acme", json!({ "custom_id": "c-7" })),
    ];
    all.extend_from_slice(credentials);
    all
}

fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")
}

fn basic(text: &str) -> String {
    get("/", &format!("Authorization: Basic {}\r\n", STANDARD.encode(text)))
}

#[test]
fn a_key_is_taken_off_and_its_consumer_told_whatever_the_caller_says() {
    run(async {
        let everywhere = json!({ "headers": ["x-api-key"], "query": ["k"], "cookies": ["k"] });
        let gateway = Gateway::new(&config("key-auth", everywhere, &[of_key("one", OWN, json!({}))]));
        let upstream = gateway.net.upstream("up:80");
        let spoofed = "X-Consumer-Id: 1\r\nX-CONSUMER-NAME: root\r\nX_Consumer_Name: root\r\nx-consumer_custom-id: root\r\n\
                       X-Consumer-Custom-Id: root\r\nX-Consumer-Groups: admin\r\nX-Credential-Id: 1\r\nX_Credential_Id: 1\r\n";
        for (target, header, left) in [
            ("/a?x=1&y=%20", format!("X-Api-Key: {OWN}\r\n"), "/a?x=1&y=%20"),
            (&*format!("/a?x=1&k={OWN}&y=%20"), String::new(), "/a?x=1&y=%20"),
            (&*format!("/a?k={OWN}"), String::new(), "/a"),
            ("/a", format!("Cookie: s=1; k={OWN}; t=2\r\n"), "/a"),
        ] {
            let reply = gateway.ask(&get(target, &format!("{header}{spoofed}"))).await;
            assert_eq!(reply.status(), 200, "{target} {header}");
            let seen = upstream.last();
            assert_eq!(seen.first_line, format!("GET {left} HTTP/1.1"));
            assert_eq!(seen.header("x-consumer-name"), Some("acme"));
            assert_eq!(seen.header("x-consumer-custom-id"), Some("c-7"));
            assert_eq!(seen.header("x-consumer-id"), Some(&*id(Kind::Consumer, "acme").to_string()));
            assert_eq!(seen.header("x-credential-id"), Some(&*id(Kind::Credential, "one").to_string()));
            for name in ["x-consumer-groups", "x_consumer_name", "x-consumer_custom-id", "x_credential_id", "x-api-key"]
            {
                assert_eq!(seen.header(name), None, "{name}");
            }
            let cookie = header.starts_with("Cookie").then_some("s=1; t=2");
            assert_eq!(seen.header("cookie"), cookie);
        }
        let reply = gateway.ask(&get(&format!("/?k={}", key(3)), &format!("X-Api-Key: {OWN}\r\n"))).await;
        assert_eq!((reply.status(), &*reply.code()), (401, "invalid_credentials"));
    });
}

#[test]
fn of_two_keys_both_work_until_one_ends() {
    run(async {
        // the worker's clock stands at 2027-01-15T08:00:00Z
        let later = of_key("old", &key(1), json!({ "expires_at": "2027-01-15T08:00:00.001Z" }));
        let both = [later, of_key("new", &key(2), json!({}))];
        let gateway = Gateway::new(&config("key-auth", json!({}), &both));
        let _upstream = gateway.net.upstream("up:80");
        let shown = |n| get("/", &format!("X-Api-Key: {}\r\n", key(n)));
        assert_eq!(gateway.ask(&shown(1)).await.status(), 200);
        assert_eq!(gateway.ask(&shown(2)).await.status(), 200);
        let ended = of_key("old", &key(1), json!({ "expires_at": "2027-01-15T08:00:00Z" }));
        gateway.publish(&config("key-auth", json!({}), &[ended, of_key("new", &key(2), json!({}))]));
        assert_eq!(gateway.ask(&shown(1)).await.status(), 401);
        assert_eq!(gateway.ask(&shown(2)).await.status(), 200);
    });
}

#[test]
fn a_password_is_checked_and_dies_when_it_changes() {
    run(async {
        let of = |password: &str, salt| config("basic-auth", json!({}), &[of_password(password, salt)]);
        let gateway = Gateway::new(&of(PASSWORD, 1));
        let upstream = gateway.net.upstream("up:80");
        for _ in 0..3 {
            assert_eq!(gateway.ask(&basic(&format!("ann:{PASSWORD}"))).await.status(), 200);
            let seen = upstream.last();
            assert_eq!((seen.header("authorization"), seen.header("x-consumer-name")), (None, Some("acme")));
        }
        let reply = gateway.ask(&basic("ann:wrong")).await;
        assert_eq!((reply.status(), &*reply.code()), (401, "invalid_credentials"));
        assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"tidegate\", charset=\"UTF-8\""));
        let reply = gateway.ask(&get("/", "")).await;
        assert_eq!((reply.status(), &*reply.code()), (401, "missing_credentials"));

        gateway.publish(&of("another-77-password", 2));
        assert_eq!(gateway.ask(&basic(&format!("ann:{PASSWORD}"))).await.status(), 401, "the old one");
        assert_eq!(gateway.ask(&basic("ann:another-77-password")).await.status(), 200);
        gateway.publish(&config("basic-auth", json!({}), &[]));
        assert_eq!(gateway.ask(&basic("ann:another-77-password")).await.status(), 401, "revoked");
        assert_eq!(upstream.count(), 4);
    });
}

#[test]
fn who_guesses_is_stopped_whatever_it_shows_and_nobody_else_is() {
    run(async {
        let limits = Limits { auth_failures_max: 3, ..Limits::default() };
        let mut all = config("key-auth", json!({}), &[of_key("one", OWN, json!({})), of_password(PASSWORD, 1)]);
        all.push(route("basic", "api", json!({ "match": { "path": "/basic" } })));
        all.push(policy("pass", "basic", "basic-auth", json!({})));
        all.push(route("open", "api", json!({ "match": { "path": "/open" } })));
        let gateway = Gateway::with_limits(&all, limits);
        let _upstream = gateway.net.upstream("up:80");
        let good = get("/", &format!("X-Api-Key: {OWN}\r\n"));
        let from = |address: [u8; 4]| gateway.connect_from(address, 64 << 10);
        let mut guesser = from([198, 51, 100, 1]);
        // neither nothing shown nor good ones count
        for _ in 0..5 {
            assert_eq!(guesser.ask(&get("/", "")).await.status(), 401);
            assert_eq!(guesser.ask(&good).await.status(), 200);
        }
        assert_eq!(guesser.ask(&get("/", "X-Api-Key: guess-1\r\n")).await.status(), 401);
        assert_eq!(guesser.ask(&get("/basic", "Authorization: Basic eDp5\r\n")).await.status(), 401);
        assert_eq!(guesser.ask(&get("/", "X-Api-Key: guess-3\r\n")).await.status(), 401);
        for request in [&good, &get("/", "X-Api-Key: guess-4\r\n"), &get("/basic", "Authorization: Basic eDp5\r\n")] {
            let reply = guesser.ask(request).await;
            assert_eq!((reply.status(), &*reply.code()), (429, "too_many_failures"), "{request}");
            let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
        }
        assert_eq!(guesser.ask(&get("/open", "")).await.status(), 200, "nothing is shown there");
        assert_eq!(guesser.ask(&get("/", "")).await.status(), 401, "nor here");
        assert_eq!(from([198, 51, 100, 2]).ask(&good).await.status(), 200, "another address");
        let metrics = gateway.metrics();
        assert_eq!(metrics.value(r#"tidegate_guard_total{guard="auth_failures_max"}"#), Some(3.0));
        tokio::time::sleep(std::time::Duration::from_secs(61)).await;
        assert_eq!(from([198, 51, 100, 1]).ask(&good).await.status(), 200, "the window is over");
    });
}
