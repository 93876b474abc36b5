//! A private Postgres out of the binaries that the machine has.
//!
//! It listens on a free loopback port, trusts everyone there, and ends when the last [`Postgres`] is dropped, or when the
//! test's process ends in whatever way. Postgres refuses to run as root; there it runs as the user `postgres`.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::ports::free_port;

/// How long it may take to start or stop; on a busy machine it takes a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether what was committed must survive a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is synced to the disk: quicker, and enough where no server is killed.
    Fast,
    /// As in production.
    Durable,
}

/// A Postgres server with its own data.
pub struct Postgres {
    bin: PathBuf,
    folder: TempDir,
    port: u16,
    durability: Durability,
    runs_as: Option<(u32, u32)>,
    running: Mutex<Option<Running>>,
    databases: AtomicU32,
}

/// The server process, and a shell that kills it if this process ends first.
struct Running {
    server: Child,
    guard: Child,
}

impl Postgres {
    /// Makes a server and starts it; takes about a second.
    pub fn start(durability: Durability) -> Result<Postgres> {
        let bin = installed_binaries()?;
        let folder = tempfile::Builder::new().prefix("tidegate-postgres-").tempdir()?;
        let runs_as = if geteuid().is_root() { Some(user_ids("postgres")?) } else { None };
        if let Some((uid, gid)) = runs_as {
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        let running = Mutex::new(None);
        let port = free_port();
        let postgres = Postgres { bin, folder, port, durability, runs_as, running, databases: AtomicU32::new(0) };

        let mut initdb = postgres.command("initdb");
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "-D"]);
        let made = initdb.arg(postgres.data()).output().context("initdb")?;
        ensure!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        postgres.start_again()?;
        Ok(postgres)
    }

    /// The server that the tests of this process share: not durable, and never to be stopped by one of them.
    pub fn shared() -> Result<Arc<Postgres>> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let started = Arc::new(Postgres::start(Durability::Fast)?);
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    /// Makes an empty database; its address.
    pub fn create_database(&self) -> Result<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("create database {name}"))?;
        Ok(self.url(&name))
    }

    /// The address of a database on this server.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The loopback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a statement with `psql`; what it printed, without headings.
    pub fn execute(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = self.command("psql");
        psql.args(["-qXAt", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql]);
        let ran = psql.output().context("psql")?;
        ensure!(ran.status.success(), "psql failed: {}", String::from_utf8_lossy(&ran.stderr));
        Ok(String::from_utf8(ran.stdout)?)
    }

    /// Starts the server on the data it has, after it was stopped or killed.
    pub fn start_again(&self) -> Result<()> {
        let mut running = self.running();
        ensure!(running.is_none(), "it runs already");
        let log = self.folder.path().join("log");
        let mut server = self.command("postgres");
        server.arg("-D").arg(self.data()).args(["-c", "listen_addresses=127.0.0.1", "-c"]);
        server.arg(format!("port={}", self.port)).arg("-c");
        server.arg(format!("unix_socket_directories={}", self.folder.path().display()));
        server.args(["-c", "max_connections=200", "-c", "shared_buffers=32MB"]);
        if self.durability == Durability::Fast {
            server.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        server.process_group(0).stdout(Stdio::null()).stderr(File::options().create(true).append(true).open(&log)?);
        let server = server.spawn().context("postgres")?;
        let guard = guard(server.id(), self.folder.path())?;
        let running = running.insert(Running { server, guard });

        let deadline = Instant::now() + PATIENCE;
        while !self.says_ready(running.server.id()) {
            let ended = running.server.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("postgres did not start: {}", fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Stops the server in order: sessions are ended, nothing is lost.
    pub fn stop(&self) -> Result<()> {
        let Some(mut running) = self.running().take() else { return Ok(()) };
        send(Signal::INT, &[running.server.id()]);
        running.end()
    }

    /// Stops the server in order and starts it again.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start_again()
    }

    /// Kills all of the server's processes at once, as a loss of power would (but that the machine keeps its page cache).
    pub fn kill(&self) -> Result<()> {
        let Some(mut running) = self.running().take() else { return Ok(()) };
        let postmaster = running.server.id();
        // Frozen, it can neither make children nor tidy up after those that it loses.
        send(Signal::STOP, &[postmaster]);
        let children = children_of(postmaster)?;
        send(Signal::KILL, &children);
        running.server.kill()?;
        running.end()?;
        let deadline = Instant::now() + PATIENCE;
        while children.iter().any(|pid| is_alive(*pid)) {
            ensure!(Instant::now() < deadline, "a killed process of postgres does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Freezes all of the server's processes: connections stay, nothing answers.
    pub fn freeze(&self) -> Result<()> {
        send(Signal::STOP, &[self.pid()?]);
        send(Signal::STOP, &children_of(self.pid()?)?);
        Ok(())
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) -> Result<()> {
        send(Signal::CONT, &children_of(self.pid()?)?);
        send(Signal::CONT, &[self.pid()?]);
        Ok(())
    }

    fn pid(&self) -> Result<u32> {
        Ok(self.running().as_ref().context("it does not run")?.server.id())
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, binary: &str) -> Command {
        let mut command = Command::new(self.bin.join(binary));
        if let Some((uid, gid)) = self.runs_as {
            command.uid(uid).gid(gid);
        }
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// The eighth line of the pid file is its status; a stale file has another pid.
    fn says_ready(&self, pid: u32) -> bool {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = file.lines();
        lines.next() == Some(&pid.to_string()) && lines.nth(6).is_some_and(|status| status.trim() == "ready")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Err(why) = self.kill() {
            eprintln!("postgres could not be ended: {why:#}");
        }
    }
}

impl Running {
    /// Waits until the server has ended, and lets the guard go.
    fn end(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.server.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "postgres does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.guard.kill()?;
        self.guard.wait()?;
        Ok(())
    }
}

/// Reads from a pipe that this process holds; its end, however it comes, ends the server and removes its data.
fn guard(server: u32, folder: &Path) -> Result<Child> {
    let script = r#"cat > /dev/null; kill -CONT "$0"; kill -9 "$0"; sleep 1; rm -rf "$1""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script, &server.to_string()]).arg(folder);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    shell.spawn().context("sh")
}

fn installed_binaries() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").context("no Postgres is installed")?;
    let version = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let mut found: Vec<_> = versions.filter_map(|entry| entry.ok().map(|it| it.path())).collect();
    found.retain(|path| path.join("bin/postgres").exists());
    found.sort_by_key(|path| version(path));
    Ok(found.pop().context("no Postgres is installed")?.join("bin"))
}

fn user_ids(user: &str) -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|fields| fields[0] == user).with_context(|| format!("there is no user `{user}`"))?;
    Ok((line[2].parse()?, line[3].parse()?))
}

/// One that has ended meanwhile is no failure.
fn send(signal: Signal, processes: &[u32]) {
    for id in processes {
        if let Some(pid) = i32::try_from(*id).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

fn children_of(parent: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if state_of(pid).is_some_and(|(_, ppid)| ppid == parent) {
            children.push(pid);
        }
    }
    Ok(children)
}

fn is_alive(pid: u32) -> bool {
    state_of(pid).is_some_and(|(state, _)| state != 'Z')
}

/// The state letter and the parent of a process.
fn state_of(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_data_when_killed_and_leaves_nothing_when_dropped() -> Result<()> {
        let postgres = Postgres::start(Durability::Durable)?;
        let folder = postgres.folder.path().to_owned();
        postgres.create_database()?;
        postgres.execute("test_0", "create table kept as select 7 as n")?;
        postgres.kill()?;
        postgres.start_again()?;
        assert_eq!(postgres.execute("test_0", "select n from kept")?.trim(), "7");
        let pid = postgres.pid()?;
        drop(postgres);
        assert!(!is_alive(pid) && !folder.exists());
        Ok(())
    }
}
