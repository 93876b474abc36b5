//! Consumers and groups that configs of policies name: found at the write, kept by what names them, called by their name of today.

use serde_json::{Value, json};

use crate::plane::Plane;

async fn plane() -> Plane {
    let plane = Plane::start().await;
    plane.api.put("/v1/consumer-groups/staff", json!({})).await.expect(201);
    plane.api.put("/v1/consumer-groups/other", json!({})).await.expect(201);
    plane.api.put("/v1/consumers/acme", json!({})).await.expect(201);
    plane
}

fn acl(groups: Value) -> Value {
    json!({ "kind": "acl", "config": { "allow": { "groups": groups }, "deny": { "consumers": ["acme"] } } })
}

#[tokio::test]
async fn a_name_in_a_config_is_kept_as_an_id_and_shown_as_a_name() {
    let plane = plane().await;
    let made = plane.api.put("/v1/policies/p", acl(json!(["staff"]))).await.expect(201);
    assert_eq!(made["config"]["allow"]["groups"], json!(["staff"]));
    let group = plane.api.get("/v1/consumer-groups/staff").await.expect(200);
    // by id it is the very same document
    let again = plane.api.put("/v1/policies/p", acl(json!([group["id"]]))).await.expect(200);
    assert_eq!(again["revision"], made["revision"]);
    // another name of the group changes nothing but how it is called
    let path = format!("/v1/consumer-groups/{}", group["id"].as_str().expect("an id"));
    plane.api.put(&path, json!({ "name": "crew" })).await.expect(200);
    let shown = plane.api.get("/v1/policies/p").await.expect(200);
    assert_eq!(shown["config"]["allow"]["groups"], json!(["crew"]));
    assert_eq!(shown["revision"], made["revision"]);
    // and what was read can be written
    let written = json!({ "kind": "acl", "config": shown["config"] });
    assert_eq!(plane.api.put("/v1/policies/p", written).await.expect(200)["revision"], made["revision"]);
    plane.stop().await;
}

#[tokio::test]
async fn what_a_config_names_must_be_there_and_stays() {
    let plane = plane().await;
    let missing = plane.api.put("/v1/policies/p", acl(json!(["staff", "nobody"]))).await;
    assert_eq!(missing.errors(), ["/config/allow/groups/1 not_found"]);
    plane.api.put("/v1/policies/p", acl(json!(["staff"]))).await.expect(201);
    for (path, detail) in [
        ("/v1/consumer-groups/staff", "consumer-group `staff` is in use by policy `p`"),
        ("/v1/consumers/acme", "consumer `acme` is in use by policy `p`"),
    ] {
        let refused = plane.api.delete(path).await.expect_problem(409, "conflict");
        assert_eq!((&refused["errors"][0]["code"], &refused["detail"]), (&json!("in_use"), &json!(detail)));
    }
    // once nothing names it any more, it may go
    plane
        .api
        .put("/v1/policies/p", json!({ "kind": "acl", "config": { "allow": { "groups": ["other"] } } }))
        .await
        .expect(200);
    plane.api.delete("/v1/consumer-groups/staff").await.expect(204);
    plane.api.delete("/v1/consumers/acme").await.expect(204);
    plane.stop().await;
}

#[tokio::test]
async fn it_holds_within_the_members_of_a_combination_too() {
    let plane = plane().await;
    let auth = |consumer: &str| json!({ "kind": "auth", "config": { "any_of": [{ "kind": "key-auth" }], "anonymous": consumer } });
    assert_eq!(plane.api.put("/v1/policies/a", auth("nobody")).await.errors(), ["/config/anonymous not_found"]);
    let made = plane.api.put("/v1/policies/a", auth("acme")).await.expect(201);
    assert_eq!(made["config"]["anonymous"], "acme");
    plane.api.delete("/v1/consumers/acme").await.expect_problem(409, "conflict");
    let wrong =
        json!({ "kind": "auth", "config": { "any_of": [{ "kind": "key-auth", "config": { "hedder": "x" } }] } });
    assert_eq!(plane.api.put("/v1/policies/a", wrong).await.errors(), ["/config/any_of/0/config/hedder unknown_field"]);
    plane.stop().await;
}
