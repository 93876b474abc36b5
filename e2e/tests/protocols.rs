//! What callers and APIs speak: curl in front, nginx behind, in each protocol and form that both know.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tidegate_testkit::nginx::Nginx;
use tidegate_testkit::standalone::Standalone;
use tidegate_testkit::upstream::Upstream;

/// A gateway that sends all to this API.
async fn gateway_to(url: &str) -> Result<Standalone> {
    let gateway = Standalone::start().await?;
    let admin = gateway.admin()?;
    admin.put("/v1/services/api", json!({ "url": url })).await?;
    admin.put("/v1/routes/api?wait=all", json!({ "service": "api" })).await?;
    Ok(gateway)
}

/// curl, with the answer's head printed before its body.
fn curl(arguments: &[&str]) -> Result<String> {
    let output = Command::new("curl").args(["-sS", "-i", "--max-time", "60"]).args(arguments).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "curl {}: {told}", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_reaches_nginx_by_each_protocol() -> Result<()> {
    let nginx = Nginx::start().await?;
    let gateway = gateway_to(&nginx.url()).await?;
    let url = format!("{}/a/b?c=%20d&&", gateway.proxy_url());
    for (flag, status, via) in [
        ("--http1.0", "HTTP/1.0 200", "1."),
        ("--http1.1", "HTTP/1.1 200", "1.1 tidegate"),
        ("--http2-prior-knowledge", "HTTP/2 200", "2 tidegate"),
    ] {
        let told = curl(&[flag, &url])?;
        assert!(told.starts_with(status), "{flag}: {told}");
        assert!(told.contains("protocol HTTP/1.1\n"), "{flag}: {told}");
        assert!(told.contains("\ntarget /a/b?c=%20d&&\n"), "{flag}: {told}");
        assert!(told.contains("\nforwarded-for 127.0.0.1\n"), "{flag}: {told}");
        let seen = told.lines().find_map(|line| line.strip_prefix("via ")).context("nginx tells Via")?;
        assert!(seen.starts_with(via), "{flag}: {told}");
    }
    assert_eq!(nginx.complaints(), "");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_statuses_of_nginx_pass_as_they_are() -> Result<()> {
    let nginx = Nginx::start().await?;
    let gateway = gateway_to(&nginx.url()).await?;
    let url = gateway.proxy_url();
    for flag in ["--http1.1", "--http2-prior-knowledge"] {
        let file = curl(&[flag, &format!("{url}/file")])?;
        let (head, body) = file.split_once("\r\n\r\n").context("a head and a body")?;
        assert!(head.to_ascii_lowercase().contains("content-length: 1048576"), "{flag}: {head}");
        assert!(body.len() == 1 << 20 && body.bytes().all(|b| b == b'x'), "{flag}: {} bytes", body.len());

        let head = curl(&[flag, "--head", &format!("{url}/file")])?;
        assert!(head.to_ascii_lowercase().contains("content-length: 1048576"), "{flag}: {head}");
        let part = curl(&[flag, "--range", "10-19", &format!("{url}/file")])?;
        assert!(part.contains(" 206") && part.ends_with("\r\n\r\nxxxxxxxxxx"), "{flag}: {part}");
        let gone = curl(&[flag, &format!("{url}/gone")])?;
        assert!(gone.contains(" 410"), "{flag}: {gone}");
        let moved = curl(&[flag, &format!("{url}/old")])?;
        assert!(moved.contains(" 301") && moved.to_ascii_lowercase().contains("/new\r\n"), "{flag}: {moved}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_reach_the_api_whole_with_and_without_a_length() -> Result<()> {
    let upstream = Upstream::start()?;
    let gateway = gateway_to(&upstream.url()).await?;
    let file = gateway.folder().join("upload");
    std::fs::write(&file, vec![b'u'; 300_000])?;
    let data = format!("@{}", file.display());
    for flag in ["--http1.1", "--http2-prior-knowledge"] {
        // curl asks first with `Expect: 100-continue` for a body of this size, in HTTP/1.1
        for framing in ["Content-Type: text/plain", "Transfer-Encoding: chunked", "Expect: 100-continue"] {
            if flag != "--http1.1" && framing.starts_with("Transfer") {
                continue;
            }
            let told = curl(&[flag, "-H", framing, "--data-binary", &data, &gateway.proxy_url()])?;
            let statuses: Vec<&str> = told.lines().filter(|line| line.starts_with("HTTP/")).collect();
            assert!(statuses.last().is_some_and(|status| status.contains(" 200")), "{flag} {framing}: {statuses:?}");
            let seen = upstream.last().context("it came")?;
            assert_eq!((seen.method.as_str(), seen.body_bytes), ("POST", 300_000), "{flag} {framing}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_reach_the_caller_one_by_one() -> Result<()> {
    let upstream = Upstream::start()?;
    let gateway = gateway_to(&upstream.url()).await?;
    for client in [reqwest::Client::new(), reqwest::Client::builder().http2_prior_knowledge().build()?] {
        let mut answer = client.get(format!("{}/sse/20", gateway.proxy_url())).send().await?;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut pieces = 0;
        while let Some(piece) = answer.chunk().await? {
            if piece.is_empty() {
                continue; // HTTP/2's end
            }
            assert!(piece.ends_with(b"\n\n"), "{piece:?}");
            pieces += 1;
        }
        // events that wait for a slow reader may come together; a gateway that holds them back brings one piece
        assert!(pieces > 5, "20 events came in {pieces} pieces");
    }
    Ok(())
}
