//! The access log of a running server: its file can be moved away, and a sink that takes nothing stops nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::Value;

use crate::servers::{Server, standalone};
use crate::{run, stderr};

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The address after a word of the line that says where a server is.
fn address(line: &str, after: &str) -> String {
    let rest = line.split(after).nth(1).unwrap_or_else(|| panic!("no `{after}` in {line}"));
    rest.trim_start_matches('"').chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect()
}

fn get(at: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(at).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it is no zero");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("it answers in text");
    reply
}

fn paths(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = |line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(line).map(|line| line["path"].as_str().unwrap_or_default().to_owned()).collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it never came to be that {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (file, moved) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
    let mut server = Server::start(standalone(dir.path()).arg("--access-log").arg(&file));
    let proxy = address(&server.wait_for("ready: the gateway at http"), "the gateway at http://");
    assert!(get(&proxy, "/one?q=hush").starts_with("HTTP/1.1 "));
    until("the first line is there", || paths(&file) == ["/one"]);
    std::fs::rename(&file, &moved).unwrap();
    get(&proxy, "/two");
    until("the moved file is written on", || paths(&moved) == ["/one", "/two"]);
    server.signal(Signal::HUP);
    server.wait_for("the access log was opened anew");
    get(&proxy, "/three");
    until("the new file is written", || paths(&file) == ["/three"]);
    get(&proxy, "/four");
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
    assert_eq!(
        (paths(&moved), paths(&file)),
        (vec!["/one".into(), "/two".into()], vec!["/three".into(), "/four".into()])
    );
}

#[test]
fn standard_output_that_takes_the_lines_holds_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stdout");
    let mut command = standalone(dir.path());
    command.args(["--access-log", "stdout", "--log-format", "text"]);
    let mut server = Server::start_with(&mut command, std::fs::File::create(&file).unwrap().into());
    let proxy = address(&server.wait_for("ready: the gateway at http"), "the gateway at http://");
    server.wait_for("Try next");
    get(&proxy, "/one");
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
    assert_eq!(paths(&file), ["/one"]);
}

#[test]
fn a_pipe_that_nobody_reads_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut server = Server::start(standalone(dir.path()).arg("--access-log").arg(&pipe));
    let line = server.wait_for("ready: the gateway at http");
    let (proxy, status) = (address(&line, "the gateway at http://"), address(&line, "status=\"http://"));
    // a pipe holds 64 KiB, the queue 4 MiB: pad the lines, so that not too many are needed
    let path = format!("/{}", "x".repeat(1_000));
    let mut stream = TcpStream::connect(&proxy).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (requests, mut reply) = (format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(100), vec![0; 1 << 16]);
    let dropped = || {
        let page = get(&status, "/metrics");
        let line = page.lines().find(|line| line.starts_with("tidegate_access_log_dropped_total{reason=\"busy\"}"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or_else(|| panic!("{page}"))
    };
    for round in 0.. {
        assert!(round < 400, "lines are lost once the queue is full");
        stream.write_all(requests.as_bytes()).unwrap();
        let mut replies = 0;
        while replies < 100 {
            let n = stream.read(&mut reply).unwrap();
            assert!(n > 0, "the gateway answers on");
            replies += reply[..n].windows(9).filter(|bytes| bytes == b"HTTP/1.1 ").count();
        }
        if round % 10 == 9 && dropped() > 0 {
            break;
        }
    }
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0), "what is stuck is left behind");
}

#[test]
fn a_log_that_can_not_be_opened_is_told_with_its_flag() {
    let dir = tempfile::tempdir().unwrap();
    let refused = run(standalone(dir.path()).args(["--access-log", "./no/such/folder/log"]));
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(said.contains("--access-log ./no/such/folder/log: `./no/such/folder/log` can't be opened"), "{said}");
    for (arguments, part) in [
        (["--access-log", "stderr"], "neither `off` nor `stdout`"),
        (["--access-log-sample", "2"], "from 0 to 1"),
        (["--access-log-redact", "query"], "`client`, `host`"),
    ] {
        let refused = run(standalone(dir.path()).args(arguments));
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&refused).contains(part), "{}", stderr(&refused));
    }
}
