//! Nodes are replaced while callers go on: behind a balancer that heeds readiness, and on one host. No request fails.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tidegate_testkit::balancer::Balancer;
use tidegate_testkit::cluster::{Cluster, Plan};
use tidegate_testkit::load::{Load, Plan as Calls};
use tidegate_testkit::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);

/// Callers that keep their connections for a while, and callers that make a new one for each request: there is always something
/// under way, and something in a queue.
struct Callers([Load; 2]);

impl Callers {
    fn start(to: SocketAddr) -> Callers {
        let calls = |requests_per_connection| {
            Load::start(Calls { rate: 300, callers: 16, requests_per_connection, ..Calls::to(to, "/orders/1") })
        };
        Callers([calls(20), calls(1)])
    }

    async fn pass(&self) -> Result<()> {
        for load in &self.0 {
            load.passes(100, PATIENCE).await?;
        }
        Ok(())
    }

    async fn none_failed(self) -> Result<()> {
        self.pass().await?;
        for load in self.0 {
            let outcome = load.end().await;
            ensure!(outcome.failed == 0, "{outcome:?}");
        }
        Ok(())
    }
}

async fn cluster(nodes: u16, node_arguments: &[&str]) -> Result<Cluster> {
    let node_arguments = node_arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let cluster = Cluster::start_with(Plan { control_planes: 1, nodes, node_arguments, ..Plan::default() }).await?;
    let admin = cluster.admin()?;
    admin.put("/v1/services/orders", json!({ "url": cluster.upstream.url() })).await?;
    let route = json!({ "service": "orders", "match": { "path": "/orders" } });
    admin.put("/v1/routes/orders?wait=all&timeout=60s", route).await?;
    Ok(cluster)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_are_restarted_in_turn_behind_a_balancer() -> Result<()> {
    let mut cluster = cluster(3, &["--drain-delay=400ms", "--workers=2"]).await?;
    let balancer = Balancer::start(cluster.nodes.iter().map(|node| (node.proxy(), node.status_url()))).await?;
    balancer.wait_until_ready(3, PATIENCE).await?;
    let load = Callers::start(balancer.address());
    for node in 0..3 {
        load.pass().await?;
        cluster.nodes[node].stop().await?;
        cluster.nodes[node].start_again()?;
        cluster.nodes[node].wait_until_ready().await?;
        balancer.wait_until_ready(3, PATIENCE).await?;
    }
    load.none_failed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_hands_its_sockets_to_the_next_process_and_that_to_another() -> Result<()> {
    let mut cluster = cluster(1, &["--workers=2"]).await?;
    let load = Callers::start(cluster.nodes[0].proxy());
    for workers in ["--workers=4", "--workers=1", "--workers=3"] {
        load.pass().await?;
        let before = cluster.nodes[0].process().id();
        cluster.nodes[0].hand_over(&[workers]).await?;
        ensure!(cluster.nodes[0].process().id() != before);
        let status = cluster.nodes[0].status().await?;
        ensure!(workers.ends_with(&status["workers"].to_string()), "{status:#}");
    }
    // the last one follows the configuration, and holds the data directory
    let admin = cluster.admin()?;
    let written = admin.put("/v1/consumers/new?wait=all&timeout=60s", json!({})).await?;
    ensure!(written["applied"]["complete"] == true, "{written:#}");
    load.none_failed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_can_not_take_over_changes_nothing() -> Result<()> {
    let mut cluster = cluster(1, &["--workers=2"]).await?;
    let load = Callers::start(cluster.nodes[0].proxy());
    for arguments in [&["--proxy-listen=127.0.0.1:1"][..], &["--handover"][..]] {
        let elsewhere = arguments[0].starts_with("--proxy");
        let mut other = cluster.nodes[0].process().twin(&[&["--handover"], arguments].concat())?;
        if elsewhere {
            let ended = other.wait_for_end(PATIENCE).await?;
            ensure!(!ended.success() && other.output().contains("restart instead"), "{}", other.log_tail());
        } else {
            // killed at whatever it has come to
            other.wait_for_line("taking over", PATIENCE).await?;
            other.kill();
        }
        if !cluster.nodes[0].process().is_running() {
            // it was ready before it was killed: then there is nothing to show
            return Ok(());
        }
        let admin = cluster.admin()?;
        let name = if elsewhere { "one" } else { "two" };
        let written = admin.put(&format!("/v1/consumers/{name}?wait=all&timeout=60s"), json!({})).await?;
        ensure!(written["applied"]["complete"] == true, "{written:#}");
        wait_for("the copy on disk to be the node's again", PATIENCE, async || {
            let status = cluster.nodes[0].status().await?;
            ensure!(status["connected"] == true && status["persisted"] == true, "{status:#}");
            Ok(())
        })
        .await?;
    }
    load.none_failed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_systemd_outlast_the_process() -> Result<()> {
    // as systemd does it: the socket is opened by another, and passed as the third descriptor
    let socket = TcpListener::bind("127.0.0.1:0")?;
    let at = socket.local_addr()?;
    let (admin, status) = (tidegate_testkit::ports::free_address(), tidegate_testkit::ports::free_address());
    let upstream = tidegate_testkit::upstream::Upstream::start()?;
    let folder = tempfile::tempdir()?;
    let start = || -> Result<std::process::Child> {
        let tidegate = tidegate_testkit::tidegate::binary()?;
        let script = format!(
            "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec {} standalone --data-dir {} --workers 2 \
             --proxy-listen {at} --admin-listen {admin} --status-listen {status}",
            tidegate.display(),
            folder.path().join("data").display()
        );
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.path().join("log"))?;
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::from(OwnedFd::from(socket.try_clone()?)));
        Ok(command.stdout(log.try_clone()?).stderr(log).spawn()?)
    };
    let ready = async || {
        wait_for("the gateway to be ready", PATIENCE, async || {
            ensure!(reqwest::get(format!("http://{status}/readyz")).await?.status() == 200);
            Ok(())
        })
        .await
    };
    let mut child = start()?;
    let furnished = async {
        ready().await?;
        let token = std::fs::read_to_string(folder.path().join("data/operator-token"))?;
        let admin = tidegate_testkit::admin::Admin::new(&format!("http://{admin}"), token.trim())?;
        admin.put("/v1/services/orders", json!({ "url": upstream.url() })).await?;
        let route = json!({ "service": "orders", "match": { "path": "/orders" } });
        admin.put("/v1/routes/orders?wait=all&timeout=60s", route).await?;
        anyhow::Ok(())
    };
    furnished.await.inspect_err(|_| drop(child.kill()))?;
    let load = Callers::start(at);
    for _ in 0..2 {
        load.pass().await.inspect_err(|_| drop(child.kill()))?;
        let pid = child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        ensure!(child.wait()?.success());
        child = start()?;
    }
    let none_failed = load.none_failed().await;
    child.kill()?;
    child.wait()?;
    none_failed
}
