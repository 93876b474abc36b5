//! What a node tells of requests: numbers that are those of what was sent, and a line for each.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_data_plane::limits::Limits;
use tidegate_data_plane::telemetry::access_log::{AccessLog, Field, LogTarget, Options};
use tidegate_model::Change;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::support::upstream::read_head;
use crate::support::{Gateway, policy, route, run, service, until};

/// A gateway with an access log, and where that goes.
struct Logged {
    gateway: Gateway,
    log: AccessLog,
    folder: TempDir,
}

impl Logged {
    fn new(resources: &[Change]) -> Self {
        Self::with(resources, |_| {})
    }

    fn with(resources: &[Change], change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = LogTarget::File(folder.path().join("log"));
        let mut options = Options { target, sample: 1.0, redact: Vec::new() };
        change(&mut options);
        let log = AccessLog::start(options, &Limits::default()).unwrap();
        let gateway = Gateway::with_log(resources, Limits::default(), Some(log.clone()));
        Logged { gateway, log, folder }
    }

    /// Waits until so many lines are written, and reads all of them.
    async fn lines(&self, count: u64) -> Vec<Value> {
        until("the requests are over", || self.gateway.metrics().sum("tidegate_requests_total") >= count as f64).await;
        // a tick, at which the worker hands over what it has
        tokio::time::sleep(Duration::from_millis(300)).await;
        really("the lines are written", || self.log.told().0 >= count);
        read(&self.folder.path().join("log"))
    }
}

/// Waits for what another thread does, which no clock of ours moves.
fn really(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came to be that {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn orders() -> [Change; 4] {
    [
        service("shop", json!({ "url": "http://up" })),
        route("orders", "shop", json!({ "match": { "path": "/orders" } })),
        route("carts", "shop", json!({ "match": { "path": "/carts" } })),
        policy("size", "carts", "request-size", json!({ "max": "10B" })),
    ]
}

#[test]
fn the_numbers_are_those_of_what_was_sent() {
    run(async {
        let gateway = Gateway::new(&orders());
        let upstream = gateway.net.upstream("up:80");
        let mut client = gateway.connect();
        for _ in 0..3 {
            client.ask("POST /orders/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde").await;
        }
        upstream.answers("HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx");
        client.ask("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(gateway.ask("POST /carts HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n").await.status(), 413);
        assert_eq!(client.ask("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").await.code(), "no_route");
        assert_eq!(gateway.ask("GET / HTTP/1.1\r\nHost: a b\r\n\r\n").await.code(), "host_invalid");
        gateway.net.remove("up:80");
        gateway.publish(&orders());
        let told = gateway.metrics();
        for (series, expected) in [
            ("tidegate_requests_total{status=\"2xx\"}", 3.0),
            ("tidegate_requests_total{status=\"4xx\"}", 3.0),
            ("tidegate_requests_total{status=\"5xx\"}", 1.0),
            ("tidegate_requests_total{status=\"none\"}", 0.0),
            ("tidegate_route_requests_total{route=\"orders\",service=\"shop\",status=\"2xx\"}", 3.0),
            ("tidegate_route_requests_total{route=\"orders\",service=\"shop\",status=\"5xx\"}", 1.0),
            ("tidegate_route_requests_total{route=\"carts\",service=\"shop\",status=\"4xx\"}", 1.0),
            ("tidegate_route_request_body_bytes_total{route=\"orders\",service=\"shop\"}", 15.0),
            ("tidegate_route_response_body_bytes_total{route=\"orders\",service=\"shop\"}", 7.0),
            ("tidegate_service_request_duration_seconds_count{service=\"shop\"}", 5.0),
            ("tidegate_service_first_byte_seconds_count{service=\"shop\"}", 4.0),
            ("tidegate_target_attempts_total{upstream=\"shop\",target=\"up:80\"}", 4.0),
            ("tidegate_target_connections_total{upstream=\"shop\",target=\"up:80\"}", 1.0),
            ("tidegate_gateway_replies_total{code=\"body_too_large\",blame=\"downstream\"}", 1.0),
            ("tidegate_gateway_replies_total{code=\"no_route\",blame=\"downstream\"}", 1.0),
            ("tidegate_gateway_replies_total{code=\"host_invalid\",blame=\"downstream\"}", 1.0),
            ("tidegate_policy_refusals_total{kind=\"request-size\"}", 1.0),
        ] {
            assert_eq!(told.value(series), Some(expected), "{series} in {:#?}", told.samples());
        }
        assert_eq!(told.value("tidegate_route_requests_total{route=\"carts\",service=\"shop\",status=\"2xx\"}"), None);
    });
}

#[test]
fn numbers_outlive_the_configuration_and_leave_with_what_they_are_about() {
    run(async {
        let count =
            |route: &str| format!("tidegate_route_requests_total{{route=\"{route}\",service=\"shop\",status=\"2xx\"}}");
        let shop = || service("shop", json!({ "url": "http://up" }));
        let at = |name: &str, path: &str| route(name, "shop", json!({ "match": { "path": path } }));
        let gateway = Gateway::new(&[shop(), at("a", "/a"), at("b", "/b")]);
        gateway.net.upstream("up:80");
        let ask = async |path: &str| {
            assert_eq!(gateway.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).await.status(), 200);
        };
        ask("/a").await;
        ask("/b").await;
        // many snapshots, with and without a look between
        for turn in 0..5 {
            gateway.publish(&[shop(), at("a", "/a"), at("b", "/b")]);
            ask("/a").await;
            if turn % 2 == 0 {
                gateway.metrics();
            }
        }
        assert_eq!(gateway.metrics().value(&count("a")), Some(6.0));
        gateway.publish(&[shop(), at("a", "/a")]);
        assert_eq!(gateway.metrics().value(&count("b")), Some(1.0), "what is gone is told for a while");
        tokio::time::sleep(Limits::default().metric_kept / 2).await;
        gateway.metrics();
        // it comes back, and goes on
        gateway.publish(&[shop(), at("a", "/a"), at("b", "/b")]);
        ask("/b").await;
        assert_eq!(gateway.metrics().value(&count("b")), Some(2.0));
        gateway.publish(&[shop(), at("a", "/a")]);
        gateway.metrics();
        tokio::time::sleep(Limits::default().metric_kept).await;
        ask("/a").await;
        let told = gateway.metrics();
        assert_eq!((told.value(&count("b")), told.value(&count("a"))), (None, Some(7.0)));
        // its name may go to another at once
        gateway.publish(&[shop(), at("c", "/c")]);
        ask("/c").await;
        gateway.publish(&[shop(), at("b", "/b")]);
        ask("/b").await;
        assert_eq!(gateway.metrics().value(&count("b")), Some(1.0));
    });
}

#[test]
fn routes_beyond_the_bound_are_one_series() {
    run(async {
        let limits = Limits { metric_routes_max: 2, metric_services_max: 0, ..Limits::default() };
        let name = |n: usize| format!("r{n}");
        let mut resources = vec![service("shop", json!({ "url": "http://up" }))];
        resources.extend((0..5).map(|n| route(&name(n), "shop", json!({ "match": { "path": format!("/{n}") } }))));
        let gateway = Gateway::with_limits(&resources, limits);
        gateway.net.upstream("up:80");
        for n in 0..5 {
            for _ in 0..=n {
                gateway.ask(&format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
            }
        }
        let other = "tidegate_route_requests_total{route=\"_other\",service=\"_other\",status=\"2xx\"}";
        let told = gateway.metrics();
        assert_eq!(told.value(other), Some(3.0 + 4.0 + 5.0));
        assert_eq!(told.sum("tidegate_route_requests_total"), 15.0);
        assert_eq!(told.value("tidegate_service_request_duration_seconds_count{service=\"_other\"}"), Some(15.0));
        // those that are gone stay in the sum
        gateway.publish(&resources[..4]);
        gateway.metrics();
        tokio::time::sleep(Limits::default().metric_kept).await;
        assert_eq!(gateway.metrics().value(other), Some(12.0));
    });
}

#[test]
fn a_line_says_who_where_how_long_and_why() {
    run(async {
        let logged = Logged::new(&orders());
        logged.gateway.net.serve("up:80", |mut stream: DuplexStream| async move {
            read_head(&mut stream, &mut Vec::new()).await;
            tokio::time::sleep(Duration::from_millis(40)).await;
            stream.write_all(b"HTTP/1.1 201 Made\r\nContent-Length: 6\r\n\r\n").await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            stream.write_all(b"answer").await.unwrap();
            std::future::pending::<()>().await;
        });
        let reply = logged
            .gateway
            .ask("POST /x/../carts/%7Ea?token=hush HTTP/1.1\r\nHost: Shop:8000\r\nUser-Agent: test/1\r\nContent-Length: 3\r\n\r\nabc")
            .await;
        assert_eq!(reply.status(), 201);
        let line = logged.lines(1).await.remove(0);
        for (field, expected) in [
            ("time", json!("2027-01-15T07:59:59.940Z")),
            ("request_id", json!(reply.header("x-request-id"))),
            ("node", json!("n1")),
            ("traffic_revision", json!(1)),
            ("identity_revision", json!(1)),
            ("client", json!("192.0.2.7")),
            ("protocol", json!("HTTP/1.1")),
            ("method", json!("POST")),
            ("host", json!("Shop:8000")),
            ("path", json!("/carts/~a")),
            ("user_agent", json!("test/1")),
            ("route", json!("carts")),
            ("service", json!("shop")),
            ("status", json!(201)),
            ("target", json!("up:80")),
            ("tries", json!(1)),
            ("duration_us", json!(60_000)),
            ("policies_us", json!(0)),
            ("connect_us", json!(0)),
            ("upstream_first_byte_us", json!(40_000)),
            ("request_bytes", json!(3)),
            ("response_bytes", json!(6)),
            ("complete", json!(true)),
            ("code", Value::Null),
            ("reason", Value::Null),
            ("consumer", Value::Null),
        ] {
            assert_eq!(line.get(field).unwrap_or(&Value::Null), &expected, "{field} of {line:#}");
        }
        let known: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
        assert!(line.as_object().unwrap().keys().all(|key| known.contains(&&**key)), "{line:#}");
    });
}

#[test]
fn every_request_has_its_line_however_it_ended() {
    run(async {
        let logged = Logged::new(&orders());
        let gateway = &logged.gateway;
        let upstream = gateway.net.upstream("up:80");
        // refused by the gate, by the router, by a policy
        gateway.ask("GET /raw?q=hush HTTP/1.1\r\nHost: a b\r\n\r\n").await;
        gateway.ask("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").await;
        gateway.ask("POST /carts HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n").await;
        // no target
        gateway.net.remove("up:80");
        gateway.ask("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let lines = logged.lines(4).await;
        let told: Vec<_> =
            lines.iter().map(|l| (&l["code"], &l["path"], &l["route"], &l["policy"], &l["tries"])).collect();
        let (null, of) = (Value::Null, |text: &str| Value::from(text));
        assert_eq!(
            told,
            [
                (&of("host_invalid"), &of("/raw"), &null, &null, &null),
                (&of("no_route"), &of("/nothing"), &null, &null, &null),
                (&of("body_too_large"), &of("/carts"), &of("carts"), &of("size"), &null),
                (&of("upstream_connect_failed"), &of("/orders"), &of("orders"), &null, &json!(1)),
            ]
        );
        assert_eq!((&lines[3]["blame"], &lines[3]["status"]), (&of("upstream"), &json!(502)));
        drop(upstream);

        // the answer breaks off, and the caller leaves: before the reply and within it
        gateway.net.serve("up:80", |mut stream: DuplexStream| async move {
            let head = read_head(&mut stream, &mut Vec::new()).await;
            if head.starts_with("GET /orders/never") {
                return std::future::pending().await;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun").await.unwrap();
            if head.starts_with("GET /orders/long") {
                std::future::pending::<()>().await;
            }
        });
        assert!(!gateway.ask("GET /orders/broken HTTP/1.1\r\nHost: a\r\n\r\n").await.whole);
        for path in ["never", "long"] {
            let mut client = gateway.connect();
            client.send(format!("GET /orders/{path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            if path == "long" {
                let mut early = [0; 512];
                assert!(client.stream.read(&mut early).await.unwrap() > 0);
            } else {
                until("it reached the target", || {
                    gateway.metrics().value("tidegate_target_connections_total{upstream=\"shop\",target=\"up:80\"}")
                        >= Some(2.0)
                })
                .await;
            }
        }
        let lines = logged.lines(7).await;
        let told: Vec<_> =
            lines[4..].iter().map(|l| (&l["path"], &l["status"], &l["reason"], &l["complete"])).collect();
        assert_eq!(
            told,
            [
                (&of("/orders/broken"), &json!(200), &of("upstream_broke"), &json!(false)),
                (&of("/orders/never"), &null, &of("caller_left"), &json!(false)),
                (&of("/orders/long"), &json!(200), &of("caller_left"), &json!(false)),
            ]
        );
        let metrics = gateway.metrics();
        assert_eq!(metrics.value("tidegate_requests_total{status=\"none\"}"), Some(1.0));
        assert_eq!(metrics.value("tidegate_requests_unfinished_total{reason=\"caller_left\"}"), Some(2.0));
        assert_eq!(metrics.value("tidegate_requests_unfinished_total{reason=\"upstream_broke\"}"), Some(1.0));
    });
}

#[test]
fn secrets_never_are_in_a_line_and_what_is_redacted_is_not_either() {
    run(async {
        let logged = Logged::with(&orders(), |options| {
            options.redact = vec![Field::Client, Field::Path];
        });
        logged.gateway.net.serve("up:80", |mut stream: DuplexStream| async move {
            // not all of it is text
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            std::future::pending::<()>().await;
        });
        let mut client = logged.gateway.connect();
        client
            .send(
                b"GET /orders/hush-path?api_key=hush HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer hush\r\nCookie: s=hush\r\n\
                X-Api-Key: hush\r\nUser-Agent: \"a\\\t\x80\xc3\xa9\xc2\x9b31m\r\nReferer: http://x/?hush\r\n\r\n",
            )
            .await;
        assert_eq!(client.reply().await.status(), 200);
        let line = logged.lines(1).await.remove(0);
        assert!(!line.to_string().contains("hush"), "{line}");
        assert_eq!(line["user_agent"], "\"a\\\t\u{fffd}é\u{9b}31m");
        let raw = std::fs::read(logged.folder.path().join("log")).unwrap();
        assert!(!raw[..raw.len() - 1].iter().any(u8::is_ascii_control));
        assert_eq!((&line["client"], &line["path"], &line["route"]), (&Value::Null, &Value::Null, &json!("orders")));
    });
}

#[test]
fn of_a_sample_all_failures_are_told() {
    run(async {
        let logged = Logged::with(&orders(), |options| options.sample = 0.0);
        let upstream = logged.gateway.net.upstream("up:80");
        let mut client = logged.gateway.connect();
        for _ in 0..20 {
            client.ask("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
        }
        upstream.answers("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
        client.ask("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
        upstream.answers("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
        client.ask("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.ask("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let lines = logged.lines(2).await;
        assert_eq!(lines.iter().map(|line| &line["status"]).collect::<Vec<_>>(), [500, 404]);
        assert_eq!(lines[1]["code"], "no_route");
    });
}

#[test]
fn a_sink_that_takes_nothing_stops_no_request_and_what_is_lost_is_counted() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let limits = Limits { access_log_batch_bytes: 4 << 10, access_log_batches_max: 4, ..Limits::default() };
        let options = Options { target: LogTarget::File(pipe.clone()), sample: 1.0, redact: Vec::new() };
        let log = AccessLog::start(options, &limits).unwrap();
        let gateway = Gateway::with_log(&orders(), limits, Some(log.clone()));
        gateway.net.upstream("up:80");
        let mut client = gateway.connect();
        let mut sent = 0;
        while log.told().1 == 0 {
            assert!(sent < 20_000, "a pipe holds 64 KiB, the queue 16 KiB: {:?}", log.told());
            assert_eq!(client.ask("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await.status(), 200);
            sent += 1;
        }
        // somebody reads again: what was kept comes, and all that follows
        let mut reader = std::fs::File::open(&pipe).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = std::io::Read::read(&mut reader, &mut buffer) {
                if tell.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (mut text, mut last) = (Vec::new(), 0);
        really("all that was kept is read", || {
            text.extend(told.try_iter().flatten());
            let (lines, dropped, failed) = log.told();
            assert_eq!(failed, 0);
            last = lines;
            lines + dropped >= sent && text.iter().filter(|byte| **byte == b'\n').count() as u64 == lines
        });
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_slice(line).expect("no line is torn");
            assert_eq!(line["route"], "orders");
        }
        assert_eq!(last + log.told().1, sent);
    });
}
