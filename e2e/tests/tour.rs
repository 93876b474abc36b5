//! The README's tour, line by line: what it says is what happens.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tidegate_testkit::standalone::Standalone;
use tidegate_testkit::upstream::Upstream;

/// The shell block after the marker, its addresses and files put in place.
fn lines(of: &Standalone, upstream: &Upstream) -> Result<Vec<String>> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"))?;
    let (_, rest) = readme.split_once("<!-- tour:").context("the README has a tour")?;
    let (_, rest) = rest.split_once("```sh\n").context("the tour is a shell block")?;
    let (block, _) = rest.split_once("\n```").context("the block ends")?;
    let address = |url: String| url.trim_start_matches("http://").to_owned();
    let block = block
        .replace("localhost:8001", &address(of.admin_url()))
        .replace("localhost:8000", &address(of.proxy_url()))
        .replace("http://127.0.0.1:9000", &upstream.url());
    Ok(block
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

/// Runs a shell script in the gateway's folder: what it prints.
fn shell(of: &Standalone, script: &str) -> Result<String> {
    let output = Command::new("bash").arg("-c").arg(script).current_dir(of.folder()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{script}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_of_the_readme_works_as_written() -> Result<()> {
    let gateway = Standalone::start().await?;
    let upstream = Upstream::start()?;
    let lines = lines(&gateway, &upstream)?;
    let calls = lines.iter().filter(|line| line.contains("curl")).count();
    assert!(calls >= 12, "the tour is there: {lines:?}");
    let mut settings = String::new();
    for line in &lines {
        let (command, promise) = match line.split_once("#>") {
            Some((command, promise)) => (command.trim(), Some(promise.trim())),
            None => (line.as_str(), None),
        };
        if !command.contains("curl") {
            settings += &format!("{command}\n");
        }
        let printed = shell(&gateway, &format!("set -e\n{settings}{command}"))?;
        if let Some(promise) = promise {
            let status = promise.split_whitespace().next().unwrap_or_default();
            let heads: Vec<&str> = printed.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
            assert!(!heads.is_empty() && heads.iter().all(|head| head.contains(status)), "{command}\n{printed}");
            for header in ["RateLimit", "Retry-After"].into_iter().filter(|header| promise.contains(header)) {
                assert!(
                    printed.to_ascii_lowercase().contains(&format!("\n{}:", header.to_ascii_lowercase())),
                    "{header}: {printed}"
                );
            }
        } else if command.contains("curl") {
            assert!(!printed.contains("\"code\""), "{command}\n{printed}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_has_the_data_of_the_first() -> Result<()> {
    let mut gateway = Standalone::start().await?;
    let upstream = Upstream::start()?;
    let admin = gateway.admin()?;
    admin.put("/v1/services/orders", serde_json::json!({ "url": upstream.url() })).await?;
    admin.put("/v1/routes/orders?wait=all", serde_json::json!({ "service": "orders" })).await?;
    let (_, key) = admin.issue_key("acme").await?;
    admin.put("/v1/policies/key?wait=all", serde_json::json!({ "kind": "key-auth" })).await?;
    gateway.stop().await?;
    gateway.start_again().await?;
    let send = |key: String| reqwest::Client::new().get(gateway.proxy_url()).header("x-api-key", key).send();
    assert_eq!(send(key).await?.status(), 200);
    assert_eq!(send("none".into()).await?.status(), 401);
    assert_eq!(gateway.admin()?.get("/v1/consumers/acme").await?["name"], "acme");
    Ok(())
}
