//! A cluster as a company runs it: two control planes, three nodes, Postgres, Redis, an API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::json;
use tidegate_testkit::cluster::{Cluster, Plan};

/// One call through a node: the status.
async fn call(client: &reqwest::Client, url: &str, key: &str) -> Result<u16> {
    let answer = client.get(url).header("x-api-key", key).timeout(Duration::from_secs(30)).send().await?;
    let status = answer.status().as_u16();
    answer.bytes().await?;
    Ok(status)
}

/// Of two windows, the one whose next boundary is further off, so that the test never crosses one.
fn calmest_window() -> Result<&'static str> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let left = |window: u64| window - now % window;
    Ok(if left(3600) > left(7000) { "1h" } else { "7000s" })
}

/// A cluster whose nodes wait for Redis as long as a busy machine may make it slow: here is counted exactly.
async fn patient_cluster() -> Result<Cluster> {
    let node_arguments = vec!["--redis-timeout".to_owned(), "30s".to_owned()];
    Cluster::start_with(Plan { node_arguments, ..Plan::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_control_plane_is_told_all_nodes_do() -> Result<()> {
    let cluster = patient_cluster().await?;
    let (one, other) = (cluster.admin_of(0)?, cluster.admin_of(1)?);
    let client = reqwest::Client::new();
    let urls: Vec<String> = cluster.nodes.iter().map(|node| format!("{}/orders/1", node.proxy_url())).collect();

    // written in one place, read in the other, served everywhere
    one.put("/v1/services/orders", json!({ "url": cluster.upstream.url() })).await?;
    let limits = json!([{ "name": "hourly", "limit": 100, "window": calmest_window()?, "per": "consumer" }]);
    one.put("/v1/routes/orders", json!({ "service": "orders", "match": { "path": "/orders" }, "strip_prefix": true }))
        .await?;
    one.put("/v1/policies/key", json!({ "kind": "key-auth", "scope": { "service": "orders" } })).await?;
    let written = one
        .put(
            "/v1/policies/limit?wait=all&timeout=60s",
            json!({ "kind": "rate-limit", "scope": { "service": "orders" }, "config": { "limits": limits } }),
        )
        .await?;
    ensure!(written["applied"]["complete"] == true, "{written:#}");
    ensure!(written["applied"]["confirmed"].as_array().is_some_and(|nodes| nodes.len() == 3), "{written:#}");
    let (id, key) = one.issue_key("acme").await?;
    let (_, second) = other.issue_key("globex").await?;
    for url in &urls {
        assert_eq!(call(&client, url, &second).await?, 200, "{url}");
        assert_eq!(call(&client, url, "").await?, 401, "{url}");
    }

    // 300 calls over three nodes, 100 an hour: exactly 100 pass
    let calls = (0..300).map(|n| call(&client, &urls[n % urls.len()], &key));
    let mut statuses = try_join_all(calls).await?;
    statuses.sort_unstable();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 100);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 200);

    // what the caller is told
    let answer = client.get(&urls[0]).header("x-api-key", &key).send().await?;
    let retry: u64 = answer.headers()["retry-after"].to_str()?.parse()?;
    assert!((1..=7000).contains(&retry), "{retry}");
    let told = answer.headers()["ratelimit"].to_str()?.to_owned();
    assert!(told.starts_with(r#""hourly";r=0;t="#), "{told}");
    let problem: serde_json::Value = answer.json().await?;
    assert_eq!((&problem["code"], &problem["violated-policies"]), (&json!("quota_exceeded"), &json!(["hourly"])));

    // revoked through the other control plane: when the answer is there, no node takes the key
    let revoked = other.delete(&format!("/v1/consumers/acme/keys/{id}?wait=all&timeout=60s")).await?;
    ensure!(revoked["applied"]["complete"] == true, "{revoked:#}");
    for url in &urls {
        assert_eq!(call(&client, url, &key).await?, 401, "{url}");
        assert_eq!(call(&client, url, &second).await?, 200, "{url}");
    }
    cluster.shut_down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_refused_everywhere_from_the_moment_its_revocation_is_answered() -> Result<()> {
    // one address fails more often here than it may elsewhere
    let node_arguments = ["--auth-failures-max", "0"].map(str::to_owned).to_vec();
    let cluster = Cluster::start_with(Plan { node_arguments, ..Plan::default() }).await?;
    let admin = cluster.admin()?;
    admin.put("/v1/services/orders", json!({ "url": cluster.upstream.url() })).await?;
    admin.put("/v1/routes/orders", json!({ "service": "orders", "match": { "path": "/orders" } })).await?;
    admin.put("/v1/policies/key?wait=all&timeout=60s", json!({ "kind": "key-auth" })).await?;
    for round in 0..10 {
        let (id, key) = admin.issue_key("acme").await?;
        // callers that never pause; each call begun after the answer must be refused
        let answered = Arc::new(AtomicU64::new(u64::MAX));
        let clock = std::time::Instant::now();
        let now = move || u64::try_from(clock.elapsed().as_micros()).unwrap_or(u64::MAX);
        let callers = cluster.nodes.iter().map(|node| {
            let (url, key, answered) = (format!("{}/orders", node.proxy_url()), key.clone(), answered.clone());
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                let (mut passed, mut refused_after) = (0, 0);
                while refused_after < 20 {
                    let begun = now();
                    match call(&client, &url, &key).await? {
                        200 if begun > answered.load(Ordering::SeqCst) => {
                            anyhow::bail!("{url} took the key after the answer")
                        }
                        200 => passed += 1,
                        401 if begun > answered.load(Ordering::SeqCst) => refused_after += 1,
                        401 => {}
                        other => anyhow::bail!("{url}: {other}"),
                    }
                }
                anyhow::Ok(passed)
            })
        });
        let callers: Vec<_> = callers.collect();
        let seen = cluster.upstream.requests();
        tidegate_testkit::wait::wait_for("traffic", Duration::from_secs(30), async || {
            ensure!(cluster.upstream.requests() > seen + 60);
            Ok(())
        })
        .await?;
        let revoked = admin.delete(&format!("/v1/consumers/acme/keys/{id}?wait=all&timeout=60s")).await?;
        answered.store(now(), Ordering::SeqCst);
        ensure!(revoked["applied"]["complete"] == true, "{revoked:#}");
        for caller in callers {
            let passed = caller.await?.with_context(|| format!("round {round}"))?;
            assert!(passed > 0, "the key was never taken");
        }
    }
    cluster.shut_down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_node_is_shut_out_and_no_longer_waited_for() -> Result<()> {
    let cluster = Cluster::start().await?;
    let admin = cluster.admin()?;
    let name = cluster.nodes[2].name().to_owned();
    admin.delete(&format!("/v1/nodes/{name}")).await?;
    let written =
        admin.put("/v1/services/orders?wait=all&timeout=60s", json!({ "url": cluster.upstream.url() })).await?;
    ensure!(written["applied"]["complete"] == true, "{written:#}");
    ensure!(written["applied"]["confirmed"].as_array().is_some_and(|nodes| nodes.len() == 2), "{written:#}");
    admin.put("/v1/routes/orders?wait=all&timeout=60s", json!({ "service": "orders" })).await?;
    let status = reqwest::get(format!("{}/x", cluster.nodes[0].proxy_url())).await?.status();
    assert_eq!(status, 200);
    // it goes on with what it has, and gets nothing new
    let status = reqwest::get(format!("{}/x", cluster.nodes[2].proxy_url())).await?.status();
    assert_eq!(status, 404);
    Ok(())
}
