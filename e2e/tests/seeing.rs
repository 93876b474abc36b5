//! What a fleet tells of itself: metrics of all roles, and log levels that change from one place.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tidegate_testkit::cluster::{Cluster, Plan};
use tidegate_testkit::metrics::Metrics;
use tidegate_testkit::standalone::Standalone;

async fn metrics(status_url: &str) -> Result<Metrics> {
    let answer = reqwest::get(format!("{status_url}/metrics")).await?.error_for_status()?;
    let kind = answer.headers().get("content-type").context("it says its type")?.to_str()?.to_owned();
    ensure!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    Metrics::read(&answer.text().await?).with_context(|| status_url.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_of_a_cluster_tells_well_formed_metrics_and_is_made_louder_from_one_place() -> Result<()> {
    let cluster = Cluster::start_with(Plan { control_planes: 1, nodes: 1, ..Plan::default() }).await?;
    let admin = cluster.admin()?;
    admin.put("/v1/services/orders", json!({ "url": cluster.upstream.url() })).await?;
    let route = json!({ "service": "orders", "match": { "path": "/orders" } });
    admin.put("/v1/routes/orders?wait=all&timeout=60s", route).await?;
    let node = &cluster.nodes[0];
    for _ in 0..3 {
        reqwest::get(format!("{}/orders/1", node.proxy_url())).await?.error_for_status()?;
    }
    let told = metrics(&node.status_url()).await?;
    let served = "tidegate_route_requests_total{route=\"orders\",service=\"orders\",status=\"2xx\"}";
    ensure!(told.value(served) == Some(3.0), "{:#?}", told.samples());
    ensure!(told.value("tidegate_control_plane_connected") == Some(1.0));
    ensure!(told.value("tidegate_redis_up") == Some(1.0));
    let told = metrics(&cluster.control_planes[0].status_url()).await?;
    ensure!(told.value("tidegate_control_plane_nodes{status=\"current\"}") == Some(1.0), "{:#?}", told.samples());
    ensure!(told.value("tidegate_control_plane_streams") == Some(1.0));
    ensure!(told.value("tidegate_control_plane_nodes_lag_revisions") == Some(0.0));

    let set = admin.put("/v1/nodes/node-1/log-level", json!({ "level": "debug", "for": "1m" })).await?;
    ensure!(set["level"] == "debug" && set["configured"] == "info" && set["until"].is_string(), "{set}");
    let read = admin.get("/v1/nodes/node-1/log-level").await?;
    ensure!(read["level"] == "debug", "{read}");
    let own = admin.get("/v1/log-level").await?;
    ensure!(own["level"] == "info", "the control plane's own is another: {own}");
    ensure!(admin.put("/v1/nodes/node-1/log-level", json!({ "level": "inof" })).await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standalone_process_tells_of_both_planes_on_one_page() -> Result<()> {
    let standalone = Standalone::start().await?;
    let told = metrics(&standalone.status_url()).await?;
    for name in ["tidegate_requests_total", "tidegate_control_plane_commits_total", "process_cpu_seconds_total"] {
        ensure!(told.families().any(|family| family == name), "no {name}");
    }
    ensure!(told.value("tidegate_control_plane_store_up") == Some(1.0));
    ensure!(told.sum("tidegate_build_info") == 1.0);
    Ok(())
}
