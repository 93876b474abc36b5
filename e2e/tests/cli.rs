//! The command line does all that the tour does with curl, and knows whom it speaks to.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tidegate_testkit::ports::free_address;
use tidegate_testkit::process::Process;
use tidegate_testkit::standalone::Standalone;
use tidegate_testkit::tidegate::{self, READY, STOPPED};
use tidegate_testkit::upstream::Upstream;
use tidegate_testkit::wait::wait_for;

/// The binary as an operator would call it on this machine.
struct Cli {
    admin_url: String,
    token_file: String,
    home: tempfile::TempDir,
}

impl Cli {
    fn of(gateway: &Standalone) -> Result<Cli> {
        Cli::new(gateway.admin_url(), &gateway.data_dir().join("operator-token"))
    }

    fn new(admin_url: String, token_file: &Path) -> Result<Cli> {
        Ok(Cli { admin_url, token_file: token_file.display().to_string(), home: tempfile::tempdir()? })
    }

    fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = tidegate::command(words[0])?;
        command.args(&words[1..]).env("HOME", self.home.path()).env_remove("XDG_CONFIG_HOME");
        command.env("TIDEGATE_ADMIN_URL", &self.admin_url).env("TIDEGATE_TOKEN_FILE", &self.token_file);
        Ok(command)
    }

    fn output(&self, words: &[&str]) -> Result<Output> {
        Ok(self.command(words)?.output()?)
    }

    /// What it prints, if it succeeds.
    fn run(&self, words: &[&str]) -> Result<String> {
        let output = self.output(words)?;
        ensure!(output.status.success(), "{words:?}\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What it says, if it fails with this exit code.
    fn fail(&self, code: i32, words: &[&str]) -> Result<String> {
        let output = self.output(words)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(code), "{words:?} ended with {}\n{said}", output.status);
        Ok(said)
    }
}

async fn status_of(url: &str, key: &str) -> Result<u16> {
    Ok(reqwest::Client::new().get(url).header("x-api-key", key).send().await?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_works_with_the_command_line_alone() -> Result<()> {
    let gateway = Standalone::start().await?;
    let upstream = Upstream::start()?;
    let cli = Cli::of(&gateway)?;
    let orders = format!("{}/orders/1", gateway.proxy_url());

    let created = cli.run(&["put", "services/orders", &format!(r#"{{"url":"{}"}}"#, upstream.url())])?;
    ensure!(created.starts_with("services/orders created at revision "), "{created}");
    let route = r#"{"service":"orders","match":{"path":"/orders"},"strip_prefix":true}"#;
    cli.run(&["put", "routes/orders", route, "--wait"])?;
    ensure!(status_of(&orders, "").await? == 200, "the route is there");

    cli.run(&["put", "policies/orders-key", r#"{"kind":"key-auth","scope":{"service":"orders"},"config":{}}"#])?;
    let limit = "kind: rate-limit\nscope: {service: orders}\nconfig:\n  limits: [{name: burst, limit: 5, window: 1m, per: consumer}]\n";
    let file = cli.home.path().join("limit.yaml");
    std::fs::write(&file, limit)?;
    cli.run(&["put", "policies/orders-limit", "-f", &file.display().to_string(), "--wait"])?;
    ensure!(status_of(&orders, "").await? == 401, "a key is wanted");

    cli.run(&["put", "consumers/acme", "{}"])?;
    let key = cli.run(&["keys", "issue", "acme", "--label", "laptop", "--expires-in", "90d", "--wait"])?;
    let key = key.trim();
    ensure!(key.starts_with("tg_") && !key.contains(char::is_whitespace), "the key alone is printed");
    for _ in 0..5 {
        ensure!(status_of(&orders, key).await? == 200, "the key is taken");
    }
    ensure!(status_of(&orders, key).await? == 429, "the sixth is too much");

    let keys: Value = serde_json::from_str(&cli.run(&["keys", "list", "acme", "--output", "json"])?)?;
    let first = keys.get(0).context("there is a key")?;
    ensure!(first["label"] == "laptop" && first["expires_at"].is_string(), "{first}");
    ensure!(cli.run(&["keys", "list", "acme"])?.contains("laptop"), "also in the table");
    let id = first["id"].as_str().context("a key has an id")?;
    cli.run(&["keys", "revoke", "acme", id, "--wait"])?;
    ensure!(status_of(&orders, key).await? == 401, "revoked means refused");

    let status = cli.run(&["status"])?;
    for part in ["Revision", "1 of 1 current", "standalone", "service 1"] {
        ensure!(status.contains(part), "no `{part}` in\n{status}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_shown_replaced_and_deleted() -> Result<()> {
    let gateway = Standalone::start().await?;
    let cli = Cli::of(&gateway)?;
    for name in ["a", "b"] {
        cli.run(&[
            "put",
            &format!("service/{name}"),
            &format!("{{\"url\": \"http://127.0.0.1:9\", \"tags\": [\"{name}\"]}}"),
        ])?;
    }
    let all: Value = serde_json::from_str(&cli.run(&["get", "services", "--output", "json"])?)?;
    ensure!(all.as_array().is_some_and(|all| all.len() == 2), "{all}");
    let tagged = cli.run(&["get", "services", "--tag", "b"])?;
    ensure!(tagged.lines().count() == 2 && tagged.contains("127.0.0.1:9"), "{tagged}");
    ensure!(cli.run(&["get", "services/a"])?.contains("http://127.0.0.1:9"), "one alone");

    let updated = cli.run(&["put", "services/a", r#"{"url":"http://127.0.0.1:10"}"#])?;
    ensure!(updated.starts_with("services/a updated"), "{updated}");
    let stale = cli.fail(1, &["put", "services/a", r#"{"url":"http://127.0.0.1:11"}"#, "--if-match", "1"])?;
    ensure!(stale.contains("412"), "{stale}");

    cli.run(&["delete", "services/b", "--wait"])?;
    ensure!(cli.fail(1, &["get", "services/b"])?.contains("404"), "it is gone");

    let wrong = cli.fail(1, &["put", "services/a", r#"{"urll":"x","timeouts":{"connect":"soon"}}"#])?;
    for part in ["/urll", "`url`", "/timeouts/connect", "400"] {
        ensure!(wrong.contains(part), "no `{part}` in\n{wrong}");
    }
    ensure!(cli.fail(1, &["get", "servcies"])?.contains("`services`"), "a slip is named");
    cli.fail(2, &["put", "services/a"])?;

    let mut foreign = cli.command(&["status"])?;
    let refused = foreign.env("TIDEGATE_TOKEN", "tgo_nobody").output()?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(1) && said.contains("401") && said.contains("TIDEGATE_TOKEN"), "{said}");
    Ok(())
}

/// A gateway whose admin listener is not on loopback alone, and so made itself a certificate.
async fn start_with_tls(folder: &Path) -> Result<(Process, String)> {
    let [proxy, admin, status] = [free_address(), free_address(), free_address()];
    let mut command = tidegate::command("standalone")?;
    command.arg("--data-dir").arg(folder.join("data"));
    command.args(["--proxy-listen", &proxy.to_string(), "--status-listen", &status.to_string()]);
    command.args(["--admin-listen", &format!("0.0.0.0:{}", admin.port())]);
    let process = Process::spawn("standalone", &command, &folder.join("standalone.log"))?;
    Ok((process, format!("https://127.0.0.1:{}", admin.port())))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_is_known_by_the_key_that_was_trusted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut process, url) = start_with_tls(folder.path()).await?;
    let cli = Cli::new(url.clone(), &folder.path().join("data/operator-token"))?;
    wait_for("readiness", READY, async || cli.run(&["status", "--ready", &format!("{url}/readyz")])).await?;

    let unknown = cli.fail(1, &["status"])?;
    ensure!(unknown.contains("not trusted") && unknown.contains("--trust"), "{unknown}");
    cli.run(&["status", "--trust"])?;
    cli.run(&["status"])?;

    // the profile now names another key: as if somebody else answered there
    let profile = cli.home.path().join(".config/tidegate/profile.yaml");
    let text = std::fs::read_to_string(&profile)?;
    let (before, pin) = text.split_once("sha256:").context("the profile holds a fingerprint")?;
    let other = if pin.starts_with('0') { "1" } else { "0" };
    std::fs::write(&profile, format!("{before}sha256:{other}{}", &pin[1..]))?;
    let refused = cli.fail(1, &["status"])?;
    ensure!(refused.contains("not the one that was trusted"), "{refused}");
    cli.run(&["status", "--trust"])?;
    cli.run(&["status"])?;

    process.stop(STOPPED).await?;
    Ok(())
}
