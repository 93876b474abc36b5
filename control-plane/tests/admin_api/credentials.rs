//! Keys that replace others, keys that were brought, many keys at once, usernames and passwords.

use serde_json::{Value, json};
use tidegate_model::{Instant, Sha256};

use crate::plane::{Caller, Plane, reply};

const OWN: &str = "0197c1f2-5e2a-7bbb-8ccc-93ab07d5e1f2";
const PASSWORD: &str = "gr\u{fc}ne Wiese: am Bach";
const DAY: i64 = 86_400_000;

fn id(document: &Value) -> String {
    document["id"].as_str().expect("an id").to_owned()
}

fn millis(value: &Value) -> i64 {
    value.as_str().expect("an instant").parse::<Instant>().expect("an instant").millis()
}

async fn with_header(api: &Caller, path: &str, header: (&str, &str), body: Value) -> crate::plane::Reply {
    reply(api.request("POST", path).header(header.0, header.1).json(&body)).await
}

async fn plane() -> Plane {
    let plane = Plane::start().await;
    plane.api.put("/v1/consumers/acme", json!({})).await.expect(201);
    plane.api.put("/v1/consumers/other", json!({})).await.expect(201);
    plane
}

#[tokio::test]
async fn a_rotated_key_ends_after_the_overlap_and_never_later_than_it_would_have() {
    let plane = plane().await;
    let api = &plane.api;
    let old = api.post("/v1/consumers/acme/keys", json!({ "label": "laptop" })).await.expect(201);
    let item = format!("/v1/consumers/acme/keys/{}", id(&old));
    let before = api.get("/v1/status").await.expect(200)["revision"].as_u64().expect("a number");
    let now = chrono::Utc::now().timestamp_millis();
    let answer = api.post(&format!("{item}/rotate?wait=all"), json!({ "overlap": "48h" })).await;
    assert_eq!(answer.revision(), before + 1, "one revision");
    let new = answer.expect(201);
    assert_eq!(
        (&new["label"], &new["consumer"], &new["replaces"]["id"]),
        (&json!("laptop"), &json!("acme"), &old["id"])
    );
    assert_eq!(new["applied"]["complete"], true);
    assert!(new["key"].as_str().expect("a key").starts_with("tg_") && new["key"] != old["key"]);
    let end = millis(&new["replaces"]["expires_at"]) - now;
    assert!((2 * DAY..2 * DAY + 60_000).contains(&end), "{end}");
    let read = api.get(&item).await.expect(200);
    assert_eq!(read, new["replaces"]);
    assert_eq!(new.get("expires_at"), None);

    // the default, and an end that comes sooner
    let again = api.post(&format!("{item}/rotate"), json!({ "overlap": "72h" })).await.expect(201);
    assert_eq!(again["replaces"]["expires_at"], read["expires_at"], "it does not live longer");
    let item = format!("/v1/consumers/acme/keys/{}", id(&again));
    let last = api.post(&format!("{item}/rotate"), json!({})).await.expect(201);
    assert!((DAY - 60_000..DAY + 60_000).contains(&(millis(&last["replaces"]["expires_at"]) - now)));
    let own =
        api.post(&format!("{item}/rotate"), json!({ "key": OWN, "overlap": "0s", "label": "own" })).await.expect(201);
    assert_eq!((&own["key"], &own["label"], &own["hint"]), (&json!(OWN), &json!("own"), &json!("…e1f2")));

    for (body, errors) in [
        (json!({ "overlap": "400d" }), "/overlap out_of_range"),
        (json!({ "overlap": "soon" }), "/overlap invalid_value"),
        (json!({ "overlep": "1h" }), "/overlep unknown_field"),
        (json!({ "key": "short" }), "/key invalid_value"),
        (json!({ "key": OWN }), "/key conflict"),
        (json!({ "expires_at": "2020-01-01T00:00:00Z" }), "/expires_at out_of_range"),
    ] {
        let refused = api.post(&format!("{item}/rotate"), body.clone()).await;
        assert_eq!((refused.status, refused.errors()), (400, vec![errors.to_owned()]), "{body}");
    }
    let rotate = format!("{item}/rotate");
    with_header(api, &rotate, ("if-match", "\"1\""), json!({})).await.expect_problem(412, "precondition_failed");
    api.post(&rotate.replace("acme", "other"), json!({})).await.expect_problem(404, "not_found");
    api.with_token(None).post(&rotate, json!({})).await.expect_problem(401, "unauthorized");
    api.viewer().await.post(&rotate, json!({})).await.expect_problem(403, "forbidden");
    plane.stop().await;
}

#[tokio::test]
async fn a_rotation_whose_answer_was_lost_is_answered_again_and_not_made_twice() {
    let plane = plane().await;
    let api = &plane.api;
    let old = api.post("/v1/consumers/acme/keys", json!({})).await.expect(201);
    let rotate = format!("/v1/consumers/acme/keys/{}/rotate", id(&old));
    let first = with_header(api, &rotate, ("idempotency-key", "r1"), json!({})).await;
    let revision = first.revision();
    let first = first.expect(201);
    let again = with_header(api, &rotate, ("idempotency-key", "r1"), json!({})).await;
    assert_eq!(again.revision(), revision);
    let again = again.expect(201);
    assert_eq!((&again["key"], &again["id"]), (&first["key"], &first["id"]));
    assert_eq!(again["replaces"]["expires_at"], first["replaces"]["expires_at"]);
    assert_eq!(api.get("/v1/consumers/acme/keys").await.expect(200)["data"].as_array().map(Vec::len), Some(2));
    // the same idempotency key for something else
    with_header(api, &rotate, ("idempotency-key", "r1"), json!({ "key": OWN })).await.expect_problem(409, "conflict");
    plane.stop().await;
}

#[tokio::test]
async fn a_key_that_was_brought_is_strong_or_refused() {
    let plane = plane().await;
    let api = &plane.api;
    let keys = "/v1/consumers/acme/keys";
    let issued = api.post(keys, json!({ "key": OWN, "label": "theirs" })).await.expect(201);
    assert_eq!((&issued["key"], &issued["hint"]), (&json!(OWN), &json!("…e1f2")));
    let drawn = api.post(keys, json!({})).await.expect(201)["key"].as_str().expect("a key").to_owned();
    for weak in [
        "",
        "hunter2",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "tg_mistyped",
        &drawn[..51],
        "tgo_x",
        "with space 0197c1f2-5e2a-7bbb-8ccc",
    ] {
        let refused = api.post(keys, json!({ "key": weak })).await;
        assert_eq!((refused.status, refused.errors()), (400, vec!["/key invalid_value".to_owned()]), "{weak}");
        assert!(weak.len() < 8 || !refused.text.contains(weak), "the answer says the key");
    }
    // a key of another gateway's own making
    let foreign = tidegate_model::write_token(tidegate_model::TokenKind::ApiKey, &[9; 32]);
    api.post(keys, json!({ "key": foreign })).await.expect(201);
    for taken in [OWN, &drawn] {
        let refused = api.post("/v1/consumers/other/keys", json!({ "key": taken })).await;
        assert_eq!((refused.status, refused.errors()), (400, vec!["/key conflict".to_owned()]));
    }
    let revision = api.get("/v1/status").await.expect(200)["revision"].as_u64().expect("a number");
    for path in (1..=revision).map(|n| format!("/v1/revisions/{n}")).chain([keys.to_owned(), "/v1/credentials".into()])
    {
        let text = api.get(&path).await.text;
        assert!(!text.contains(OWN) && !text.contains(&Sha256::of(OWN.as_bytes()).to_string()), "{path}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn label_and_end_of_a_key_can_be_changed() {
    let plane = plane().await;
    let api = &plane.api;
    let issued = api.post("/v1/consumers/acme/keys", json!({ "label": "a" })).await.expect(201);
    let item = format!("/v1/consumers/acme/keys/{}", id(&issued));
    let changed = api.patch(&item, json!({ "label": "b", "expires_at": "2100-01-01T00:00:00Z" })).await.expect(200);
    assert_eq!((&changed["label"], &changed["expires_at"]), (&json!("b"), &json!("2100-01-01T00:00:00Z")));
    let changed = api.patch(&item, json!({ "label": null, "expires_at": null })).await.expect(200);
    assert_eq!((changed.get("label"), changed.get("expires_at")), (None, None));
    for (body, errors) in [
        (json!({ "key_hash": "0" }), "/key_hash unknown_field"),
        (json!({ "consumer": "other" }), "/consumer unknown_field"),
        (json!({ "label": 7 }), "/label wrong_type"),
        (json!({ "expires_at": "2020-01-01T00:00:00Z" }), "/expires_at out_of_range"),
    ] {
        let refused = api.patch(&item, body.clone()).await;
        assert_eq!((refused.status, refused.errors()), (400, vec![errors.to_owned()]), "{body}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn many_keys_are_issued_in_one_revision_or_none() {
    let plane = plane().await;
    let api = &plane.api;
    let before = api.get("/v1/status").await.expect(200)["revision"].as_u64().expect("a number");
    let mut items: Vec<Value> = (0..1000).map(|n| json!({ "consumer": "acme", "label": format!("k{n}") })).collect();
    items[7] = json!({ "consumer": "other", "key": OWN, "expires_at": "2100-01-01T00:00:00Z" });
    let body = json!({ "items": items });
    let answer = with_header(api, "/v1/keys/bulk?wait=all", ("idempotency-key", "b1"), body.clone()).await;
    assert_eq!(answer.revision(), before + 1);
    let answer = answer.expect(201);
    assert_eq!(answer["applied"]["complete"], true);
    let keys = answer["data"].as_array().expect("keys").clone();
    let mut texts: Vec<&str> = keys.iter().filter_map(|key| key["key"].as_str()).collect();
    assert_eq!((&keys[7]["key"], &keys[7]["consumer"]), (&json!(OWN), &json!("other")));
    assert_eq!(keys[999]["label"], "k999");
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 1000, "each is another");
    // its answer was lost
    let again = with_header(api, "/v1/keys/bulk", ("idempotency-key", "b1"), body).await;
    assert_eq!(again.revision(), before + 1);
    let same = |a: &Value, b: &Value| a["id"] == b["id"] && a["key"] == b["key"];
    assert!(again.expect(201)["data"].as_array().expect("keys").iter().zip(&keys).all(|(a, b)| same(a, b)));
    let entry = api.get(&format!("/v1/revisions/{}", before + 1)).await;
    assert!(!texts.iter().any(|key| entry.text.contains(key)), "the history shows a key");
    assert_eq!(entry.expect(200)["actor"], "admin");

    let bad = json!({ "items": [
        { "consumer": "nobody" }, { "consumer": "acme", "key": "x" },
        { "consumer": "acme", "expires_at": "2020-01-01T00:00:00Z" }, { "consumer": "acme" },
    ] });
    let refused = api.post("/v1/keys/bulk", bad).await;
    let errors = ["/items/0/consumer not_found", "/items/1/key invalid_value", "/items/2/expires_at out_of_range"];
    assert_eq!((refused.status, refused.errors()), (400, errors.map(str::to_owned).to_vec()));
    let refused = api
        .post("/v1/keys/bulk", json!({ "items": [{ "consumer": "acme" }, { "consumer": "acme", "key": OWN }] }))
        .await;
    assert_eq!((refused.status, refused.errors()), (400, vec!["/items/1/key conflict".to_owned()]));
    let refused = api.post("/v1/keys/bulk", json!({ "items": [{ "consumer": "acme", "key": OWN }] })).await;
    assert_eq!((refused.status, refused.errors()), (400, vec!["/items/0/key conflict".to_owned()]));
    for (body, errors) in [
        (json!({ "items": [] }), "/items out_of_range"),
        (json!({}), "/items missing_field"),
        (json!({ "items": vec![json!({ "consumer": "acme" }); 1001] }), "/items out_of_range"),
        (json!({ "items": [{ "consumer": "acme", "lable": "x" }] }), "/items/0/lable unknown_field"),
    ] {
        let refused = api.post("/v1/keys/bulk", body).await;
        assert_eq!((refused.status, refused.errors()), (400, vec![errors.to_owned()]));
    }
    assert_eq!(api.get("/v1/status").await.expect(200)["revision"], before + 1, "nothing else was written");
    api.with_token(None).post("/v1/keys/bulk", json!({})).await.expect_problem(401, "unauthorized");
    plane.stop().await;
}

#[tokio::test]
async fn a_password_is_hashed_and_never_shown() {
    let plane = plane().await;
    let api = &plane.api;
    let list = "/v1/consumers/acme/basic-credentials";
    let made = api.post(list, json!({ "username": "ann", "password": PASSWORD, "label": "desk" })).await.expect(201);
    assert_eq!((&made["kind"], &made["username"], &made["label"]), (&json!("basic"), &json!("ann"), &json!("desk")));
    let item = format!("{list}/{}", id(&made));
    assert_eq!(api.get(&item).await.expect(200), made);
    assert_eq!(api.get(list).await.expect(200)["data"], json!([made]));
    // keys and basic credentials are of one kind, and listed apart
    assert_eq!(api.get("/v1/consumers/acme/keys").await.expect(200)["data"], json!([]));
    api.get(&format!("/v1/consumers/acme/keys/{}", id(&made))).await.expect_problem(404, "not_found");
    let key = api.post("/v1/consumers/acme/keys", json!({})).await.expect(201);
    api.delete(&format!("{list}/{}", id(&key))).await.expect_problem(404, "not_found");
    api.get(&item.replace("acme", "other")).await.expect_problem(404, "not_found");

    let good = json!({ "username": "bob", "password": PASSWORD });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    for (body, errors) in [
        (json!({}), vec!["/username missing_field", "/password missing_field"]),
        (with("password", json!("hunter2")), vec!["/password invalid_value"]),
        (with("password", json!("bob-bob-bob-bob")), vec!["/password invalid_value"]),
        (with("password", json!("x\ty7Kq-pW2m-Rz9t")), vec!["/password invalid_value"]),
        (with("password_hash", json!("x")), vec!["/password_hash unknown_field"]),
        (with("username", json!("a:b")), vec!["/username invalid_value"]),
        (with("username", json!("")), vec!["/username out_of_range"]),
        (with("username", json!("ann")), vec!["/username conflict"]),
        (with("expires_at", json!("2020-01-01T00:00:00Z")), vec!["/expires_at out_of_range"]),
    ] {
        let refused = api.post(list, body.clone()).await;
        assert_eq!(
            (refused.status, refused.errors()),
            (400, errors.into_iter().map(str::to_owned).collect()),
            "{body}"
        );
        assert!(!refused.text.contains(PASSWORD) && !refused.text.contains("hunter2"));
    }
    api.post("/v1/consumers/nobody/basic-credentials", good.clone()).await.expect_problem(404, "not_found");
    api.viewer().await.post(list, good.clone()).await.expect_problem(403, "forbidden");
    api.with_token(None).post(list, good.clone()).await.expect_problem(401, "unauthorized");

    let revision = api.get("/v1/status").await.expect(200)["revision"].as_u64().expect("a number");
    for path in (1..=revision).map(|n| format!("/v1/revisions/{n}")).chain([list.to_owned(), "/v1/credentials".into()])
    {
        let text = api.get(&path).await.text;
        for hidden in [PASSWORD, "argon2id", "password_hash"] {
            assert!(!text.contains(hidden), "{path} shows {hidden}");
        }
    }
    api.delete(&item).await.expect(204);
    api.get(&item).await.expect_problem(404, "not_found");
    api.post(list, json!({ "username": "ann", "password": PASSWORD })).await.expect(201);
    plane.stop().await;
}

#[tokio::test]
async fn a_password_can_be_changed_and_the_credential_stays_the_same() {
    let plane = plane().await;
    let api = &plane.api;
    let list = "/v1/consumers/acme/basic-credentials";
    let made = api.post(list, json!({ "username": "ann", "password": PASSWORD })).await.expect(201);
    api.post(list, json!({ "username": "bob", "password": PASSWORD })).await.expect(201);
    let item = format!("{list}/{}", id(&made));
    let changed = api.patch(&item, json!({ "password": "x7Kq-pW2m-Rz9t", "label": "new" })).await.expect(200);
    assert_eq!((&changed["id"], &changed["label"], &changed["username"]), (&made["id"], &json!("new"), &json!("ann")));
    assert_ne!(changed["revision"], made["revision"]);
    let same = api.patch(&item, json!({ "label": "new" })).await.expect(200);
    assert_eq!(same["revision"], changed["revision"]);
    for (body, errors) in [
        (json!({ "password": "short" }), "/password invalid_value"),
        (json!({ "password": null }), "/password wrong_type"),
        (json!({ "username": "bob" }), "/username conflict"),
        (json!({ "username": null }), "/username wrong_type"),
        (json!({ "kind": "api-key" }), "/kind unknown_field"),
    ] {
        let refused = api.patch(&item, body.clone()).await;
        assert_eq!((refused.status, refused.errors()), (400, vec![errors.to_owned()]), "{body}");
    }
    let request = api.request("PATCH", &item).header("if-match", "\"1\"").json(&json!({ "label": "late" }));
    reply(request).await.expect_problem(412, "precondition_failed");

    // the same request again, as its answer was lost, and another under its key
    let body = json!({ "username": "carl", "password": PASSWORD });
    let first = with_header(api, list, ("idempotency-key", "c1"), body.clone()).await.expect(201);
    let again = with_header(api, list, ("idempotency-key", "c1"), body).await.expect(201);
    assert_eq!(first, again);
    let other = json!({ "username": "carl", "password": "x7Kq-pW2m-Rz9t" });
    with_header(api, list, ("idempotency-key", "c1"), other).await.expect_problem(409, "conflict");
    plane.stop().await;
}
