//! By the rules of the fetch standard, "HTTP extensions: CORS protocol".

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

use crate::testing::{Bench, problems};
use crate::{Chain, Origin, ResponseHead};

fn bench(config: &Value, method: &str, headers: &[(&str, &str)]) -> Bench {
    let mut bench = Bench::new("cors", config.clone());
    bench.head.method = Method::from_bytes(method.as_bytes()).expect("a method");
    fill(&mut bench.head.headers, headers);
    bench
}

fn fill(map: &mut HeaderMap, headers: &[(&str, &str)]) {
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a name");
        map.append(name, HeaderValue::from_str(value).expect("a value"));
    }
}

/// The headers that browsers and caches look at, in the order of their names: `acao=... vary=...`.
fn told(headers: &HeaderMap) -> String {
    let short = |name: &HeaderName| {
        let name = name.as_str();
        match name.strip_prefix("access-control-") {
            Some(rest) => rest.to_owned(),
            None => name.to_owned(),
        }
    };
    let mut all: Vec<String> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("access-control-") || *name == "vary")
        .map(|(name, value)| format!("{}={}", short(name), value.to_str().expect("ASCII")))
        .collect();
    all.sort();
    all.join("; ")
}

/// What a request that is no preflight gets with the API's reply.
fn reply(config: &Value, method: &str, request: &[(&str, &str)], upstream: &[(&str, &str)]) -> String {
    let mut bench = bench(config, method, request);
    bench.request().expect("it goes on");
    let mut headers = HeaderMap::new();
    fill(&mut headers, upstream);
    let mut head = ResponseHead { status: http::StatusCode::OK, headers, origin: Origin::Upstream };
    pass(&mut bench, &mut head);
    told(&head.headers)
}

fn pass(bench: &mut Bench, head: &mut ResponseHead) {
    let passed = bench.run.on_response(&bench.chain, head, &mut bench.cx);
    assert!(futures_util::FutureExt::now_or_never(passed).expect("nothing here waits").is_ok());
}

/// What a preflight gets.
fn preflight(config: &Value, request: &[(&str, &str)]) -> String {
    let mut bench = bench(config, "OPTIONS", request);
    let reply = bench.request().expect_err("it is answered here");
    assert_eq!(reply.status, 204);
    assert_eq!(reply.content.as_ref().map(|content| content.body.len()), Some(0));
    let headers = reply.headers.iter().cloned().collect();
    let mut head = ResponseHead { status: reply.status, headers, origin: Origin::Gateway };
    pass(&mut bench, &mut head);
    told(&head.headers)
}

#[test]
fn a_site_that_may_is_told_so_and_caches_keep_sites_apart() {
    let named = json!({ "origins": ["https://a.example", "https://*.b.example", "https://*.c.example:8443", "http://[::1]:3000"], "origin_patterns": ["https://pr-[0-9]+\\.d\\.example"] });
    for (origin, allowed) in [
        ("https://a.example", true),
        ("http://a.example", false),
        ("https://a.example:8443", false),
        ("https://A.example", false),
        ("https://a.example/", false),
        ("https://a.example.evil.example", false),
        ("https://xa.example", false),
        ("https://x.b.example", true),
        ("https://x.y-z.b.example", true),
        ("https://b.example", false),
        ("https://.b.example", false),
        ("https://x..b.example", false),
        ("https://evil.example/.b.example", false),
        ("https://evil.example#.b.example", false),
        ("https://u@x.b.example", false),
        ("https://xb.example", false),
        ("https://x.b.example:444", false),
        ("https://x.c.example:8443", true),
        ("https://x.c.example", false),
        ("http://[::1]:3000", true),
        ("https://pr-12.d.example", true),
        ("https://pr-12.d.example.evil.example", false),
        ("https://evil.example?https://pr-12.d.example", false),
        ("https://pr-12xd.example", false),
        ("null", false),
        ("*", false),
        ("", false),
    ] {
        let expected = if allowed { format!("allow-origin={origin}; vary=Origin") } else { "vary=Origin".to_owned() };
        assert_eq!(reply(&named, "GET", &[("origin", origin)], &[]), expected, "{origin}");
    }
    // nobody asks from elsewhere: only caches are told
    assert_eq!(reply(&named, "GET", &[], &[]), "vary=Origin");
    let twice = [("origin", "https://a.example"), ("origin", "https://a.example")];
    assert_eq!(reply(&named, "GET", &twice, &[]), "vary=Origin");
    assert_eq!(
        reply(&json!({ "origins": ["null"] }), "GET", &[("origin", "null")], &[]),
        "allow-origin=null; vary=Origin"
    );
}

#[test]
fn any_site_means_the_same_for_everybody() {
    let any = json!({ "origins": ["*"], "expose_headers": ["x-a", "X-B"] });
    let expected = "allow-origin=*; expose-headers=x-a, x-b";
    assert_eq!(reply(&any, "GET", &[("origin", "https://a.example")], &[]), expected);
    assert_eq!(reply(&any, "GET", &[("origin", "null")], &[]), expected);
    assert_eq!(reply(&any, "GET", &[], &[]), expected);
}

#[test]
fn credentials_are_allowed_to_named_sites_only() {
    let config = json!({ "origins": ["https://a.example"], "credentials": true });
    assert_eq!(
        reply(&config, "POST", &[("origin", "https://a.example")], &[]),
        "allow-credentials=true; allow-origin=https://a.example; vary=Origin"
    );
    assert_eq!(reply(&config, "POST", &[("origin", "https://b.example")], &[]), "vary=Origin");
}

#[test]
fn a_preflight_is_answered() {
    let ask = |origin: &'static str, more: &[(&'static str, &'static str)]| {
        [&[("origin", origin), ("access-control-request-method", "PUT")], more].concat()
    };
    const VARY: &str = "vary=Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    let plain = json!({ "origins": ["https://a.example"] });
    let default = "allow-methods=GET, HEAD, POST, PUT, PATCH, DELETE; allow-origin=https://a.example; max-age=600";
    let whole = json!({
        "origins": ["https://a.example"], "methods": ["GET", "QUERY"], "request_headers": ["X-A", "authorization"], "expose_headers": ["x-b"],
        "credentials": true, "max_age": "1h", "private_network": true,
    });
    let all = "allow-headers=x-a, authorization; allow-methods=GET, QUERY; allow-origin=https://a.example";
    let any = json!({ "origins": ["*"], "request_headers": [] });
    for (config, request, expected) in [
        (&plain, ask("https://a.example", &[]), format!("{default}; {VARY}")),
        (
            &plain,
            ask("https://a.example", &[("access-control-request-headers", "x-a,authorization")]),
            format!("allow-headers=x-a,authorization; {default}; {VARY}"),
        ),
        // what is no list of names is not said back, nor what would be taken for all
        (
            &plain,
            ask("https://a.example", &[("access-control-request-headers", "x-a;q=1")]),
            format!("{default}; {VARY}"),
        ),
        (&plain, ask("https://a.example", &[("access-control-request-headers", "*")]), format!("{default}; {VARY}")),
        (&plain, ask("https://b.example", &[("access-control-request-headers", "x-a")]), VARY.to_owned()),
        (&plain, ask("null", &[]), VARY.to_owned()),
        // without being told, nobody reaches into a private network
        (
            &plain,
            ask("https://a.example", &[("access-control-request-private-network", "true")]),
            format!("{default}; {VARY}"),
        ),
        (
            &whole,
            ask("https://a.example", &[("access-control-request-headers", "x-other")]),
            format!("allow-credentials=true; {all}; max-age=3600; {VARY}"),
        ),
        (
            &whole,
            ask("https://a.example", &[("access-control-request-private-network", "true")]),
            format!("allow-credentials=true; {all}; allow-private-network=true; max-age=3600; {VARY}"),
        ),
        (&whole, ask("https://b.example", &[("access-control-request-private-network", "true")]), VARY.to_owned()),
        (
            &any,
            ask("https://b.example", &[("access-control-request-headers", "x-a")]),
            format!("allow-methods=GET, HEAD, POST, PUT, PATCH, DELETE; allow-origin=*; max-age=600; {VARY}"),
        ),
    ] {
        assert_eq!(preflight(config, &request), expected, "{config} {request:?}");
    }
}

#[test]
fn what_only_looks_like_a_preflight_goes_on() {
    let config = json!({ "origins": ["https://a.example"] });
    let (origin, method) = (("origin", "https://a.example"), ("access-control-request-method", "PUT"));
    assert_eq!(reply(&config, "OPTIONS", &[origin], &[]), "allow-origin=https://a.example; vary=Origin");
    assert_eq!(reply(&config, "OPTIONS", &[method], &[]), "vary=Origin");
    assert_eq!(reply(&config, "GET", &[origin, method], &[]), "allow-origin=https://a.example; vary=Origin");
}

#[test]
fn what_the_api_says_is_replaced_unless_it_is_to_stay() {
    let own = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-anything", "x"),
        ("vary", "Accept"),
    ];
    let config = json!({ "origins": ["https://a.example"] });
    let a = [("origin", "https://a.example")];
    assert_eq!(reply(&config, "GET", &a, &own), "allow-origin=https://a.example; vary=Accept; vary=Origin");
    assert_eq!(reply(&config, "GET", &[("origin", "https://b.example")], &own), "vary=Accept; vary=Origin");
    let keeping = json!({ "origins": ["https://a.example"], "keep_upstream": true });
    assert_eq!(
        reply(&keeping, "GET", &a, &own),
        "allow-credentials=true; allow-origin=*; anything=x; vary=Accept; vary=Origin"
    );
    assert_eq!(reply(&keeping, "GET", &a, &[]), "allow-origin=https://a.example; vary=Origin");
    // what varies already is not said again
    for vary in ["origin", "Accept, ORIGIN", "*"] {
        assert_eq!(reply(&config, "GET", &[], &[("vary", vary)]), format!("vary={vary}"));
    }
}

#[test]
fn a_refusal_of_the_gateway_can_be_read_by_the_script() {
    let mut bench = bench(&json!({ "origins": ["https://a.example"] }), "GET", &[("origin", "https://a.example")]);
    bench.request().expect("it goes on");
    let mut head =
        ResponseHead { status: http::StatusCode::UNAUTHORIZED, headers: HeaderMap::new(), origin: Origin::Gateway };
    pass(&mut bench, &mut head);
    assert_eq!(told(&head.headers), "allow-origin=https://a.example; vary=Origin");
}

#[test]
fn a_chain_knows_that_it_answers_preflights() {
    let of = |bench: Bench| bench.chain.answers_preflights();
    assert!(of(Bench::new("cors", json!({ "origins": ["*"] }))));
    assert!(!of(Bench::new("key-auth", json!({}))));
    assert!(!Chain::default().answers_preflights());
}

#[test]
fn what_could_never_fit_is_refused_with_what_would() {
    for (config, pointer, told) in [
        (json!({}), "/origins", "give `origins`"),
        (json!({ "origins": ["https://a.example/"] }), "/origins/0", "no path: `https://a.example`"),
        (json!({ "origins": ["https://a.example/x"] }), "/origins/0", "no path"),
        (json!({ "origins": ["https://A.example"] }), "/origins/0", "lower case: `https://a.example`"),
        (
            json!({ "origins": ["https://a.example:443"] }),
            "/origins/0",
            "leave out the port that a scheme has anyway: `https://a.example`",
        ),
        (json!({ "origins": ["http://a.example:80"] }), "/origins/0", "`http://a.example`"),
        (json!({ "origins": ["a.example"] }), "/origins/0", "is not an origin"),
        (json!({ "origins": ["https://"] }), "/origins/0", "is not an origin"),
        (json!({ "origins": ["https://a b"] }), "/origins/0", "is not an origin"),
        (json!({ "origins": ["https://a.*.example"] }), "/origins/0", "is not an origin"),
        (json!({ "origins": ["https://*"] }), "/origins/0", "is not an origin"),
        (json!({ "origins": ["https://u:p@a.example"] }), "/origins/0", "is not an origin"),
        (json!({ "origins": ["https://\u{e4}.example"] }), "/origins/0", "is not an origin"),
        (json!({ "origins": ["*", "https://a.example"] }), "/origins", "give it alone"),
        (json!({ "origins": ["*"], "credentials": true }), "/credentials", "name the sites"),
        (json!({ "origin_patterns": ["https://.*"], "credentials": true }), "/origin_patterns/0", "any site"),
        (json!({ "origin_patterns": ["("] }), "/origin_patterns/0", ""),
        (json!({ "origins": ["*"], "max_age": "8d" }), "/max_age", "at most `7d`"),
        (json!({ "origins": ["*"], "methods": ["get it"] }), "/methods/0", ""),
        (json!({ "origins": ["*"], "request_headers": ["a b"] }), "/request_headers/0", ""),
    ] {
        let problems = problems("cors", &config);
        assert_eq!(problems[0].pointer, pointer, "{config}: {problems:?}");
        assert!(problems[0].detail.contains(told), "{}", problems[0].detail);
    }
}
