//! A node as its process runs it: real sockets, real threads, no control plane.

#![expect(clippy::unwrap_used, reason = "a test that can not go on says where it stopped")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_data_plane::node::{Config, ControlLink, Counters, Edge, Inherited, Limits, Ready, run};
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
        data_key: Default::default(),
        counters: Counters::Local,
        limits,
        edge: Edge::default(),
        access_log: None,
        log_level: Default::default(),
        metrics_beside: Default::default(),
        ready: Some(ready),
        inherited: Inherited::default(),
        leave: CancellationToken::new(),
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
        data_key: Default::default(),
        counters: Counters::Local,
        limits: Limits::default(),
        edge: Edge::default(),
        access_log: None,
        log_level: Default::default(),
        metrics_beside: Default::default(),
        ready: None,
        inherited: Inherited::default(),
        leave: CancellationToken::new(),
    };
    let error = run(config, CancellationToken::new()).unwrap_err();
    assert!(format!("{error:#}").contains(&at.to_string()), "{error:#}");
}

/// Connections of each worker.
fn connections(node: &Node) -> Vec<u64> {
    let status = get(node.at.status, "/status").unwrap();
    let status: Value = serde_json::from_str(status.split_once("\r\n\r\n").unwrap().1).unwrap();
    status["connections"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect()
}

fn assert_spread(node: &Node, all: usize) {
    wait("all are counted", || connections(node).iter().sum::<u64>() == all as u64);
    let counts = connections(node);
    let (max, workers) = (*counts.iter().max().unwrap() as usize, counts.len());
    assert!(max * workers * 4 <= all * 5, "one of {workers} has {max} of {all}: {counts:?}");
}

#[test]
fn connections_spread_evenly_over_the_workers() {
    let node = start(16, Limits::default());
    let connect = || {
        let mut stream = TcpStream::connect(node.at.proxy).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0, "it is served, by whichever worker");
        stream
    };
    let mut streams: Vec<TcpStream> = (0..64).map(|_| connect()).collect();
    assert_spread(&node, 64);
    // some workers lose all that they have; those that come next make up for it
    let mut number = 0;
    streams.retain(|_| {
        number += 1;
        number % 3 != 0 && number < 50
    });
    let kept = streams.len();
    wait("the others are gone", || connections(&node).iter().sum::<u64>() == kept as u64);
    streams.extend((kept..64).map(|_| connect()));
    assert_spread(&node, 64);
    // all at once, before anything is counted
    let more: Vec<TcpStream> = (0..64).map(|_| TcpStream::connect(node.at.proxy).unwrap()).collect();
    assert_spread(&node, 128);
    let metrics = get(node.at.status, "/metrics").unwrap();
    assert!(metrics.contains("tidegate_worker_connections_active{worker=\"15\"} "), "{metrics}");
    drop((streams, more));
    node.stop();
}

#[test]
fn connections_beyond_the_limit_are_told_so_and_far_beyond_are_closed() {
    let node = start(2, Limits { connections_max: 8, ..Limits::default() });
    let mut held: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(node.at.proxy).unwrap()).collect();
    wait("all are counted", || connections(&node).iter().sum::<u64>() == 8);
    let reply = get(node.at.proxy, "/").unwrap();
    assert!(reply.starts_with("HTTP/1.1 503") && reply.contains("\"overloaded\""), "{reply}");
    assert!(reply.contains("retry-after: 1\r\n") && reply.contains("connection: close\r\n"), "{reply}");
    // as many as are told so, and then one more: closed without a word
    held.extend((0..65).map(|_| TcpStream::connect(node.at.proxy).unwrap()));
    wait("one more gets no answer", || {
        let mut late = TcpStream::connect(node.at.proxy).unwrap();
        late.set_read_timeout(Some(DEADLINE)).unwrap();
        matches!(late.read(&mut [0; 64]), Ok(0) | Err(_))
    });
    let metrics = get(node.at.status, "/metrics").unwrap();
    assert!(!metrics.contains("tidegate_guard_total{guard=\"connections_max\"} 0\n"), "{metrics}");
    drop(held);
    wait("there is room again", || get(node.at.proxy, "/").is_ok_and(|reply| reply.contains("not_configured")));
    node.stop();
}

#[test]
fn an_address_may_have_a_limit_of_its_own() {
    let node = start(2, Limits { connections_per_client_max: 2, ..Limits::default() });
    let held = [(); 2].map(|()| TcpStream::connect(node.at.proxy).unwrap());
    wait("both are counted", || connections(&node).iter().sum::<u64>() == 2);
    assert!(get(node.at.proxy, "/").unwrap().contains("\"overloaded\""));
    drop(held);
    wait("there is room again", || get(node.at.proxy, "/").is_ok_and(|reply| reply.contains("not_configured")));
    node.stop();
}

#[test]
fn a_node_without_memory_says_so_quickly() {
    // every process has more than this
    let node = start(1, Limits { memory_max: 1 << 20, ..Limits::default() });
    wait("memory is looked at", || get(node.at.proxy, "/").is_ok_and(|reply| reply.contains("\"overloaded\"")));
    let status = get(node.at.status, "/status").unwrap();
    assert!(status.contains("\"short\": true"), "{status}");
    node.stop();
}
