//! What a control plane tells of itself on its status listener, and how loud its log is.

use serde_json::json;

use crate::plane::Plane;

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series));
    let line = line.unwrap_or_else(|| panic!("no `{series}` in {text}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

#[tokio::test]
async fn figures_tell_what_was_done_and_what_was_refused() {
    let plane = Plane::start().await;
    let before = plane.status_page("/metrics").await.text;
    plane.api.put("/v1/consumers/a", json!({})).await.expect(201);
    plane.api.put("/v1/consumers/a", json!({})).await.expect(200);
    plane.api.put("/v1/consumers/a", json!({ "grups": [] })).await.expect(400);
    plane.api.put("/v1/routes/r", json!({ "service": "none", "match": { "path": "/" } })).await.expect(400);
    plane.api.with_token(Some("tgo_no")).get("/v1/consumers").await.expect(401);
    let page = plane.status_page("/metrics").await;
    assert!(page.header("content-type").starts_with("text/plain; version=0.0.4"));
    let after = page.text;
    let grew = |series: &str| value(&after, series) - value(&before, series);
    assert_eq!(value(&after, "tidegate_control_plane_revision"), 2.0);
    assert_eq!(value(&after, "tidegate_control_plane_resources{kind=\"consumer\"}"), 1.0);
    assert_eq!(value(&after, "tidegate_control_plane_store_up"), 1.0);
    assert_eq!(value(&after, "tidegate_control_plane_nodes{status=\"current\"}"), 0.0);
    for (outcome, count) in [("made", 1.0), ("unchanged", 1.0), ("invalid", 2.0), ("busy", 0.0)] {
        let series = format!("tidegate_control_plane_commits_total{{outcome=\"{outcome}\"}}");
        assert_eq!(grew(&series), count, "{series}");
    }
    assert_eq!(grew("tidegate_control_plane_commit_seconds_count"), 4.0);
    assert_eq!(grew("tidegate_control_plane_store_seconds_count{operation=\"append\"}"), 1.0);
    assert_eq!(grew("tidegate_control_plane_store_errors_total{operation=\"append\"}"), 0.0);
    assert_eq!(grew("tidegate_admin_sign_in_failures_total{reason=\"unknown\"}"), 1.0);
    assert_eq!(value(&after, "tidegate_admin_requests_total{operation=\"putConsumer\",status=\"201\"}"), 1.0);
    assert!(value(&after, "process_resident_memory_bytes") > 1e6);
    assert_eq!(plane.status_page("/livez").await.text, "live\n");
    assert_eq!(plane.status_page("/readyz").await.status, 200);
    assert_eq!(plane.status_page("/v1/status").await.status, 404);
    plane.stop().await;
}

#[tokio::test]
async fn the_log_level_is_changed_for_a_while_and_reset() {
    let plane = Plane::start().await;
    let api = &plane.api;
    let at_first = json!({ "level": "info", "configured": "info", "until": null });
    assert_eq!(api.get("/v1/log-level").await.expect(200), at_first);
    // the fake log tells the time it was given as the moment of the end
    let set = api.put("/v1/log-level", json!({ "level": "debug", "for": "90s" })).await.expect(200);
    assert_eq!(set, json!({ "level": "debug", "configured": "info", "until": "1970-01-01T00:01:30Z" }));
    let by_default = api.put("/v1/log-level", json!({ "level": "debug" })).await.expect(200);
    assert_eq!(by_default["until"], "1970-01-01T00:10:00Z");
    assert_eq!(api.get("/v1/log-level").await.expect(200), by_default);
    for wrong in [
        json!({ "level": "inof" }),
        json!({ "level": "debug", "for": "25h" }),
        json!({ "level": "debug", "for": "0s" }),
        json!({ "level": "debug", "fro": "1m" }),
        json!({}),
    ] {
        api.put("/v1/log-level", wrong).await.expect_problem(400, "invalid");
    }
    assert_eq!(api.get("/v1/log-level").await.expect(200), by_default);
    assert_eq!(api.send("DELETE", "/v1/log-level", None).await.expect(200), at_first);
    api.get("/v1/nodes/n1/log-level").await.expect_problem(404, "not_found");
    plane.stop().await;
}
