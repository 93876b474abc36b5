//! One worker on pipes in memory, on a clock that only moves while everybody waits.

pub(crate) mod client;
pub(crate) mod frames;
pub(crate) mod h2;
pub(crate) mod page;
pub(crate) mod upstream;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use tidegate_data_plane::callers::Callers;
use tidegate_data_plane::limits::Limits;
use tidegate_data_plane::node::Edge;
use tidegate_data_plane::ports::Responses;
use tidegate_data_plane::telemetry::access_log::AccessLog;
use tidegate_data_plane::telemetry::{Cells, Sums};
use tidegate_data_plane::{Connector, Parts, Pressure, Worker};
use tidegate_model::{Authority, Change, Id, Instant, Kind, State};
use tidegate_policy::{
    Ask, Clock, Compute, ComputeBusy, CounterStore, LimitSpec, Reading, Registry, Settled, Take, TakeOutcome,
};
use tidegate_snapshot::{Live, Revisions, Snapshot};
use tidegate_telemetry::Exposition;
use tidegate_testkit::metrics::Metrics;
use tokio::io::DuplexStream;
use tokio::task::{LocalSet, spawn_local};

use client::Client;
use upstream::Upstream;

/// Runs a test on a paused clock.
pub(crate) fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        // an hour that nobody has to wait for
        tokio::time::timeout(Duration::from_secs(3600), test).await.expect("the test ends");
    });
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(300);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "it never came to be that {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A worker between callers and targets.
pub(crate) struct Gateway {
    pub(crate) worker: Rc<Worker>,
    pub(crate) net: Net,
    pub(crate) cells: Arc<Cells>,
    pub(crate) live: Arc<Live>,
    pub(crate) pressure: Arc<Pressure>,
    sums: Sums,
}

impl Gateway {
    /// With these resources.
    pub(crate) fn new(resources: &[Change]) -> Self {
        Self::with_limits(resources, Limits::default())
    }

    pub(crate) fn with_limits(resources: &[Change], limits: Limits) -> Self {
        Self::with_parts(resources, |parts| parts.limits = limits)
    }

    pub(crate) fn with_log(resources: &[Change], limits: Limits, log: Option<AccessLog>) -> Self {
        Self::with_parts(resources, |parts| {
            parts.limits = limits;
            parts.access_log = log.map(|log| (log, "n1".into()));
        })
    }

    /// With something else than what is usual.
    pub(crate) fn with_parts(resources: &[Change], change: impl FnOnce(&mut Parts)) -> Self {
        let live = Arc::new(Live::new(Arc::new(compile(resources))));
        let (net, cells) = (Net::default(), Arc::<Cells>::default());
        let mut parts = Parts {
            live: live.clone(),
            counters: Arc::new(Nothing),
            clock: Arc::new(Nothing),
            compute: Arc::new(Nothing),
            callers: Callers::new(Arc::new(Nothing), &Limits::default()),
            key_sets: Arc::new(tidegate_policy::NoIssuers),
            responses: Arc::new(Responses::new(&Limits::default())),
            limits: Limits::default(),
            edge: Edge::default(),
            cells: cells.clone(),
            workers: 1,
            access_log: None,
            pressure: Arc::new(Pressure::of(1000, &Limits::default())),
        };
        change(&mut parts);
        parts.callers = Callers::new(parts.compute.clone(), &parts.limits);
        let pressure = parts.pressure.clone();
        let sums = Sums::new(vec![cells.clone()], &parts.limits);
        let worker = Worker::new(parts, net.clone());
        let swept = worker.clone();
        spawn_local(async move { swept.sweep().await });
        Gateway { worker, net, cells, live, pressure, sums }
    }

    /// One service at `up:80`, taken by every path, and its target.
    pub(crate) fn plain() -> (Self, Upstream) {
        let gateway = Gateway::new(&[service("api", json!({ "url": "http://up" })), route("all", "api", json!({}))]);
        let upstream = gateway.net.upstream("up:80");
        (gateway, upstream)
    }

    /// What is told to Prometheus.
    pub(crate) fn metrics(&self) -> Metrics {
        let mut out = Exposition::default();
        self.sums.write(&mut out, &self.live.current());
        Metrics::read(&out.into_text()).unwrap()
    }

    /// Other resources from now on.
    pub(crate) fn publish(&self, resources: &[Change]) {
        self.live.publish(Arc::new(compile(resources)));
    }

    /// A caller connects.
    pub(crate) fn connect(&self) -> Client {
        self.connect_with(256 << 10)
    }

    /// A caller connects by a pipe that holds so many bytes.
    pub(crate) fn connect_with(&self, bytes: usize) -> Client {
        self.connect_from([192, 0, 2, 7], bytes)
    }

    /// Somebody connects from this address.
    pub(crate) fn connect_from(&self, address: impl Into<IpAddr>, bytes: usize) -> Client {
        let (ours, theirs) = tokio::io::duplex(bytes);
        let served = spawn_local(self.worker.clone().serve(theirs, address.into()));
        Client::new(ours, served)
    }

    /// A caller connects, sends this, and takes the reply.
    pub(crate) async fn ask(&self, request: &str) -> client::Reply {
        let mut client = self.connect();
        client.send(request).await;
        client.reply().await
    }
}

fn compile(resources: &[Change]) -> Snapshot {
    let revisions = Revisions { identity: 1, traffic: 1 };
    let (snapshot, problems) = Snapshot::compile(resources, revisions, Registry::standard());
    assert!(problems.is_empty(), "{problems:?}");
    snapshot
}

/// The id of a resource, by its kind and name.
pub(crate) fn id(kind: Kind, name: &str) -> Id {
    let text = format!("{kind}/{name}");
    let number =
        text.bytes().fold(7u128, |n, b| n.wrapping_mul(0x0100_0000_01b3_0000_0001).wrapping_add(u128::from(b)));
    Id::new(uuid::Uuid::from_u128(number))
}

pub(crate) fn resource(kind: Kind, name: &str, document: Value) -> Change {
    let at = Instant::from_millis(0);
    let document = document.to_string().into();
    let state = State { name: name.parse().ok(), revision: 1, created_at: at, updated_at: at, document };
    Change { kind, id: id(kind, name), after: Some(state) }
}

pub(crate) fn service(name: &str, document: Value) -> Change {
    resource(Kind::Service, name, document)
}

/// A service of an upstream.
pub(crate) fn service_of(name: &str, upstream: &str, mut document: Value) -> Change {
    document["upstream"] = json!(id(Kind::Upstream, upstream));
    service(name, document)
}

pub(crate) fn upstream_of(name: &str, targets: &[(&str, u16)]) -> Change {
    let targets: Vec<Value> = targets.iter().map(|(a, w)| json!({ "address": a, "weight": w })).collect();
    resource(Kind::Upstream, name, json!({ "targets": targets }))
}

pub(crate) fn route(name: &str, service: &str, mut document: Value) -> Change {
    document["service"] = json!(id(Kind::Service, service));
    resource(Kind::Route, name, document)
}

/// A policy on a route.
pub(crate) fn policy(name: &str, route: &str, kind: &str, config: Value) -> Change {
    let scope = json!({ "route": id(Kind::Route, route) });
    resource(Kind::Policy, name, json!({ "kind": kind, "scope": scope, "config": config }))
}

/// Where targets are: what is not there refuses the connection.
#[derive(Clone, Default)]
pub(crate) struct Net(Rc<RefCell<HashMap<String, Script>>>);

type Script = Rc<dyn Fn(DuplexStream) -> LocalBoxFuture<'static, ()>>;

impl Net {
    /// Each connection to this address is served by this.
    pub(crate) fn serve<F: Future<Output = ()> + 'static>(
        &self,
        address: &str,
        script: impl Fn(DuplexStream) -> F + 'static,
    ) {
        let script: Script = Rc::new(move |stream| Box::pin(script(stream)));
        self.0.borrow_mut().insert(address.to_owned(), script);
    }

    /// A target that answers all.
    pub(crate) fn upstream(&self, address: &str) -> Upstream {
        let upstream = Upstream::default();
        let serving = upstream.clone();
        self.serve(address, move |stream| serving.clone().serve(stream));
        upstream
    }

    /// Nothing is there any more.
    pub(crate) fn remove(&self, address: &str) {
        self.0.borrow_mut().remove(address);
    }
}

impl Connector for Net {
    type Stream = DuplexStream;

    async fn connect(&self, to: &Authority) -> io::Result<DuplexStream> {
        if &*to.host == "hang" {
            std::future::pending::<()>().await;
        }
        let script = self.0.borrow().get(&to.to_string()).cloned().ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        spawn_local(script(theirs));
        Ok(ours)
    }
}

/// The world, as far as these tests need it.
struct Nothing;

impl Clock for Nothing {
    fn now(&self) -> Instant {
        Instant::from_millis(1_800_000_000_000)
    }
}

impl Compute for Nothing {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> LocalBoxFuture<'static, Result<(), ComputeBusy>> {
        work();
        Box::pin(std::future::ready(Ok(())))
    }
}

impl CounterStore for Nothing {
    fn try_take(&self, _: &[Ask<'_>]) -> Take {
        Take::Now(TakeOutcome::Taken(Default::default()))
    }

    fn settle(&self, _: &Arc<LimitSpec>, _: u128, _: Settled) {}

    fn read(&self, _: &Arc<LimitSpec>, _: u128) -> LocalBoxFuture<'static, Option<Reading>> {
        Box::pin(std::future::ready(None))
    }

    fn reset(&self, _: &Arc<LimitSpec>, _: u128) -> LocalBoxFuture<'static, bool> {
        Box::pin(std::future::ready(false))
    }
}
