//! What happens when a part is lost: each row of docs/operations/losses.md that a whole cluster is needed for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::json;
use tidegate_testkit::admin::Admin;
use tidegate_testkit::cluster::Cluster;
use tidegate_testkit::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);

/// Callers that never pause, and what they met.
struct Load {
    stop: Arc<AtomicBool>,
    passed: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(urls: &[String], key: &str) -> Load {
        let (stop, passed, failed) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let tasks = urls.iter().map(|url| {
            let (url, key) = (url.clone(), key.to_owned());
            let (stop, passed, failed) = (stop.clone(), passed.clone(), failed.clone());
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                while !stop.load(Ordering::Relaxed) {
                    let sent = client.get(&url).header("x-api-key", &key).timeout(PATIENCE).send().await;
                    let good = match sent {
                        Ok(answer) => answer.status() == 200 && answer.bytes().await.is_ok(),
                        Err(_) => false,
                    };
                    if good { &passed } else { &failed }.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let tasks = tasks.collect();
        Load { stop, passed, failed, tasks }
    }

    /// Waits until so many more calls have passed.
    async fn passes(&self, more: u64) -> Result<()> {
        let before = self.passed.load(Ordering::Relaxed);
        wait_for("calls to pass", PATIENCE, async || {
            ensure!(
                self.passed.load(Ordering::Relaxed) >= before + more,
                "{} failed",
                self.failed.load(Ordering::Relaxed)
            );
            Ok(())
        })
        .await
    }

    /// Ends it; how many calls failed.
    async fn end(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await?;
        }
        Ok(self.failed.load(Ordering::Relaxed))
    }
}

/// A service with key and limit, served by all nodes; a key.
async fn furnish(cluster: &Cluster, on_store_loss: &str, limit: u64) -> Result<String> {
    let admin = cluster.admin()?;
    let config =
        json!({ "limits": [{ "name": "daily", "limit": limit, "window": "30d" }], "on_store_loss": on_store_loss });
    admin.put("/v1/services/orders", json!({ "url": cluster.upstream.url() })).await?;
    admin.put("/v1/routes/orders", json!({ "service": "orders", "match": { "path": "/orders" } })).await?;
    admin.put("/v1/policies/key", json!({ "kind": "key-auth" })).await?;
    admin.put("/v1/policies/limit?wait=all&timeout=60s", json!({ "kind": "rate-limit", "config": config })).await?;
    Ok(admin.issue_key("acme").await?.1)
}

fn urls(cluster: &Cluster) -> Vec<String> {
    cluster.nodes.iter().map(|node| format!("{}/orders/1", node.proxy_url())).collect()
}

async fn status(url: &str, key: &str) -> Result<u16> {
    Ok(reqwest::Client::new().get(url).header("x-api-key", key).timeout(PATIENCE).send().await?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_control_planes_nodes_serve_and_restart_from_disk() -> Result<()> {
    let mut cluster = Cluster::start().await?;
    let key = furnish(&cluster, "share", 1_000_000_000).await?;
    let urls = urls(&cluster);
    let load = Load::start(&urls[..2], &key);
    load.passes(50).await?;
    cluster.control_planes.iter_mut().for_each(|control_plane| control_plane.kill());
    load.passes(200).await?;

    // the third node dies and comes back alone
    cluster.nodes[2].kill();
    cluster.nodes[2].start_again()?;
    cluster.nodes[2].wait_until_ready().await?;
    assert_eq!(status(&urls[2], &key).await?, 200);
    assert_eq!(status(&urls[2], "").await?, 401);
    load.passes(200).await?;

    for control_plane in &mut cluster.control_planes {
        control_plane.start_again().await?;
    }
    cluster.wait_until_current().await?;
    cluster.admin()?.put("/v1/consumers/new?wait=all&timeout=60s", json!({})).await?;
    load.passes(50).await?;
    assert_eq!(load.end().await?, 0, "calls failed while the control planes were gone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_limit_does_as_it_says() -> Result<()> {
    let mut cluster = Cluster::start().await?;
    let key = furnish(&cluster, "share", 300).await?;
    let urls = urls(&cluster);
    assert_eq!(status(&urls[0], &key).await?, 200);
    cluster.redis.kill();

    // share: the node admits its part, a third, and then refuses with 429; never with 5xx
    let mut seen = Vec::new();
    for _ in 0..150 {
        seen.push(status(&urls[0], &key).await?);
    }
    let passed = seen.iter().filter(|status| **status == 200).count();
    assert!((99..=100).contains(&passed), "{passed} passed: {seen:?}");
    assert_eq!(seen.iter().filter(|status| **status == 429).count(), 150 - passed);

    let admin = cluster.admin()?;
    for (on_store_loss, expected) in [("allow", 200), ("deny", 503)] {
        let config =
            json!({ "limits": [{ "name": "daily", "limit": 1, "window": "30d" }], "on_store_loss": on_store_loss });
        admin.put("/v1/policies/limit?wait=all&timeout=60s", json!({ "kind": "rate-limit", "config": config })).await?;
        for _ in 0..3 {
            assert_eq!(status(&urls[1], &key).await?, expected, "{on_store_loss}");
        }
    }

    // back by itself
    cluster.redis.start_again().await?;
    wait_for("Redis to count again", PATIENCE, async || match status(&urls[1], &key).await? {
        503 => bail!("still refused"),
        _ => Ok(()),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_says_nothing_costs_no_errors() -> Result<()> {
    let cluster = Cluster::start().await?;
    let key = furnish(&cluster, "share", 1_000_000_000).await?;
    let load = Load::start(&urls(&cluster), &key);
    load.passes(50).await?;
    cluster.redis.pause()?;
    load.passes(200).await?;
    cluster.redis.resume()?;
    load.passes(200).await?;
    assert_eq!(load.end().await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_reads_go_on_and_writes_are_refused_until_it_is_back() -> Result<()> {
    let cluster = Cluster::start().await?;
    let key = furnish(&cluster, "share", 1_000_000_000).await?;
    let load = Load::start(&urls(&cluster), &key);
    cluster.postgres.kill()?;
    for number in 0..2 {
        let admin = cluster.admin_of(number)?;
        assert_eq!(admin.get("/v1/services/orders").await?["name"], "orders");
        let refused = write(&admin).await?;
        assert_eq!(refused, (503, "store_unavailable".to_owned()));
    }
    load.passes(100).await?;
    cluster.postgres.start_again()?;
    for number in 0..2 {
        let admin = cluster.admin_of(number)?;
        wait_for("writes to work again", PATIENCE, async || match write(&admin).await? {
            (200 | 201, _) => Ok(()),
            (status, code) => bail!("{status} {code}"),
        })
        .await?;
    }
    let written = cluster.admin()?.put("/v1/consumers/after?wait=all&timeout=60s", json!({})).await?;
    ensure!(written["applied"]["complete"] == true, "{written:#}");
    assert_eq!(load.end().await?, 0);
    Ok(())
}

async fn write(admin: &Admin) -> Result<(u16, String)> {
    let body = json!({ "description": "written" });
    let answer = admin.call(reqwest::Method::PUT, "/v1/consumers/someone", Some(&body)).await?;
    Ok((answer.status.as_u16(), answer.body["code"].as_str().unwrap_or_default().to_owned()))
}
