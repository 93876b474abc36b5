//! Walks the description of the API: nothing answers who may not ask, and nothing answers that is not described.

use serde_json::{Value, json};

use crate::plane::Plane;

struct Described {
    id: String,
    method: String,
    path: String,
    open: bool,
}

async fn described(plane: &Plane) -> Vec<Described> {
    let document = plane.api.with_token(None).get("/v1/openapi.json").await.expect(200);
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            all.push(Described {
                id: operation["operationId"].as_str().expect("an id").to_owned(),
                method: method.to_uppercase(),
                path: path
                    .split('/')
                    .map(|part| if part.starts_with('{') { "1" } else { part })
                    .collect::<Vec<_>>()
                    .join("/"),
                open: operation["security"] == json!([]),
            });
        }
    }
    assert!(all.len() > 60, "the description is there");
    all
}

#[tokio::test]
async fn every_operation_refuses_the_anonymous_and_every_write_a_viewer() {
    let plane = Plane::start().await;
    let nobody = plane.api.with_token(None);
    let stranger = plane.api.with_token(Some("tgo_0000000000000000000000000000000000000000000000000"));
    let viewer = plane.api.viewer().await;
    let open = [
        "getHealth",
        "getReadiness",
        "getOpenApi",
        "getDocs",
        "getDocsFile",
        "getUi",
        "getUiRoot",
        "getUiFile",
        "getRoot",
        "signIn",
    ];
    let mut stranger_tries = 0;
    for operation in described(&plane).await {
        let Described { id, method, path, open: is_open } = operation;
        assert_eq!(is_open, open.contains(&id.as_str()), "{id}");
        if is_open {
            continue;
        }
        nobody.send(&method, &path, Some(&json!({}))).await.expect_problem(401, "unauthorized");
        if stranger_tries < 9 {
            stranger.send(&method, &path, Some(&json!({}))).await.expect_problem(401, "unauthorized");
            stranger_tries += 1;
        }
        let seen = viewer.send(&method, &path, Some(&json!({}))).await;
        match (method.as_str(), id.as_str()) {
            ("GET", _) => assert!([200, 404].contains(&seen.status), "{id}: {}", seen.text),
            (_, "signOut") => assert_eq!(seen.status, 204),
            _ => drop(seen.expect_problem(403, "forbidden")),
        }
    }
    plane.stop().await;
}

#[tokio::test]
async fn what_is_not_described_is_not_there() {
    let plane = Plane::start().await;
    let described = described(&plane).await;
    let mut paths: Vec<&str> = described.iter().map(|operation| operation.path.as_str()).collect();
    paths.dedup();
    for path in paths.into_iter().filter(|path| path.starts_with("/v1")) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            if described.iter().any(|operation| operation.path == path && operation.method == method) {
                continue;
            }
            let refused = plane.api.send(method, path, None).await;
            let allow = refused.header("allow").to_owned();
            refused.expect_problem(405, "method_not_allowed");
            assert!(
                !allow.is_empty() && !allow.split(", ").any(|allowed| allowed == method),
                "{method} {path}: {allow}"
            );
        }
    }
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/services/a/b/c", "/v2/services", "/v1/services/"] {
        plane.api.get(path).await.expect_problem(404, "not_found");
    }
    let nobody = plane.api.with_token(None);
    nobody.get("/v1/nothing").await.expect_problem(401, "unauthorized");
    nobody.send("PUT", "/v1/services", None).await.expect_problem(401, "unauthorized");
    plane.stop().await;
}

/// What operations answer has the fields that the description promises, and no others.
#[tokio::test]
async fn answers_are_as_described() {
    let plane = Plane::start().await;
    let api = &plane.api;
    api.put("/v1/services/a", json!({ "url": "http://127.0.0.1:9" })).await.expect(201);
    api.put("/v1/consumers/acme", json!({})).await.expect(201);
    let document = api.get("/v1/openapi.json").await.expect(200);
    let issued = api.post("/v1/consumers/acme/keys?wait=all", json!({ "label": "x" })).await.expect(201);
    for (schema, answer) in [
        ("Service", api.get("/v1/services/a").await.expect(200)),
        ("Consumer", api.get("/v1/consumers/acme").await.expect(200)),
        ("Operator", api.get("/v1/operators/admin").await.expect(200)),
        ("IssuedKey", issued),
        ("Credential", api.get("/v1/credentials").await.expect(200)["data"][0].clone()),
        ("OperatorToken", api.get("/v1/operator-tokens").await.expect(200)["data"][0].clone()),
        ("JoinToken", api.get("/v1/join-tokens").await.expect(200)["data"][0].clone()),
        ("Status", api.get("/v1/status").await.expect(200)),
        ("Session", api.get("/v1/session").await.expect(200)),
        ("Revision", api.get("/v1/revisions").await.expect(200)["data"][0].clone()),
        ("RevisionDetail", api.get("/v1/revisions/2").await.expect(200)),
        ("PolicyKind", api.get("/v1/policy-kinds").await.expect(200)["data"][0].clone()),
        ("Problem", api.post("/v1/services", json!({})).await.expect(400)),
    ] {
        fits(&document, &document["components"]["schemas"][schema], &answer, schema);
    }
    plane.stop().await;
}

/// The part of JSON Schema that shows a slip between a type and its description.
fn fits(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str().and_then(|pointer| pointer.rsplit('/').next()) {
        return fits(document, &document["components"]["schemas"][name], value, at);
    }
    if let Some(options) = schema["allOf"].as_array() {
        return options.iter().for_each(|option| fits(document, option, value, at));
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    if let (Value::Array(items), Some(item)) = (value, schema.get("items")) {
        return items.iter().for_each(|value| fits(document, item, value, at));
    }
    let Some(fields) = value.as_object() else { panic!("{at} is no object: {value}") };
    for (field, value) in fields {
        let Some(schema) = properties.get(field) else { panic!("{at}/{field} is not described") };
        fits(document, schema, value, &format!("{at}/{field}"));
    }
    for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(fields.contains_key(field), "{at}/{field} is missing in {value}");
    }
}
