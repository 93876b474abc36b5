//! Keys and tokens: shown once, kept as hashes, refused when revoked.

use serde_json::{Value, json};

use crate::plane::{Plane, sqlite_in};

#[tokio::test]
async fn a_key_is_shown_once_and_its_hash_never() {
    let plane = Plane::start().await;
    let api = &plane.api;
    api.put("/v1/consumers/acme", json!({})).await.expect(201);
    api.put("/v1/consumers/other", json!({})).await.expect(201);
    let request = json!({ "label": "laptop", "expires_at": "2100-01-01T00:00:00Z" });
    let issued = api.post("/v1/consumers/acme/keys", request).await;
    let id = issued.body["id"].as_str().expect("an id").to_owned();
    assert_eq!(issued.header("location"), format!("/v1/credentials/{id}"));
    let issued = issued.expect(201);
    let key = issued["key"].as_str().expect("a key");
    assert!(key.starts_with("tg_") && key.len() == 52, "{key}");
    assert_eq!(issued["hint"], format!("tg_…{}", &key[48..]));
    assert_eq!((&issued["consumer"], &issued["label"]), (&json!("acme"), &json!("laptop")));

    let item = format!("/v1/consumers/acme/keys/{id}");
    let read = api.get(&item).await.expect(200);
    assert_eq!(read.get("key"), None);
    assert_eq!(api.get("/v1/consumers/acme/keys").await.expect(200)["data"], json!([read]));
    assert_eq!(api.get(&format!("/v1/credentials/{id}")).await.expect(200), read);
    assert_eq!(api.get("/v1/consumers/other/keys").await.expect(200)["data"], json!([]));
    api.get(&format!("/v1/consumers/other/keys/{id}")).await.expect_problem(404, "not_found");
    api.delete(&format!("/v1/consumers/other/keys/{id}")).await.expect_problem(404, "not_found");
    api.post("/v1/consumers/nobody/keys", json!({})).await.expect_problem(404, "not_found");
    let past = api.post("/v1/consumers/acme/keys", json!({ "expires_at": "2020-01-01T00:00:00Z" })).await;
    assert_eq!(past.errors(), ["/expires_at out_of_range"]);
    let unknown = api.post("/v1/consumers/acme/keys", json!({ "lable": "x" })).await;
    assert_eq!(unknown.errors(), ["/lable unknown_field"]);
    api.send("POST", "/v1/consumers/acme/keys", None).await.expect(201);

    api.delete(&item).await.expect(204);
    api.get(&item).await.expect_problem(404, "not_found");
    plane.stop().await;
}

#[tokio::test]
async fn no_answer_holds_a_secret_or_a_hash() {
    let plane = Plane::start().await;
    let api = &plane.api;
    api.put("/v1/consumers/acme", json!({})).await.expect(201);
    let key = api.post("/v1/consumers/acme/keys", json!({})).await.expect(201);
    let token = api.post("/v1/operators/admin/tokens", json!({})).await.expect(201);
    let join = api.post("/v1/join-tokens", json!({ "label": "rack 7" })).await.expect(201);
    api.delete(&format!("/v1/credentials/{}", key["id"].as_str().expect("an id"))).await.expect(204);

    let join = join["token"].as_str().expect("a token").to_owned();
    let (secret, authority) = join.split_once('.').expect("secret and fingerprint");
    assert!(secret.starts_with("tgj_") && authority.len() == 64, "{join}");
    let mut secrets: Vec<String> = vec![secret.into(), api.token.clone().expect("a token")];
    secrets.extend([&key["key"], &token["token"]].map(|s| s.as_str().expect("a text").to_owned()));
    let hashes: Vec<String> =
        secrets.iter().map(|secret| tidegate_model::Sha256::of(secret.as_bytes()).to_string()).collect();

    let document = api.get("/v1/openapi.json").await.expect(200);
    let mut paths: Vec<String> = document["paths"].as_object().expect("paths").keys().cloned().collect();
    paths.retain(|path| !path.contains('{'));
    let revision = api.get("/v1/status").await.expect(200)["revision"].as_u64().expect("a number");
    paths.extend((1..=revision).map(|revision| format!("/v1/revisions/{revision}")));
    for path in paths {
        let answer = api.get(&path).await;
        for hidden in secrets.iter().chain(&hashes) {
            assert!(!answer.text.contains(hidden.as_str()), "{path} shows {hidden}");
        }
        if !path.contains("openapi") {
            for field in ["key_hash", "token_hash", "public_key"] {
                assert!(!answer.text.contains(field), "{path} shows {field}");
            }
        }
    }
    // nor can a hash be put in
    let hash = "0".repeat(64);
    api.post("/v1/operators/admin/tokens", json!({ "token_hash": hash })).await.expect_problem(400, "invalid");
    plane.stop().await;
}

#[tokio::test]
async fn an_operators_token_holds_until_it_is_revoked() {
    let plane = Plane::start().await;
    let api = &plane.api;
    api.put("/v1/operators/bob", json!({ "role": "viewer" })).await.expect(201);
    let issued = api.post("/v1/operators/bob/tokens", json!({ "label": "ci" })).await.expect(201);
    let bob = api.with_token(issued["token"].as_str());
    assert_eq!(bob.get("/v1/session").await.expect(200)["operator"], "bob");
    api.put("/v1/operators/bob", json!({ "role": "admin" })).await.expect(200);
    bob.put("/v1/consumers/x", json!({})).await.expect(201);
    let id = issued["id"].as_str().expect("an id");
    api.delete(&format!("/v1/operators/admin/tokens/{id}")).await.expect_problem(404, "not_found");
    api.delete(&format!("/v1/operators/bob/tokens/{id}")).await.expect(204);
    bob.get("/v1/session").await.expect_problem(401, "unauthorized");

    let again = api.post("/v1/operators/bob/tokens", json!({})).await.expect(201);
    let bob = api.with_token(again["token"].as_str());
    bob.get("/v1/session").await.expect(200);
    api.delete("/v1/operators/bob").await.expect(204);
    bob.get("/v1/session").await.expect_problem(401, "unauthorized");
    plane.stop().await;
}

#[tokio::test]
async fn the_first_start_makes_the_first_tokens_and_the_second_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let database = sqlite_in(folder.path());
    let plane = Plane::start_in(folder.path(), &database).await;
    assert_eq!(plane.ready.first_token, plane.api.token);
    for file in ["secret-key", "operator-token", "join-token"] {
        let mode = std::fs::metadata(folder.path().join(file)).expect(file).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let first = plane.api.get("/v1/revisions/1").await.expect(200);
    assert_eq!((&first["actor"], &first["message"]), (&json!("tidegate"), &json!("first start")));
    plane.api.put("/v1/consumers/acme", json!({})).await.expect(201);
    let before = plane.api.get("/v1/status").await.expect(200);
    plane.stop().await;

    let plane = Plane::start_in(folder.path(), &database).await;
    assert_eq!(plane.ready.first_token, None);
    let after = plane.api.get("/v1/status").await.expect(200);
    assert_eq!((&after["revision"], &after["epoch"]), (&before["revision"], &before["epoch"]));
    // a first token that was revoked is not brought back by its file
    let issued: Value = plane.api.post("/v1/operators/admin/tokens", json!({})).await.expect(201);
    let first = plane.api.get("/v1/operator-tokens?q=first").await.expect(200)["data"][0]["id"].clone();
    let other = plane.api.with_token(issued["token"].as_str());
    other.delete(&format!("/v1/operator-tokens/{}", first.as_str().expect("an id"))).await.expect(204);
    plane.stop().await;
    std::fs::remove_file(folder.path().join("operator-token")).expect("removed");
    assert!(Plane::start_with(folder.path(), &database, None).await.is_err(), "the test finds no token file");
    assert!(!folder.path().join("operator-token").exists());
}

#[tokio::test]
async fn a_wrong_secret_key_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = sqlite_in(folder.path());
    Plane::start_in(folder.path(), &database).await.stop().await;
    std::fs::write(folder.path().join("secret-key"), "1".repeat(64)).expect("written");
    let error = Plane::start_with(folder.path(), &database, None).await.err().expect("it does not start");
    assert!(error.to_string().contains("does not open what this database was set up with"), "{error:#}");
}
