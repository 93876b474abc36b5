//! The log as people read it.

use serde_json::json;

use crate::plane::Plane;

#[tokio::test]
async fn a_revision_tells_who_changed_what() {
    let plane = Plane::start().await;
    let api = &plane.api;
    api.put("/v1/services/s", json!({ "url": "http://127.0.0.1:9" })).await.expect(201);
    let made = api.put("/v1/routes/r", json!({ "service": "s", "priority": 1 })).await.expect(201);
    api.patch("/v1/routes/r", json!({ "priority": 2 })).await.expect(200);
    api.delete("/v1/routes/r").await.expect(204);

    let list = api.get("/v1/revisions?limit=2").await.expect(200);
    assert_eq!(list["data"][0]["revision"], 5);
    assert_eq!(list["data"][0]["actor"], "admin");
    let change = json!({ "kind": "route", "id": made["id"], "name": "r", "op": "delete" });
    assert_eq!(list["data"][0]["changes"], json!([change]));
    let next = list["next"].as_str().expect("there is more").to_owned();
    let rest = api.get(&format!("/v1/revisions?cursor={next}")).await.expect(200);
    let revisions: Vec<_> = rest["data"].as_array().into_iter().flatten().map(|r| r["revision"].clone()).collect();
    assert_eq!(revisions, [3, 2, 1]);
    assert_eq!(rest["next"], json!(null));

    let detail = api.get("/v1/revisions/4").await.expect(200);
    let change = &detail["changes"][0];
    assert_eq!(change["op"], "update");
    assert_eq!(change["before"], json!({ "name": "r", "service": "s", "priority": 1 }));
    assert_eq!(change["after"], json!({ "name": "r", "service": "s", "priority": 2 }));
    let first = api.get("/v1/revisions/3").await.expect(200);
    assert_eq!((&first["changes"][0]["op"], &first["changes"][0]["before"]), (&json!("create"), &json!(null)));
    for missing in ["0", "6", "99999999999999999999", "x"] {
        api.get(&format!("/v1/revisions/{missing}")).await.expect_problem(404, "not_found");
    }
    plane.stop().await;
}

#[tokio::test]
async fn what_has_no_name_is_called_by_what_people_know_it_by() {
    let plane = Plane::start().await;
    plane.api.put("/v1/consumers/acme", json!({})).await.expect(201);
    let key = plane.api.post("/v1/consumers/acme/keys", json!({ "label": "laptop" })).await;
    let revision = plane.api.get(&format!("/v1/revisions/{}", key.revision())).await.expect(200);
    assert_eq!(revision["changes"][0]["name"], "acme/laptop");
    plane.stop().await;
}
