//! Sessions, and what slows down who guesses.

use serde_json::json;

use crate::plane::{Caller, Plane, Reply, reply};

struct Session {
    api: Caller,
    cookie: String,
    csrf: String,
}

impl Session {
    async fn sign_in(api: &Caller, token: &str) -> Session {
        let api = api.with_token(None);
        let answer = api.post("/v1/session", json!({ "token": token })).await;
        let cookie = answer.header("set-cookie").to_owned();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=4"] {
            assert!(cookie.contains(part), "{part} is not in {cookie}");
        }
        let csrf = answer.expect(200)["csrf"].as_str().expect("a value").to_owned();
        Session { api, cookie: cookie.split(';').next().unwrap_or_default().to_owned(), csrf }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request = self.api.request(method, path).header("Cookie", &self.cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request.body(body.to_owned())).await
    }
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test]
async fn a_session_reads_and_with_its_csrf_value_writes() {
    let plane = Plane::start().await;
    let token = plane.api.token.clone().expect("a token");
    let session = Session::sign_in(&plane.api, &token).await;
    let csrf = ("X-CSRF-Token", session.csrf.as_str());

    let who = session.send("GET", "/v1/session", &[], "").await.expect(200);
    assert_eq!(
        (&who["operator"], &who["role"], &who["csrf"]),
        (&json!("admin"), &json!("admin"), &json!(session.csrf))
    );
    let put = |headers: Vec<(&'static str, String)>| {
        let session = &session;
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            session.send("PUT", "/v1/consumers/acme", &headers, "{}").await
        }
    };
    let json_type = || ("Content-Type", "application/json".to_owned());
    put(vec![json_type()]).await.expect_problem(403, "forbidden");
    put(vec![json_type(), ("X-CSRF-Token", "x".into())]).await.expect_problem(403, "forbidden");
    for content_type in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"] {
        let headers = vec![("Content-Type", content_type.to_owned()), ("X-CSRF-Token", session.csrf.clone())];
        put(headers).await.expect_problem(415, "unsupported_media_type");
    }
    put(vec![("X-CSRF-Token", session.csrf.clone())]).await.expect_problem(415, "unsupported_media_type");
    put(vec![json_type(), ("X-CSRF-Token", session.csrf.clone())]).await.expect(201);
    // the value of another session does not do
    let other = Session::sign_in(&plane.api, &token).await;
    put(vec![json_type(), ("X-CSRF-Token", other.csrf)]).await.expect_problem(403, "forbidden");
    session.send("DELETE", "/v1/consumers/acme", &[], "").await.expect_problem(403, "forbidden");
    session.send("DELETE", "/v1/consumers/acme", &[csrf], "").await.expect(204);

    let out = session.send("DELETE", "/v1/session", &[csrf], "").await;
    assert!(out.header("set-cookie").starts_with("tidegate_session=; Path=/; Max-Age=0"), "{out:?}");
    plane.stop().await;
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let plane = Plane::start().await;
    let issued = plane.api.post("/v1/operators/admin/tokens", json!({})).await.expect(201);
    let session = Session::sign_in(&plane.api, issued["token"].as_str().expect("a token")).await;
    session.send("GET", "/v1/status", &[], "").await.expect(200);
    let id = issued["id"].as_str().expect("an id");
    plane.api.delete(&format!("/v1/operator-tokens/{id}")).await.expect(204);
    session.send("GET", "/v1/status", &[], "").await.expect_problem(401, "unauthorized");
    let forged = Session { cookie: "tidegate_session=AAAA".into(), ..session };
    forged.send("GET", "/v1/status", &[], "").await.expect_problem(401, "unauthorized");
    plane.stop().await;
}

#[tokio::test]
async fn who_guesses_is_slowed_down() {
    let plane = Plane::start().await;
    let token = plane.api.token.clone().expect("a token");
    let nobody = plane.api.with_token(None);
    for _ in 0..10 {
        nobody.post("/v1/session", json!({ "token": "tgo_guess" })).await.expect_problem(401, "unauthorized");
    }
    let refused = nobody.post("/v1/session", json!({ "token": "tgo_guess" })).await;
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=6).contains(&wait), "{wait}");
    refused.expect_problem(429, "too_many_requests");
    // nobody from there may sign in now; but who shows a token that holds is let in
    nobody.post("/v1/session", json!({ "token": token })).await.expect_problem(429, "too_many_requests");
    plane.api.with_token(Some("tgo_guess")).get("/v1/status").await.expect_problem(429, "too_many_requests");
    plane.api.get("/v1/status").await.expect(200);
    plane.stop().await;
}

#[tokio::test]
async fn signing_in_takes_json_only() {
    let plane = Plane::start().await;
    let body = json!({ "token": plane.api.token }).to_string();
    let nobody = plane.api.with_token(None);
    let plain = reply(nobody.request("POST", "/v1/session").body(body.clone())).await;
    plain.expect_problem(415, "unsupported_media_type");
    let (name, value) = JSON;
    let request = nobody.request("POST", "/v1/session").header(name, value).body(body);
    reply(request).await.expect(200);
    let empty = nobody.post("/v1/session", json!({})).await;
    assert_eq!(empty.errors(), ["/token missing_field"]);
    plane.stop().await;
}
