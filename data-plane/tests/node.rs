//! A node as its process runs it: real sockets, real threads, no control plane.

#![expect(clippy::unwrap_used, reason = "a test that can not go on says where it stopped")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_data_plane::node::{Config, ControlLink, Counters, Limits, Ready, run};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Far more than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

struct Node {
    at: Ready,
    stop: CancellationToken,
    thread: JoinHandle<anyhow::Result<()>>,
    _data: tempfile::TempDir,
}

fn start(workers: usize, limits: Limits) -> Node {
    let data = tempfile::tempdir().unwrap();
    let (ready, at) = oneshot::channel();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let config = Config {
        name: "n1".into(),
        labels: BTreeMap::new(),
        data_dir: data.path().to_owned(),
        proxy_listen: any,
        status_listen: any,
        workers,
        control: ControlLink::Remote { endpoints: Vec::new(), join_token_file: None },
        counters: Counters::Local,
        limits,
        access_log: None,
        log_level: Default::default(),
        metrics_beside: Default::default(),
        ready: Some(ready),
    };
    let stop = CancellationToken::new();
    let told = stop.clone();
    let thread = std::thread::spawn(move || run(config, told));
    Node { at: at.blocking_recv().expect("it starts"), stop, thread, _data: data }
}

impl Node {
    fn stop(self) {
        self.stop.cancel();
        wait("it ends", || self.thread.is_finished());
        self.thread.join().unwrap().unwrap();
    }
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "it never came to be that {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn get(at: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

#[test]
fn a_node_without_a_configuration_lives_and_says_that_it_is_not_ready() {
    let node = start(2, Limits::default());
    assert!(get(node.at.status, "/livez").unwrap().starts_with("HTTP/1.1 200"));
    let ready = get(node.at.status, "/readyz").unwrap();
    assert!(ready.starts_with("HTTP/1.1 503") && ready.ends_with("no configuration yet\n"), "{ready}");
    for _ in 0..10 {
        let reply = get(node.at.proxy, "/").unwrap();
        assert!(reply.starts_with("HTTP/1.1 503") && reply.contains(r#""code":"not_configured""#), "{reply}");
    }
    let status = get(node.at.status, "/status").unwrap();
    let status: Value = serde_json::from_str(status.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&status["name"], &status["workers"], &status["connected"]), (&"n1".into(), &2.into(), &false.into()));
    assert_eq!((&status["position"]["traffic"], &status["epoch"]), (&Value::Null, &Value::Null));
    wait("all workers' counts are summed", || {
        get(node.at.status, "/metrics").unwrap().contains("tidegate_requests_total{status=\"5xx\"} 10\n")
    });
    assert!(get(node.at.status, "/nothing").unwrap().starts_with("HTTP/1.1 404"));
    let at = node.at.proxy;
    node.stop();
    assert!(TcpStream::connect(at).is_err(), "nobody listens any more");
}

#[test]
fn a_node_that_drains_says_so_and_goes_on_accepting_for_a_while() {
    let limits = Limits { drain_delay: Duration::from_secs(2), ..Limits::default() };
    let node = start(1, limits);
    let mut idle = TcpStream::connect(node.at.proxy).unwrap();
    idle.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 4096]).unwrap() > 0);
    node.stop.cancel();
    wait("it is not ready", || get(node.at.status, "/readyz").unwrap().ends_with("draining\n"));
    assert!(get(node.at.proxy, "/").unwrap().starts_with("HTTP/1.1 503"), "it still answers");
    assert_eq!(idle.read(&mut [0; 4096]).unwrap(), 0, "what is idle is closed");
    node.stop();
}

#[test]
fn a_port_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let data = tempfile::tempdir().unwrap();
    let config = Config {
        name: "n1".into(),
        labels: BTreeMap::new(),
        data_dir: data.path().to_owned(),
        proxy_listen: at,
        status_listen: ([127, 0, 0, 1], 0).into(),
        workers: 1,
        control: ControlLink::Remote { endpoints: Vec::new(), join_token_file: None },
        counters: Counters::Local,
        limits: Limits::default(),
        access_log: None,
        log_level: Default::default(),
        metrics_beside: Default::default(),
        ready: None,
    };
    let error = run(config, CancellationToken::new()).unwrap_err();
    assert!(format!("{error:#}").contains(&at.to_string()), "{error:#}");
}
