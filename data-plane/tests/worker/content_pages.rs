//! The examples of `docs/guide/validation.md` and `docs/guide/transformation.md`: each JSON block is a policy, the block of text
//! behind it says what becomes of requests and answers.

use serde_json::{Value, json};
use tidegate_model::Kind;

use crate::support::client::Reply;
use crate::support::page::examples;
use crate::support::{Gateway, id, resource, route, run, service};

const PAGES: [&str; 2] =
    [include_str!("../../../docs/guide/validation.md"), include_str!("../../../docs/guide/transformation.md")];

#[test]
fn the_examples_of_the_pages_about_content_hold() {
    run(async {
        for page in PAGES {
            let examples = examples(page);
            assert!(examples.len() >= 3 && examples.iter().all(|(_, lines)| !lines.is_empty()));
            for (policy, lines) in examples {
                holds(policy, &lines).await;
            }
        }
    });
}

async fn holds(mut policy: Value, lines: &[&str]) {
    policy["scope"] = json!({ "route": id(Kind::Route, "all") });
    let gateway = Gateway::new(&[
        service("api", json!({ "url": "http://up" })),
        route("all", "api", json!({ "match": { "path": { "template": "/{kind}/{id}" } } })),
        resource(Kind::Policy, "example", policy),
    ]);
    let upstream = gateway.net.upstream("up:80");
    for line in lines {
        if let Some(answer) = line.strip_prefix("API answers ") {
            let (status, body) = answer.split_once(' ').expect(line);
            upstream.answers(format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ));
            continue;
        }
        let (request, expected) = line.split_once('→').expect(line);
        let mut words = request.trim().splitn(3, ' ');
        let (method, target) = (words.next().expect(line), words.next().expect(line));
        let body = words.next().unwrap_or("").trim();
        let content_type = if body.starts_with('{') { "application/json" } else { "text/plain" };
        let framed = match body {
            "" => String::new(),
            body => format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len()),
        };
        let reply = gateway.ask(&format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{framed}\r\n{body}")).await;
        let became = if expected.trim().starts_with("API sees") {
            assert_eq!(reply.status(), 200, "{line}: {reply:?}");
            let seen = upstream.last();
            let request = seen.first_line.trim_end_matches(" HTTP/1.1");
            format!("API sees {request} {}", seen.text()).trim_end().to_owned()
        } else {
            told(&reply)
        };
        assert_eq!(became, expected.trim(), "{line}");
    }
}

/// Status and code, and where the errors are; of an answer that is none of the gateway's, its body and what it is for.
fn told(reply: &Reply) -> String {
    let status = reply.status();
    if reply.header("content-type") != Some("application/problem+json") {
        let marked = reply.header("x-for").map(|value| format!(" (x-for: {value})"));
        return format!("{status} {}{}", reply.text(), marked.unwrap_or_default());
    }
    let problem: Value = serde_json::from_slice(&reply.body).expect("a problem");
    let mut places = Vec::new();
    for error in problem["errors"].as_array().into_iter().flatten() {
        let text = |name: &str| error[name].as_str().unwrap_or("").to_owned();
        places.push(format!("{} {}{}", text("in"), text("name"), text("pointer")).trim().to_owned());
    }
    let places = if places.is_empty() { String::new() } else { format!(": {}", places.join(", ")) };
    format!("{status} {}{places}", reply.code())
}

#[test]
fn an_answer_that_a_policy_reads_is_asked_for_plain_and_whole() {
    run(async {
        let jq = json!({ "kind": "response-transform", "config": { "body": { "jq": "." } } });
        let head = json!({ "kind": "response-transform", "config": { "status": 202 } });
        for (mut policy, encoding, range) in [(jq, "identity", None), (head, "gzip", Some("bytes=0-1"))] {
            policy["scope"] = json!({ "route": id(Kind::Route, "all") });
            let gateway = Gateway::new(&[
                service("api", json!({ "url": "http://up" })),
                route("all", "api", json!({})),
                resource(Kind::Policy, "example", policy),
            ]);
            let upstream = gateway.net.upstream("up:80");
            gateway.ask("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nRange: bytes=0-1\r\n\r\n").await;
            let seen = upstream.last();
            assert_eq!((seen.header("accept-encoding"), seen.header("range")), (Some(encoding), range));
        }
    });
}

#[test]
fn a_prefix_is_not_stripped_from_a_path_that_a_policy_gave() {
    run(async {
        let transform = json!({
            "kind": "request-transform",
            "scope": { "route": id(Kind::Route, "all") },
            "when": "request.query.moved == \"yes\"",
            "config": { "path": "/elsewhere/7" }
        });
        let gateway = Gateway::new(&[
            service("api", json!({ "url": "http://up/base" })),
            route("all", "api", json!({ "match": { "path": "/orders" }, "strip_prefix": true })),
            resource(Kind::Policy, "example", transform),
        ]);
        let upstream = gateway.net.upstream("up:80");
        for (target, became) in [
            ("/orders/7?moved=yes", "GET /base/elsewhere/7?moved=yes HTTP/1.1"),
            ("/orders/7?moved=no", "GET /base/7?moved=no HTTP/1.1"),
        ] {
            gateway.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            assert_eq!(upstream.last().first_line, became);
        }
    });
}
