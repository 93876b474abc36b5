//! An answer that a node keeps, until it is told to let go of it.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tidegate_testkit::standalone::Standalone;
use tidegate_testkit::upstream::Upstream;

async fn status(of: &Standalone, path: &str) -> Result<String> {
    let answer = reqwest::get(format!("{}{path}", of.proxy_url())).await?.error_for_status()?;
    Ok(answer.headers().get("cache-status").context("it says what the cache did")?.to_str()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_purged_by_url_prefix_and_all_at_once() -> Result<()> {
    let gateway = Standalone::start().await?;
    let upstream = Upstream::start()?;
    let admin = gateway.admin()?;
    admin.put("/v1/services/api", json!({ "url": upstream.url() })).await?;
    admin.put("/v1/routes/all", json!({ "service": "api" })).await?;
    let kept = json!({ "kind": "cache", "config": { "default_ttl": "10m" } });
    admin.put("/v1/policies/kept?wait=all&timeout=30s", kept).await?;
    let host = gateway.proxy_url().replace("http://", "");

    let purges: [(Value, &[&str]); 4] = [
        (json!({ "url": format!("{host}/a/1") }), &["/a/1"]),
        (json!({ "prefix": format!("{host}/a/") }), &["/a/1", "/a/2"]),
        (json!({ "all": true, "policy": "kept" }), &["/a/1", "/a/2", "/b"]),
        (json!({ "tag": "nothing-has-it" }), &[]),
    ];
    for (purge, gone) in purges {
        for path in ["/a/1", "/a/2", "/b"] {
            status(&gateway, path).await?;
            let again = status(&gateway, path).await?;
            ensure!(again.contains("hit"), "{path} before {purge}: {again}");
        }
        let done = admin.post("/v1/cache/purge", purge.clone()).await?;
        ensure!(done["purged"] == gone.len(), "{purge}: {done}");
        for path in ["/a/1", "/a/2", "/b"] {
            let now = status(&gateway, path).await?;
            ensure!(now.contains("hit") != gone.contains(&path), "{path} after {purge}: {now}");
        }
    }
    let none = admin.post("/v1/cache/purge", json!({})).await;
    ensure!(none.is_err(), "a purge of nothing in particular is refused");
    Ok(())
}
