//! What a control plane sends to a node, told by nodes that are played by hand.

#[expect(dead_code, reason = "the other test of the stream uses the rest")]
#[path = "support/memory_log.rs"]
mod memory_log;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use memory_log::{MemoryLog, MemoryPositions, put};
use tidegate_control_plane::config_stream::{ConfigStream, Parts, Timings};
use tidegate_control_plane::fleet::{self, AskError, Fleet, NodeState, Reason, Want};
use tidegate_control_plane::vault::Authority;
use tidegate_model::{Change, Class, Digest, GatewayConfig, Kind, Position};
use tidegate_proto::convert::{Announced, CLASSES, class_to_wire, digest_to_wire, read_chunk};
use tidegate_proto::v1;
use tidegate_proto::v1::config_stream_client::ConfigStreamClient;
use tidegate_proto::v1::control_message::Message;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

const LONG: Duration = Duration::from_secs(20);

struct Plane {
    log: Arc<MemoryLog>,
    fleet: Arc<Fleet>,
    stream: Arc<ConfigStream>,
    pipes: mpsc::Sender<DuplexStream>,
    stop: CancellationToken,
}

fn timings() -> Timings {
    Timings { enrolment_known: Duration::from_millis(50), catch_up: Duration::from_millis(50), ..Timings::default() }
}

fn plane() -> Plane {
    plane_with(timings(), Arc::new(MemoryLog::new()), Arc::default(), "one")
}

fn plane_with(timings: Timings, log: Arc<MemoryLog>, positions: Arc<MemoryPositions>, replica: &str) -> Plane {
    let fleet_timings = fleet::Timings { silent_after: Duration::from_secs(30), ..fleet::Timings::default() };
    let fleet = Fleet::new(replica.to_owned(), log.clone(), positions, fleet_timings);
    let parts = Authority::generate().expect("an authority");
    let stream = ConfigStream::new(Parts {
        source: log.clone(),
        nodes: log.clone(),
        fleet: fleet.clone(),
        authority: Authority::new(&parts).expect("an authority"),
        data_key: [1; 32],
        timings,
    });
    let stop = CancellationToken::new();
    let (pipes, opened) = mpsc::channel(4);
    tokio::spawn(fleet.clone().run(stop.clone()));
    tokio::spawn(stream.clone().run(stop.clone()));
    tokio::spawn(stream.clone().serve_in_process(opened, stop.clone()));
    Plane { log, fleet, stream, pipes, stop }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A node that does what the test says.
struct Node {
    out: mpsc::Sender<v1::NodeMessage>,
    inbound: Streaming<v1::ControlMessage>,
    config: GatewayConfig,
    at: HashMap<Class, Position>,
}

struct Update {
    announced: Announced,
    changes: Vec<Change>,
}

impl Update {
    fn is_snapshot(&self) -> bool {
        self.announced.from.is_none()
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> =
            self.changes.iter().filter_map(|c| c.after.as_ref()?.name.as_ref()).map(|n| n.as_str()).collect();
        names.sort_unstable();
        names
    }
}

impl Node {
    async fn connect(plane: &Plane) -> Node {
        Node::connect_with(plane, Vec::new()).await
    }

    async fn connect_with(plane: &Plane, have: Vec<v1::Have>) -> Node {
        let (own, other) = tokio::io::duplex(64 << 10);
        plane.pipes.send(other).await.expect("the control plane listens");
        let mut own = Some(hyper_util::rt::TokioIo::new(own));
        let once =
            tower::service_fn(move |_| std::future::ready(own.take().ok_or_else(|| std::io::Error::other("once"))));
        let channel = tonic::transport::Endpoint::from_static("http://control-plane.tidegate.internal")
            .connect_with_connector(once)
            .await
            .expect("a connection");
        let (out, outbound) = mpsc::channel(16);
        let hello =
            v1::Hello { version: "1".into(), name: "local".into(), address: "here".into(), have, ..Default::default() };
        out.send(hello.into()).await.expect("there is room");
        let inbound = ConfigStreamClient::new(channel).stream(ReceiverStream::new(outbound)).await.expect("a stream");
        Node { out, inbound: inbound.into_inner(), config: GatewayConfig::new(), at: HashMap::new() }
    }

    /// The next message that is not about the size of the fleet.
    async fn message(&mut self) -> Result<Message, Status> {
        loop {
            let next = tokio::time::timeout(LONG, self.inbound.message()).await.expect("something is said in time")?;
            match next.ok_or_else(|| Status::cancelled("the end"))?.message.expect("a message") {
                Message::Fleet(_) => {}
                message => return Ok(message),
            }
        }
    }

    /// Whatever else comes within a moment.
    async fn hears_nothing(&mut self) {
        let heard = tokio::time::timeout(Duration::from_millis(150), self.inbound.message());
        match heard.await {
            Err(_) => {}
            Ok(Ok(Some(message))) if matches!(message.message, Some(Message::Fleet(_))) => {}
            Ok(heard) => panic!("heard {heard:?}"),
        }
    }

    /// The next update that is complete, of one class or of any.
    async fn update(&mut self) -> Update {
        let mut open: HashMap<i32, Update> = HashMap::new();
        loop {
            match self.message().await.expect("the stream goes on") {
                Message::Begin(begin) => {
                    let announced = Announced::try_from(&begin).expect("well formed");
                    let former = open.insert(begin.class, Update { announced, changes: Vec::new() });
                    assert!(former.is_none(), "one in flight per class");
                }
                Message::Chunk(chunk) => {
                    let update = open.get_mut(&chunk.class).expect("it began");
                    read_chunk(&chunk.changes, &mut update.changes).expect("well formed");
                }
                Message::End(end) => {
                    let update = open.remove(&end.class).expect("it began");
                    assert_eq!(update.changes.len() as u64, update.announced.count);
                    // the rest of the other class follows; these tests are small enough to read it first
                    assert!(open.is_empty(), "small updates are not divided");
                    return update;
                }
                other => panic!("not an update: {other:?}"),
            }
        }
    }

    fn take(&mut self, update: &Update) {
        let Announced { class, from, to, digest, .. } = update.announced;
        if from.is_none() {
            let gone: Vec<Change> = self.config.states(&[class]).map(|c| Change { after: None, ..c }).collect();
            self.config = self.config.with(&gone).expect("right");
        } else {
            assert_eq!(self.at.get(&class).copied(), from, "a delta starts where the node is");
        }
        self.config = self.config.with(&update.changes).expect("right");
        self.at.insert(class, to);
        assert_eq!(self.config.digest(class), digest);
    }

    async fn say(&self, message: impl Into<v1::NodeMessage>) {
        self.out.send(message.into()).await.expect("the stream is open");
    }

    async fn acknowledge(&self, class: Class, revision: u64, digest: Digest) {
        let digest = digest_to_wire(digest);
        let class = class_to_wire(class);
        self.say(v1::Applied { class, revision, digest, took_us: 1, persisted: true }).await;
    }

    async fn apply(&mut self, update: &Update) {
        self.take(update);
        let Announced { class, to, digest, .. } = update.announced;
        self.acknowledge(class, to.revision, digest).await;
    }

    async fn reject(&self, update: &Update) {
        let Announced { class, to, .. } = update.announced;
        let problem = v1::Problem { code: "bad".into(), detail: "it can't be built".into(), ..Default::default() };
        self.say(v1::Rejected { class: class_to_wire(class), revision: to.revision, problems: vec![problem] }).await;
    }

    /// Applies what comes until both classes are at a revision.
    async fn reach(&mut self, revision: u64) {
        while CLASSES.iter().any(|class| self.at.get(class).is_none_or(|at| at.revision < revision)) {
            let update = self.update().await;
            self.apply(&update).await;
        }
    }

    fn have(&self) -> Vec<v1::Have> {
        self.at.iter().map(|(class, at)| v1::Have::new(*class, *at, self.config.digest(*class))).collect()
    }

    async fn ending(&mut self) -> Status {
        loop {
            match self.message().await {
                Ok(_) => {}
                Err(status) => return status,
            }
        }
    }
}

const SERVICE: &str = r#"{"url":"http://127.0.0.1:9000"}"#;

#[tokio::test]
async fn a_new_node_gets_snapshots_and_then_deltas() {
    let plane = plane();
    plane.log.put(Kind::Service, 1, "a", SERVICE);
    plane.log.put(Kind::Consumer, 2, "acme", "{}");
    let mut node = Node::connect(&plane).await;
    for _ in CLASSES {
        let update = node.update().await;
        assert!(update.is_snapshot());
        node.apply(&update).await;
    }
    let revision = plane.log.put(Kind::Service, 3, "b", SERVICE);
    node.reach(revision).await;
    assert_eq!(node.config.digest(Class::Traffic), plane.log.config().digest(Class::Traffic));
    assert_eq!(node.config.digest(Class::Identity), plane.log.config().digest(Class::Identity));
    assert_eq!(plane.stream.counts().snapshots.load(Ordering::Relaxed), 2);
    // what is of no class that travels stays at home
    assert_eq!(node.config.count(Kind::Node), 0);
}

#[tokio::test]
async fn nothing_is_sent_before_the_answer_and_then_all_at_once() {
    let plane = plane();
    let mut node = Node::connect(&plane).await;
    node.reach(plane.log.position().revision).await;
    plane.log.put(Kind::Service, 1, "a", SERVICE);
    let (first, second) = (node.update().await, node.update().await);
    for n in 2..50 {
        plane.log.put(Kind::Service, n, &format!("s{n}"), SERVICE);
    }
    plane.log.put(Kind::Service, 1, "renamed", SERVICE);
    plane.log.delete(Kind::Service, 2);
    node.hears_nothing().await;
    for update in [first, second] {
        node.apply(&update).await;
    }
    let before = plane.stream.counts().deltas.load(Ordering::Relaxed);
    node.reach(plane.log.position().revision).await;
    assert_eq!(node.config.digest(Class::Traffic), plane.log.config().digest(Class::Traffic));
    let deltas = plane.stream.counts().deltas.load(Ordering::Relaxed) - before;
    assert!(deltas <= 2, "{deltas} deltas for what fits into one per class");
}

#[tokio::test]
async fn a_node_that_comes_back_goes_on_where_it_was() {
    let plane = plane();
    plane.log.put(Kind::Service, 1, "a", SERVICE);
    let mut node = Node::connect(&plane).await;
    node.reach(plane.log.position().revision).await;
    let have = node.have();
    drop(node.out);
    // nothing happened
    let mut same = Node::connect_with(&plane, have.clone()).await;
    for _ in CLASSES {
        assert!(matches!(same.message().await, Ok(Message::UpToDate(_))));
    }
    same.hears_nothing().await;
    // something happened
    let revision = plane.log.put(Kind::Service, 2, "b", SERVICE);
    let mut again = Node { config: node.config.clone(), at: node.at.clone(), ..Node::connect_with(&plane, have).await };
    again.reach(revision).await;
    assert_eq!(again.config.digest(Class::Traffic), plane.log.config().digest(Class::Traffic));
    assert_eq!(plane.stream.counts().snapshots.load(Ordering::Relaxed), 2, "those of the first time");
}

#[tokio::test]
async fn another_history_too_long_ago_or_a_wrong_sum_means_a_snapshot() {
    type Happening = fn(&Plane, &mut Vec<v1::Have>);
    let cases: [(&str, Happening); 4] = [
        ("another epoch", |plane, _| plane.log.renew_epoch()),
        ("lost commits", |plane, _| {
            plane.log.lose_after(2);
            plane.log.put(Kind::Service, 8, "x", SERVICE);
            plane.log.put(Kind::Service, 9, "y", SERVICE);
        }),
        ("too long ago", |plane, _| {
            let revision = plane.log.put(Kind::Service, 8, "x", SERVICE);
            plane.log.forget_before(revision);
        }),
        ("wrong sum", |_, have| have.iter_mut().for_each(|have| have.digest = vec![7; 16])),
    ];
    for (case, happen) in cases {
        let plane = plane();
        plane.log.put(Kind::Service, 1, "a", SERVICE);
        let mut node = Node::connect(&plane).await;
        node.reach(plane.log.put(Kind::Service, 2, "b", SERVICE)).await;
        let mut have = node.have();
        drop(node);
        happen(&plane, &mut have);
        let mut again = Node::connect_with(&plane, have).await;
        for _ in CLASSES {
            let update = again.update().await;
            assert!(update.is_snapshot(), "{case}");
            again.apply(&update).await;
        }
        again.reach(plane.log.position().revision).await;
        assert_eq!(again.config.digest(Class::Traffic), plane.log.config().digest(Class::Traffic), "{case}");
    }
}

#[tokio::test]
async fn a_node_ahead_of_a_replica_waits_while_the_store_is_away() {
    let plane = plane();
    plane.log.put(Kind::Service, 1, "a", SERVICE);
    let mut ahead = plane.log.position();
    ahead.revision += 5;
    let have = CLASSES.map(|class| v1::Have::new(class, ahead, Digest(1))).to_vec();
    plane.log.reachable.store(false, Ordering::Relaxed);
    // the local node is enrolled by this connection, which moves the head by one
    let mut node = Node::connect_with(&plane, have.clone()).await;
    assert!(matches!(node.message().await, Ok(Message::Wait(_))), "never a lower revision");
    assert_eq!(node.ending().await.code(), Code::Unavailable);
    plane.log.reachable.store(true, Ordering::Relaxed);
    let mut node = Node::connect_with(&plane, have).await;
    assert!(node.update().await.is_snapshot(), "the store says that the commits are lost");
}

#[tokio::test]
async fn what_is_refused_is_not_sent_again_and_healed_from_where_the_node_is() {
    let plane = plane();
    let mut node = Node::connect(&plane).await;
    node.reach(plane.log.position().revision).await;
    let bad = plane.log.put(Kind::Service, 1, "a", SERVICE);
    for _ in CLASSES {
        let update = node.update().await;
        match update.announced.class {
            Class::Traffic => node.reject(&update).await,
            _ => node.apply(&update).await,
        }
    }
    node.hears_nothing().await;
    let confirmation = plane.fleet.wait(bad, &[Class::Traffic], Want::All, LONG).await;
    assert!(!confirmation.complete);
    assert_eq!(confirmation.behind[0].reason, Reason::Rejected);
    assert!(plane.fleet.wait(bad, &[Class::Identity], Want::All, LONG).await.complete, "identity did not wait");
    let nodes = plane.fleet.nodes().await;
    assert_eq!((nodes[0].status, nodes[0].problems[0].problem.code.as_ref()), (NodeState::Rejected, "bad"));
    // a later revision heals it, from what the node has
    let good = plane.log.put(Kind::Service, 2, "b", SERVICE);
    let mut traffic = node.update().await;
    if traffic.announced.class == Class::Identity {
        node.apply(&traffic).await;
        traffic = node.update().await;
    }
    assert_eq!(traffic.announced.from.map(|from| from.revision), Some(bad - 1));
    assert_eq!(traffic.names(), ["a", "b"]);
    node.apply(&traffic).await;
    node.reach(good).await;
    assert!(plane.fleet.wait(good, &CLASSES, Want::All, LONG).await.complete);
    assert_eq!(plane.fleet.nodes().await[0].status, NodeState::Current);
}

#[tokio::test]
async fn a_snapshot_that_was_refused_is_not_the_one_that_is_sent_next() {
    let plane = plane();
    plane.log.put(Kind::Service, 1, "a", SERVICE);
    let mut node = Node::connect(&plane).await;
    let mut refused = 0;
    for _ in CLASSES {
        let update = node.update().await;
        match update.announced.class {
            Class::Traffic => {
                refused = update.announced.to.revision;
                node.reject(&update).await;
            }
            _ => node.apply(&update).await,
        }
    }
    let healed = plane.log.put(Kind::Service, 2, "b", SERVICE);
    let mut update = node.update().await;
    if update.announced.class == Class::Identity {
        node.apply(&update).await;
        update = node.update().await;
    }
    assert!(update.is_snapshot() && update.announced.to.revision > refused);
    node.apply(&update).await;
    node.reach(healed).await;
}

#[tokio::test]
async fn a_node_that_says_it_does_not_fit_is_brought_in_step() {
    let plane = plane();
    plane.log.put(Kind::Service, 1, "a", SERVICE);
    let mut node = Node::connect(&plane).await;
    node.reach(plane.log.position().revision).await;
    // without saying where it is: a snapshot
    plane.log.put(Kind::Service, 2, "b", SERVICE);
    let update = node.update().await;
    if update.announced.class == Class::Identity {
        node.apply(&update).await;
        node.update().await;
    }
    node.say(v1::Resync { class: class_to_wire(Class::Traffic), have: None, reason: "a test".into() }).await;
    let mut again = node.update().await;
    if again.announced.class == Class::Identity {
        node.apply(&again).await;
        again = node.update().await;
    }
    assert!(again.is_snapshot());
    node.apply(&again).await;
    node.reach(plane.log.position().revision).await;
    // again and again: the stream is closed
    for n in 3.. {
        plane.log.put(Kind::Service, n, &format!("s{n}"), SERVICE);
        let resync = v1::Resync { class: class_to_wire(Class::Traffic), have: None, reason: "a test".into() };
        if node.out.send(resync.into()).await.is_err() {
            break;
        }
        match tokio::time::timeout(LONG, node.inbound.message()).await.expect("in time") {
            Ok(Some(_)) => {}
            _ => break,
        }
        assert!(n < 100, "it never ends");
    }
}

#[tokio::test]
async fn an_acknowledgement_with_another_sum_is_answered_by_a_snapshot() {
    let plane = plane();
    plane.log.put(Kind::Service, 1, "a", SERVICE);
    let mut node = Node::connect(&plane).await;
    node.reach(plane.log.position().revision).await;
    plane.log.put(Kind::Service, 2, "b", SERVICE);
    for _ in CLASSES {
        let update = node.update().await;
        node.take(&update);
        let Announced { class, to, digest, .. } = update.announced;
        let wrong = if class == Class::Traffic { Digest(digest.0 ^ 1) } else { digest };
        node.acknowledge(class, to.revision, wrong).await;
    }
    let update = node.update().await;
    assert!(update.is_snapshot() && update.announced.class == Class::Traffic);
    assert_eq!(plane.stream.counts().digest_mismatches.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_let_go() {
    let timings = Timings { answer: Duration::from_millis(100), ..timings() };
    let plane = plane_with(timings, Arc::new(MemoryLog::new()), Arc::default(), "one");
    let mut node = Node::connect(&plane).await;
    assert_eq!(node.ending().await.code(), Code::DeadlineExceeded);
    let timings = Timings { hello: Duration::from_millis(100), ..timings };
    let plane = plane_with(timings, plane.log.clone(), Arc::default(), "two");
    let mut node = Node::connect(&plane).await;
    node.say(v1::Hello::default()).await;
    assert_eq!(node.ending().await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn the_stream_of_a_retired_node_is_closed() {
    let plane = plane();
    let mut node = Node::connect(&plane).await;
    node.reach(plane.log.position().revision).await;
    let id = plane.log.config().all(Kind::Node).next().expect("it is enrolled").id;
    plane.log.delete(Kind::Node, id.as_u128());
    assert_eq!(node.ending().await.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_newer_stream_of_a_node_replaces_the_older() {
    let plane = plane();
    let mut old = Node::connect(&plane).await;
    old.reach(plane.log.position().revision).await;
    let mut new = Node::connect_with(&plane, old.have()).await;
    assert_eq!(old.ending().await.code(), Code::Aborted);
    assert!(matches!(new.message().await, Ok(Message::UpToDate(_))));
    let revision = plane.log.position().revision;
    assert!(plane.fleet.wait(revision, &CLASSES, Want::All, LONG).await.complete, "the older took nothing with it");
}

#[tokio::test]
async fn a_control_plane_that_stops_sends_its_nodes_away() {
    let timings = Timings { drain: Duration::from_millis(200), ..timings() };
    let plane = plane_with(timings, Arc::new(MemoryLog::new()), Arc::default(), "one");
    let mut node = Node::connect(&plane).await;
    node.reach(plane.log.position().revision).await;
    plane.stop.cancel();
    assert!(matches!(node.message().await, Ok(Message::Move(_))));
    node.ending().await;
}

#[tokio::test]
async fn a_node_is_asked_what_only_it_knows() {
    let plane = plane();
    let mut node = Node::connect(&plane).await;
    node.reach(plane.log.position().revision).await;
    let id = plane.log.config().all(Kind::Node).next().expect("it is enrolled").id;
    let fleet = plane.fleet.clone();
    let asked = tokio::spawn(async move { fleet.ask(id, "status", "{}", LONG).await });
    let Ok(Message::Ask(ask)) = node.message().await else { panic!("a question") };
    assert_eq!((ask.query.as_str(), ask.arguments.as_str()), ("status", "{}"));
    node.say(v1::Answer { id: ask.id, result: Some(v1::answer::Result::Value("{\"a\":1}".into())) }).await;
    assert_eq!(asked.await.expect("no panic"), Ok("{\"a\":1}".to_owned()));
    let short = Duration::from_millis(50);
    assert_eq!(plane.fleet.ask(id, "status", "", short).await, Err(AskError::TimedOut));
    let other = tidegate_model::Id::new(uuid::Uuid::from_u128(99));
    assert_eq!(plane.fleet.ask(other, "status", "", short).await, Err(AskError::NotConnected));
}

#[tokio::test]
async fn waiting_sees_the_nodes_of_other_replicas_through_the_table() {
    let (log, positions): (Arc<MemoryLog>, Arc<MemoryPositions>) = (Arc::new(MemoryLog::new()), Arc::default());
    let one = plane_with(timings(), log.clone(), positions.clone(), "one");
    let two = plane_with(timings(), log.clone(), positions.clone(), "two");
    let mut node = Node::connect(&two).await;
    node.reach(log.position().revision).await;
    let revision = log.put(Kind::Service, 1, "a", SERVICE);
    let fleet = one.fleet.clone();
    let waiting = tokio::spawn(async move { fleet.wait(revision, &CLASSES, Want::All, LONG).await });
    node.reach(revision).await;
    let confirmation = waiting.await.expect("no panic");
    assert!(confirmation.complete);
    assert_eq!(confirmation.confirmed, ["local"]);
    // a node that never came is waited for, and named
    log.put(Kind::Node, 77, "elsewhere", &format!(r#"{{"public_key":"{}"}}"#, "0".repeat(64)));
    let short = Duration::from_millis(60);
    let all = one.fleet.wait(revision, &CLASSES, Want::All, short).await;
    assert!(!all.complete);
    assert_eq!((all.behind[0].node.as_str(), all.behind[0].reason), ("elsewhere", Reason::Silent));
    assert!(one.fleet.wait(revision, &CLASSES, Want::Any, short).await.complete);
    assert!(one.fleet.wait(revision, &CLASSES, Want::Percent(50), short).await.complete);
    assert!(!one.fleet.wait(revision, &CLASSES, Want::Percent(51), short).await.complete);
    assert!(one.fleet.wait(revision, &[Class::Control], Want::All, short).await.complete, "nothing for nodes in it");
    // the table is away: what is connected here is still told right
    positions.lost.store(true, Ordering::Relaxed);
    let revision = log.put(Kind::Service, 2, "b", SERVICE);
    node.reach(revision).await;
    let status = two.fleet.wait(revision, &CLASSES, Want::Any, LONG).await;
    assert_eq!(status.confirmed, ["local"]);
    positions.lost.store(false, Ordering::Relaxed);
    let other = one.fleet.wait(revision, &CLASSES, Want::Any, LONG).await;
    assert!(other.complete, "it is written once the table is back");
}

#[tokio::test]
async fn a_large_snapshot_is_divided_and_identity_comes_between() {
    let plane = plane();
    let document = format!(r#"{{"url":"http://127.0.0.1:9000","description":"{}"}}"#, "x".repeat(900));
    plane.log.commit((1..3000).map(|n| put(Kind::Service, n, &format!("s{n}"), &document)).collect());
    let mut node = Node::connect(&plane).await;
    let mut chunks = 0;
    let mut identity_done_after = None;
    loop {
        match node.message().await.expect("the stream goes on") {
            Message::Chunk(chunk) => {
                chunks += 1;
                assert!(chunk.changes.len() < 300 << 10);
            }
            Message::End(end) if end.class == class_to_wire(Class::Identity) => identity_done_after = Some(chunks),
            Message::End(_) => break,
            _ => {}
        }
    }
    assert!(chunks > 8);
    assert!(identity_done_after.is_some_and(|after| after < chunks), "identity did not wait for all of traffic");
}
