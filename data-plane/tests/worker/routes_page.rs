//! The examples of `docs/guide/routes.md`: each JSON block is a route, the block of text behind it says what becomes of requests.

use crate::support::page::examples;
use crate::support::{Gateway, id, resource, run, service};
use serde_json::{Value, json};
use tidegate_model::Kind;

const PAGE: &str = include_str!("../../../docs/guide/routes.md");

#[test]
fn the_examples_of_the_page_about_routes_hold() {
    run(async {
        let examples = examples(PAGE);
        assert!(examples.len() >= 6 && examples.iter().all(|(_, lines)| !lines.is_empty()));
        for (mut route, lines) in examples {
            let name = route.get("service").and_then(Value::as_str).unwrap_or("none").to_owned();
            if route.get("service").is_some() {
                route["service"] = json!(id(Kind::Service, &name));
            }
            let api = service(&name, json!({ "url": "http://up", "preserve_host": true }));
            let gateway = Gateway::new(&[api, resource(Kind::Route, "example", route)]);
            let upstream = gateway.net.upstream("up:80");
            for line in lines {
                let (request, expected) = line.split_once('→').expect(line);
                let (request, header) = match request.trim().split_once(" (") {
                    Some((request, header)) => (request, header.trim_end_matches(')')),
                    None => (request.trim(), "Accept: */*"),
                };
                let (method, url) = request.split_once(' ').expect(line);
                let (host, target) = url.split_at(url.find('/').expect(line));
                let host = if host.is_empty() { "asked.example" } else { host };
                let reply =
                    gateway.ask(&format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{header}\r\n\r\n")).await;
                let became = match reply.status() {
                    200 => {
                        let seen = upstream.last();
                        let target = seen.first_line.split(' ').nth(1).expect("a target").to_owned();
                        let named = seen.header("host").filter(|named| *named != host).unwrap_or("").to_owned();
                        named + &target
                    }
                    status => format!("{status} {}", reply.header("location").unwrap_or("")).trim_end().to_owned(),
                };
                assert_eq!(became, expected.trim(), "{line}");
            }
        }
    });
}
