//! Behind a load balancer: the examples of docs/operations/proxies.md, with a real HAProxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tidegate_testkit::ports::free_address;
use tidegate_testkit::process::{Process, find_program};
use tidegate_testkit::standalone::Standalone;
use tidegate_testkit::upstream::Upstream;

/// A caller that the balancer can be told from.
const CALLER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

const DEADLINE: Duration = Duration::from_secs(20);

/// An example of the page, its addresses put in place, and where it listens then.
fn example(name: &str, gateway: &Standalone) -> Result<(String, SocketAddr)> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations/proxies.md"))?;
    let (_, rest) = page.split_once(&format!("<!-- example: {name} -->")).context("the page has the example")?;
    let (_, rest) = rest.split_once("```haproxy\n").context("it is a block for HAProxy")?;
    let (block, _) = rest.split_once("\n```").context("the block ends")?;
    let (address, url) = (free_address(), gateway.proxy_url());
    let block = block
        .replace("127.0.0.1:8080", &address.to_string())
        .replace("127.0.0.1:8000", url.trim_start_matches("http://"));
    Ok((
        format!("defaults\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n\n{block}\n"),
        address,
    ))
}

async fn haproxy(configuration: &str, at: SocketAddr, gateway: &Standalone) -> Result<Process> {
    let file = gateway.folder().join("haproxy.cfg");
    std::fs::write(&file, configuration)?;
    let mut command = Command::new(find_program("haproxy")?);
    command.arg("-db").arg("-f").arg(&file);
    let mut process = Process::spawn("haproxy", &command, &gateway.folder().join("haproxy.log"))?;
    process.wait_for_port(at, DEADLINE).await?;
    Ok(process)
}

/// One service, and a limit of one request a day for each address.
async fn serve(gateway: &Standalone, upstream: &Upstream) -> Result<()> {
    let admin = gateway.admin()?;
    admin.put("/v1/services/api", serde_json::json!({ "url": upstream.url() })).await?;
    admin.put("/v1/routes/all", serde_json::json!({ "service": "api" })).await?;
    let limit = serde_json::json!({ "limits": [{ "name": "one", "limit": 1, "window": "1d", "per": "ip" }] });
    admin.put("/v1/policies/one?wait=all", serde_json::json!({ "kind": "rate-limit", "config": limit })).await?;
    Ok(())
}

/// Asks from an address: the status, and the id of the reply.
async fn ask(at: SocketAddr, from: IpAddr) -> Result<(u16, String)> {
    let client = reqwest::Client::builder().local_address(from).timeout(DEADLINE).build()?;
    let lie =
        client.get(format!("http://{at}/")).header("x-forwarded-for", "6.6.6.6").header("forwarded", "for=6.6.6.6");
    let reply = lie.send().await?;
    let id = reply.headers()["x-request-id"].to_str()?.to_owned();
    Ok((reply.status().as_u16(), id))
}

/// Callers behind the balancer are told apart, whatever they say, and the API is told of them.
async fn callers_are_told_apart(at: SocketAddr, upstream: &Upstream, way: &str) -> Result<()> {
    let (status, id) = ask(at, CALLER).await?;
    assert_eq!(status, 200);
    let seen = upstream.last().context("it reached the API")?;
    assert_eq!((&seen.headers["x-forwarded-for"], &seen.headers["x-request-id"]), (&way.parse()?, &id.parse()?));
    assert!(!seen.headers.contains_key("forwarded"));
    assert_eq!(ask(at, CALLER).await?.0, 429);
    assert_eq!(ask(at, Ipv4Addr::new(127, 0, 0, 3).into()).await?.0, 200, "another caller has its own limit");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_behind_an_http_proxy_are_told_apart() -> Result<()> {
    let gateway = Standalone::start_with(&["--trusted-proxies", "127.0.0.1"]).await?;
    let upstream = Upstream::start()?;
    serve(&gateway, &upstream).await?;
    let (configuration, at) = example("http", &gateway)?;
    let _haproxy = haproxy(&configuration, at, &gateway).await?;
    callers_are_told_apart(at, &upstream, "127.0.0.2, 127.0.0.1").await?;
    let id = upstream.last().context("it reached the API")?.headers["x-request-id"].to_str()?.len();
    assert_eq!(id, 36, "HAProxy's own id is kept");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_behind_a_balancer_of_bytes_are_told_apart() -> Result<()> {
    for version in ["send-proxy-v2", "send-proxy"] {
        let gateway =
            Standalone::start_with(&["--proxy-protocol", "require", "--trusted-proxies", "127.0.0.1"]).await?;
        let upstream = Upstream::start()?;
        serve(&gateway, &upstream).await?;
        let (configuration, at) = example("tcp", &gateway)?;
        let _haproxy = haproxy(&configuration.replace("send-proxy-v2", version), at, &gateway).await?;
        callers_are_told_apart(at, &upstream, "127.0.0.2").await?;
        let past_it = reqwest::Client::new().get(gateway.proxy_url()).send().await;
        assert!(past_it.is_err(), "without a header nothing is answered: {past_it:?}");
    }
    Ok(())
}
