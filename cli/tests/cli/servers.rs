//! Starting and stopping a server.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{run, stderr, tidegate};

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that is stopped when the test ends, however it ends.
pub(crate) struct Server {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Server {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// With this for its standard output.
    pub(crate) fn start_with(command: &mut Command, stdout: Stdio) -> Self {
        let mut child =
            command.stderr(Stdio::piped()).stdout(stdout).spawn().expect("the binary was built for this test");
        let lines = read(child.stderr.take().expect("it is piped"));
        Server { child, lines }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits for a line of the log.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut seen = String::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => seen.push_str(&format!("{line}\n")),
                Err(error) => panic!("no `{part}` in the log: {error}\n{seen}"),
            }
        }
    }

    /// Waits for its end, which is also the end of its log.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        while self.lines.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
        assert!(Instant::now() < until, "it did not end");
        self.child.wait().expect("it is our child").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read(stderr: ChildStderr) -> mpsc::Receiver<String> {
    let (to, lines) = mpsc::channel();
    std::thread::spawn(move || BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
    lines
}

pub(crate) fn standalone(dir: &Path) -> Command {
    let mut command = tidegate(dir);
    command.args(["standalone", "--workers", "1"]);
    for flag in ["--proxy-listen", "--admin-listen", "--status-listen"] {
        command.args([flag, "127.0.0.1:0"]);
    }
    command
}

#[test]
fn a_server_becomes_ready_and_stops_when_told() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::start(&mut standalone(dir.path()));
        server.wait_for("ready: the gateway at http://127.0.0.1:");
        server.signal(signal);
        server.wait_for("stopped");
        assert_eq!(server.exit_code(), Some(0));
    }
}

#[test]
fn the_log_can_be_made_louder_while_running() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&mut standalone(dir.path()));
    server.wait_for("ready");
    server.signal(Signal::USR1);
    server.wait_for("the log level is now `debug`");
    server.signal(Signal::USR2);
    server.wait_for("the log level is now `info`");
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&mut standalone(dir.path()));
    server.wait_for("ready");
    let second = run(&mut standalone(dir.path()));
    assert_eq!(second.status.code(), Some(1));
    let wanted =
        format!("the folder is in use by process {}; stop that one, or give another --data-dir", server.child.id());
    assert!(stderr(&second).contains(&wanted), "{}", stderr(&second));
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let dir = tempfile::tempdir().unwrap();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    for flag in ["--proxy-listen", "--admin-listen", "--status-listen"] {
        let mut command = tidegate(dir.path());
        command.arg("standalone");
        for other in ["--proxy-listen", "--admin-listen", "--status-listen"] {
            command.args([other, if other == flag { &address } else { "127.0.0.1:0" }]);
        }
        let output = run(&mut command);
        assert_eq!(output.status.code(), Some(1));
        let wanted = format!("{flag} {address}: port {} is in use", held.local_addr().unwrap().port());
        assert!(stderr(&output).contains(&wanted), "{}", stderr(&output));
    }
}

#[test]
fn logs_are_json_lines_if_asked() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(standalone(dir.path()).args(["--log-format", "json"]));
    let line: serde_json::Value = serde_json::from_str(&server.wait_for("ready: the gateway")).unwrap();
    assert!(line["proxy"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{line}");
}

#[test]
fn a_client_says_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(tidegate(dir.path()).arg("status"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no operator token in ./data/operator-token"), "{}", stderr(&output));

    // nobody listens at a port that was just let go
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = tidegate(dir.path());
    command.args(["status", "--admin-url", &format!("http://{free}")]).env("TIDEGATE_TOKEN", "tgo_x");
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot be reached"), "{}", stderr(&output));
    assert!(stderr(&output).contains("--admin-url"), "{}", stderr(&output));
}
