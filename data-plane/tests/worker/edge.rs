//! Who a caller is taken for: by policies, by upstreams, and in traces.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidegate_data_plane::limits::Limits;
use tidegate_data_plane::node::{Edge, ProxyProtocol, TraceContext, TrustedHeaders};
use tidegate_data_plane::ports::counters::LocalCounters;
use tidegate_model::Instant;
use tidegate_policy::Clock;

use crate::support::client::Reply;
use crate::support::upstream::Upstream;
use crate::support::{Gateway, policy, route, run, service, until};

const PROXY: [u8; 4] = [10, 0, 0, 1];
const STRANGER: [u8; 4] = [192, 0, 2, 7];

/// It stands still: what was counted stays counted.
struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        Instant::from_millis(1_800_000_000_000)
    }
}

/// Believes 10.0.0.0/8 and 2001:db8::/32.
fn believing() -> Edge {
    let trusted = ["10.0.0.0/8", "2001:db8::/32"].iter().map(|network| network.parse().unwrap()).collect();
    Edge { trusted, ..Edge::default() }
}

fn gateway(edge: Edge) -> (Gateway, Upstream) {
    let resources = [service("api", json!({ "url": "http://up" })), route("all", "api", json!({}))];
    let gateway = Gateway::with_parts(&resources, |parts| parts.edge = edge);
    let upstream = gateway.net.upstream("up:80");
    (gateway, upstream)
}

/// One request a day for each address.
fn once_a_day(edge: Edge) -> Gateway {
    let limit = json!({ "limits": [{ "name": "one", "limit": 1, "window": "1d", "per": "ip" }] });
    let resources = [
        service("api", json!({ "url": "http://up" })),
        route("all", "api", json!({})),
        policy("once", "all", "rate-limit", limit),
    ];
    let gateway = Gateway::with_parts(&resources, |parts| {
        parts.edge = edge;
        parts.counters = Arc::new(LocalCounters::new(Arc::new(Still), 1000));
    });
    gateway.net.upstream("up:80");
    gateway
}

fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

async fn ask(gateway: &Gateway, peer: [u8; 4], lines: &str) -> Reply {
    gateway.connect_from(peer, 64 << 10).ask(&get(lines)).await
}

#[test]
fn a_limit_by_ip_is_not_escaped_by_saying_to_be_another() {
    run(async {
        let gateway = once_a_day(believing());
        assert_eq!(ask(&gateway, STRANGER, "").await.status(), 200);
        for lie in [
            "X-Forwarded-For: 203.0.113.1\r\n",
            "X-Forwarded-For: 203.0.113.2, 10.0.0.1\r\n",
            "Forwarded: for=203.0.113.3\r\n",
            "X-Real-IP: 203.0.113.4\r\n",
            "Connection: x-forwarded-for\r\nX-Forwarded-For: 203.0.113.5\r\n",
        ] {
            assert_eq!(ask(&gateway, STRANGER, lie).await.status(), 429, "{lie}");
        }
        // nor by what a caller writes before the trusted proxy does
        let by_proxy = |from: &str| format!("X-Forwarded-For: {from}\r\n");
        assert_eq!(ask(&gateway, PROXY, &by_proxy("203.0.113.9")).await.status(), 200);
        for lie in [
            "6.6.6.6, 203.0.113.9",
            "unknown, 203.0.113.9",
            "::ffff:203.0.113.9",
            "7.7.7.7, 203.0.113.9:4711, 10.2.0.1",
        ] {
            assert_eq!(ask(&gateway, PROXY, &by_proxy(lie)).await.status(), 429, "{lie}");
        }
        let lie = "Connection: X-Forwarded-For\r\nX-Forwarded-For: 203.0.113.9\r\n";
        assert_eq!(ask(&gateway, PROXY, lie).await.status(), 429, "Connection can't take off what is believed");
        // and the proxy's other callers are counted by themselves
        assert_eq!(ask(&gateway, PROXY, &by_proxy("203.0.113.10")).await.status(), 200);
        assert_eq!(ask(&gateway, PROXY, &by_proxy("192.0.2.7")).await.status(), 429, "he that came by himself before");
    });
}

#[test]
fn a_peer_in_the_clothes_of_ipv6_is_one_of_ipv4() {
    run(async {
        let (gateway, upstream) = gateway(believing());
        let mapped: std::net::Ipv6Addr = "::ffff:10.0.0.1".parse().unwrap();
        let reply = gateway.connect_from(mapped, 64 << 10).ask(&get("X-Forwarded-For: ::ffff:192.0.2.1\r\n")).await;
        assert_eq!(reply.status(), 200);
        assert_eq!(upstream.last().all("x-forwarded-for"), ["192.0.2.1, 10.0.0.1"]);
    });
}

#[test]
fn upstreams_are_told_what_trusted_proxies_say() {
    run(async {
        let (gateway, upstream) = gateway(believing());
        let lines = "X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n\
                     X-Forwarded-Prefix: /evil\r\nForwarded: for=7.7.7.7;proto=http\r\nX-Real-IP: 192.0.2.1\r\n";
        assert_eq!(ask(&gateway, PROXY, lines).await.status(), 200);
        let seen = upstream.last();
        assert_eq!(seen.all("x-forwarded-for"), ["192.0.2.1, 10.0.0.2, 10.0.0.1"]);
        assert_eq!(seen.all("x-forwarded-proto"), ["https"]);
        assert_eq!(seen.all("x-forwarded-host"), ["shop.example"]);
        assert_eq!(seen.all("x-forwarded-port"), ["443"]);
        assert_eq!(seen.all("x-real-ip"), ["192.0.2.1"]);
        assert_eq!((seen.header("forwarded"), seen.header("x-forwarded-prefix")), (None, None));
        assert_eq!(gateway.cells.forwarded_cut.get(), 0);
        ask(&gateway, PROXY, "X-Forwarded-For: 192.0.2.1, who knows\r\n").await;
        assert_eq!(upstream.last().all("x-forwarded-for"), ["10.0.0.1"]);
        assert_eq!(gateway.cells.forwarded_cut.get(), 1);
    });
}

#[test]
fn by_rfc_7239_where_that_is_what_proxies_speak() {
    run(async {
        let (gateway, upstream) = gateway(Edge { headers: TrustedHeaders::Forwarded, ..believing() });
        let lines = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=\"evil\r\nForwarded: for=192.0.2.1;proto=https;host=shop.example\r\n";
        assert_eq!(ask(&gateway, PROXY, lines).await.status(), 200);
        let seen = upstream.last();
        assert_eq!(seen.all("forwarded"), ["for=192.0.2.1;proto=https;host=\"shop.example\", for=10.0.0.1"]);
        assert_eq!(seen.all("x-forwarded-for"), ["192.0.2.1, 10.0.0.1"]);
        assert_eq!(
            (seen.header("x-forwarded-proto"), seen.header("x-forwarded-host")),
            (Some("https"), Some("shop.example"))
        );
        ask(&gateway, STRANGER, lines).await;
        assert_eq!(upstream.last().all("forwarded"), ["for=192.0.2.7;proto=http;host=\"a\""]);
    });
}

#[test]
fn the_host_that_a_proxy_saw_does_not_choose_the_route() {
    run(async {
        let resources = [
            service("api", json!({ "url": "http://up" })),
            route("inner", "api", json!({ "match": { "hosts": ["inner.example"] } })),
        ];
        let gateway = Gateway::with_parts(&resources, |parts| parts.edge = believing());
        gateway.net.upstream("up:80");
        let mut client = gateway.connect_from(PROXY, 64 << 10);
        let reply =
            client.ask("GET / HTTP/1.1\r\nHost: other.example\r\nX-Forwarded-Host: inner.example\r\n\r\n").await;
        assert_eq!(reply.code(), "no_route");
    });
}

#[test]
fn a_request_keeps_the_id_that_a_trusted_proxy_gave_it() {
    run(async {
        let (gateway, upstream) = gateway(believing());
        let id = "0197c1f2-6f0e.7b~_";
        let reply = ask(&gateway, PROXY, &format!("X-Request-Id: {id}\r\n")).await;
        assert_eq!((reply.header("x-request-id"), upstream.last().header("x-request-id")), (Some(id), Some(id)));
        // the reply that the gateway makes itself says the same, in its head and in its body
        let mut client = gateway.connect_from(PROXY, 64 << 10);
        let refused = client.ask(&format!("GET /%00 HTTP/1.1\r\nHost: a\r\nX-Request-Id: {id}\r\n\r\n")).await;
        assert_eq!((refused.code().as_str(), refused.header("x-request-id")), ("path_refused", Some(id)));
        let long = "a".repeat(129);
        for (peer, lines) in [
            (STRANGER, format!("X-Request-Id: {id}\r\n")),
            (PROXY, format!("X-Request-Id: {long}\r\n")),
            (PROXY, "X-Request-Id: a\"b\r\n".to_owned()),
            (PROXY, "X-Request-Id: a\r\nX-Request-Id: b\r\n".to_owned()),
            (PROXY, String::new()),
        ] {
            let reply = ask(&gateway, peer, &lines).await;
            let ours = reply.header("x-request-id").unwrap();
            assert!(ours.len() == 24 && ours.bytes().all(|b| b.is_ascii_hexdigit()), "{lines}: {ours}");
            assert_eq!(upstream.last().all("x-request-id"), [ours], "{lines}");
        }
    });
}

#[test]
fn the_gateway_is_a_hop_in_the_trace() {
    run(async {
        let (gateway, upstream) = gateway(Edge::default());
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut spans = Vec::new();
        for (lines, trace, flags, state) in [
            (
                format!("Traceparent: {parent}\r\nTracestate: a=1, b=2\r\n"),
                Some(&parent[3..35]),
                "01",
                Some("a=1, b=2"),
            ),
            (format!("Traceparent: {}-more\r\n", parent.replace("00-0af", "42-0af")), Some(&parent[3..35]), "01", None),
            (format!("Traceparent: {}\r\nTracestate: a=1\r\n", parent.replace("00-0af", "ff-0af")), None, "00", None),
            ("Tracestate: a=1\r\n".to_owned(), None, "00", None),
            (String::new(), None, "00", None),
        ] {
            ask(&gateway, STRANGER, &lines).await;
            let seen = upstream.last();
            let parts: Vec<&str> = seen.header("traceparent").unwrap().split('-').collect();
            let [version, id, span, sampled] = parts[..] else { panic!("{parts:?}") };
            assert_eq!((version, sampled, seen.header("tracestate")), ("00", flags, state), "{lines}");
            assert_eq!((id.len(), span.len(), seen.all("traceparent").len()), (32, 16, 1));
            match trace {
                Some(trace) => assert_eq!(id, trace),
                None => assert_ne!(id, &parent[3..35]),
            }
            spans.push(span.to_owned());
        }
        spans.push(parent[36..52].to_owned());
        spans.sort();
        spans.dedup();
        assert_eq!(spans.len(), 6, "each hop is a span of its own");
    });
}

#[test]
fn a_trace_passes_as_it_came_where_the_gateway_takes_no_part() {
    run(async {
        let (gateway, upstream) = gateway(Edge { trace_context: TraceContext::Off, ..Edge::default() });
        ask(&gateway, STRANGER, "Traceparent: whatever\r\nTracestate: a=1\r\n").await;
        let seen = upstream.last();
        assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (Some("whatever"), Some("a=1")));
        ask(&gateway, STRANGER, "").await;
        assert_eq!(upstream.last().header("traceparent"), None);
    });
}

#[test]
fn each_gateway_on_the_way_is_told_and_a_circle_is_ended() {
    run(async {
        let (gateway, upstream) = gateway(Edge::default());
        upstream.answers("HTTP/1.1 200 OK\r\nVia: 1.1 cache\r\nContent-Length: 0\r\n\r\n");
        let reply = ask(&gateway, STRANGER, "Via: 2 edge.example\r\n").await;
        assert_eq!(upstream.last().all("via"), ["2 edge.example", "1.1 tidegate"]);
        assert_eq!(reply.all("via"), ["1.1 cache", "1.1 tidegate"]);
        let mut old = gateway.connect();
        old.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
        assert_eq!(upstream.last().all("via"), ["1.0 tidegate"]);
        upstream.answers("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(ask(&gateway, STRANGER, "").await.all("via"), ["1.0 tidegate"]);

        let passed = |times| format!("Via: {}\r\n", vec!["1.1 tidegate"; times].join(", "));
        let max = Limits::default().own_hops_max;
        assert_eq!(
            ask(&gateway, STRANGER, &passed(max)).await.status(),
            200,
            "gateways may stand one behind the other"
        );
        let count = upstream.count();
        let reply = ask(&gateway, STRANGER, &passed(max + 1)).await;
        assert_eq!((reply.status(), reply.code().as_str(), reply.header("via")), (508, "loop_detected", None));
        let hidden = format!("Connection: via\r\n{}", passed(max + 1));
        assert_eq!(ask(&gateway, STRANGER, &hidden).await.status(), 508, "Connection can't hide a circle");
        assert_eq!(upstream.count(), count);
    });
}

#[test]
fn what_is_for_all_is_not_one_connections_own() {
    run(async {
        let (gateway, upstream) = gateway(Edge::default());
        upstream.answers(
            "HTTP/1.1 200 OK\r\nConnection: set-cookie, content-type, x-own\r\nSet-Cookie: a=1\r\nContent-Type: text/plain\r\nX-Own: 1\r\n\
             Proxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        );
        let lines = "Connection: authorization, cookie, content-type, traceparent, x-own\r\nAuthorization: Bearer 1\r\nCookie: a=1\r\n\
                     Content-Type: text/plain\r\nX-Own: 1\r\nProxy-Authorization: Basic 1\r\n";
        let reply = ask(&gateway, STRANGER, lines).await;
        let seen = upstream.last();
        for kept in ["authorization", "cookie", "content-type"] {
            assert!(seen.header(kept).is_some(), "{kept}");
        }
        assert!(reply.header("set-cookie").is_some() && reply.header("content-type").is_some());
        assert_eq!((seen.header("x-own"), seen.header("proxy-authorization")), (None, None));
        assert_eq!((reply.header("x-own"), reply.header("proxy-authenticate")), (None, None));
    });
}

fn v2(family: u8, body: &[u8]) -> Vec<u8> {
    let command = if family == 0 { 0x20 } else { 0x21 };
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, body].concat()
}

fn behind_a_balancer() -> (Gateway, Upstream) {
    gateway(Edge { proxy_protocol: ProxyProtocol::Require, ..believing() })
}

#[test]
fn a_connection_is_from_whom_the_proxy_protocol_says_however_it_is_cut() {
    run(async {
        let (gateway, upstream) = behind_a_balancer();
        let v4 = [203, 0, 113, 5, 10, 0, 0, 9, 0x12, 0x34, 0, 80];
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb9]);
        v6[15] = 1;
        let with_more = [&v4[..], &[0x20; 300]].concat();
        for (header, wanted) in [
            (b"PROXY TCP4 203.0.113.5 10.0.0.9 4711 80\r\n".to_vec(), "203.0.113.5"),
            (b"PROXY TCP6 2001:db9::1 2001:db9::2 4711 80\r\n".to_vec(), "2001:db9::1"),
            (b"PROXY TCP6 ::ffff:203.0.113.5 ::1 4711 80\r\n".to_vec(), "203.0.113.5"),
            (b"PROXY UNKNOWN\r\n".to_vec(), "10.0.0.1"),
            (v2(0x11, &v4), "203.0.113.5"),
            (v2(0x11, &with_more), "203.0.113.5"),
            (v2(0x21, &v6), "2001:db9::1"),
            (v2(0x31, &[b'x'; 216]), "10.0.0.1"),
            (v2(0x00, &[]), "10.0.0.1"),
        ] {
            let request = get("X-Forwarded-For: 6.6.6.6\r\n");
            let whole = [&header[..], request.as_bytes()].concat();
            for cut in 0..header.len() + 30 {
                let mut client = gateway.connect_from(PROXY, 64 << 10);
                client.send(&whole[..cut]).await;
                tokio::task::yield_now().await;
                client.send(&whole[cut..]).await;
                assert_eq!(client.reply().await.status(), 200, "{header:?} cut at {cut}");
                assert_eq!(upstream.last().all("x-forwarded-for"), [wanted], "{header:?} cut at {cut}");
            }
            let mut client = gateway.connect_from(PROXY, 1);
            client.send(&whole).await;
            assert_eq!(client.reply().await.status(), 200, "byte by byte");
            assert_eq!(client.ask(&get("")).await.status(), 200, "it is said once for the connection");
        }
        assert_eq!(gateway.cells.proxy_headers_refused.get(), 0);
    });
}

#[test]
fn whom_the_proxy_protocol_names_is_believed_if_it_is_a_trusted_proxy() {
    run(async {
        let (gateway, upstream) = behind_a_balancer();
        let mut client = gateway.connect_from(PROXY, 64 << 10);
        client.send("PROXY TCP4 10.7.7.7 10.0.0.9 4711 80\r\n").await;
        client.ask(&get("X-Forwarded-For: 192.0.2.1\r\n")).await;
        assert_eq!(upstream.last().all("x-forwarded-for"), ["192.0.2.1, 10.7.7.7"]);
    });
}

#[test]
fn http_2_follows_the_proxy_protocol_too() {
    run(async {
        let (gateway, upstream) = behind_a_balancer();
        let mut stream = gateway.connect_from(PROXY, 64 << 10).stream;
        tokio::io::AsyncWriteExt::write_all(&mut stream, &v2(0x11, &[203, 0, 113, 5, 10, 0, 0, 9, 0, 1, 0, 80]))
            .await
            .unwrap();
        let (mut sender, task) = crate::h2::handshake_on(stream).await;
        let response = sender.send_request(crate::h2::get("/")).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(upstream.last().all("x-forwarded-for"), ["203.0.113.5"]);
        assert_eq!(upstream.last().all("via"), ["2 tidegate"]);
        task.abort();
    });
}

#[test]
fn a_connection_that_does_not_say_whom_it_is_from_is_closed_without_a_word() {
    run(async {
        let (gateway, upstream) = behind_a_balancer();
        let header = "PROXY TCP4 203.0.113.5 10.0.0.9 4711 80\r\n";
        let mut refused = 0;
        for (peer, bytes) in [
            (PROXY, get("").into_bytes()),
            (PROXY, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
            (PROXY, format!("PROXY TCP4 203.0.113.5 10.0.0.9 4711\r\n{}", get("")).into_bytes()),
            (PROXY, format!("PROXY UNKNOWN {}", "a".repeat(200)).into_bytes()),
            (PROXY, v2(0x41, &[0; 12])),
            (PROXY, v2(0x11, &[0; 11])),
            (STRANGER, format!("{header}{}", get("")).into_bytes()),
        ] {
            let mut client = gateway.connect_from(peer, 64 << 10);
            client.send(&bytes).await;
            assert!(client.rest().await.is_empty(), "{bytes:?}");
            until("it is closed", || client.is_over()).await;
            refused += 1;
            assert_eq!(gateway.cells.proxy_headers_refused.get(), refused, "{bytes:?}");
        }
        assert_eq!(upstream.count(), 0);
        // it is said once, and is no request
        let mut client = gateway.connect_from(PROXY, 64 << 10);
        client.send(format!("{header}{header}{}", get(""))).await;
        assert_eq!(client.reply().await.status(), 400);
    });
}

#[test]
fn a_balancer_that_says_nothing_is_cut_by_the_time_out_of_the_head() {
    run(async {
        for said in [
            &b""[..],
            b"PROXY TCP4 203.0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            b"PROXY UNKNOWN\r\n",
            b"PROXY UNKNOWN\r\nGET /",
        ] {
            let (gateway, _) = behind_a_balancer();
            let mut client = gateway.connect_from(PROXY, 64 << 10);
            let began = tokio::time::Instant::now();
            client.send(said).await;
            client.rest().await;
            let (took, due) = (began.elapsed(), Limits::default().client_head);
            assert!((due..due + Duration::from_millis(250)).contains(&took), "{said:?}: {took:?}");
        }
    });
}

#[test]
fn the_proxy_protocol_is_not_looked_for_where_it_was_not_asked_for() {
    run(async {
        let (gateway, upstream) = gateway(believing());
        let mut client = gateway.connect_from(PROXY, 64 << 10);
        client.send(format!("PROXY TCP4 203.0.113.5 10.0.0.9 4711 80\r\n{}", get(""))).await;
        assert_eq!(client.reply().await.status(), 400);
        assert_eq!(upstream.count(), 0);
    });
}

#[test]
fn a_balancer_need_not_be_named_where_only_it_can_reach_the_port() {
    run(async {
        let (gateway, upstream) = gateway(Edge { proxy_protocol: ProxyProtocol::Require, ..Edge::default() });
        let mut client = gateway.connect();
        client.send("PROXY TCP4 203.0.113.5 10.0.0.9 4711 80\r\n").await;
        client.ask(&get("X-Forwarded-For: 6.6.6.6\r\n")).await;
        assert_eq!(upstream.last().all("x-forwarded-for"), ["203.0.113.5"]);
    });
}
