//! A node hands its sockets to the next process, again and again, under constant load on one host.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tidegate_testkit::cluster::{Cluster, Plan};
use tidegate_testkit::load::{self, Load};

use super::{Report, Size};

const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn run(size: Size) -> Result<Report> {
    let (times, rate, between) = size.pick((2, 150, 100), (20, 300, 1_500));
    let mut cluster = Cluster::start_with(Plan { control_planes: 1, nodes: 1, ..Plan::default() }).await?;
    let admin = cluster.admin()?;
    admin.put("/v1/services/orders", json!({ "url": cluster.upstream.url() })).await?;
    admin.put("/v1/routes/orders?wait=all&timeout=60s", json!({ "service": "orders" })).await?;
    let to = cluster.nodes[0].proxy();
    let load = Load::start(load::Plan { rate, ..load::Plan::to(to, "/orders/1") });
    for time in 0..times {
        load.passes(between, PATIENCE).await?;
        cluster.nodes[0].hand_over(&[]).await.with_context(|| format!("hand-over {}", time + 1))?;
    }
    load.passes(between, PATIENCE).await?;
    let outcome = load.end().await;
    ensure!(outcome.failed == 0, "{} failed of {}: {:#?}", outcome.failed, outcome.passed, outcome.failures);
    let mut report = Report::default();
    report.note(format!(
        "{times} hand-overs, {} requests, {} failed; p99 {:?}, the slowest {:?}",
        outcome.passed, outcome.failed, outcome.p99, outcome.slowest
    ));
    Ok(report)
}
