//! What is true of every request: bodies, types, sizes, ids, headers, TLS.

use serde_json::json;
use tidegate_control_plane::app::TlsFiles;

use crate::plane::{Plane, reply, sqlite_in};

#[tokio::test]
async fn json_is_taken_under_curls_default_type_beside_a_token() {
    let plane = Plane::start().await;
    let put = |content_type: Option<&str>, body: &str| {
        let mut request = plane.api.request("PUT", "/v1/consumers/acme").body(body.to_owned());
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        reply(request)
    };
    for good in [None, Some("application/x-www-form-urlencoded"), Some("application/json; charset=utf-8")] {
        assert!(put(good, "{}").await.status < 300, "{good:?}");
    }
    for bad in ["text/plain", "application/xml", "application/merge-patch+json", "application/json-patch+json"] {
        put(Some(bad), "{}").await.expect_problem(415, "unsupported_media_type");
    }
    let patch = plane.api.request("PATCH", "/v1/consumers/acme").header("Content-Type", "application/merge-patch+json");
    reply(patch.body(r#"{"custom_id":"7"}"#)).await.expect(200);

    let json_type = Some("application/json");
    for bad in ["", "  ", "{", "[1", "{}{}", "\u{feff}{}"] {
        put(json_type, bad).await.expect_problem(400, "invalid");
    }
    for not_an_object in ["[]", "7", "null", "\"x\""] {
        let refused = put(json_type, not_an_object).await;
        assert_eq!(refused.errors(), [" wrong_type"], "{not_an_object}");
    }
    let deep = format!("{{\"tags\":{}{}}}", "[".repeat(40), "]".repeat(40));
    put(json_type, &deep).await.expect_problem(400, "invalid");
    let deeper = format!("{{\"tags\":{}{}}}", "[".repeat(4_000), "]".repeat(4_000));
    put(json_type, &deeper).await.expect_problem(400, "invalid");
    let long = format!("{{\"description\":\"{}\"}}", "x".repeat(9 << 20));
    put(json_type, &long).await.expect_problem(413, "too_large");
    plane.stop().await;
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_says_what_browsers_may_do() {
    let plane = Plane::start().await;
    for path in ["/v1/status", "/v1/nothing", "/docs", "/ui/", "/healthz"] {
        let answer = plane.api.get(path).await;
        assert_eq!(answer.header("x-request-id").len(), 32, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    let given = |id: &str| reply(plane.api.request("GET", "/healthz").header("X-Request-Id", id));
    assert_eq!(given("mine-1").await.header("x-request-id"), "mine-1");
    assert_ne!(given("not mine").await.header("x-request-id"), "not mine");
    let made = reply(plane.api.request("PUT", "/v1/consumers/a").header("X-Request-Id", "r-7").json(&json!({}))).await;
    let entry = plane.api.get(&format!("/v1/revisions/{}", made.revision())).await.expect(200);
    assert_eq!((&entry["request_id"], &entry["address"]), (&json!("r-7"), &json!("127.0.0.1")));
    assert_eq!(plane.api.get("/v1/status").await.header("cache-control"), "no-store");
    plane.stop().await;
}

#[tokio::test]
async fn it_speaks_tls_with_a_given_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&files.cert, made.cert.pem()).expect("written");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
    let plane = Plane::start_with(folder.path(), &sqlite_in(folder.path()), Some(files)).await.expect("it starts");
    assert!(plane.api.url.starts_with("https://"));
    let answer = plane.api.get("/v1/status").await;
    assert!(answer.header("strict-transport-security").contains("max-age"));
    answer.expect(200);
    let token = json!({ "token": plane.api.token });
    let session = plane.api.with_token(None).post("/v1/session", token).await;
    assert!(session.header("set-cookie").ends_with("; Secure"));
    plane.stop().await;
}

#[tokio::test]
async fn health_and_readiness_are_open_and_figures_are_not_here() {
    let plane = Plane::start().await;
    let nobody = plane.api.with_token(None);
    plane.api.put("/v1/consumers/a", json!({})).await.expect(201);
    assert_eq!(nobody.get("/healthz").await.expect(200), json!({ "status": "ok" }));
    assert_eq!(nobody.get("/readyz").await.expect(200), json!({ "status": "ready", "store_up": true }));
    nobody.get("/metrics").await.expect_problem(404, "not_found");
    plane.stop().await;
}
