//! One worker on a socket, in a thread of its own.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_data_plane::callers::Callers;
use tidegate_data_plane::limits::Limits;
use tidegate_data_plane::ports::Responses;
use tidegate_data_plane::telemetry::Cells;
use tidegate_data_plane::{Parts, TcpConnector, Worker};
use tidegate_model::{Change, Id, Instant, Kind, State};
use tidegate_policy::{
    Ask, Clock, Compute, ComputeBusy, CounterStore, LimitSpec, Reading, Registry, Settled, Take, TakeOutcome,
};
use tidegate_snapshot::{Live, Revisions, Snapshot};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

/// Far more than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Gateway {
    pub(crate) at: SocketAddr,
    pub(crate) cells: Arc<Cells>,
    stop: CancellationToken,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Gateway {
    /// In front of one target that speaks this.
    pub(crate) fn before(target: SocketAddr, protocol: &str) -> Self {
        let id = |n: u128| Id::new(uuid::Uuid::from_u128(n));
        let resource = |kind, n, document: Value| {
            let at = Instant::from_millis(0);
            let state = State {
                name: None,
                revision: 1,
                created_at: at,
                updated_at: at,
                document: document.to_string().into(),
            };
            Change { kind, id: id(n), after: Some(state) }
        };
        let api = json!({ "url": format!("http://{target}"), "protocol": protocol });
        let resources = [resource(Kind::Service, 1, api), resource(Kind::Route, 2, json!({ "service": id(1) }))];
        let revisions = Revisions { identity: 1, traffic: 1 };
        let (snapshot, problems) = Snapshot::compile(&resources, revisions, Registry::standard());
        assert!(problems.is_empty(), "{problems:?}");
        let (cells, stop) = (Arc::<Cells>::default(), CancellationToken::new());
        let parts = Parts {
            live: Arc::new(Live::new(Arc::new(snapshot))),
            counters: Arc::new(Nothing),
            clock: Arc::new(Nothing),
            compute: Arc::new(Nothing),
            callers: Callers::new(Arc::new(Nothing), &Limits::default()),
            key_sets: Arc::new(tidegate_policy::NoIssuers),
            responses: Arc::new(Responses::new(&Limits::default())),
            limits: Limits::default(),
            pressure: Arc::new(tidegate_data_plane::Pressure::of(1000, &Limits::default())),
            access_log: None,
            edge: tidegate_data_plane::node::Edge::default(),
            cells: cells.clone(),
            workers: 1,
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let at = listener.local_addr().unwrap();
        let told = stop.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            LocalSet::new().block_on(&runtime, told.run_until_cancelled(serve(parts, listener)));
        });
        Gateway { at, cells, stop }
    }
}

async fn serve(parts: Parts, listener: std::net::TcpListener) {
    let worker: Rc<Worker> = Worker::new(parts, TcpConnector);
    let swept = worker.clone();
    spawn_local(async move { swept.sweep().await });
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, peer)) = listener.accept().await {
        spawn_local(worker.clone().serve(stream, peer.ip()));
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
    fn run(
        &self,
        work: Box<dyn FnOnce() + Send>,
    ) -> futures_util::future::LocalBoxFuture<'static, Result<(), ComputeBusy>> {
        work();
        Box::pin(std::future::ready(Ok(())))
    }
}

impl CounterStore for Nothing {
    fn try_take(&self, _: &[Ask<'_>]) -> Take {
        Take::Now(TakeOutcome::Taken(Default::default()))
    }

    fn settle(&self, _: &Arc<LimitSpec>, _: u128, _: Settled) {}

    fn read(&self, _: &Arc<LimitSpec>, _: u128) -> futures_util::future::LocalBoxFuture<'static, Option<Reading>> {
        Box::pin(std::future::ready(None))
    }

    fn reset(&self, _: &Arc<LimitSpec>, _: u128) -> futures_util::future::LocalBoxFuture<'static, bool> {
        Box::pin(std::future::ready(false))
    }
}
