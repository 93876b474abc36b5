//! One worker: all that belongs to one thread, and nothing that others write.
//!
//! It knows neither listeners nor runtimes: a test runs one on pipes in memory, on its own clock.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use tidegate_model::{Id, Sha256, Span};
use tidegate_policy::{
    BasicMatch, Clock, Compute, ConsumerFacts, CounterStore, Directory, JwksSource, KeyMatch, Overlays, Ports,
    Principal, ResponseStore, RouteFacts,
};
use tidegate_snapshot::{Action, CompiledRoute, Identity, Live, OverlayMap, Snapshot};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::callers::Callers;
use crate::edge::{Edge, Ids, Ports as ToldPorts};
use crate::exchange::h2_client;
use crate::exchange::hyper_client::Opener;
use crate::exchange::hyper_server::Server;
use crate::exchange::watch::{Connection, Watch, ticks};
use crate::limits::{Limits, TICK};
use crate::listener;
use crate::pressure::Pressure;
use crate::proxy::Coalescing;
use crate::telemetry::access_log::{AccessLog, Tap};
use crate::telemetry::series::{Meters, RouteSeries, ServiceSeries};
use crate::telemetry::{Cells, Guard};
use crate::upstream::{Balance, Connector, Dial, Dialer, Patience, Pools};

/// What a worker is made of, beside its connector.
pub struct Parts {
    /// Where the newest snapshot is.
    pub live: Arc<Live>,
    /// Counters of limits.
    pub counters: Arc<dyn CounterStore>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Long work.
    pub compute: Arc<dyn Compute>,
    /// What the node keeps of those who prove who they are.
    pub callers: Arc<Callers>,
    /// Keys that issuers of tokens publish.
    pub key_sets: Arc<dyn JwksSource>,
    /// Answers that are kept.
    pub responses: Arc<dyn ResponseStore>,
    /// Time-outs and limits.
    pub limits: Limits,
    /// Whom it believes.
    pub edge: Edge,
    /// Where it counts.
    pub cells: Arc<Cells>,
    /// How many workers share the node's caps.
    pub workers: usize,
    /// Whether memory is short.
    pub pressure: Arc<Pressure>,
    /// Where it tells of requests, and the name of the node there.
    pub access_log: Option<(AccessLog, Box<str>)>,
}

/// After so many ticks a worker looks which series it need not keep: about a minute.
const TIDY_TURNS: u64 = 600;

/// One worker.
pub struct Worker {
    live: Arc<Live>,
    version: Cell<u64>,
    view: RefCell<Rc<View>>,
    ports: Rc<Ports>,
    limits: Limits,
    edge: Edge,
    cells: Arc<Cells>,
    meters: Rc<Meters>,
    log: Option<Tap>,
    watch: Rc<Watch>,
    pools: Pools,
    coalescing: Rc<Coalescing>,
    dial: Rc<dyn Dial>,
    server: Server,
    pressure: Arc<Pressure>,
    ids: Ids,
    told_ports: ToldPorts,
    /// How long a caller may take nothing, in ticks.
    client_write: u32,
    /// Requests under way in the background.
    refreshes: Rc<Cell<usize>>,
}

impl Worker {
    /// A worker that reaches targets by this connector.
    pub fn new(parts: Parts, connector: impl Connector) -> Rc<Self> {
        let Parts { live, counters, clock, compute, callers, key_sets, responses, limits, .. } = parts;
        let Parts { edge, cells, workers, pressure, access_log, .. } = parts;
        let callers = callers.of_worker(clock.clone(), cells.clone());
        let meters = Rc::new(Meters::new(cells.clone()));
        Rc::new(Worker {
            version: Cell::new(live.version()),
            view: RefCell::new(Rc::new(View::new(live.current()))),
            live,
            ports: Ports::new(counters, clock, compute)
                .with_callers(callers)
                .with_key_sets(key_sets)
                .with_responses(responses),
            watch: Rc::new(Watch::new(&limits, cells.clone())),
            pools: Pools::new(&limits, workers, meters.clone()),
            coalescing: Rc::default(),
            log: access_log.map(|(log, node)| log.tap(&node)),
            meters,
            dial: Rc::new(Dialer {
                connector,
                opener: Opener::new(&limits),
                h2_opener: h2_client::Opener::new(&limits),
            }),
            server: Server::new(&limits),
            pressure,
            ids: Ids::new(),
            told_ports: ToldPorts::new(),
            client_write: ticks(limits.client_write),
            limits,
            edge,
            cells,
            refreshes: Rc::default(),
        })
    }

    /// Serves a connection of a caller until its end.
    pub async fn serve<S>(self: Rc<Self>, stream: S, peer: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let shed = self.pressure.is_high();
        listener::connection::serve(&self, stream, peer, shed).await;
    }

    /// As [`Worker::serve`], but every request is refused: the connection is one too many.
    pub async fn shed<S>(self: Rc<Self>, stream: S, peer: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        listener::connection::serve(&self, stream, peer, true).await;
    }

    /// Looks after time-outs and what is idle, for as long as it is polled.
    pub async fn sweep(&self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let runtime = tokio::runtime::Handle::current().metrics();
        for turn in 1u64.. {
            tick.tick().await;
            self.watch.sweep();
            if self.pressure.is_high() {
                self.watch.close_idle();
            }
            self.pools.sweep(self.watch.now());
            self.cells.exchanges_active.set(self.watch.exchanges() as u64);
            self.cells.upstream_kept.set(self.pools.kept() as u64);
            let busy = runtime.worker_total_busy_duration(0);
            self.cells.busy_us.set(u64::try_from(busy.as_micros()).unwrap_or(u64::MAX));
            if let Some(log) = &self.log {
                log.flush();
            }
            if turn.is_multiple_of(TIDY_TURNS) {
                self.meters.tidy();
            }
        }
    }

    /// Closes every connection once what is under way on it has ended; ends when none is left.
    pub async fn drain(&self) {
        self.watch.close_all();
        self.pools.clear();
        while self.watch.connections() > 0 {
            tokio::time::sleep(TICK / 10).await;
        }
    }

    /// Ends every connection at once.
    pub fn end(&self) {
        self.watch.end_all();
    }

    /// How many connections of callers there are.
    pub fn connections(&self) -> usize {
        self.watch.connections()
    }

    /// The configuration, as new as can be. For a whole request this one value.
    pub(crate) fn view(&self) -> Rc<View> {
        let version = self.live.version();
        if version != self.version.get() {
            self.version.set(version);
            self.view.replace(Rc::new(View::new(self.live.current())));
        }
        self.view.borrow().clone()
    }

    /// Whether a request must be refused, which is under way already. It is counted; a connection that is one too many was.
    pub(crate) fn is_overloaded(&self, connection: &Connection) -> bool {
        if self.pressure.is_high() {
            self.cells.guarded(Guard::Memory);
        } else if self.watch.exchanges() > self.limits.exchanges_max {
            self.cells.guarded(Guard::Exchanges);
        } else {
            return connection.is_shed();
        }
        true
    }

    pub(crate) fn client_write(&self) -> u32 {
        self.client_write
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Where to tell of requests, if anywhere.
    pub(crate) fn log(&self) -> Option<&Tap> {
        self.log.as_ref()
    }

    pub(crate) fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }

    pub(crate) fn ports(&self) -> &Rc<Ports> {
        &self.ports
    }

    pub(crate) fn coalescing(&self) -> &Rc<Coalescing> {
        &self.coalescing
    }

    pub(crate) fn dial(&self) -> &Rc<dyn Dial> {
        &self.dial
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn edge(&self) -> &Edge {
        &self.edge
    }

    pub(crate) fn ids(&self) -> &Ids {
        &self.ids
    }

    /// How many requests are under way in the background.
    pub(crate) fn refreshes(&self) -> &Rc<Cell<usize>> {
        &self.refreshes
    }

    pub(crate) fn told_ports(&self) -> &ToldPorts {
        &self.told_ports
    }
}

/// A worker's own view of a snapshot: what a request takes of it is counted here, by this thread alone.
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) directory: Rc<dyn Directory>,
    pub(crate) overlays: Rc<dyn Overlays>,
    routes: RefCell<HashMap<u64, Rc<Route>, BuildHasherDefault<SlotHash>>>,
}

/// A route, as a worker uses it.
pub(crate) struct Route {
    pub(crate) compiled: Arc<CompiledRoute>,
    pub(crate) balance: Balance,
    pub(crate) patience: Patience,
    /// Of a composition, how each of its steps is sent.
    pub(crate) calls: Box<[Call]>,
    /// What is counted of it and of its service.
    pub(crate) series: Arc<RouteSeries>,
    pub(crate) service_series: Option<Arc<ServiceSeries>>,
}

/// How a step of a composition is sent.
pub(crate) struct Call {
    pub(crate) balance: Balance,
    pub(crate) patience: Patience,
}

impl View {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        View {
            directory: Rc::new(Known(snapshot.identity().clone())),
            overlays: Rc::new(Reaching(snapshot.overlays().clone())),
            snapshot,
            routes: RefCell::default(),
        }
    }

    /// A route of this snapshot.
    pub(crate) fn route(&self, compiled: &Arc<CompiledRoute>, worker: &Worker) -> Rc<Route> {
        let mut routes = self.routes.borrow_mut();
        let route = routes.entry(compiled.slot).or_insert_with(|| {
            let service = compiled.service();
            let mut timeouts = service.map(|service| service.timeouts).unwrap_or_default();
            let steps = match &compiled.action {
                Action::Compose(composition) => {
                    timeouts.request = Some(Span::new(composition.timeout));
                    &*composition.steps
                }
                Action::Forward(_) | Action::Redirect(_) | Action::Closed(_) => &[],
            };
            let calls = steps.iter().map(|step| Call {
                balance: Balance::new(&step.service.upstream, &worker.pools),
                patience: Patience::new(&step.service.timeouts, &worker.limits),
            });
            Rc::new(Route {
                compiled: compiled.clone(),
                balance: service.map(|s| Balance::new(&s.upstream, &worker.pools)).unwrap_or_default(),
                patience: Patience::new(&timeouts, &worker.limits),
                calls: calls.collect(),
                series: worker.meters.route(compiled.facts.route),
                service_series: service.map(|service| worker.meters.service(service.id)),
            })
        });
        route.clone()
    }
}

struct Known(Arc<Identity>);

impl Directory for Known {
    fn api_key(&self, hash: &Sha256) -> Option<KeyMatch> {
        self.0.api_key(hash)
    }

    fn basic(&self, username: &str) -> Option<BasicMatch> {
        self.0.basic(username)
    }

    fn consumer(&self, id: Id) -> Option<Arc<ConsumerFacts>> {
        self.0.consumer(id)
    }

    fn consumer_by_name(&self, name: &str) -> Option<Arc<ConsumerFacts>> {
        self.0.consumer_by_name(name)
    }

    fn consumer_by_custom_id(&self, custom_id: &str) -> Option<Arc<ConsumerFacts>> {
        self.0.consumer_by_custom_id(custom_id)
    }

    fn group_by_name(&self, name: &str) -> Option<Id> {
        self.0.group_by_name(name)
    }

    fn group_name(&self, id: Id) -> Option<Arc<str>> {
        self.0.group_name(id)
    }
}

struct Reaching(Arc<OverlayMap>);

impl Overlays for Reaching {
    fn reaching(
        &self,
        principal: &Principal,
        route: RouteFacts,
    ) -> smallvec::SmallVec<[Arc<tidegate_policy::Link>; 4]> {
        self.0.reaching(principal, route)
    }
}

/// Slots are counted up: multiplied, they spread over a table.
#[derive(Default)]
struct SlotHash(u64);

impl Hasher for SlotHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, slot: u64) {
        self.0 = (self.0 ^ slot).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
