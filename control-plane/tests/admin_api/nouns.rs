//! Every noun alike: what the operations on resources answer, by table.

use serde_json::{Value, json};

use crate::plane::{Plane, reply};

struct Noun {
    collection: &'static str,
    document: Value,
    other: Value,
    /// A document with one thing wrong, and where.
    wrong: (Value, &'static str),
}

fn nouns() -> Vec<Noun> {
    let noun = |collection, document, other, wrong| Noun { collection, document, other, wrong };
    vec![
        noun(
            "services",
            json!({ "url": "http://127.0.0.1:9000" }),
            json!({ "url": "http://127.0.0.1:9001" }),
            (json!({ "url": "ftp://a" }), "/url invalid_value"),
        ),
        noun(
            "routes",
            json!({ "service": "base", "match": { "path": "/a" } }),
            json!({ "service": "base", "match": { "path": "/b" } }),
            (json!({ "service": "nowhere" }), "/service not_found"),
        ),
        noun(
            "upstreams",
            json!({ "targets": [{ "address": "127.0.0.1:9000" }] }),
            json!({ "targets": [] }),
            (json!({ "targets": [{ "address": "a" }] }), "/targets/0/address invalid_value"),
        ),
        noun(
            "policies",
            json!({ "kind": "rate-limit", "config": { "limits": [{ "name": "a", "limit": 1, "window": "1m" }] } }),
            json!({ "kind": "key-auth", "scope": { "service": "base" } }),
            (
                json!({ "kind": "rate-limit", "config": { "limits": [{ "name": "a", "limit": 1, "window": "soon" }] } }),
                "/config/limits/0/window invalid_value",
            ),
        ),
        noun(
            "consumers",
            json!({ "custom_id": "7" }),
            json!({ "groups": ["base"] }),
            (json!({ "groups": ["base", "nobody"] }), "/groups/1 not_found"),
        ),
        noun(
            "consumer-groups",
            json!({}),
            json!({ "description": "other" }),
            (json!({ "descripton": "x" }), "/descripton unknown_field"),
        ),
        noun(
            "operators",
            json!({ "role": "viewer" }),
            json!({ "role": "admin" }),
            (json!({ "role": "root" }), "/role invalid_value"),
        ),
    ]
}

#[tokio::test]
async fn every_noun_answers_alike() {
    let plane = Plane::start().await;
    let api = &plane.api;
    let viewer = api.viewer().await;
    let nobody = api.with_token(None);
    api.put("/v1/services/base", json!({ "url": "http://127.0.0.1:9" })).await.expect(201);
    api.put("/v1/consumer-groups/base", json!({})).await.expect(201);

    for Noun { collection, document, other, wrong: (wrong, problem) } in nouns() {
        let (list, one) = (format!("/v1/{collection}"), format!("/v1/{collection}/one"));
        let named = |name: &str, document: &Value| {
            let mut document = document.clone();
            document["name"] = json!(name);
            document
        };

        let made = api.post(&list, named("one", &document)).await;
        let (revision, etag) = (made.revision(), made.header("etag").to_owned());
        assert_eq!(made.header("location"), one);
        let made = made.expect(201);
        assert_eq!((&made["name"], &made["revision"]), (&json!("one"), &json!(revision)));
        assert_eq!(etag, format!("\"{revision}\""));
        for (field, value) in document.as_object().expect("an object") {
            assert_eq!(&made[field], value, "{collection}: {field}");
        }

        // 400, 409: what is wrong with the document, and what it does not go together with
        let refused = api.post(&list, named("two", &wrong)).await;
        assert_eq!(refused.errors(), [problem], "{collection}");
        refused.expect_problem(400, "invalid");
        let taken = api.post(&list, named("one", &document)).await.expect_problem(409, "conflict");
        assert_eq!(taken["errors"][0]["code"], "name_taken");
        let unnamed = api.post(&list, document.clone()).await;
        assert_eq!(unnamed.errors(), ["/name missing_field"]);

        // reads, by name and by id, and 304
        let id = made["id"].as_str().expect("an id");
        for path in [one.clone(), format!("/v1/{collection}/{id}")] {
            assert_eq!(api.get(&path).await.expect(200), made);
            assert_eq!(viewer.get(&path).await.expect(200), made);
        }
        let same = reply(api.request("GET", &one).header("If-None-Match", &etag)).await;
        assert_eq!((same.status, same.text.as_str(), same.header("etag")), (304, "", etag.as_str()));
        let head = reply(api.request("HEAD", &one)).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        let listed = api.get(&format!("{list}?name=one")).await.expect(200);
        assert_eq!(listed, json!({ "data": [made], "next": null }));

        // 401, 403, 404
        for (method, path) in [("POST", &list), ("PUT", &one), ("PATCH", &one), ("DELETE", &one)] {
            nobody.send(method, path, Some(&document)).await.expect_problem(401, "unauthorized");
            viewer.send(method, path, Some(&document)).await.expect_problem(403, "forbidden");
        }
        nobody.get(&one).await.expect_problem(401, "unauthorized");
        let missing = format!("/v1/{collection}/missing");
        api.get(&missing).await.expect_problem(404, "not_found");
        api.patch(&missing, json!({})).await.expect_problem(404, "not_found");
        api.delete(&missing).await.expect_problem(404, "not_found");

        // PUT: the same again is no revision; another replaces; a stale one is told
        let again = api.put(&one, document.clone()).await;
        assert_eq!((again.status, again.revision(), again.header("etag")), (200, revision, etag.as_str()));
        let replaced = api.put(&one, other.clone()).await;
        assert_eq!((replaced.status, replaced.revision()), (200, revision + 1));
        let stale = reply(api.request("PUT", &one).header("If-Match", &etag).json(&document)).await;
        stale.expect_problem(412, "precondition_failed");
        let stale = reply(api.request("DELETE", &one).header("If-Match", &etag)).await;
        stale.expect_problem(412, "precondition_failed");

        // PATCH adds and, with null, takes away
        let patched = api.patch(&one, json!({ "tags": ["x", "y"] })).await.expect(200);
        assert_eq!(patched["tags"], json!(["x", "y"]));
        assert_eq!(api.get(&format!("{list}?tag=y")).await.expect(200)["data"], json!([patched]));
        assert_eq!(api.get(&format!("{list}?tag=z")).await.expect(200)["data"], json!([]));
        let patched = api.patch(&one, json!({ "tags": null })).await.expect(200);
        assert_eq!(patched.get("tags"), None);

        // by id, another name renames
        let by_id = format!("/v1/{collection}/{id}");
        let renamed = api.put(&by_id, named("renamed", &other)).await.expect(200);
        assert_eq!((&renamed["name"], &renamed["id"]), (&json!("renamed"), &made["id"]));
        api.get(&one).await.expect_problem(404, "not_found");
        let conflict = api.put(&format!("/v1/{collection}/renamed"), named("else", &other)).await;
        assert_eq!(conflict.errors(), ["/name conflict"]);

        let gone = api.delete(&by_id).await;
        assert_eq!((gone.status, gone.text.as_str(), gone.revision()), (204, "", revision + 5), "{collection}");
        api.get(&by_id).await.expect_problem(404, "not_found");
    }
    plane.stop().await;
}

#[tokio::test]
async fn lists_page_by_age_and_find_by_text() {
    let plane = Plane::start().await;
    for n in 0..7 {
        let document = json!({ "url": "http://127.0.0.1:9", "description": format!("Number {n}") });
        plane.api.put(&format!("/v1/services/s{n}"), document).await.expect(201);
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = plane.api.get(&format!("/v1/services?limit=3{cursor}")).await.expect(200);
        let data = page["data"].as_array().expect("a list").clone();
        names.extend(data.iter().map(|row| row["name"].as_str().expect("a name").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        assert_eq!(data.len(), 3);
        cursor = format!("&cursor={next}");
    }
    assert_eq!(names, ["s0", "s1", "s2", "s3", "s4", "s5", "s6"]);
    let found = plane.api.get("/v1/services?q=nUMBER%205").await.expect(200);
    assert_eq!(found["data"][0]["name"], "s5");
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1));

    let list = plane.api.get("/v1/services").await;
    let etag = list.header("etag").to_owned();
    let same = reply(plane.api.request("GET", "/v1/services").header("If-None-Match", &etag)).await;
    assert_eq!(same.status, 304);
    plane.api.delete("/v1/services/s0").await.expect(204);
    let other = reply(plane.api.request("GET", "/v1/services").header("If-None-Match", &etag)).await;
    assert_eq!(other.status, 200);

    for wrong in ["limit=0", "limit=1001", "limit=x", "cursor=x", "nmae=a", "limit=1&limit=2"] {
        plane.api.get(&format!("/v1/services?{wrong}")).await.expect_problem(400, "invalid");
    }
    plane.stop().await;
}

#[tokio::test]
async fn routes_of_a_service_are_nested_below_it() {
    let plane = Plane::start().await;
    let api = &plane.api;
    for name in ["a", "b"] {
        api.put(&format!("/v1/services/{name}"), json!({ "url": "http://127.0.0.1:9" })).await.expect(201);
    }
    let made = api.post("/v1/services/a/routes", json!({ "name": "r", "match": { "path": "/r" } })).await.expect(201);
    assert_eq!(made["service"], "a");
    api.post("/v1/services/a/routes", json!({ "name": "s", "service": "a" })).await.expect(201);
    let other = api.post("/v1/services/a/routes", json!({ "name": "t", "service": "b" })).await;
    assert_eq!(other.errors(), ["/service conflict"]);
    api.post("/v1/services/nowhere/routes", json!({ "name": "t" })).await.expect_problem(404, "not_found");
    let names = |page: Value| -> Vec<Value> {
        page["data"].as_array().into_iter().flatten().map(|row| row["name"].clone()).collect()
    };
    assert_eq!(names(api.get("/v1/services/a/routes").await.expect(200)), ["r", "s"]);
    assert_eq!(names(api.get("/v1/services/b/routes").await.expect(200)), Vec::<Value>::new());
    plane.stop().await;
}
