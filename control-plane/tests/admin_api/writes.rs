//! Writes: all problems at once, nothing lost between two writers, nothing made twice, nothing left dangling.

use serde_json::{Value, json};

use crate::plane::{Plane, reply};

#[tokio::test]
async fn ten_mistakes_are_ten_entries() {
    let plane = Plane::start().await;
    let answer = plane
        .api
        .post(
            "/v1/routes",
            json!({
                "name": "r", "servce": "orders", "strip_prefix": "yes", "priority": 5_000_000, "tags": "x", "description": 7,
                "match": { "hosts": ["http://a", "b c"], "path": ["orders", { "exakt": "/x" }], "methods": ["get"] },
            }),
        )
        .await;
    let errors = answer.errors();
    for expected in [
        "/servce unknown_field",
        "/service missing_field",
        "/strip_prefix wrong_type",
        "/priority out_of_range",
        "/tags wrong_type",
        "/description wrong_type",
        "/match/hosts/0 invalid_value",
        "/match/hosts/1 invalid_value",
        "/match/path/0 invalid_value",
        "/match/methods/0 invalid_value",
    ] {
        assert!(errors.iter().any(|error| error == expected), "{expected} is not in {errors:#?}");
    }
    let problem = answer.expect_problem(400, "invalid");
    let detail = problem["errors"].as_array().into_iter().flatten().find(|e| e["pointer"] == "/servce");
    let detail = detail.and_then(|entry| entry["detail"].as_str()).expect("a detail");
    assert!(detail.contains("did you mean `service`?"), "{detail}");
    assert_eq!(plane.api.get("/v1/status").await.expect(200)["revision"], 1, "nothing was made");
    plane.stop().await;
}

#[tokio::test]
async fn what_only_nodes_could_tell_is_told_at_once() {
    let plane = Plane::start().await;
    let policy = |document: Value| plane.api.put("/v1/policies/p", document);
    let limits = |limit: Value| json!({ "kind": "rate-limit", "config": { "limits": [limit] } });
    let refused = policy(limits(json!({ "name": "a", "limit": 0, "window": "10ms" }))).await;
    assert_eq!(refused.errors(), ["/config/limits/0/limit out_of_range"]);
    let refused = policy(limits(json!({ "name": "a", "limit": 1, "window": "10ms" }))).await;
    assert_eq!(refused.errors(), ["/config/limits/0/window out_of_range"]);
    assert_eq!(policy(json!({ "kind": "rate-limits" })).await.errors().len(), 1);
    policy(json!({ "kind": "key-auth" })).await.expect(201);
    // two of a kind in one scope: neither would be the more specific one
    let twice = plane.api.put("/v1/policies/q", json!({ "kind": "key-auth" })).await;
    assert_eq!(twice.status, 400, "{}", twice.text);
    plane.stop().await;
}

#[tokio::test]
async fn of_writers_that_saw_the_same_one_wins() {
    let plane = Plane::start().await;
    let made = plane.api.put("/v1/consumers/acme", json!({})).await;
    let etag = made.header("etag").to_owned();
    let put = |n: usize| {
        let request = plane.api.request("PUT", "/v1/consumers/acme").header("If-Match", &etag);
        tokio::spawn(reply(request.json(&json!({ "custom_id": n.to_string() }))))
    };
    let writers: Vec<_> = (0..20).map(put).collect();
    let mut statuses = Vec::new();
    for writer in writers {
        statuses.push(writer.await.expect("it ends").status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 19, "{statuses:?}");
    assert_eq!(plane.api.get("/v1/status").await.expect(200)["revision"], made.revision() + 1);

    let put = |name: &'static str, value: &'static str| {
        let request = plane.api.request("PUT", "/v1/consumers/acme").header(name, value);
        reply(request.json(&json!({})))
    };
    put("If-None-Match", "*").await.expect_problem(412, "precondition_failed");
    put("If-Match", "\"999\"").await.expect_problem(412, "precondition_failed");
    put("If-Match", "\"999\", \"x\"").await.expect_problem(412, "precondition_failed");
    put("If-Match", "*").await.expect(200);
    let absent = plane.api.request("PUT", "/v1/consumers/new").header("If-Match", "*").json(&json!({}));
    reply(absent).await.expect_problem(412, "precondition_failed");
    plane.stop().await;
}

#[tokio::test]
async fn a_write_asked_for_again_is_not_made_twice() {
    let plane = Plane::start().await;
    let send = |method: &str, path: &str, key: &str, body: Value| {
        reply(plane.api.request(method, path).header("Idempotency-Key", key).json(&body))
    };
    let service = json!({ "name": "s", "url": "http://127.0.0.1:9" });
    let first = send("POST", "/v1/services", "k1", service.clone()).await;
    let again = send("POST", "/v1/services", "k1", service.clone()).await;
    assert_eq!((again.status, again.revision()), (201, first.revision()));
    let first = first.expect(201);
    assert_eq!(again.expect(201), first);
    // the first's answer, also when the resource went on
    plane.api.patch("/v1/services/s", json!({ "description": "later" })).await.expect(200);
    assert_eq!(send("POST", "/v1/services", "k1", service).await.expect(201), first);

    let consumer = plane.api.put("/v1/consumers/acme", json!({})).await;
    let key = send("POST", "/v1/consumers/acme/keys", "k2", json!({ "label": "a" })).await.expect(201);
    let same = send("POST", "/v1/consumers/acme/keys", "k2", json!({ "label": "a" })).await.expect(201);
    assert_eq!((&same["key"], &same["id"]), (&key["key"], &key["id"]), "a lost key can be had again");
    assert_eq!(plane.api.get("/v1/consumers/acme/keys").await.expect(200)["data"].as_array().map(Vec::len), Some(1));
    let path = format!("/v1/consumers/acme/keys/{}", key["id"].as_str().expect("an id"));
    let gone = send("DELETE", &path, "k3", json!({})).await;
    let again = send("DELETE", &path, "k3", json!({})).await;
    assert_eq!((gone.status, again.status, again.revision()), (204, 204, gone.revision()));
    plane.api.delete(&path).await.expect_problem(404, "not_found");

    // a key that was used for something else
    let other = send("PUT", "/v1/consumers/other", "k1", json!({})).await.expect_problem(409, "conflict");
    assert_eq!(other["errors"][0]["code"], "idempotency_key_used");
    send("POST", "/v1/consumers/acme/keys", "k3", json!({})).await.expect_problem(409, "conflict");
    send("PUT", "/v1/consumers/x", &"k".repeat(129), json!({})).await.expect_problem(400, "invalid");

    // keys of different operators are different
    plane.api.put("/v1/operators/bob", json!({ "role": "admin" })).await.expect(201);
    let token = plane.api.post("/v1/operators/bob/tokens", json!({})).await.expect(201);
    let bob = plane.api.with_token(token["token"].as_str());
    let request = bob.request("PUT", "/v1/consumers/bobs").header("Idempotency-Key", "k1").json(&json!({}));
    reply(request).await.expect(201);
    assert!(consumer.revision() > 0);
    plane.stop().await;
}

#[tokio::test]
async fn what_belongs_to_something_goes_with_it_and_what_uses_it_keeps_it() {
    let plane = Plane::start().await;
    let api = &plane.api;
    api.put("/v1/upstreams/u", json!({ "targets": [] })).await.expect(201);
    api.put("/v1/services/s", json!({ "upstream": "u" })).await.expect(201);
    api.put("/v1/routes/r", json!({ "service": "s" })).await.expect(201);
    api.put("/v1/consumer-groups/g", json!({})).await.expect(201);
    api.put("/v1/consumers/acme", json!({ "groups": ["g"] })).await.expect(201);
    api.post("/v1/consumers/acme/keys", json!({})).await.expect(201);
    api.put("/v1/policies/p", json!({ "kind": "key-auth", "scope": { "service": "s" } })).await.expect(201);
    let limit = json!({ "kind": "rate-limit", "scope": { "service": "s", "consumer": "acme" },
        "config": { "limits": [{ "name": "a", "limit": 1, "window": "1m" }] } });
    api.put("/v1/policies/q", limit).await.expect(201);

    let in_use = api.delete("/v1/upstreams/u").await.expect_problem(409, "conflict");
    assert_eq!(in_use["errors"][0]["code"], "in_use");
    assert_eq!(in_use["detail"], "upstream `u` is in use by service `s`");
    let in_use = api.delete("/v1/services/s").await.expect_problem(409, "conflict");
    assert_eq!(in_use["detail"], "service `s` is in use by route `r`");
    let in_use = api.delete("/v1/consumer-groups/g").await.expect_problem(409, "conflict");
    assert_eq!(in_use["detail"], "consumer-group `g` is in use by consumer `acme`");

    let gone = api.delete("/v1/consumers/acme").await;
    let changes = api.get(&format!("/v1/revisions/{}", gone.revision())).await.expect(200)["changes"].clone();
    let kinds: Vec<&Value> = changes.as_array().into_iter().flatten().map(|change| &change["kind"]).collect();
    assert_eq!(kinds, ["consumer", "policy", "credential"]);
    assert_eq!(api.get("/v1/credentials").await.expect(200)["data"], json!([]));
    api.delete("/v1/consumer-groups/g").await.expect(204);
    api.delete("/v1/routes/r").await.expect(204);
    api.delete("/v1/services/s").await.expect(204);
    assert_eq!(api.get("/v1/policies").await.expect(200)["data"], json!([]));
    api.delete("/v1/upstreams/u").await.expect(204);
    plane.stop().await;
}

#[tokio::test]
async fn a_rename_is_seen_wherever_the_resource_is_named() {
    let plane = Plane::start().await;
    let service = plane.api.put("/v1/services/old", json!({ "url": "http://127.0.0.1:9" })).await.expect(201);
    plane.api.put("/v1/routes/r", json!({ "service": "old" })).await.expect(201);
    let path = format!("/v1/services/{}", service["id"].as_str().expect("an id"));
    plane.api.patch(&path, json!({ "name": "new" })).await.expect(200);
    assert_eq!(plane.api.get("/v1/routes/r").await.expect(200)["service"], "new");
    // an answer can be sent back as it is, and changes nothing
    let route = plane.api.get("/v1/routes/r").await.expect(200);
    let again = plane.api.put("/v1/routes/r", route.clone()).await;
    assert_eq!(again.header("etag"), format!("\"{}\"", route["revision"]));
    plane.stop().await;
}

#[tokio::test]
async fn the_last_admin_can_not_be_locked_out() {
    let plane = Plane::start().await;
    let refused = plane.api.delete("/v1/operators/admin").await.expect_problem(409, "conflict");
    assert_eq!(refused["errors"][0]["code"], "last_admin");
    plane.api.put("/v1/operators/admin", json!({ "role": "viewer" })).await.expect_problem(409, "conflict");
    let token = plane.api.get("/v1/operator-tokens").await.expect(200)["data"][0]["id"].clone();
    let token = format!("/v1/operator-tokens/{}", token.as_str().expect("an id"));
    plane.api.delete(&token).await.expect_problem(409, "conflict");
    plane.api.put("/v1/operators/bob", json!({ "role": "admin" })).await.expect(201);
    plane.api.delete(&token).await.expect_problem(409, "conflict");
    let bobs = plane.api.post("/v1/operators/bob/tokens", json!({})).await.expect(201);
    plane.api.delete(&token).await.expect(204);
    plane.api.get("/v1/status").await.expect_problem(401, "unauthorized");
    plane.api.with_token(bobs["token"].as_str()).get("/v1/status").await.expect(200);
    plane.stop().await;
}

#[tokio::test]
async fn waiting_without_nodes_is_over_at_once() {
    let plane = Plane::start().await;
    let put = |query: &str| {
        let (api, path) = (plane.api.clone(), format!("/v1/consumers/acme{query}"));
        async move { api.put(&path, json!({})).await }
    };
    let applied = put("?wait=all").await.expect(201)["applied"].clone();
    assert_eq!(applied, json!({ "revision": 2, "complete": true, "confirmed": [], "behind": [] }));
    assert_eq!(put("?wait=any&timeout=60s").await.expect(200)["applied"]["complete"], false);
    for wrong in ["?wait=none", "?wait=0%25", "?wait=101%25", "?wait=all&timeout=soon", "?wiat=all"] {
        put(wrong).await.expect_problem(400, "invalid");
    }
    let gone = plane.api.delete("/v1/consumers/acme?wait=all").await.expect(200);
    assert_eq!(gone["applied"]["revision"], 3);
    plane.stop().await;
}
