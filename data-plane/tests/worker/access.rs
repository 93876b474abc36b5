//! Who is let in, and what browsers are told, through a whole worker.

use serde_json::{Value, json};
use tidegate_data_plane::node::Edge;
use tidegate_model::{Change, Kind, Sha256, TokenKind, write_token};

use crate::support::client::Reply;
use crate::support::upstream::Upstream;
use crate::support::{Gateway, id, policy, resource, route, run, service};

fn key(n: u8) -> String {
    write_token(TokenKind::ApiKey, &[n; 32])
}

fn credential(name: &str, consumer: &str, n: u8) -> Change {
    let hash = Sha256::of(key(n).as_bytes());
    let document =
        json!({ "consumer": id(Kind::Consumer, consumer), "kind": "api-key", "key_hash": hash, "hint": "x" });
    resource(Kind::Credential, name, document)
}

/// A consumer `acme` of the group `staff` with the key 1, a consumer `free`, and a route with these policies.
fn shop(policies: &[(&str, Value)]) -> (Gateway, Upstream) {
    shop_by(&json!({}), policies, Edge::default())
}

fn shop_by(matches: &Value, policies: &[(&str, Value)], edge: Edge) -> (Gateway, Upstream) {
    let mut all = vec![
        resource(Kind::ConsumerGroup, "staff", json!({})),
        resource(Kind::Consumer, "acme", json!({ "groups": [id(Kind::ConsumerGroup, "staff")] })),
        resource(Kind::Consumer, "free", json!({})),
        resource(Kind::Consumer, "late", json!({})),
        credential("c1", "acme", 1),
        credential("c2", "late", 2),
        service("api", json!({ "url": "http://up" })),
        route("all", "api", json!({ "match": matches })),
    ];
    all.extend(policies.iter().map(|(kind, config)| policy(kind, "all", kind, config.clone())));
    let gateway = Gateway::with_parts(&all, |parts| parts.edge = edge);
    let upstream = gateway.net.upstream("up:80");
    (gateway, upstream)
}

async fn ask(gateway: &Gateway, method: &str, lines: &str) -> Reply {
    gateway.ask(&format!("{method} / HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n")).await
}

#[test]
fn who_shows_nothing_is_the_anonymous_consumer_and_nobody_can_say_so_itself() {
    run(async {
        let auth = json!({
            "any_of": [{ "kind": "key-auth", "config": { "header": "x-a" } }, { "kind": "key-auth", "config": { "header": "x-b" } }],
            "anonymous": id(Kind::Consumer, "free"),
        });
        let (gateway, upstream) = shop(&[("auth", auth)]);
        // what a caller says of itself
        let spoofed = "X-Consumer-Id: 1\r\nX-Consumer-Name: acme\r\nX-Consumer-Groups: staff\r\nX-Credential-Id: 1\r\n\
                       X-Anonymous-Consumer: false\r\nX_Consumer_Name: acme\r\n";
        assert_eq!(ask(&gateway, "GET", spoofed).await.status(), 200);
        let seen = upstream.last();
        assert_eq!(seen.all("x-consumer-name"), ["free"]);
        assert_eq!(seen.all("x-anonymous-consumer"), ["true"]);
        for gone in ["x-credential-id", "x-consumer-groups", "x_consumer_name"] {
            assert_eq!(seen.header(gone), None, "{gone}");
        }
        assert_eq!(ask(&gateway, "GET", &format!("{spoofed}X-B: {}\r\n", key(1))).await.status(), 200);
        let seen = upstream.last();
        assert_eq!(seen.all("x-consumer-name"), ["acme"]);
        assert_eq!(seen.header("x-anonymous-consumer"), None);
        assert_eq!(seen.header("x-b"), None, "the key went upstream");
        // one that does not hold is no free ride
        let refused = ask(&gateway, "GET", &format!("X-A: {}\r\nX-B: {}\r\n", key(9), key(1))).await;
        assert_eq!((refused.status(), &*refused.code()), (401, "invalid_credentials"));
        assert_eq!(refused.all("www-authenticate"), ["ApiKey realm=\"tidegate\""]);
        assert_eq!(upstream.count(), 2);
    });
}

#[test]
fn a_combination_beside_another_authenticator_is_needed_too() {
    run(async {
        let auth = json!({ "any_of": [{ "kind": "key-auth", "config": { "header": "x-a" } }] });
        let (gateway, _upstream) = shop(&[("auth", auth), ("key-auth", json!({}))]);
        let (a, b) = (format!("X-A: {}\r\n", key(1)), format!("X-Api-Key: {}\r\n", key(2)));
        assert_eq!(ask(&gateway, "GET", &a).await.code(), "missing_credentials");
        assert_eq!(ask(&gateway, "GET", &b).await.code(), "missing_credentials");
        assert_eq!(ask(&gateway, "GET", &format!("{a}{b}")).await.status(), 200);
    });
}

#[test]
fn an_access_list_decides_by_consumer_and_group_and_can_hide() {
    run(async {
        let acl = json!({ "allow": { "groups": [id(Kind::ConsumerGroup, "staff")] }, "hide": true });
        let (gateway, upstream) = shop(&[("key-auth", json!({})), ("acl", acl)]);
        assert_eq!(ask(&gateway, "GET", &format!("X-Api-Key: {}\r\n", key(1))).await.status(), 200);
        let hidden = ask(&gateway, "GET", &format!("X-Api-Key: {}\r\n", key(2))).await;
        assert_eq!((hidden.status(), &*hidden.code()), (404, "no_route"));
        // word for word what a gateway without the route answers
        gateway.publish(&[service("api", json!({ "url": "http://up" }))]);
        let nothing = ask(&gateway, "GET", &format!("X-Api-Key: {}\r\n", key(2))).await;
        let without_id = |reply: &Reply| reply.text().replace(reply.header("x-request-id").unwrap(), "");
        assert_eq!(without_id(&hidden), without_id(&nothing));
        let names = |reply: &Reply| reply.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&hidden), names(&nothing));
        assert_eq!(upstream.count(), 1);
    });
}

#[test]
fn the_address_that_counts_is_the_one_that_trusted_proxies_tell() {
    run(async {
        let lists = json!({ "allow": ["198.51.100.0/24"] });
        let edge = Edge { trusted: ["10.0.0.0/8".parse().unwrap()].into_iter().collect(), ..Edge::default() };
        let (gateway, upstream) = shop_by(&json!({}), &[("ip-restriction", lists)], edge);
        let ask = async |from: [u8; 4], told: &str| {
            let mut client = gateway.connect_from(from, 64 << 10);
            client.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {told}\r\n\r\n")).await
        };
        assert_eq!(ask([10, 0, 0, 1], "198.51.100.7").await.status(), 200);
        assert_eq!(ask([198, 51, 100, 7], "203.0.113.1").await.status(), 200);
        let spoofed = ask([192, 0, 2, 7], "198.51.100.7").await;
        assert_eq!((spoofed.status(), &*spoofed.code()), (403, "ip_refused"));
        assert_eq!(ask([10, 0, 0, 1], "198.51.100.7, 192.0.2.7").await.status(), 403);
        assert_eq!(upstream.count(), 2);
    });
}

const ASKS: &str = "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n";

#[test]
fn a_preflight_is_answered_before_anybody_asks_who_calls_and_a_refusal_can_be_read() {
    run(async {
        let cors = json!({ "origins": ["https://a.example"], "credentials": true });
        let taken = json!({ "methods": ["GET"] });
        let (gateway, upstream) = shop_by(
            &taken,
            &[("cors", cors), ("key-auth", json!({})), ("ip-restriction", json!({ "deny": ["203.0.113.0/24"] }))],
            Edge::default(),
        );
        let answered = ask(&gateway, "OPTIONS", ASKS).await;
        assert_eq!(answered.status(), 204);
        assert_eq!(answered.header("access-control-allow-origin"), Some("https://a.example"));
        assert_eq!(answered.header("access-control-allow-credentials"), Some("true"));
        assert_eq!((answered.header("content-type"), answered.body.len()), (None, 0));
        let refused = ask(&gateway, "GET", "Origin: https://a.example\r\n").await;
        assert_eq!((refused.status(), refused.header("access-control-allow-origin")), (401, Some("https://a.example")));
        assert_eq!(refused.all("vary"), ["Origin"]);
        let mut stranger = gateway.connect_from([203, 0, 113, 1], 64 << 10);
        let refused = stranger.ask("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n").await;
        assert_eq!((refused.status(), refused.header("access-control-allow-origin")), (403, Some("https://a.example")));
        // methods that the route does not take, and what is no preflight
        let other = ask(&gateway, "OPTIONS", &ASKS.replace("GET", "PUT")).await;
        assert_eq!((other.status(), other.header("allow")), (405, Some("GET, HEAD")));
        assert_eq!(ask(&gateway, "OPTIONS", "Origin: https://a.example\r\n").await.status(), 405);
        assert_eq!(upstream.count(), 0);
        assert_eq!(gateway.metrics().value("tidegate_policy_refusals_total{kind=\"cors\"}"), None);
    });
}

#[test]
fn a_preflight_that_no_policy_answers_after_all_is_of_a_method_that_the_route_does_not_take() {
    run(async {
        let scope = json!({ "route": id(Kind::Route, "all") });
        let cors = json!({
            "kind": "cors", "scope": scope, "config": { "origins": ["*"] }, "when": "request.path == '/elsewhere'",
        });
        let gateway = Gateway::new(&[
            service("api", json!({ "url": "http://up" })),
            route("all", "api", json!({ "match": { "methods": ["GET"] } })),
            resource(Kind::Policy, "cors", cors),
        ]);
        let upstream = gateway.net.upstream("up:80");
        let reply = ask(&gateway, "OPTIONS", ASKS).await;
        assert_eq!((reply.status(), reply.header("allow")), (405, Some("GET, HEAD")));
        assert_eq!(upstream.count(), 0);
    });
}

#[test]
fn headers_for_browsers_are_on_what_the_api_says_and_on_refusals() {
    run(async {
        let (gateway, upstream) = shop(&[("security-headers", json!({})), ("key-auth", json!({}))]);
        upstream.answers("HTTP/1.1 200 OK\r\nServer: old/1.0\r\nX-Powered-By: x\r\nX-Frame-Options: SAMEORIGIN\r\nContent-Length: 0\r\n\r\n");
        let passed = ask(&gateway, "GET", &format!("X-Api-Key: {}\r\n", key(1))).await;
        assert_eq!(passed.all("x-frame-options"), ["SAMEORIGIN"]);
        assert_eq!((passed.header("server"), passed.header("x-powered-by")), (None, None));
        assert_eq!(passed.header("strict-transport-security"), None, "it came by plain http");
        let refused = ask(&gateway, "GET", "").await;
        assert_eq!((refused.status(), refused.header("x-content-type-options")), (401, Some("nosniff")));
    });
}

#[test]
fn callers_by_http_are_sent_to_https_and_those_by_https_are_told_to_stay() {
    run(async {
        let edge = || Edge { trusted: ["192.0.2.0/24".parse().unwrap()].into_iter().collect(), ..Edge::default() };
        let policies = [("redirect", json!({ "https": true })), ("security-headers", json!({}))];
        let (gateway, upstream) = shop_by(&json!({}), &policies, edge());
        let sent = gateway.ask("POST /a?b=c HTTP/1.1\r\nHost: a.example:8080\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!((sent.status(), sent.header("location")), (308, Some("https://a.example/a?b=c")));
        let came = ask(&gateway, "GET", "X-Forwarded-Proto: https\r\nX-Forwarded-For: 198.51.100.7\r\n").await;
        assert_eq!((came.status(), came.header("strict-transport-security")), (200, Some("max-age=31536000")));
        assert_eq!(upstream.count(), 1);
        assert_eq!(gateway.metrics().value("tidegate_policy_refusals_total{kind=\"redirect\"}"), None);
    });
}

#[test]
fn a_mock_answers_last_and_head_gets_its_head() {
    run(async {
        let mock = json!({ "status": 201, "headers": [{ "name": "x-a", "value": "${request.method}" }], "body": r#"{ "who": "${principal.consumer.name}" }"# });
        let (gateway, upstream) = shop(&[("key-auth", json!({})), ("mock", mock)]);
        assert_eq!(ask(&gateway, "GET", "").await.status(), 401);
        let keyed = format!("X-Api-Key: {}\r\n", key(1));
        let mocked = ask(&gateway, "GET", &keyed).await;
        assert_eq!((mocked.status(), mocked.text(), mocked.header("x-a")), (201, r#"{"who":"acme"}"#, Some("GET")));
        assert_eq!(mocked.header("content-type"), Some("application/json"));
        let mut client = gateway.connect();
        client.send(format!("HEAD / HTTP/1.1\r\nHost: a\r\n{keyed}\r\n")).await;
        let head = client.reply_head().await;
        assert_eq!((head.status(), head.header("content-length"), head.header("x-a")), (201, Some("14"), Some("HEAD")));
        // the connection goes on: no byte of a body followed
        assert_eq!(client.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\n{keyed}\r\n")).await.status(), 201);
        assert_eq!(upstream.count(), 0);
    });
}

#[test]
fn while_it_is_worked_on_only_some_get_through() {
    run(async {
        let worked_on = json!({ "until": "2100-01-01T00:00:00Z", "retry_after": "5m", "allow": ["198.51.100.0/24"], "body": "soon" });
        let (gateway, upstream) = shop(&[("maintenance", worked_on)]);
        let told = ask(&gateway, "GET", "").await;
        assert_eq!((told.status(), told.text(), told.header("retry-after")), (503, "soon", Some("300")));
        let mut team = gateway.connect_from([198, 51, 100, 7], 64 << 10);
        assert_eq!(team.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.status(), 200);
        assert_eq!(upstream.count(), 1);
        assert_eq!(gateway.metrics().value("tidegate_policy_refusals_total{kind=\"maintenance\"}"), Some(1.0));
        let over = json!({ "until": "2020-01-01T00:00:00Z" });
        let (gateway, _upstream) = shop(&[("maintenance", over)]);
        assert_eq!(ask(&gateway, "GET", "").await.status(), 200);
    });
}
