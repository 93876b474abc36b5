//! A secret of a policy, from the write to the request that it judges: it works, and nobody ever sees it.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tidegate_testkit::standalone::Standalone;
use tidegate_testkit::upstream::Upstream;

const SECRET: &str = "a-secret-of-at-least-32-bytes-that-nobody-sees";

/// `{"sub":"c-1"}`, signed by it with HS256.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjLTEifQ.XMaJ452q-Iavojo-aSMLgcsycytmusTj6vvgd3mg6as";

const POLICY: &str = "/v1/policies/tokens?wait=all&timeout=10s";

fn policy(secret: &str) -> Value {
    json!({ "kind": "jwt", "config": { "keys": [{ "secret": secret }], "without_exp": true } })
}

async fn show(of: &Standalone, token: &str) -> Result<u16> {
    let answer = reqwest::Client::new().get(of.proxy_url()).bearer_auth(token).send().await?;
    Ok(answer.status().as_u16())
}

/// The files of a folder that hold a text.
fn holding(folder: &Path, text: &str, found: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            holding(&path, text, found)?;
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_a_policy_works_and_is_never_seen() -> Result<()> {
    let gateway = Standalone::start().await?;
    let upstream = Upstream::start()?;
    let admin = gateway.admin()?;
    admin.put("/v1/services/api", json!({ "url": upstream.url() })).await?;
    admin.put("/v1/routes/all", json!({ "service": "api" })).await?;
    admin.put("/v1/consumers/one", json!({ "custom_id": "c-1" })).await?;
    let twice = admin.call(http_put(), "/v1/consumers/two", Some(&json!({ "custom_id": "c-1" }))).await?;
    ensure!(twice.status == 422 || twice.status == 400, "{} {}", twice.status, twice.body);
    ensure!(twice.body.to_string().contains("/custom_id"), "{}", twice.body);

    let weak = admin.call(http_put(), POLICY, Some(&policy("short-but-secret"))).await?;
    let told = weak.body.to_string();
    ensure!(told.contains("weak_key") && told.contains("/config/keys/0/secret"), "{told}");
    ensure!(!told.contains("short-but-secret"), "{told}");

    let written = admin.put(POLICY, policy(SECRET)).await?;
    ensure!(show(&gateway, TOKEN).await? == 200);
    ensure!(show(&gateway, &TOKEN.replace("XM", "YM")).await? == 401);
    ensure!(show(&gateway, "").await? == 401);

    let mut told = vec![written.to_string()];
    for path in ["/v1/policies", "/v1/policies/tokens", "/v1/revisions?limit=50", "/v1/status", "/v1/nodes"] {
        told.push(admin.call(reqwest::Method::GET, path, None).await?.body.to_string());
    }
    for path in ["/status", "/metrics"] {
        told.push(reqwest::get(format!("{}{path}", gateway.status_url())).await?.text().await?);
    }
    ensure!(told.iter().all(|text| !text.contains(SECRET) && !text.contains("sealed:v1:")), "{told:#?}");
    ensure!(told[1].contains("set:"), "it says that there is one: {}", told[1]);
    let mut found = Vec::new();
    holding(gateway.folder(), SECRET, &mut found)?;
    ensure!(found.is_empty(), "{found:?}");

    // what was shown, given back, stands for the secret that is there
    let shown = admin.get("/v1/policies/tokens").await?["config"]["keys"][0]["secret"].clone();
    admin.put(POLICY, policy(shown.as_str().unwrap_or_default())).await?;
    ensure!(show(&gateway, TOKEN).await? == 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_lies_beside_the_node_is_read_there() -> Result<()> {
    let gateway = Standalone::start().await?;
    let upstream = Upstream::start()?;
    let admin = gateway.admin()?;
    admin.put("/v1/services/api", json!({ "url": upstream.url() })).await?;
    admin.put("/v1/routes/all", json!({ "service": "api" })).await?;
    admin.put("/v1/consumers/one", json!({ "custom_id": "c-1" })).await?;
    let file = gateway.folder().join("jwt-secret");
    std::fs::write(&file, format!("{SECRET}\n"))?;
    admin.put(POLICY, policy(&format!("file://{}", file.display()))).await?;
    ensure!(show(&gateway, TOKEN).await? == 200);
    // one that is not there is for the node to tell, and changes nothing
    admin.put("/v1/policies/tokens", policy("env://TIDEGATE_NO_SUCH_SECRET")).await?;
    let told = tidegate_testkit::wait::wait_for("the node says why", std::time::Duration::from_secs(60), async || {
        let text = reqwest::get(format!("{}/status", gateway.status_url())).await?.text().await?;
        ensure!(text.contains("TIDEGATE_NO_SUCH_SECRET"), "{text}");
        Ok(text)
    })
    .await?;
    ensure!(told.contains("tokens") && told.contains("is not set on this node"), "{told}");
    ensure!(show(&gateway, TOKEN).await? == 200, "it goes on with what it had");
    Ok(())
}

fn http_put() -> reqwest::Method {
    reqwest::Method::PUT
}
