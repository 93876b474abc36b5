//! The balancer and the load, against upstreams that answer `/readyz` as nodes do.

use std::time::Duration;

use anyhow::Result;
use tidegate_testkit::balancer::Balancer;
use tidegate_testkit::load::{Load, Plan};
use tidegate_testkit::upstream::Upstream;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn load_passes_by_all_targets_and_failures_are_counted() -> Result<()> {
    let upstreams = [Upstream::start()?, Upstream::start()?];
    let targets = upstreams.iter().map(|upstream| (upstream.address(), upstream.url()));
    let balancer = Balancer::start(targets).await?;
    balancer.wait_until_ready(2, PATIENCE).await?;
    let load = Load::start(Plan { requests_per_connection: 5, ..Plan::to(balancer.address(), "/x") });
    load.passes(300, PATIENCE).await?;
    let outcome = load.end().await;
    assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);
    assert!(balancer.connections().iter().all(|given| *given > 0), "{:?}", balancer.connections());

    drop(balancer);
    drop(upstreams);
    let nobody = tidegate_testkit::ports::free_address();
    let load = Load::start(Plan::to(nobody, "/x"));
    let failing = tidegate_testkit::wait::wait_for("failures", PATIENCE, async || {
        anyhow::ensure!(load.failed() > 10, "{} failed", load.failed());
        Ok(())
    });
    failing.await?;
    let outcome = load.end().await;
    assert_eq!(outcome.passed, 0);
    assert!(outcome.failures[0].contains("no connection"), "{:?}", outcome.failures);
    Ok(())
}
