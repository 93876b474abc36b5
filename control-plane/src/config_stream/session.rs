//! One node's stream, from its `Hello` to its end.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_model::{Class, Id, Kind, Sha256};
use tidegate_proto::convert::class_from_wire;
use tidegate_proto::v1::{self, control_message, node_message};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::Timings;
use super::lane::{Lane, Reply};
use super::publisher::Publisher;
use super::source::Head;
use crate::fleet::{AskError, Fleet, Joined, Question};

/// Messages that wait to be written to one node; more are not made before these are gone.
pub(super) const OUT_MAX: usize = 4;

/// Answers of one class that wait to be looked at. One is in flight, so a second is already one too many.
const REPLIES_MAX: usize = 2;

/// Why a stream ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// The node closed it, or the connection broke.
    Gone,
    /// This control plane stops.
    Stopped,
    /// The node must come back later.
    Wait,
    /// The node is told why.
    Refused(Status),
}

/// How the node of a stream proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// By a certificate for this key.
    Key(Sha256),
    /// It is in the same process.
    InProcess,
}

/// What the parts of a session share.
pub(super) struct Shared {
    pub(super) node: Id,
    pub(super) session: Uuid,
    pub(super) proof: Proof,
    /// Where the connection comes from.
    pub(super) remote: String,
    pub(super) publisher: Arc<Publisher>,
    pub(super) fleet: Arc<Fleet>,
    pub(super) timings: Timings,
    pub(super) out: mpsc::Sender<Result<v1::ControlMessage, Status>>,
    pub(super) draining: CancellationToken,
    /// The listener is gone.
    pub(super) ended: CancellationToken,
    pub(super) asked: Mutex<HashMap<u64, oneshot::Sender<Result<String, AskError>>>>,
}

impl Shared {
    pub(super) async fn out(&self, message: v1::ControlMessage) -> Result<(), Ending> {
        // a node that does not read is as good as one that does not answer
        match tokio::time::timeout(self.timings.answer, self.out.send(Ok(message))).await {
            Ok(sent) => sent.map_err(|_| Ending::Gone),
            Err(_) => Err(Ending::Refused(Status::deadline_exceeded("the node did not read"))),
        }
    }
}

/// Whether the configuration still has the node, with the key that it proved.
pub(super) fn is_enrolled(head: &Head, node: Id, proof: Proof) -> bool {
    let enrolled = head.config.spec::<tidegate_model::Node>(node);
    match proof {
        Proof::Key(key) => enrolled.is_some_and(|node| node.public_key == Some(key)),
        Proof::InProcess => enrolled.is_some(),
    }
}

/// Serves a node until its stream ends.
pub(super) async fn serve(shared: Shared, mut inbound: Streaming<v1::NodeMessage>) {
    let node = shared.node;
    let hello = match read_hello(&shared, &mut inbound).await {
        Ok(hello) => hello,
        Err(ending) => return end(&shared, ending).await,
    };
    let labels = hello.labels.clone().into_iter().collect();
    let address = if hello.address.is_empty() { shared.remote.clone() } else { hello.address.clone() };
    info!(node.id = %node, version = hello.version, remote = shared.remote, "node `{}` ({node}) connected", hello.name);
    let joined = shared.fleet.join(node, shared.session, hello.version.clone(), address, labels);
    let ending = converse(&shared, &hello, joined, &mut inbound).await;
    shared.fleet.leave(node, shared.session);
    end(&shared, ending).await;
}

async fn read_hello(shared: &Shared, inbound: &mut Streaming<v1::NodeMessage>) -> Result<v1::Hello, Ending> {
    let refused = |why: &str| Ending::Refused(Status::invalid_argument(why.to_owned()));
    let first = tokio::time::timeout(shared.timings.hello, inbound.message())
        .await
        .map_err(|_| refused("the node said nothing"))?;
    match first.map_err(|_| Ending::Gone)?.ok_or(Ending::Gone)?.message {
        Some(node_message::Message::Hello(hello)) => Ok(hello),
        _ => Err(refused("a stream starts with `Hello`")),
    }
}

/// Runs all that happens on a stream side by side; what ends first ends it.
async fn converse(
    shared: &Shared,
    hello: &v1::Hello,
    joined: Joined,
    inbound: &mut Streaming<v1::NodeMessage>,
) -> Ending {
    let Joined { questions, replaced } = joined;
    let (identity, identity_replies) = mpsc::channel(REPLIES_MAX);
    let (traffic, traffic_replies) = mpsc::channel(REPLIES_MAX);
    let lane = |class, replies| {
        let have = hello.have.iter().filter_map(|have| have.read().ok()).find(|(of, ..)| *of == class);
        let lane = Lane { shared, class, replies, at: None, floor: 0, refused: None, resyncs: 0 };
        lane.run(have.map(|(_, at, digest)| (at, digest)))
    };
    tokio::select! {
        ending = read(shared, inbound, &identity, &traffic) => ending,
        ending = lane(Class::Identity, identity_replies) => ending,
        ending = lane(Class::Traffic, traffic_replies) => ending,
        ending = watch_enrolment(shared) => ending,
        ending = tell_size(shared) => ending,
        ending = ask(shared, questions) => ending,
        ending = drain(shared) => ending,
        () = shared.ended.cancelled() => Ending::Stopped,
        () = replaced.cancelled() => Ending::Refused(Status::aborted("the node has a newer stream")),
    }
}

async fn read(
    shared: &Shared,
    inbound: &mut Streaming<v1::NodeMessage>,
    identity: &mpsc::Sender<Reply>,
    traffic: &mpsc::Sender<Reply>,
) -> Ending {
    use node_message::Message;
    loop {
        let message = match inbound.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Ending::Gone,
            Err(status) => {
                debug!(node.id = %shared.node, "the stream of node `{}` broke: {status}", shared.node);
                return Ending::Gone;
            }
        };
        shared.fleet.seen(shared.node, shared.session);
        let (class, reply) = match message.message {
            Some(Message::Applied(applied)) => (applied.class, Reply::Applied(applied)),
            Some(Message::Rejected(rejected)) => (rejected.class, Reply::Rejected(rejected)),
            Some(Message::Resync(resync)) => (resync.class, Reply::Resync(resync)),
            Some(Message::Answer(answer)) => {
                answered(shared, answer);
                continue;
            }
            Some(Message::Used(used)) => {
                let read =
                    |used: v1::UsedCredential| Some((Id::new(uuid::Uuid::from_slice(&used.id).ok()?), used.hour));
                shared.fleet.used(used.credentials.into_iter().filter_map(read));
                continue;
            }
            Some(Message::Alive(_)) | None => continue,
            Some(Message::Hello(_)) => {
                return Ending::Refused(Status::invalid_argument("`Hello` is said once"));
            }
        };
        let lane = match class_from_wire(class) {
            Ok(Class::Identity) => identity,
            Ok(Class::Traffic) => traffic,
            _ => return Ending::Refused(Status::invalid_argument("an answer of no class")),
        };
        if lane.try_send(reply).is_err() {
            return Ending::Refused(Status::invalid_argument("more answers than questions"));
        }
    }
}

fn answered(shared: &Shared, answer: v1::Answer) {
    let Some(asker) = shared.asked.lock().remove(&answer.id) else { return };
    let result = match answer.result {
        Some(v1::answer::Result::Value(value)) => Ok(value),
        Some(v1::answer::Result::Error(why)) => Err(AskError::Refused(why)),
        None => Err(AskError::Refused("an empty answer".to_owned())),
    };
    let _ = asker.send(result); // who asked may have given up
}

async fn ask(shared: &Shared, mut questions: mpsc::Receiver<Question>) -> Ending {
    let mut id = 0;
    while let Some(Question { query, arguments, answer }) = questions.recv().await {
        id += 1;
        {
            let mut asked = shared.asked.lock();
            asked.retain(|_, asker| !asker.is_closed());
            asked.insert(id, answer);
        }
        if let Err(ending) = shared.out(v1::Ask { id, query, arguments }.into()).await {
            return ending;
        }
    }
    // a newer stream took over, which ends this one
    std::future::pending().await
}

/// Ends the stream of a node that was retired.
async fn watch_enrolment(shared: &Shared) -> Ending {
    let mut heads = shared.publisher.subscribe();
    // judged by the newest: what is watched may not have the enrolment of a moment ago yet
    let retired = heads.wait_for(|_| !is_enrolled(&shared.publisher.latest(), shared.node, shared.proof)).await;
    if retired.is_err() {
        return Ending::Stopped;
    }
    info!(node.id = %shared.node, "node `{}` is retired; its stream is closed", shared.node);
    Ending::Refused(retired_status())
}

/// What a node hears whose certificate is good but whose enrolment is gone.
pub(super) fn retired_status() -> Status {
    Status::permission_denied("this node is not enrolled, or was retired")
}

async fn tell_size(shared: &Shared) -> Ending {
    let mut size = shared.fleet.size();
    loop {
        let nodes = *size.borrow_and_update();
        if let Err(ending) = shared.out(v1::Fleet { nodes }.into()).await {
            return ending;
        }
        if size.changed().await.is_err() {
            return Ending::Stopped;
        }
    }
}

/// Sends the node elsewhere once this control plane is about to stop.
async fn drain(shared: &Shared) -> Ending {
    shared.draining.cancelled().await;
    let within = shared.timings.drain;
    let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    if let Err(ending) = shared.out(v1::Move { within_ms }.into()).await {
        return ending;
    }
    tokio::time::sleep(within).await;
    Ending::Stopped
}

async fn end(shared: &Shared, ending: Ending) {
    let node = shared.node;
    let last = match ending {
        Ending::Gone => {
            info!(node.id = %node, "node `{node}` disconnected");
            return;
        }
        Ending::Stopped => Err(Status::unavailable("this control plane stops")),
        Ending::Wait => {
            let retry_ms = u64::try_from(shared.timings.retry.as_millis()).unwrap_or(u64::MAX);
            let wait = v1::ControlMessage { message: Some(control_message::Message::Wait(v1::Wait { retry_ms })) };
            let _ = shared.out.send(Ok(wait)).await;
            Err(Status::unavailable("this control plane is behind and can't reach its store"))
        }
        Ending::Refused(status) => {
            if status.code() != tonic::Code::PermissionDenied {
                warn!(node.id = %node, "the stream of node `{node}` is closed: {}", status.message());
            }
            Err(status)
        }
    };
    // bounded: a node that does not read any more is cut off by the keep-alive
    let _ = tokio::time::timeout(shared.timings.hello, shared.out.send(last)).await;
}

/// The node of this process: the one without a key.
pub(super) fn in_process_node(head: &Head) -> Option<Id> {
    let mut nodes = head.config.all(Kind::Node);
    nodes.find(|node| matches!(&node.spec, tidegate_model::Spec::Node(node) if node.public_key.is_none())).map(|n| n.id)
}
