//! Both ends of the configuration stream together, over real TLS: joining, losses, and a seeded simulation of a small fleet.

#[expect(dead_code, reason = "the other test of the stream uses the rest")]
#[path = "../../control-plane/tests/support/memory_log.rs"]
mod memory_log;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use memory_log::{MemoryLog, MemoryPositions, put};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use tempfile::TempDir;
use tidegate_control_plane::config_stream::{self, ConfigStream, Parts, Source as _};
use tidegate_control_plane::fleet::{self, Fleet, NodeState, Want};
use tidegate_control_plane::vault::{Authority, AuthorityParts};
use tidegate_data_plane::config_sync::{Config, ConfigSync, ControlLink, SyncStatus};
use tidegate_model::{Change, Class, Digest, Id, Kind, Sha256, TokenKind, write_token};
use tidegate_proto::join::JoinToken;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(30);
const CLASSES: [Class; 2] = [Class::Identity, Class::Traffic];
const SECRET: [u8; 32] = [5; 32];
const SERVICE: &str = r#"{"url":"http://127.0.0.1:9000"}"#;

/// What all control planes of a cluster share.
struct Cluster {
    log: Arc<MemoryLog>,
    positions: Arc<MemoryPositions>,
    authority: AuthorityParts,
    dir: TempDir,
}

/// One control plane.
struct Plane {
    address: SocketAddr,
    fleet: Arc<Fleet>,
    stream: Arc<ConfigStream>,
    stop: CancellationToken,
    served: Vec<JoinHandle<()>>,
}

/// One node.
struct Node {
    sync: Arc<ConfigSync>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Cluster {
    fn new() -> Cluster {
        let log = Arc::new(MemoryLog::new());
        let secret = write_token(TokenKind::Join, &SECRET);
        let hash = Sha256::of(secret.as_bytes());
        log.put(Kind::JoinToken, 1, "", &format!(r#"{{"token_hash":"{hash}","hint":"tgj_…"}}"#));
        let dir = TempDir::new().expect("a folder");
        let cluster =
            Cluster { log, positions: Arc::default(), authority: Authority::generate().expect("an authority"), dir };
        cluster.write_token("join-token", &secret, cluster.authority().key_hash());
        cluster
    }

    fn authority(&self) -> Authority {
        Authority::new(&self.authority).expect("an authority")
    }

    fn write_token(&self, file: &str, secret: &str, ca_key: Sha256) {
        let token = JoinToken { secret: secret.to_owned(), ca_key };
        std::fs::write(self.dir.path().join(file), format!("{token}\n")).expect("written");
    }

    async fn plane(&self, address: &str) -> Plane {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let fleet =
            Fleet::new(address.to_string(), self.log.clone(), self.positions.clone(), fleet::Timings::default());
        let stream = ConfigStream::new(Parts {
            source: self.log.clone(),
            nodes: self.log.clone(),
            fleet: fleet.clone(),
            authority: self.authority(),
            data_key: [7; 32],
            timings: config_stream::Timings {
                enrolment_known: Duration::from_millis(50),
                drain: Duration::from_millis(100),
                ..config_stream::Timings::default()
            },
        });
        let stop = CancellationToken::new();
        let (running, serving) = (stream.clone(), stream.clone());
        let (until, end) = (stop.clone(), stop.clone());
        let served = vec![
            tokio::spawn(fleet.clone().run(stop.clone())),
            tokio::spawn(async move { running.run(until).await }),
            tokio::spawn(async move { serving.serve(listener, end).await.expect("it serves") }),
        ];
        Plane { address, fleet, stream, stop, served }
    }

    fn node(&self, name: &str, planes: &[&Plane]) -> Node {
        let endpoints = planes.iter().map(|plane| format!("https://{}", plane.address)).collect();
        self.node_with(name, name, endpoints, "join-token")
    }

    fn node_with(&self, folder: &str, name: &str, endpoints: Vec<String>, token: &str) -> Node {
        let link = ControlLink::Remote { endpoints, join_token_file: Some(self.dir.path().join(token)) };
        let mut config = Config::new(name, self.dir.path().join(folder), link);
        config.labels = [("zone".to_owned(), "a".to_owned())].into();
        config.timings.backoff = Duration::from_millis(20);
        config.timings.backoff_max = Duration::from_millis(200);
        config.seed = Some(1);
        let sync = ConfigSync::open(config).expect("the folder is free");
        let stop = CancellationToken::new();
        let (running, until) = (sync.clone(), stop.clone());
        let running = tokio::spawn(async move { running.run(until).await });
        Node { sync, stop, running }
    }

    fn digests(&self) -> [Digest; 2] {
        let config = self.log.config();
        CLASSES.map(|class| config.digest(class))
    }

    fn commit(&self, kind: Kind, id: u128, name: &str) -> u64 {
        let document = if kind == Kind::Service { SERVICE } else { "{}" };
        self.log.put(kind, id, name, document)
    }
}

impl Plane {
    async fn stop(self) {
        self.stop.cancel();
        for task in self.served {
            task.await.expect("no panic");
        }
    }

    /// At once, without sending the nodes away first.
    fn kill(self) {
        for task in &self.served {
            task.abort();
        }
    }
}

impl Node {
    async fn until(&self, what: &str, good: impl FnMut(&SyncStatus) -> bool) -> SyncStatus {
        let mut status = self.sync.status();
        let reached = tokio::time::timeout(LONG, status.wait_for(good)).await;
        match reached {
            Ok(status) => status.expect("the node lives").clone(),
            Err(_) => panic!("not {what}: {:?}", *self.sync.status().borrow()),
        }
    }

    async fn ready(&self) -> SyncStatus {
        self.until("ready", |status| status.ready && status.connected).await
    }

    async fn refused(&self, why: &str) -> SyncStatus {
        self.until(why, |s| !s.connected && s.trouble.as_ref().is_some_and(|trouble| trouble.contains(why))).await
    }

    async fn at(&self, revision: u64) -> SyncStatus {
        let there = |at: Option<u64>| at == Some(revision);
        self.until(&format!("at {revision}"), |s| there(s.position.identity) && there(s.position.traffic)).await
    }

    fn digests(&self) -> [Digest; 2] {
        let live = self.sync.live().current();
        CLASSES.map(|class| live.config().digest(class))
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.expect("no panic");
        let sync = self.sync;
        // the threads end with it, and the folder is free then
        tokio::task::spawn_blocking(move || drop(sync)).await.expect("no panic");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_joins_gets_the_configuration_and_the_data_key() {
    let cluster = Cluster::new();
    cluster.commit(Kind::Service, 9, "orders");
    let plane = cluster.plane("127.0.0.1:0").await;
    let one = cluster.node("edge", &[&plane]);
    let id = one.ready().await.node_id.expect("it joined");
    one.at(cluster.log.position().revision).await;
    assert_eq!(one.digests(), cluster.digests());
    assert_eq!(one.sync.data_key(), Some([7; 32]));
    let document = cluster.log.config().spec::<tidegate_model::Node>(id).expect("it is enrolled").clone();
    assert_eq!(document.labels.get("zone").map(String::as_str), Some("a"));
    assert_eq!(mode(&cluster.dir.path().join("edge/node.key")), 0o600);
    // the same name again is another node, told apart
    let endpoint = vec![format!("https://{}", plane.address)];
    let two = cluster.node_with("other-folder", "edge", endpoint, "join-token");
    assert_eq!(two.ready().await.name, "edge-2");
    let confirmed = plane.fleet.wait(cluster.commit(Kind::Service, 10, "b"), &CLASSES, Want::All, LONG).await;
    assert!(confirmed.complete);
    assert_eq!(confirmed.confirmed, ["edge", "edge-2"]);
    let asked = plane.fleet.ask(id, "status", "", LONG).await.expect("it answers");
    assert!(asked.contains("\"connected\":true"), "{asked}");
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_authority_or_token_lets_nobody_join() {
    let cluster = Cluster::new();
    let plane = cluster.plane("127.0.0.1:0").await;
    let good = write_token(TokenKind::Join, &SECRET);
    let ca_key = cluster.authority().key_hash();
    cluster.write_token("wrong-authority", &good, Sha256::of(b"another"));
    cluster.write_token("wrong-secret", &write_token(TokenKind::Join, &[6; 32]), ca_key);
    let expired = write_token(TokenKind::Join, &[8; 32]);
    let hash = Sha256::of(expired.as_bytes());
    let document = format!(r#"{{"token_hash":"{hash}","hint":"tgj_…","expires_at":"2020-01-01T00:00:00Z"}}"#);
    cluster.log.put(Kind::JoinToken, 2, "", &document);
    cluster.write_token("expired", &expired, ca_key);
    for (token, why) in [
        ("wrong-authority", "is not the control plane that this node knows"),
        ("wrong-secret", "the join token is not valid"),
        ("expired", "the join token is not valid"),
        ("missing", "can't be read"),
    ] {
        let folder = format!("node-{token}");
        let node = cluster.node_with(&folder, "edge", vec![format!("https://{}", plane.address)], token);
        assert_eq!(node.refused(why).await.node_id, None);
        assert!(!cluster.dir.path().join(folder).join("node.crt").exists());
        node.stop().await;
    }
    assert_eq!(cluster.log.config().count(Kind::Node), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_node_is_let_go_and_serves_what_it_has() {
    let cluster = Cluster::new();
    cluster.commit(Kind::Service, 9, "orders");
    let plane = cluster.plane("127.0.0.1:0").await;
    let node = cluster.node("edge", &[&plane]);
    let id = node.ready().await.node_id.expect("it joined");
    // acknowledged means on disk
    let head = cluster.log.head().position.revision;
    assert!(plane.fleet.wait(head, &CLASSES, Want::All, LONG).await.complete);
    cluster.log.delete(Kind::Node, id.as_u128());
    node.refused("retired").await;
    cluster.commit(Kind::Service, 10, "later");
    node.stop().await;
    // also after a restart, although its certificate is good and the token is still there
    let node = cluster.node("edge", &[&plane]);
    assert!(node.refused("retired").await.ready, "it serves from disk");
    assert_eq!(cluster.log.config().count(Kind::Node), 0);
    assert_eq!(node.sync.live().current().config().count(Kind::Service), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_starts_from_disk_without_any_control_plane_and_goes_on_from_there() {
    let cluster = Cluster::new();
    cluster.commit(Kind::Service, 9, "orders");
    let plane = cluster.plane("127.0.0.1:0").await;
    let address = plane.address;
    let node = cluster.node("edge", &[&plane]);
    node.ready().await;
    for n in 0..5 {
        cluster.commit(Kind::Consumer, 100 + n, &format!("c{n}"));
    }
    let revision = cluster.log.position().revision;
    assert!(plane.fleet.wait(revision, &CLASSES, Want::All, LONG).await.complete);
    plane.kill();
    node.stop().await;
    let node = cluster.node_with("edge", "edge", vec![format!("https://{address}")], "join-token");
    assert_eq!(node.digests(), cluster.digests(), "served before any connection");
    assert!(node.sync.status().borrow().ready);
    // the control plane is back, with some news
    let later = cluster.commit(Kind::Service, 10, "later");
    let plane = plane_at(&cluster, address).await;
    node.at(later).await;
    assert_eq!(node.digests(), cluster.digests());
    assert_eq!(plane.stream.counts().snapshots.load(Ordering::Relaxed), 0, "deltas were enough");
    assert_eq!(node.sync.status().borrow().counts.snapshots, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_move_to_the_other_control_plane_when_one_stops() {
    let cluster = Cluster::new();
    let (one, two) = (cluster.plane("127.0.0.1:0").await, cluster.plane("127.0.0.1:0").await);
    let nodes: Vec<Node> = (0..4).map(|n| cluster.node(&format!("n{n}"), &[&one, &two])).collect();
    for node in &nodes {
        node.ready().await;
    }
    let revision = cluster.commit(Kind::Service, 9, "a");
    assert!(one.fleet.wait(revision, &CLASSES, Want::All, LONG).await.complete, "nodes of both are counted");
    one.stop().await;
    let revision = cluster.commit(Kind::Service, 10, "b");
    let confirmation = two.fleet.wait(revision, &CLASSES, Want::All, LONG).await;
    assert!(confirmation.complete, "{confirmation:?}");
    let nodes = two.fleet.nodes().await;
    assert!(nodes.iter().all(|node| node.status == NodeState::Current), "{nodes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_nodes_need_is_encoded_once() {
    let cluster = Cluster::new();
    let plane = cluster.plane("127.0.0.1:0").await;
    let nodes: Vec<Node> = (0..12).map(|n| cluster.node(&format!("n{n}"), &[&plane])).collect();
    for node in &nodes {
        node.ready().await;
    }
    let revision = cluster.log.position().revision;
    assert!(plane.fleet.wait(revision, &CLASSES, Want::All, LONG).await.complete);
    let counts = plane.stream.counts();
    let (encoded, sent) = (counts.encoded.load(Ordering::Relaxed), counts.deltas.load(Ordering::Relaxed));
    let revision = cluster.commit(Kind::Service, 9, "a");
    assert!(plane.fleet.wait(revision, &CLASSES, Want::All, LONG).await.complete);
    assert_eq!(counts.deltas.load(Ordering::Relaxed) - sent, 24);
    assert_eq!(counts.encoded.load(Ordering::Relaxed) - encoded, 2, "one per class");
    nodes[0].until("told how many there are", |status| status.fleet_nodes == 12).await;
}

/// Two control planes, three nodes, and a seed that decides what happens: writes, writes that no node takes, control planes and
/// nodes that are stopped, killed and started, lost commits. At any time what a node runs is, per class, what the log had at
/// some revision; in the end all nodes have what the log has.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_the_nodes_end_up_with_what_was_committed() {
    let seeds = match std::env::var("TIDEGATE_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => vec![11, 12, 13, rand::random()],
    };
    for seed in seeds {
        println!("TIDEGATE_SEED={seed}");
        simulate(seed).await;
    }
}

const STEPS: u32 = 60;

async fn simulate(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let cluster = Cluster::new();
    let first = [cluster.plane("127.0.0.1:0").await, cluster.plane("127.0.0.1:0").await];
    let addresses = [first[0].address, first[1].address];
    let mut planes = first.map(Some);
    let mut nodes: [Option<Node>; 3] = std::array::from_fn(|_| None);
    let start = |n: usize| {
        let endpoints = addresses.iter().map(|address| format!("https://{address}")).collect();
        cluster.node_with(&format!("n{n}"), &format!("n{n}"), endpoints, "join-token")
    };
    let mut history = History::default();
    history.note(&cluster);
    for _ in 0..STEPS {
        match random.random_range(0..10) {
            0..=4 => write(&cluster, &mut random),
            5 => {
                let n = random.random_range(0..2);
                match planes[n].take() {
                    Some(plane) if random.random_bool(0.5) => plane.stop().await,
                    Some(plane) => plane.kill(),
                    None => planes[n] = Some(plane_at(&cluster, addresses[n]).await),
                }
            }
            6 | 7 => {
                let n = random.random_range(0..3);
                match nodes[n].take() {
                    Some(node) => node.stop().await,
                    None => nodes[n] = Some(start(n)),
                }
            }
            8 if random.random_bool(0.5) => lose_some(&cluster, &mut random),
            _ => tokio::time::sleep(Duration::from_millis(random.random_range(0..40))).await,
        }
        history.note(&cluster);
        for node in nodes.iter().flatten() {
            history.check(node, seed);
        }
    }
    // calm: all are there, and what no node takes is taken back
    for (n, plane) in planes.iter_mut().enumerate() {
        if plane.is_none() {
            *plane = Some(plane_at(&cluster, addresses[n]).await);
        }
    }
    for (n, node) in nodes.iter_mut().enumerate() {
        node.get_or_insert_with(|| start(n));
    }
    for node in nodes.iter().flatten() {
        node.until("joined", |status| status.node_id.is_some()).await;
    }
    cluster.log.delete(Kind::Route, BAD);
    cluster.commit(Kind::Service, 999, "last");
    for node in nodes.iter().flatten() {
        node.until("in step", |_| node.digests() == cluster.digests()).await;
        let at = cluster.log.position().revision;
        node.until("at the head", |s| s.position.traffic >= Some(at) && s.position.identity >= Some(at)).await;
        assert_eq!(node.digests(), cluster.digests(), "seed {seed}");
    }
    for node in nodes.into_iter().flatten() {
        node.stop().await;
    }
    for plane in planes.into_iter().flatten() {
        plane.kill();
    }
}

async fn plane_at(cluster: &Cluster, address: SocketAddr) -> Plane {
    let freed = async {
        while TcpListener::bind(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, freed).await.expect("the port is free again");
    cluster.plane(&address.to_string()).await
}

/// The route that no node takes.
const BAD: u128 = 500;

fn write(cluster: &Cluster, random: &mut impl Rng) {
    let n: u128 = random.random_range(0..8);
    let gone = |kind, id| Change { kind, id: Id::new(Uuid::from_u128(id)), after: None };
    let change = match random.random_range(0..9) {
        0 => gone(Kind::Service, 100 + n),
        1 => gone(Kind::Consumer, 200 + n),
        2 => gone(Kind::Route, BAD),
        3 => put(Kind::Route, BAD, "bad", &format!(r#"{{"service":"{}"}}"#, Uuid::from_u128(12345))),
        4 | 5 => {
            let document = format!(r#"{{"description":"{}"}}"#, random.random::<u32>());
            put(Kind::Consumer, 200 + n, &format!("c{n}"), &document)
        }
        _ => {
            let document = format!(r#"{{"url":"http://127.0.0.1:{}"}}"#, random.random_range(1..60_000));
            put(Kind::Service, 100 + n, &format!("s{n}"), &document)
        }
    };
    cluster.log.commit(vec![change]);
}

/// A fail-over that loses commits. Those that enrolled nodes are kept, so that none is retired by it.
fn lose_some(cluster: &Cluster, random: &mut impl Rng) {
    cluster.log.lose_last(random.random_range(0..4));
    write(cluster, random);
}

/// All that was ever committed, by what it adds up to.
#[derive(Default)]
struct History {
    digests: [HashSet<Digest>; 2],
}

impl History {
    fn note(&mut self, cluster: &Cluster) {
        for (known, digest) in self.digests.iter_mut().zip(cluster.digests()) {
            known.insert(digest);
        }
    }

    fn check(&self, node: &Node, seed: u64) {
        for (known, digest) in self.digests.iter().zip(node.digests()) {
            assert!(known.contains(&digest), "seed {seed}: a node runs what was never committed");
        }
    }
}
