//! `tidegate standalone`, as a process of its own with a folder of its own.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

use crate::admin::Admin;
use crate::ports::free_address;
use crate::process::Process;
use crate::tidegate::{READY, STOPPED, command, token};

/// A whole gateway in one process.
pub struct Standalone {
    process: Process,
    proxy: SocketAddr,
    admin: SocketAddr,
    status: SocketAddr,
    token: String,
    folder: TempDir,
}

impl Standalone {
    /// Starts one on free ports with an empty folder, and waits until it serves.
    pub async fn start() -> Result<Standalone> {
        Standalone::start_with(&[]).await
    }

    /// Likewise, with further arguments.
    pub async fn start_with(arguments: &[&str]) -> Result<Standalone> {
        let folder = tempfile::tempdir()?;
        let [proxy, admin, status] = [free_address(), free_address(), free_address()];
        let mut command = command("standalone")?;
        command.arg("--data-dir").arg(folder.path().join("data"));
        for (flag, address) in [("--proxy-listen", proxy), ("--admin-listen", admin), ("--status-listen", status)] {
            command.args([flag, &address.to_string()]);
        }
        command.args(arguments);
        let process = Process::spawn("standalone", &command, &folder.path().join("standalone.log"))?;
        let mut standalone = Standalone { process, proxy, admin, status, token: String::new(), folder };
        standalone.wait_until_ready().await?;
        let file = standalone.folder.path().join("data/operator-token");
        standalone.token = token(&mut standalone.process, &file).await?;
        Ok(standalone)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        for url in [format!("{}/readyz", self.admin_url()), format!("{}/readyz", self.status_url())] {
            self.process.wait_for_ok(&url, READY).await?;
        }
        Ok(())
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and the end within the time a drain may take.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop(STOPPED).await.map(drop)
    }

    /// Starts again on the same data and ports.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process.start()?;
        self.wait_until_ready().await
    }

    /// A caller of its admin API, with the first operator's token.
    pub fn admin(&self) -> Result<Admin> {
        Admin::new(&self.admin_url(), &self.token)
    }

    /// Where callers go.
    pub fn proxy_url(&self) -> String {
        format!("http://{}", self.proxy)
    }

    /// Where the admin API and the web admin are.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Where liveness, readiness, metrics and status are.
    pub fn status_url(&self) -> String {
        format!("http://{}", self.status)
    }

    /// The first operator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Its data folder.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// The log file and data live here.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The end of its log, for a message.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// The process, for what has no method of its own.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
