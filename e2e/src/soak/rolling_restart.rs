//! Three nodes restart one after the other, again and again, behind a balancer that heeds readiness.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tidegate_testkit::balancer::{ASK_EVERY, Balancer};
use tidegate_testkit::cluster::{Cluster, Plan};
use tidegate_testkit::load::{self, Load};

use super::{Report, Size};

const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn run(size: Size) -> Result<Report> {
    let (restarts, requests, rate) = size.pick((3, 600, 150), (20, 54_000, 300));
    // a balancer needs to have asked before a node stops to accept
    let delay = ASK_EVERY * 10;
    let node_arguments = vec!["--drain-delay".to_owned(), format!("{}ms", delay.as_millis())];
    let mut cluster = Cluster::start_with(Plan { control_planes: 1, node_arguments, ..Plan::default() }).await?;
    let admin = cluster.admin()?;
    admin.put("/v1/services/orders", json!({ "url": cluster.upstream.url() })).await?;
    admin.put("/v1/routes/orders?wait=all&timeout=60s", json!({ "service": "orders" })).await?;
    let targets = cluster.nodes.iter().map(|node| {
        let proxy = node.proxy_url().trim_start_matches("http://").parse()?;
        Ok((proxy, node.status_url()))
    });
    let balancer = Balancer::start(targets.collect::<Result<Vec<_>>>()?).await?;
    let nodes = cluster.nodes.len();
    balancer.wait_until_ready(nodes, PATIENCE).await?;

    let load = Load::start(load::Plan { rate, ..load::Plan::to(balancer.address(), "/orders/1") });
    load.passes(u64::from(rate), PATIENCE).await?;
    for restart in 0..restarts {
        let node = &mut cluster.nodes[restart % nodes];
        node.stop().await?;
        node.start_again()?;
        node.wait_until_ready().await?;
        balancer.wait_until_ready(nodes, PATIENCE).await.with_context(|| format!("after restart {}", restart + 1))?;
    }
    let left = u64::try_from(requests)?.saturating_sub(load.passed());
    load.passes(left, PATIENCE + Duration::from_secs(left / u64::from(rate) * 2)).await?;
    let outcome = load.end().await;
    ensure!(outcome.failed == 0, "{} failed of {}: {:#?}", outcome.failed, outcome.passed, outcome.failures);
    ensure!(balancer.refused() == 0, "the balancer had no node for {} connections", balancer.refused());
    let mut report = Report::default();
    report.note(format!(
        "{restarts} restarts of {nodes} nodes, {} requests, {} failed; p99 {:?}, the slowest {:?}",
        outcome.passed, outcome.failed, outcome.p99, outcome.slowest
    ));
    Ok(report)
}
