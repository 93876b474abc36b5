//! A whole cluster out of the `tidegate` binary: Postgres, Redis, control planes, nodes and an upstream, all real.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use rand::RngExt as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::admin::Admin;
use crate::ports::{free_port, port_or_free};
use crate::postgres::{Durability, Postgres};
use crate::process::Process;
use crate::redis::Redis;
use crate::tidegate::{READY, STOPPED, command, token};
use crate::upstream::Upstream;
use crate::wait::wait_for;

/// What the cluster is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many control planes.
    pub control_planes: u16,
    /// How many nodes.
    pub nodes: u16,
    /// Further arguments of each control plane.
    pub control_plane_arguments: Vec<String>,
    /// Further arguments of each node.
    pub node_arguments: Vec<String>,
    /// Whether the database survives a loss of power; slower.
    pub durable: bool,
    /// The ports of the documentation where they are free (8000, 8001, ...), for people; tests run beside each other.
    pub usual_ports: bool,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            control_planes: 2,
            nodes: 3,
            control_plane_arguments: Vec::new(),
            node_arguments: Vec::new(),
            durable: false,
            usual_ports: false,
        }
    }
}

impl Plan {
    fn address(&self, usual: u16) -> SocketAddr {
        let port = if self.usual_ports { port_or_free(usual) } else { free_port() };
        SocketAddr::from(([127, 0, 0, 1], port))
    }
}

/// A running cluster; all of it ends with its owner.
pub struct Cluster {
    /// The data planes.
    pub nodes: Vec<Node>,
    /// The control planes, all on one database.
    pub control_planes: Vec<ControlPlane>,
    /// An API to put behind it.
    pub upstream: Upstream,
    /// Where shared counters live.
    pub redis: Redis,
    /// Where configuration lives.
    pub postgres: Postgres,
    plan: Plan,
    database: String,
    token: String,
    folder: TempDir,
}

/// One control-plane process.
pub struct ControlPlane {
    process: Process,
    admin: SocketAddr,
    stream: SocketAddr,
    status: SocketAddr,
    data_dir: PathBuf,
}

/// One data-plane process.
pub struct Node {
    process: Process,
    proxy: SocketAddr,
    status: SocketAddr,
    data_dir: PathBuf,
}

impl Cluster {
    /// Two control planes and three nodes.
    pub async fn start() -> Result<Cluster> {
        Cluster::start_with(Plan::default()).await
    }

    /// Starts what is planned and waits until every node serves and every control plane knows it.
    pub async fn start_with(plan: Plan) -> Result<Cluster> {
        let folder = tempfile::Builder::new().prefix("tidegate-cluster-").tempdir()?;
        let postgres = Postgres::start(if plan.durable { Durability::Durable } else { Durability::Fast })?;
        let database = postgres.create_database()?;
        let redis = Redis::start().await?;
        let usual = if plan.usual_ports { plan.address(9000).port() } else { 0 };
        let upstream = Upstream::start_on(SocketAddr::from(([127, 0, 0, 1], usual)), "sample")?;
        write_secret_key(&folder.path().join("secret-key"))?;

        let (nodes, control_planes) = (Vec::new(), Vec::new());
        let token = String::new();
        let mut cluster = Cluster { nodes, control_planes, upstream, redis, postgres, plan, database, token, folder };
        // All at once: on an empty database they have to agree.
        for number in 0..cluster.plan.control_planes {
            let control_plane = cluster.spawn_control_plane(number)?;
            cluster.control_planes.push(control_plane);
        }
        for control_plane in &mut cluster.control_planes {
            control_plane.wait_until_ready().await?;
        }
        if let Some(first) = cluster.control_planes.first_mut() {
            cluster.token = token_of(first).await?;
        }
        for _ in 0..cluster.plan.nodes {
            cluster.spawn_node()?;
        }
        for node in &mut cluster.nodes {
            node.wait_until_ready().await?;
        }
        cluster.wait_until_current().await?;
        Ok(cluster)
    }

    fn spawn_control_plane(&self, number: u16) -> Result<ControlPlane> {
        let name = format!("control-plane-{}", number + 1);
        let data_dir = self.folder.path().join(&name);
        let (admin, stream) = (self.plan.address(8001 + number), self.plan.address(8005 + number));
        let mut command = command("control-plane")?;
        command.args(["--database-url", &self.database, "--data-dir"]).arg(&data_dir);
        command.args(["--admin-listen", &admin.to_string(), "--stream-listen", &stream.to_string()]);
        let status = self.plan.address(8101 + number);
        command.args(["--status-listen", &status.to_string()]);
        command.arg("--secret-key-file").arg(self.folder.path().join("secret-key"));
        command.args(&self.plan.control_plane_arguments);
        let process = Process::spawn(&name, &command, &self.log(&name))?;
        Ok(ControlPlane { process, admin, stream, status, data_dir })
    }

    /// Starts a further node, without waiting for it.
    pub fn spawn_node(&mut self) -> Result<&mut Node> {
        let number = u16::try_from(self.nodes.len())?;
        let name = format!("node-{}", number + 1);
        let data_dir = self.folder.path().join(&name);
        let (proxy, status) = (self.plan.address(8000 + 10 * number), self.plan.address(8100 + 10 * number));
        let mut command = command("data-plane")?;
        for control_plane in &self.control_planes {
            command.args(["--control-plane", &control_plane.stream_url()]);
        }
        if let Some(first) = self.control_planes.first() {
            command.arg("--join-token-file").arg(first.data_dir.join("join-token"));
        }
        command.args(["--name", &name, "--redis-url", &self.redis.url(), "--data-dir"]).arg(&data_dir);
        command.args(["--proxy-listen", &proxy.to_string(), "--status-listen", &status.to_string()]);
        command.args(&self.plan.node_arguments);
        let process = Process::spawn(&name, &command, &self.log(&name))?;
        let node = Node { process, proxy, status, data_dir };
        self.nodes.push(node);
        Ok(self.nodes.last_mut().expect("one was pushed"))
    }

    /// A caller of the first control plane.
    pub fn admin(&self) -> Result<Admin> {
        self.admin_of(0)
    }

    /// A caller of this control plane, with the first operator's token.
    pub fn admin_of(&self, number: usize) -> Result<Admin> {
        Admin::new(&self.control_planes[number].admin_url(), &self.token)
    }

    /// The first operator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where that token lies.
    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("control-plane-1/operator-token")
    }

    /// Where data and logs lie, until the end.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address of the database.
    pub fn database_url(&self) -> &str {
        &self.database
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    /// Waits until the first control plane sees every node at its own revision.
    pub async fn wait_until_current(&self) -> Result<()> {
        let admin = self.admin()?;
        wait_for("every node to be current", READY, async || {
            let nodes = admin.get("/v1/nodes").await?;
            let all = nodes["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            let current = all.iter().filter(|node| node["status"] == "current").count();
            if current < self.nodes.len() {
                bail!("{current} of {} are: {nodes:#}", self.nodes.len());
            }
            Ok(())
        })
        .await
    }

    /// Names of processes that have ended by themselves, each told once.
    pub fn lost(&mut self) -> Vec<String> {
        let control_planes = self.control_planes.iter_mut().map(|control_plane| &mut control_plane.process);
        let processes = self.nodes.iter_mut().map(|node| &mut node.process).chain(control_planes);
        let lost = processes.filter(|process| process.id().is_some()).filter_map(|process| {
            if process.is_running() {
                return None;
            }
            let told = format!("{} has ended\n{}", process.name(), process.log_tail());
            process.kill();
            Some(told)
        });
        lost.collect()
    }

    /// Ends all in order: nodes finish what they have, then the control planes, then what they stand on.
    pub async fn shut_down(mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.process.ask_to_stop()?;
        }
        for node in &mut self.nodes {
            node.process.stop(STOPPED).await?;
        }
        for control_plane in &mut self.control_planes {
            control_plane.process.stop(STOPPED).await?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    /// Nothing of it will be needed again, so nothing is given time.
    fn drop(&mut self) {
        self.nodes.iter_mut().for_each(Node::kill);
        self.control_planes.iter_mut().for_each(ControlPlane::kill);
    }
}

impl ControlPlane {
    /// Where the admin API and the web admin are.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Where nodes connect.
    pub fn stream_url(&self) -> String {
        format!("https://{}", self.stream)
    }

    /// Where liveness, readiness and metrics are.
    pub fn status_url(&self) -> String {
        format!("http://{}", self.status)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and the end in good time.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop(STOPPED).await.map(drop)
    }

    /// Starts again with the same arguments, and waits until it serves.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process.start()?;
        self.wait_until_ready().await
    }

    /// Waits until it says that it is ready.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let url = format!("{}/readyz", self.admin_url());
        self.process.wait_for_ok(&url, READY).await
    }

    /// Its folder.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The process, for what has no method of its own.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Node {
    /// Its name in the fleet.
    pub fn name(&self) -> &str {
        self.process.name()
    }

    /// Where callers go.
    pub fn proxy_url(&self) -> String {
        format!("http://{}", self.proxy)
    }

    /// Where liveness, readiness, metrics and status are.
    pub fn status_url(&self) -> String {
        format!("http://{}", self.status)
    }

    /// The same, as an address.
    pub fn proxy(&self) -> SocketAddr {
        self.proxy
    }

    /// Another process takes this one's sockets and place, with these arguments more. Returns once this one has ended.
    pub async fn hand_over(&mut self, arguments: &[&str]) -> Result<()> {
        let next = self.process.twin(&[&["--handover"], arguments].concat())?;
        let mut former = std::mem::replace(&mut self.process, next);
        let ended = former.wait_for_end(STOPPED).await?;
        if !ended.success() {
            bail!("{} ended with {ended}\n{}", former.name(), former.log_tail());
        }
        self.wait_until_ready().await
    }

    /// What it says of itself.
    pub async fn status(&self) -> Result<Value> {
        let request = reqwest::Client::new().get(format!("{}/status", self.status_url()));
        Ok(request.timeout(Duration::from_secs(10)).send().await?.error_for_status()?.json().await?)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and the end once what was in flight is done.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop(STOPPED).await.map(drop)
    }

    /// Starts again with the same arguments and folder, without waiting.
    pub fn start_again(&mut self) -> Result<()> {
        self.process.start()
    }

    /// Waits until it says that it is ready.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let url = format!("{}/readyz", self.status_url());
        self.process.wait_for_ok(&url, READY).await
    }

    /// Its folder, with the last good configuration.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The process, for what has no method of its own.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

async fn token_of(control_plane: &mut ControlPlane) -> Result<String> {
    let file = control_plane.data_dir.join("operator-token");
    token(&mut control_plane.process, &file).await
}

/// 32 random bytes in hex, for the owner's eyes only.
fn write_secret_key(path: &Path) -> Result<()> {
    let key: String = (0..32).map(|_| format!("{:02x}", rand::rng().random::<u8>())).collect();
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(writeln!(file, "{key}")?)
}
