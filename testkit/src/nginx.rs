//! nginx as an API behind the gateway: the server that most of them are.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::ports::free_address;
use crate::process::{Process, find_program};

/// How long it may take to start; far more than it needs.
const READY: Duration = Duration::from_secs(30);

/// A running nginx in one process, of whichever user runs the test; it ends with its owner.
///
/// `/file` is 1 MiB, `/gone` answers 410, `/old` redirects to `/new`, every other path tells what reached it, in lines.
pub struct Nginx {
    h1: SocketAddr,
    h2: SocketAddr,
    _process: Process,
    folder: TempDir,
}

impl Nginx {
    /// Starts one on free ports and waits until it serves.
    pub async fn start() -> Result<Nginx> {
        let folder = tempfile::Builder::new().prefix("tidegate-nginx-").tempdir()?;
        let (h1, h2) = (free_address(), free_address());
        std::fs::write(folder.path().join("nginx.conf"), config(folder.path(), h1, h2))?;
        std::fs::write(folder.path().join("file"), vec![b'x'; 1 << 20])?;
        let mut command = Command::new(find_program("nginx")?);
        command.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
        command.arg("-e").arg(folder.path().join("error.log"));
        let mut process = Process::spawn("nginx", &command, &folder.path().join("nginx.log"))?;
        process.wait_for_port(h1, READY).await?;
        process.wait_for_port(h2, READY).await?;
        Ok(Nginx { h1, h2, _process: process, folder })
    }

    /// Where it speaks HTTP/1.1.
    pub fn url(&self) -> String {
        format!("http://{}", self.h1)
    }

    /// Where it speaks HTTP/2, by prior knowledge.
    pub fn h2_url(&self) -> String {
        format!("http://{}", self.h2)
    }

    /// What it complained of.
    pub fn complaints(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

fn config(folder: &Path, h1: SocketAddr, h2: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        r#"
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
  access_log off; default_type text/plain; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen {h1}; listen {h2} http2;
    location = /file {{ root {folder}; }}
    location = /gone {{ return 410; }}
    location = /old {{ return 301 /new; }}
    location / {{
      return 200 "protocol $server_protocol\nmethod $request_method\ntarget $request_uri\nhost $http_host\nforwarded-for $http_x_forwarded_for\nvia $http_via\ncontent-length $http_content_length\n";
    }}
  }}
}}
"#
    )
}
