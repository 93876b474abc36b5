//! A key is replaced while callers use it, on a whole cluster.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tidegate_testkit::cluster::Cluster;
use tidegate_testkit::load::{Load, Plan};
use tidegate_testkit::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_under_load_and_nobody_notices() -> Result<()> {
    let cluster = Cluster::start().await?;
    let admin = cluster.admin()?;
    admin.put("/v1/services/orders", json!({ "url": cluster.upstream.url() })).await?;
    admin.put("/v1/routes/orders", json!({ "service": "orders", "match": { "path": "/orders" } })).await?;
    admin.put("/v1/policies/key?wait=all&timeout=60s", json!({ "kind": "key-auth" })).await?;
    let (old, key) = admin.issue_key("acme").await?;
    let load = |key: &str| {
        let start = |node: &tidegate_testkit::cluster::Node| {
            let headers = vec![("x-api-key".to_owned(), key.to_owned())];
            Load::start(Plan { headers, rate: 150, callers: 8, ..Plan::to(node.proxy(), "/orders") })
        };
        cluster.nodes.iter().map(start).collect::<Vec<_>>()
    };
    let before = load(&key);
    for load in &before {
        load.passes(100, PATIENCE).await?;
    }
    let rotated = admin
        .post(&format!("/v1/consumers/acme/keys/{old}/rotate?wait=all&timeout=60s"), json!({ "overlap": "30s" }))
        .await?;
    ensure!(rotated["applied"]["complete"] == true, "{rotated:#}");
    // from the answer on every node takes the new one, and still the old one
    let after = load(rotated["key"].as_str().context("a key")?);
    for load in before.iter().chain(&after) {
        load.passes(200, PATIENCE).await?;
    }
    for load in before {
        let met = load.end().await;
        ensure!(met.failed == 0, "with the old key: {met:?}");
    }
    // by itself
    let client = reqwest::Client::new();
    for node in &cluster.nodes {
        let url = format!("{}/orders", node.proxy_url());
        wait_for("the old key to end", PATIENCE, async || {
            let status = client.get(&url).header("x-api-key", &key).send().await?.status();
            ensure!(status == 401, "{status}");
            Ok(())
        })
        .await?;
    }
    // nodes tell it once a minute
    let item = format!("/v1/consumers/acme/keys/{}", rotated["id"].as_str().context("an id")?);
    wait_for("the hour of its last use", 3 * PATIENCE, async || {
        let shown = admin.get(&item).await?;
        ensure!(shown["last_used"].as_str().is_some_and(|hour| hour.ends_with(":00:00Z")), "{shown:#}");
        Ok(())
    })
    .await?;
    for load in after {
        let met = load.end().await;
        ensure!(met.failed == 0 && met.passed > 0, "with the new key: {met:?}");
    }
    cluster.shut_down().await
}
