//! The examples of `docs/guide/authentication.md`: each JSON block is a policy, the block of text behind it says what requests meet.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tidegate_model::{Kind, Sha256, TokenKind, write_token};

use crate::support::page::examples;
use crate::support::{Gateway, id, resource, route, run, service};

const PAGE: &str = include_str!("../../../docs/guide/authentication.md");

fn token(subject: &str) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "sub": subject, "iss": "https://login.example", "aud": "orders", "exp": 1_800_000_600 });
    let text = format!("{}.{}", part(json!({ "alg": "HS256" })), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef0123456789abcdef");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes())))
}

/// Names as a commit resolves them.
fn resolved(value: &mut Value) {
    match value {
        Value::String(name) if name == "free-tier" => *value = json!(id(Kind::Consumer, "free-tier")),
        Value::String(name) if name == "partners" => *value = json!(id(Kind::ConsumerGroup, "partners")),
        Value::Array(all) => all.iter_mut().for_each(resolved),
        Value::Object(all) => all.values_mut().for_each(resolved),
        _ => {}
    }
}

#[test]
fn the_examples_of_the_page_about_callers_hold() {
    run(async {
        let examples = examples(PAGE);
        assert!(examples.len() >= 4 && examples.iter().all(|(_, lines)| !lines.is_empty()));
        let (key, other) = (write_token(TokenKind::ApiKey, &[1; 32]), write_token(TokenKind::ApiKey, &[2; 32]));
        let credential = |name: &str, consumer: &str, key: &str| {
            let hash = Sha256::of(key.as_bytes());
            let of = id(Kind::Consumer, consumer);
            resource(
                Kind::Credential,
                name,
                json!({ "consumer": of, "kind": "api-key", "key_hash": hash, "hint": "tg_" }),
            )
        };
        let groups = json!([id(Kind::ConsumerGroup, "partners")]);
        for (mut policy, lines) in examples {
            resolved(&mut policy);
            let mut resources = vec![
                service("api", json!({ "url": "http://up" })),
                route("all", "api", json!({})),
                resource(Kind::ConsumerGroup, "partners", json!({})),
                resource(Kind::Consumer, "acme", json!({ "custom_id": "acme-7", "groups": groups })),
                resource(Kind::Consumer, "other", json!({})),
                resource(Kind::Consumer, "free-tier", json!({})),
                credential("acme-key", "acme", &key),
                credential("other-key", "other", &other),
            ];
            if policy["kind"] == "acl" {
                resources.push(resource(Kind::Policy, "beside", json!({ "kind": "key-auth" })));
            }
            resources.push(resource(Kind::Policy, "example", policy));
            let gateway = Gateway::new(&resources);
            let upstream = gateway.net.upstream("up:80");
            for line in lines {
                let (request, expected) = line.split_once('→').expect(line);
                let (request, header) = request.trim().split_once(" (").unwrap_or((request.trim(), "Accept: */*)"));
                let header = header
                    .trim_end_matches(')')
                    .replace("KEY", &key)
                    .replace("OTHER", &other)
                    .replace("TOKEN", &token("acme-7"))
                    .replace("STRANGER", &token("nobody"));
                let reply = gateway.ask(&format!("{request} HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n")).await;
                let became = match reply.status() {
                    200 => format!("the API sees {}", upstream.last().header("x-consumer-name").unwrap_or("nobody")),
                    status => format!("{status} {}", reply.code()),
                };
                assert_eq!(became, expected.trim(), "{line}");
            }
        }
    });
}
