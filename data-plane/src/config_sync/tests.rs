//! A node beside a control plane that is played by hand, in the same process.

use std::time::Instant;

use futures_util::StreamExt;
use tidegate_model::{Chain, Change, Class, Digest, GatewayConfig, Id, Kind, Position, State};
use tidegate_proto::convert::{Announced, CLASSES, Chunks, class_from_wire, class_to_wire, digest_to_wire};
use tidegate_proto::v1;
use tidegate_proto::v1::config_stream_server::{self, ConfigStreamServer};
use tidegate_proto::v1::node_message::Message;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Streaming};
use uuid::Uuid;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// Hands each stream to the test.
struct Opens(mpsc::Sender<Control>);

/// The control plane's end of a stream.
struct Control {
    inbound: Streaming<v1::NodeMessage>,
    out: mpsc::Sender<Result<v1::ControlMessage, tonic::Status>>,
}

#[tonic::async_trait]
impl config_stream_server::ConfigStream for Opens {
    type StreamStream = ReceiverStream<Result<v1::ControlMessage, tonic::Status>>;

    async fn enroll(&self, _: Request<v1::EnrollRequest>) -> Result<Response<v1::EnrollReply>, tonic::Status> {
        Err(tonic::Status::unimplemented("not here"))
    }

    async fn stream(
        &self,
        request: Request<Streaming<v1::NodeMessage>>,
    ) -> Result<Response<Self::StreamStream>, tonic::Status> {
        let (out, outbound) = mpsc::channel(64);
        let control = Control { inbound: request.into_inner(), out };
        self.0.send(control).await.map_err(|_| tonic::Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(outbound)))
    }
}

impl Control {
    async fn hear(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(LONG, self.inbound.message()).await.expect("something is said in time");
            match next.expect("the stream is whole").expect("the stream goes on").message.expect("a message") {
                Message::Alive(_) => {}
                message => return message,
            }
        }
    }

    async fn hello(&mut self) -> v1::Hello {
        match self.hear().await {
            Message::Hello(hello) => hello,
            other => panic!("not a hello: {other:?}"),
        }
    }

    async fn say(&self, message: impl Into<v1::ControlMessage>) {
        self.out.send(Ok(message.into())).await.expect("the stream is open");
    }

    async fn send(&self, update: &Update) {
        for message in update.messages() {
            self.say(message).await;
        }
    }
}

use super::update::Update;

struct Rig {
    sync: Arc<ConfigSync>,
    streams: mpsc::Receiver<Control>,
    stop: CancellationToken,
}

impl Rig {
    fn start() -> Rig {
        let (pipes, opened) = mpsc::channel::<DuplexStream>(4);
        let (to, streams) = mpsc::channel(4);
        let incoming = ReceiverStream::new(opened).map(Ok::<_, std::io::Error>);
        let service = ConfigStreamServer::new(Opens(to));
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        let mut config = Config::new("a", PathBuf::from("/nowhere"), ControlLink::InProcess(pipes));
        config.timings.backoff = Duration::from_millis(5);
        config.answers = Arc::new(|query, arguments| (query == "echo").then(|| Ok(arguments.to_owned())));
        let sync = ConfigSync::open(config).expect("nothing is on disk");
        let stop = CancellationToken::new();
        let (running, until) = (sync.clone(), stop.clone());
        tokio::spawn(async move { running.run(until).await });
        Rig { sync, streams, stop }
    }

    async fn stream(&mut self) -> Control {
        tokio::time::timeout(LONG, self.streams.recv()).await.expect("it connects in time").expect("it connects")
    }

    fn services(&self) -> Vec<String> {
        self.sync.live().current().config().all(Kind::Service).map(|service| service.label()).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What the control plane has.
#[derive(Clone)]
struct Log {
    config: GatewayConfig,
    at: Position,
}

impl Log {
    fn new() -> Log {
        Log {
            config: GatewayConfig::new(),
            at: Position { epoch: Uuid::from_u128(1), revision: 0, chain: Chain::default() },
        }
    }

    fn commit(&mut self, changes: Vec<Change>) -> [Update; 2] {
        let from = self.at;
        self.at.revision += 1;
        self.at.chain = from.chain.next(self.at.revision, &changes);
        self.config = self.config.with(&changes).expect("each document can be read");
        CLASSES.map(|class| {
            let changes: Vec<Change> = changes.iter().filter(|c| c.kind.class() == class).cloned().collect();
            self.update(class, Some(from), changes)
        })
    }

    fn update(&self, class: Class, from: Option<Position>, changes: Vec<Change>) -> Update {
        let (count, digest) = (changes.len() as u64, self.config.digest(class));
        let announced = Announced { class, from, to: self.at, count, digest };
        Update { announced, chunks: Chunks(changes.into_iter()).collect() }
    }

    fn snapshot(&self, class: Class) -> Update {
        self.update(class, None, self.config.states(&[class]).collect())
    }
}

fn put(kind: Kind, id: u128, name: &str, document: &str) -> Change {
    let at = tidegate_model::Instant::from_millis(0);
    let state =
        State { name: name.parse().ok(), revision: 1, created_at: at, updated_at: at, document: document.into() };
    Change { kind, id: Id::new(Uuid::from_u128(id)), after: Some(state) }
}

const SERVICE: &str = r#"{"url":"http://127.0.0.1:9000"}"#;

fn dangling(id: u128) -> Change {
    put(Kind::Route, id, "dangling", &format!(r#"{{"service":"{}"}}"#, Uuid::from_u128(999)))
}

async fn applied(control: &mut Control) -> (Class, u64) {
    match control.hear().await {
        Message::Applied(applied) => (class_from_wire(applied.class).expect("a class"), applied.revision),
        other => panic!("not applied: {other:?}"),
    }
}

async fn start_with(log: &Log) -> (Rig, Control) {
    let mut rig = Rig::start();
    let mut control = rig.stream().await;
    assert!(control.hello().await.have.is_empty());
    for class in CLASSES {
        control.send(&log.snapshot(class)).await;
        assert_eq!(applied(&mut control).await, (class, log.at.revision));
    }
    (rig, control)
}

#[tokio::test]
async fn snapshots_and_deltas_are_served_and_acknowledged() {
    let mut log = Log::new();
    log.commit(vec![put(Kind::Service, 1, "a", SERVICE)]);
    let (rig, mut control) = start_with(&log).await;
    assert_eq!(rig.services(), ["a"]);
    for update in log.commit(vec![put(Kind::Service, 2, "b", SERVICE)]) {
        control.send(&update).await;
        applied(&mut control).await;
    }
    assert_eq!(rig.services(), ["a", "b"]);
    let status = rig.sync.status().borrow().clone();
    assert_eq!((status.position.identity, status.position.traffic), (Some(2), Some(2)));
    assert!(status.ready && status.connected && status.persisted);
}

#[tokio::test]
async fn what_can_not_be_built_is_refused_and_healed_by_a_later_delta() {
    let mut log = Log::new();
    log.commit(vec![put(Kind::Service, 1, "a", SERVICE)]);
    let (rig, mut control) = start_with(&log).await;
    let good = log.at;
    let [identity, traffic] =
        log.commit(vec![dangling(7), put(Kind::Service, 2, "b", SERVICE), put(Kind::Consumer, 3, "c", "{}")]);
    control.send(&traffic).await;
    let Message::Rejected(rejected) = control.hear().await else { panic!("it can't be built") };
    assert_eq!((rejected.revision, rejected.problems[0].pointer.as_str()), (log.at.revision, "/service"));
    assert_eq!(rig.services(), ["a"], "the last good one serves on, whole");
    // identity does not wait for traffic
    control.send(&identity).await;
    assert_eq!(applied(&mut control).await, (Class::Identity, log.at.revision));
    assert_eq!(rig.sync.live().current().config().count(Kind::Consumer), 1);
    assert_eq!(rig.sync.status().borrow().refused[0].revision, log.at.revision);
    // the route goes, the rest may stay
    log.commit(vec![Change { after: None, ..dangling(7) }]);
    let healed = log.update(
        Class::Traffic,
        Some(good),
        vec![put(Kind::Service, 2, "b", SERVICE), Change { after: None, ..dangling(7) }],
    );
    control.send(&healed).await;
    assert_eq!(applied(&mut control).await, (Class::Traffic, log.at.revision));
    assert_eq!(rig.services(), ["a", "b"]);
    assert!(rig.sync.status().borrow().refused.is_empty());
}

#[tokio::test]
async fn what_does_not_start_where_the_node_is_is_ignored_and_said() {
    let mut log = Log::new();
    log.commit(vec![put(Kind::Service, 1, "a", SERVICE)]);
    let (rig, mut control) = start_with(&log).await;
    let at = log.at;
    let [_, first] = log.commit(vec![put(Kind::Service, 2, "b", SERVICE)]);
    let [_, second] = log.commit(vec![put(Kind::Service, 3, "c", SERVICE)]);
    control.send(&second).await;
    let Message::Resync(resync) = control.hear().await else { panic!("it does not fit") };
    let (class, position, _) = resync.have.expect("it says where it is").read().expect("well formed");
    assert_eq!((class, position), (Class::Traffic, at));
    assert_eq!(rig.services(), ["a"]);
    // twice the same: the second is ignored
    control.send(&first).await;
    applied(&mut control).await;
    control.send(&first).await;
    assert!(matches!(control.hear().await, Message::Resync(_)));
    assert_eq!(rig.services(), ["a", "b"]);
}

#[tokio::test]
async fn another_sum_is_not_served() {
    let mut log = Log::new();
    log.commit(vec![put(Kind::Service, 1, "a", SERVICE)]);
    let (rig, mut control) = start_with(&log).await;
    let [_, mut traffic] = log.commit(vec![put(Kind::Service, 2, "b", SERVICE)]);
    traffic.announced.digest = Digest(1);
    control.send(&traffic).await;
    let Message::Resync(resync) = control.hear().await else { panic!("the sum is wrong") };
    assert_eq!(resync.have, None, "only a snapshot helps");
    assert_eq!(rig.services(), ["a"]);
    assert_eq!(rig.sync.status().borrow().counts.digest_mismatches, 1);
    // a snapshot with a wrong sum is no help either
    let mut snapshot = log.snapshot(Class::Traffic);
    snapshot.announced.digest = Digest(1);
    control.send(&snapshot).await;
    assert!(matches!(control.hear().await, Message::Rejected(_)));
    control.send(&log.snapshot(Class::Traffic)).await;
    applied(&mut control).await;
    assert_eq!(rig.services(), ["a", "b"]);
}

#[tokio::test]
async fn a_broken_stream_is_opened_again_with_what_the_node_has() {
    let mut log = Log::new();
    log.commit(vec![put(Kind::Service, 1, "a", SERVICE)]);
    let (mut rig, mut control) = start_with(&log).await;
    for ending in 0..3 {
        match ending {
            0 => drop(control),
            1 => control.out.send(Err(tonic::Status::aborted("a test"))).await.expect("open"),
            // a part without its beginning
            _ => control.say(v1::End { class: class_to_wire(Class::Traffic) }).await,
        }
        control = rig.stream().await;
        let mut have: Vec<_> =
            control.hello().await.have.iter().map(|have| have.read().expect("well formed")).collect();
        have.sort_by_key(|(class, ..)| *class);
        let digest = |class| log.config.digest(class);
        assert_eq!(have, CLASSES.map(|class| (class, log.at, digest(class))));
    }
    // half of an update before the end leaves no trace
    let [_, traffic] = log.commit(vec![put(Kind::Service, 2, "b", SERVICE)]);
    let mut half: Vec<_> = traffic.messages().collect();
    half.pop();
    for message in half {
        control.say(message).await;
    }
    drop(control);
    let mut control = rig.stream().await;
    control.hello().await;
    assert_eq!(rig.services(), ["a"]);
    control.send(&traffic).await;
    applied(&mut control).await;
    assert_eq!(rig.services(), ["a", "b"]);
}

#[tokio::test]
async fn a_snapshot_takes_away_what_is_not_in_it() {
    let mut log = Log::new();
    log.commit(vec![put(Kind::Service, 1, "a", SERVICE), put(Kind::Service, 2, "b", SERVICE)]);
    let (rig, mut control) = start_with(&log).await;
    let mut other = Log { at: Position { epoch: Uuid::from_u128(2), ..log.at }, ..Log::new() };
    other.commit(vec![put(Kind::Service, 2, "b", SERVICE), put(Kind::Service, 3, "c", SERVICE)]);
    control.send(&other.snapshot(Class::Traffic)).await;
    applied(&mut control).await;
    assert_eq!(rig.services(), ["b", "c"]);
}

#[tokio::test]
async fn questions_are_answered() {
    let (_rig, mut control) = start_with(&Log::new()).await;
    for (query, expected) in [("echo", "7"), ("status", "\"ready\":true"), ("nonsense", "does not know")] {
        control.say(v1::Ask { id: 5, query: query.into(), arguments: "7".into() }).await;
        let Message::Answer(answer) = control.hear().await else { panic!("an answer") };
        let text = format!("{:?}", answer.result).replace('\\', "");
        assert!(answer.id == 5 && text.contains(expected), "{text}");
    }
    control.say(v1::Fleet { nodes: 12 }).await;
    let mut status = _rig.sync.status();
    let told = status.wait_for(|status| status.fleet_nodes == 12);
    assert!(tokio::time::timeout(LONG, told).await.is_ok());
}

/// While one class compiles for long, the other is taken and acknowledged; both are live in the end.
#[tokio::test]
async fn identity_is_taken_while_traffic_compiles() {
    let mut log = Log::new();
    log.commit(vec![put(Kind::Service, 1, "a", SERVICE)]);
    let (rig, mut control) = start_with(&log).await;
    let service = Uuid::from_u128(1);
    let mut routes = Vec::new();
    for n in 0..6000u128 {
        let document = format!(r#"{{"service":"{service}","match":{{"hosts":["h{n}.example"],"path":"/p{n}"}}}}"#);
        routes.push(put(Kind::Route, 10 + n, &format!("r{n}"), &document));
    }
    let [identity, traffic] = log.commit(routes);
    control.send(&traffic).await;
    control.send(&identity).await;
    let mut order = vec![applied(&mut control).await];
    let mut identities = 0;
    // as many as fit into the time that traffic takes
    let deadline = Instant::now() + LONG;
    let mut at = log.at;
    let mut config = log.config.clone();
    while !order.iter().any(|(class, _)| *class == Class::Traffic) {
        assert!(Instant::now() < deadline);
        let change = put(Kind::Consumer, 20_000 + identities, &format!("c{identities}"), "{}");
        let from = at;
        at.revision += 1;
        at.chain = from.chain.next(at.revision, std::slice::from_ref(&change));
        config = config.with(std::slice::from_ref(&change)).expect("right");
        let announced = Announced {
            class: Class::Identity,
            from: Some(from),
            to: at,
            count: 1,
            digest: config.digest(Class::Identity),
        };
        control.send(&Update { announced, chunks: Chunks(std::iter::once(change)).collect() }).await;
        identities += 1;
        let next = applied(&mut control).await;
        order.push(next);
        if next.0 == Class::Traffic {
            order.push(applied(&mut control).await);
        }
    }
    let live = rig.sync.live().current();
    assert_eq!(live.config().count(Kind::Route), 6000);
    assert_eq!(live.config().count(Kind::Consumer) as u128, identities, "what came meanwhile is not lost");
    assert_eq!(live.config().digest(Class::Identity), config.digest(Class::Identity));
    assert_eq!(digest_to_wire(live.config().digest(Class::Traffic)), digest_to_wire(log.config.digest(Class::Traffic)));
}
