//! How the configuration reaches the nodes, and how processes become nodes.
//!
//! One stream per node. Two lanes on it, `identity` and `traffic`: each keeps one message in flight and starts the next where
//! the last was acknowledged, so a slow node is just behind and costs no memory. Deltas and snapshots are encoded once for all
//! that need them ([`publisher`]).
//!
//! Loss of the store: streams go on from memory; only a node that seems to be ahead of this replica is asked to wait.
//!
//! Boundary: generated types live here and in the node's `config_sync`, nowhere else. What is needed of the log and of
//! commits is in [`Source`] and [`Nodes`].

mod enroll;
mod lane;
mod listener;
mod publisher;
mod session;
mod source;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use tidegate_model::Node;
use tidegate_proto::v1::config_stream_server::{self, ConfigStreamServer};
use tidegate_proto::{NODE_MESSAGE_BYTES_MAX, data_key::DataKey, v1};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

pub use publisher::Counts;
pub use source::{CommitNodeError, Head, NewNode, Nodes, Source};

use crate::fleet::Fleet;
use crate::vault::Authority;
use listener::{Connection, Peer};
use publisher::Publisher;
use session::Proof;

/// The name of the node inside a standalone process.
pub const LOCAL_NODE: &str = "local";

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// From a stream's start to `Hello`.
    pub hello: Duration,
    /// From the end of a delta or snapshot to the node's answer.
    pub answer: Duration,
    /// Between two pings on a connection without traffic.
    pub ping_every: Duration,
    /// From a ping to its answer.
    pub ping_answer: Duration,
    /// For a node that is ahead of this replica.
    pub catch_up: Duration,
    /// For a node that may have been enrolled by another replica a moment ago.
    pub enrolment_known: Duration,
    /// What a node that has to come back later is told.
    pub retry: Duration,
    /// Over which the nodes leave a control plane that stops.
    pub drain: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Timings {
            hello: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            ping_every: Duration::from_secs(10),
            ping_answer: Duration::from_secs(20),
            catch_up: Duration::from_secs(5),
            enrolment_known: Duration::from_secs(3),
            retry: Duration::from_secs(2),
            drain: Duration::from_secs(2),
        }
    }
}

/// What the stream is made of.
pub struct Parts {
    /// The log.
    pub source: Arc<dyn Source>,
    /// Commits of nodes.
    pub nodes: Arc<dyn Nodes>,
    /// Where nodes are.
    pub fleet: Arc<Fleet>,
    /// The cluster's authority.
    pub authority: Authority,
    /// The key that secrets in documents are sealed with.
    pub data_key: DataKey,
    /// How long what may take.
    pub timings: Timings,
}

/// Serves nodes.
pub struct ConfigStream {
    source: Arc<dyn Source>,
    nodes: Arc<dyn Nodes>,
    fleet: Arc<Fleet>,
    authority: Arc<Authority>,
    data_key: DataKey,
    timings: Timings,
    publisher: Arc<Publisher>,
    draining: CancellationToken,
    sessions: TaskTracker,
}

/// How often snapshots that nobody asks for any more are looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// Connections that were accepted and wait to be served.
const ACCEPTED_MAX: usize = 16;

/// Calls at once on one connection: the stream, a renewal, and some room.
const CALLS_PER_CONNECTION: u32 = 8;

impl ConfigStream {
    /// Puts it together; nothing runs yet.
    pub fn new(parts: Parts) -> Arc<ConfigStream> {
        let Parts { source, nodes, fleet, authority, data_key, timings } = parts;
        let publisher = Arc::new(Publisher::new(source.clone()));
        Arc::new(ConfigStream {
            source,
            nodes,
            fleet,
            authority: Arc::new(authority),
            data_key,
            timings,
            publisher,
            draining: CancellationToken::new(),
            sessions: TaskTracker::new(),
        })
    }

    /// The authority: for its key's hash in join tokens.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What was done so far.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.publisher.counts
    }

    /// Follows the log until told to stop; nodes hear of nothing without it. To be stopped after [`ConfigStream::serve`]
    /// ended, so that nodes hear of changes while they move.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let sweep = async {
            loop {
                tokio::time::sleep(SWEEP).await;
                self.publisher.forget_old_snapshots().await;
            }
        };
        tokio::select! {
            () = self.publisher.run(&stop) => {}
            () = sweep => {}
        }
    }

    /// Serves nodes that come over the network. After `stop` they are sent elsewhere, within [`Timings::drain`].
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        let tls = listener::server_config(self.authority.clone())?;
        let (to, accepted) = mpsc::channel(ACCEPTED_MAX);
        let accepting = listener::accept(listener, tls, to, stop.clone());
        let (served, ()) = tokio::join!(self.serve_connections(ReceiverStream::new(accepted), stop), accepting);
        served
    }

    /// Serves the node of this process over the pipes that it opens.
    pub async fn serve_in_process(
        self: Arc<Self>,
        mut pipes: mpsc::Receiver<DuplexStream>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let (to, accepted) = mpsc::channel(ACCEPTED_MAX);
        let until = stop.clone();
        let accepting = async move {
            loop {
                let pipe = tokio::select! {
                    () = until.cancelled() => return,
                    pipe = pipes.recv() => pipe,
                };
                let Some(pipe) = pipe else { return until.cancelled().await };
                let _ = to.send(Ok(Connection::new(pipe, Peer::InProcess))).await; // gone at shutdown
            }
        };
        let (served, ()) = tokio::join!(self.serve_connections(ReceiverStream::new(accepted), stop), accepting);
        served
    }

    async fn serve_connections<T>(
        self: Arc<Self>,
        connections: impl Stream<Item = std::io::Result<Connection<T>>>,
        stop: CancellationToken,
    ) -> anyhow::Result<()>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        Connection<T>: Connected<ConnectInfo = Peer>,
    {
        // however this ends, also by being dropped, the streams end with it
        let ended = CancellationToken::new();
        let _ending = ended.clone().drop_guard();
        let service = ConfigStreamServer::new(Rpc { stream: self.clone(), ended })
            .max_decoding_message_size(NODE_MESSAGE_BYTES_MAX);
        let stopping = async {
            stop.cancelled().await;
            self.draining.cancel();
        };
        let served = Server::builder()
            .http2_keepalive_interval(Some(self.timings.ping_every))
            .http2_keepalive_timeout(Some(self.timings.ping_answer))
            .max_concurrent_streams(CALLS_PER_CONNECTION)
            .add_service(service)
            .serve_with_incoming_shutdown(connections, stopping);
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(self.timings.drain * 2).await;
        };
        tokio::select! {
            served = served => served?,
            () = overdue => {}
        }
        self.sessions.close();
        let _ = tokio::time::timeout(self.timings.drain, self.sessions.wait()).await; // cut off after that
        Ok(())
    }

    async fn open(
        &self,
        peer: &Peer,
        ended: CancellationToken,
        inbound: Streaming<v1::NodeMessage>,
    ) -> Result<Outbound, Status> {
        let (node, proof, remote) = match peer {
            Peer::Node { id, key, address } => (*id, Proof::Key(*key), address.to_string()),
            Peer::InProcess => (self.local_node().await?, Proof::InProcess, String::new()),
            Peer::Anonymous { .. } => return Err(Status::unauthenticated("a stream needs a node's certificate")),
        };
        if !self.has_node(node, proof).await {
            return Err(session::retired_status());
        }
        let (out, outbound) = mpsc::channel(session::OUT_MAX);
        let shared = session::Shared {
            node,
            session: Uuid::now_v7(),
            proof,
            remote,
            publisher: self.publisher.clone(),
            fleet: self.fleet.clone(),
            timings: self.timings,
            out,
            draining: self.draining.clone(),
            ended,
            asked: Default::default(),
        };
        self.sessions.spawn(session::serve(shared, inbound));
        Ok(Box::pin(ReceiverStream::new(outbound)))
    }

    /// The node of this process, enrolled when it first connects.
    async fn local_node(&self) -> Result<tidegate_model::Id, Status> {
        match session::in_process_node(&self.source.head()) {
            Some(id) => Ok(id),
            None => self.commit_node(LOCAL_NODE, Node::default(), None).await,
        }
    }
}

type Outbound = Pin<Box<dyn Stream<Item = Result<v1::ControlMessage, Status>> + Send>>;

/// The service as tonic wants it.
struct Rpc {
    stream: Arc<ConfigStream>,
    ended: CancellationToken,
}

fn peer_of<T>(request: &Request<T>) -> Peer {
    request.extensions().get::<Peer>().cloned().expect("each connection says who is at its other end")
}

#[tonic::async_trait]
impl config_stream_server::ConfigStream for Rpc {
    type StreamStream = Outbound;

    async fn enroll(&self, request: Request<v1::EnrollRequest>) -> Result<Response<v1::EnrollReply>, Status> {
        let peer = peer_of(&request);
        self.stream.enroll_node(&peer, request.into_inner()).await.map(Response::new)
    }

    async fn stream(&self, request: Request<Streaming<v1::NodeMessage>>) -> Result<Response<Outbound>, Status> {
        let peer = peer_of(&request);
        self.stream.open(&peer, self.ended.clone(), request.into_inner()).await.map(Response::new)
    }
}
