//! A child process with a log file, an end, and patience for its start.
//!
//! Children run in process groups of their own, so that ^C reaches their owner alone, which then ends them in order. They
//! also die with this process, whatever ends it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait::wait_for;

/// How long a child may take to end after SIGTERM when its owner goes.
const GRACE: Duration = Duration::from_secs(5);
/// How much of a log a failure shows.
const TAIL_LINES: usize = 40;

/// A child that can be stopped, killed and started again with the same arguments.
pub struct Process {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, Option<OsString>)>,
    folder: Option<PathBuf>,
    log: PathBuf,
    /// Where in the log this run began.
    log_from: u64,
    child: Option<Child>,
}

impl Process {
    /// Starts a command; what it prints goes to the end of the log file.
    pub fn spawn(name: &str, command: &Command, log: &Path) -> Result<Process> {
        let mut process = Process {
            name: name.to_owned(),
            program: command.get_program().to_owned(),
            arguments: command.get_args().map(OsString::from).collect(),
            environment: command.get_envs().map(|(key, value)| (key.into(), value.map(OsString::from))).collect(),
            folder: command.get_current_dir().map(Path::to_owned),
            log: log.to_owned(),
            log_from: 0,
            child: None,
        };
        process.start()?;
        Ok(process)
    }

    /// Another one beside it, with these arguments more, and its log behind this one's.
    pub fn twin(&self, arguments: &[&str]) -> Result<Process> {
        let mut twin = Process {
            name: self.name.clone(),
            program: self.program.clone(),
            arguments: self.arguments.clone(),
            environment: self.environment.clone(),
            folder: self.folder.clone(),
            log: self.log.clone(),
            log_from: 0,
            child: None,
        };
        twin.arguments.extend(arguments.iter().map(OsString::from));
        twin.start()?;
        Ok(twin)
    }

    /// Starts it again after its end, with the same arguments and log.
    pub fn start(&mut self) -> Result<()> {
        if self.is_running() {
            bail!("{} is still running", self.name);
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("the log {} can't be written", self.log.display()))?;
        self.log_from = log.metadata()?.len();
        self.child =
            Some(spawn_in_spawner(self.command(log)?).with_context(|| format!("{} can't be started", self.name))?);
        Ok(())
    }

    fn command(&self, log: File) -> Result<Command> {
        let mut command = match setpriv() {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.args(&self.arguments).process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        for (key, value) in &self.environment {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        Ok(command)
    }

    /// The name given at the start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGTERM, then waits for the end; SIGKILL and an error if it does not come in time.
    pub async fn stop(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.ask_to_stop()?;
        let ended = self.wait_for_end(deadline).await;
        if ended.is_err() {
            self.kill();
        }
        ended
    }

    /// SIGTERM, without waiting; does nothing to one that has ended.
    pub fn ask_to_stop(&mut self) -> Result<()> {
        if self.is_running() { self.signal(Signal::TERM) } else { Ok(()) }
    }

    /// SIGKILL (`kill -9`) to it and its own children: no chance to tidy up. Returns once it is gone; does nothing if it was
    /// already.
    pub fn kill(&mut self) {
        if self.is_running() {
            // It may end at this moment; then there is nothing to do.
            let _ = self.pid().map(|pid| kill_process_group(pid, Signal::KILL));
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    /// SIGSTOP: alive, holding its connections, saying nothing.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT: ends a pause.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid()?, signal).with_context(|| format!("{} can't be signalled", self.name))
    }

    fn pid(&self) -> Result<Pid> {
        let id = self.id().with_context(|| format!("{} is not running", self.name))?;
        i32::try_from(id).ok().and_then(Pid::from_raw).context("a process id is a positive number")
    }

    /// Waits until it has ended by itself.
    pub async fn wait_for_end(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        let child = self.child.as_mut().with_context(|| format!("{name} is not running"))?;
        let status = wait_for(&format!("the end of {name}"), deadline, async || {
            child.try_wait()?.ok_or_else(|| anyhow!("it is still running"))
        })
        .await?;
        self.child = None;
        Ok(status)
    }

    /// Waits until something accepts connections there.
    pub async fn wait_for_port(&mut self, address: SocketAddr, deadline: Duration) -> Result<()> {
        self.wait_until(&format!("{address} to accept"), deadline, async || {
            tokio::net::TcpStream::connect(address).await?;
            Ok(())
        })
        .await
    }

    /// Waits until this run has logged a line that contains the text, and gives that line.
    pub async fn wait_for_line(&mut self, text: &str, deadline: Duration) -> Result<String> {
        let (log, from) = (self.log.clone(), self.log_from);
        self.wait_until(&format!("a line with `{text}`"), deadline, async || {
            let written = read_from(&log, from)?;
            let line = written.lines().find(|line| line.contains(text));
            line.map(str::to_owned).ok_or_else(|| anyhow!("not logged yet"))
        })
        .await
    }

    /// Waits until a GET there answers 200. Certificates are not checked: it is the loopback.
    pub async fn wait_for_ok(&mut self, url: &str, deadline: Duration) -> Result<()> {
        let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build()?;
        self.wait_until(&format!("200 from {url}"), deadline, async || {
            let status = client.get(url).timeout(Duration::from_secs(2)).send().await?.status();
            if status == 200 { Ok(()) } else { Err(anyhow!("it answers {status}")) }
        })
        .await
    }

    /// Waits for a condition, but no longer than the process lives; a failure shows the end of the log.
    pub async fn wait_until<T>(
        &mut self,
        what: &str,
        deadline: Duration,
        mut condition: impl AsyncFnMut() -> Result<T>,
    ) -> Result<T> {
        let start = Instant::now();
        let mut reason = anyhow!("nothing was tried");
        while start.elapsed() < deadline {
            if !self.is_running() {
                let status = self.child.take().map(|mut child| child.wait());
                let status = status.transpose()?.map_or_else(|| "not started".to_owned(), |status| status.to_string());
                return Err(anyhow!("{} ended ({status}) before {what}\n{}", self.name, self.log_tail()));
            }
            let a_moment = Duration::from_millis(250).min(deadline);
            match wait_for(what, a_moment, async || condition().await).await {
                Ok(value) => return Ok(value),
                Err(error) => reason = error,
            }
        }
        Err(reason.context(format!("{}: waited {deadline:?} for {what}\n{}", self.name, self.log_tail())))
    }

    /// What this run has printed so far.
    pub fn output(&self) -> String {
        read_from(&self.log, self.log_from).unwrap_or_default()
    }

    /// The last lines it printed, for a message.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(TAIL_LINES);
        format!("--- the end of {}\n{}\n---", self.log.display(), lines[from..].join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
        if !self.is_running() {
            return;
        }
        // A stopped process can't heed SIGTERM.
        let _ = self.resume();
        let _ = self.pid().map(|pid| kill_process_group(pid, Signal::TERM));
        let start = Instant::now();
        while self.is_running() && start.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }
}

fn read_from(log: &Path, from: u64) -> Result<String> {
    let bytes = std::fs::read(log)?;
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    Ok(String::from_utf8_lossy(&bytes[from..]).into_owned())
}

/// The kernel ends a child when the thread that made it ends, so all are made by one thread that lasts.
fn spawn_in_spawner(command: Command) -> Result<Child> {
    type Wish = (Command, Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Sender<Wish>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (wishes, taken) = channel::<Wish>();
        let serve = move || {
            for (mut command, answer) in taken {
                // Whoever asked waits for the answer.
                let _ = answer.send(command.spawn());
            }
        };
        std::thread::Builder::new().name("spawner".into()).spawn(serve).expect("a thread can be started");
        wishes
    });
    let (answer, answered) = channel();
    spawner.send((command, answer)).expect("the spawner lasts as long as the process");
    Ok(answered.recv().expect("the spawner answers each wish")?)
}

/// From util-linux, which every Debian has; without it children merely outlive a killed owner.
fn setpriv() -> Option<&'static Path> {
    ["/usr/bin/setpriv", "/bin/setpriv"].into_iter().map(Path::new).find(|path| path.exists())
}

/// Where a program is: in `PATH`, or in the folders that a plain user's `PATH` lacks.
pub fn find_program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("`{name}` is not installed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> (Process, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("GREETING", "hello");
        (Process::spawn("shell", &command, &folder.path().join("log")).unwrap(), folder)
    }

    #[tokio::test]
    async fn a_line_is_awaited_and_given() {
        let (mut process, _folder) = shell("echo first; echo \"$GREETING you\"; exec sleep 60");
        assert_eq!(process.wait_for_line("hello", DEADLINE).await.unwrap(), "hello you");
    }

    #[tokio::test]
    async fn an_early_end_is_told_at_once_with_the_log() {
        let (mut process, _folder) = shell("echo no such flag >&2; exit 3");
        let start = Instant::now();
        let told = format!("{:#}", process.wait_for_line("ready", DEADLINE).await.unwrap_err());
        assert!(told.contains("exit status: 3") && told.contains("no such flag"), "{told}");
        assert!(start.elapsed() < DEADLINE / 2);
    }

    #[tokio::test]
    async fn stop_lets_it_tidy_up_and_kill_does_not() {
        let script = "trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
        let (mut process, _folder) = shell(script);
        process.wait_for_line("ready", DEADLINE).await.unwrap();
        assert!(process.stop(DEADLINE).await.unwrap().success());
        assert!(process.output().contains("tidied"));

        process.start().unwrap();
        process.wait_for_line("ready", DEADLINE).await.unwrap();
        process.kill();
        assert!(!process.is_running());
        assert!(!process.output().contains("tidied"));
    }

    #[tokio::test]
    async fn a_stubborn_child_is_killed_and_named() {
        let (mut process, _folder) = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
        process.wait_for_line("ready", DEADLINE).await.unwrap();
        let told = process.stop(Duration::from_millis(100)).await.unwrap_err();
        assert!(format!("{told:#}").contains("the end of shell"));
        assert!(!process.is_running());
    }

    #[tokio::test]
    async fn it_ends_with_its_owner_and_takes_its_children_along() {
        let (mut process, _folder) = shell("trap '' TERM; sleep 600 & echo child $!; wait");
        let line = process.wait_for_line("child", DEADLINE).await.unwrap();
        let child = line.strip_prefix("child ").unwrap().to_owned();
        let id = process.id().unwrap().to_string();
        process.kill();
        for id in [id, child] {
            let gone = wait_for("its end", DEADLINE, async || match read_state(&id) {
                None | Some('Z') => Ok(()),
                Some(state) => bail!("{id} is {state}"),
            });
            gone.await.unwrap();
        }
    }

    #[tokio::test]
    async fn it_ends_when_it_is_dropped() {
        let (process, _folder) = shell("sleep 600; echo over");
        let id = process.id().unwrap().to_string();
        drop(process);
        assert_eq!(read_state(&id), None);
    }

    /// The letter that the kernel gives to what a process does; none once it is gone.
    fn read_state(id: &str) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }
}
