use http::HeaderValue;
use http::header::HOST;
use serde_json::{Value, json};

use crate::Phase;
use crate::testing::{Bench, build, build_for_some, problems};

fn bench(config: &Value, target: &str) -> Bench {
    let mut bench = Bench::new("redirect", config.clone());
    bench.head.target = target.parse().expect("a target");
    bench.head.headers.insert(HOST, HeaderValue::from_static("a.example:8080"));
    bench
}

/// Status and location, or the code of another reply.
fn sent(config: &Value, target: &str, headers: &[(&'static str, &'static str)]) -> String {
    let mut bench = bench(config, target);
    for (name, value) in headers {
        bench.head.headers.insert(*name, HeaderValue::from_static(value));
    }
    let reply = bench.request().expect_err("it sends elsewhere");
    match reply.headers.iter().find(|(name, _)| name == "location") {
        Some((_, location)) => format!("{} {}", reply.status.as_u16(), location.to_str().expect("ASCII")),
        None => reply.code.to_owned(),
    }
}

#[test]
fn callers_are_sent_where_it_says() {
    let to = |location: &str| json!({ "location": location });
    for (config, target, expected) in [
        (to("https://new.example/"), "/a?b=c", "302 https://new.example/?b=c"),
        (to("https://new.example"), "/a", "302 https://new.example"),
        (to("https://new.example:8443/v2${request.path}"), "/a/b?c=%2F", "302 https://new.example:8443/v2/a/b?c=%2F"),
        (to("/new?x=1"), "/old?y=2", "302 /new?x=1&y=2"),
        (to("/new?x=1#top"), "/old?y=2", "302 /new?x=1&y=2#top"),
        (to("/new#top"), "/old?y=2", "302 /new?y=2#top"),
        (to("/new"), "/old?", "302 /new"),
        (json!({ "location": "/new", "keep_query": false, "status": 301 }), "/old?y=2", "301 /new"),
        (json!({ "location": "/new", "status": 303 }), "/old", "303 /new"),
        (json!({ "location": "/new", "status": 307 }), "/old", "307 /new"),
        (json!({ "https": true }), "/a?b=c", "308 https://a.example/a?b=c"),
        (json!({ "https": true, "status": 301, "keep_query": false }), "/a?b=c", "301 https://a.example/a"),
    ] {
        assert_eq!(sent(&config, target, &[]), expected, "{config} {target}");
    }
}

#[test]
fn what_a_request_says_never_leads_to_another_host() {
    let config = json!({ "location": "/${request.headers.to}", "keep_query": false });
    let fixed = json!({ "location": "https://a.example/${request.headers.to}", "keep_query": false });
    for (to, path, url) in [
        ("x", "/x", "https://a.example/x"),
        ("/evil.example", "/evil.example", "https://a.example//evil.example"),
        ("//evil.example", "/evil.example", "https://a.example///evil.example"),
        ("\\evil.example", "/%5Cevil.example", "https://a.example/%5Cevil.example"),
        ("/\\evil.example", "/%5Cevil.example", "https://a.example//%5Cevil.example"),
        ("\t/evil.example", "/%09/evil.example", "https://a.example/%09/evil.example"),
        ("@evil.example", "/@evil.example", "https://a.example/@evil.example"),
        (" \"<>", "/%20%22%3C%3E", "https://a.example/%20%22%3C%3E"),
    ] {
        assert_eq!(sent(&config, "/", &[("to", to)]), format!("302 {path}"), "{to:?}");
        assert_eq!(sent(&fixed, "/", &[("to", to)]), format!("302 {url}"), "{to:?}");
    }
    // nothing at all is filled in
    assert_eq!(sent(&config, "/", &[]), "302 /");
}

#[test]
fn any_host_has_to_be_told() {
    for (location, told) in [
        ("https://${request.host}/", "must end, with a `/`"),
        ("https://a.example${request.path}", "must end, with a `/`"),
        ("https://a.example:${request.headers.port}/", "must end, with a `/`"),
        ("${request.headers.to}", "must begin with"),
        ("//evil.example/", "must begin with"),
        ("/\\evil.example/", "must begin with"),
        ("javascript:alert(1)", "must begin with"),
        ("relative", "must begin with"),
        ("https://u:p@a.example/", "is not a host"),
        ("https:///a", "is not a host"),
    ] {
        let found = problems("redirect", &json!({ "location": location }));
        assert_eq!(found[0].pointer, "/location", "{location}");
        assert!(found[0].detail.contains(told), "{location}: {}", found[0].detail);
    }
    let any = json!({ "location": "${request.headers.to}", "any_host": true });
    assert_eq!(sent(&any, "/?a=b", &[("to", "https://b.example/x")]), "302 https://b.example/x?a=b");
    assert_eq!(sent(&any, "/", &[("to", "javascript:alert(1)")]), "policy_failed");
    assert_eq!(sent(&any, "/", &[]), "policy_failed");
}

#[test]
fn who_came_by_https_is_not_sent_there() {
    let mut bench = bench(&json!({ "https": true }), "/a");
    bench.cx.seen.is_secure = true;
    assert!(bench.request().is_ok());
}

#[test]
fn it_screens_and_where_it_is_for_some_it_authorizes() {
    let config = json!({ "https": true });
    assert_eq!(build("redirect", &config).phase, Phase::Screen);
    assert_eq!(build_for_some("redirect", &config).phase, Phase::Authorize);
}

#[test]
fn a_config_that_can_not_work_is_refused() {
    for (config, pointer) in [
        (json!({}), "/location"),
        (json!({ "location": "/a", "https": true }), "/https"),
        (json!({ "https": false }), "/https"),
        (json!({ "https": true, "any_host": true }), "/any_host"),
        (json!({ "location": "/a", "status": 200 }), "/status"),
        (json!({ "location": "/${nonsense}" }), "/location"),
        (json!({ "location": "/${" }), "/location"),
    ] {
        assert_eq!(problems("redirect", &config)[0].pointer, pointer, "{config}");
    }
}
