//! What the rooms' tests run a policy in: one request context, a clock turned by hand, counters in a map.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use std::sync::Mutex;
use tidegate_model::{Id, Instant, OnError, PasswordHash, Problem, Sha256};
use uuid::Uuid;

use crate::{
    Ask, Attachment, Attempts, BasicMatch, Built, Captures, Chain, ChainRun, Clock, Combine, Compute, ComputeBusy,
    ConsumerFacts, CounterStore, Denial, Directory, KeyMatch, LimitSpec, Link, NoOverlays, Origin, PasswordCheck,
    Passwords, Ports, Principal, Quota, Reading, Registry, Reply, RequestContext, RequestHead, RequestId, ResponseHead,
    RouteFacts, Settled, ShownPassword, Take, TakeOutcome,
};

/// A clock that stands until it is set.
#[derive(Default)]
pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(crate) fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Counters as plain as can be.
struct MapCounters {
    clock: Arc<ManualClock>,
    used: Mutex<HashMap<(u128, u128, u64), u64>>,
}

impl CounterStore for MapCounters {
    fn try_take(&self, asks: &[Ask<'_>]) -> Take {
        let mut used = self.used.lock().expect("no test panics while it counts");
        let now = self.clock.now().millis() as u64;
        let at = |ask: &Ask<'_>| {
            let window = ask.limit.window.as_millis() as u64;
            ((ask.limit.id, ask.subject, now / window), Duration::from_millis(window - now % window))
        };
        let short =
            asks.iter().position(|ask| used.get(&at(ask).0).unwrap_or(&0) + u64::from(ask.cost) > ask.limit.limit);
        if short.is_none() {
            asks.iter().for_each(|ask| *used.entry(at(ask).0).or_default() += u64::from(ask.cost));
        }
        let quotas = asks.iter().map(|ask| {
            let (key, reset) = at(ask);
            Quota {
                limit: ask.limit.clone(),
                left: ask.limit.limit.saturating_sub(*used.get(&key).unwrap_or(&0)),
                reset,
                window: key.2,
            }
        });
        let quotas = quotas.collect();
        Take::Now(match short {
            None => TakeOutcome::Taken(quotas),
            Some(by) => TakeOutcome::Denied(Denial { by, retry_after: at(&asks[by]).1, quotas }),
        })
    }

    fn settle(&self, _: &Arc<LimitSpec>, _: u128, _: Settled) {}

    fn read(&self, _: &Arc<LimitSpec>, _: u128) -> LocalBoxFuture<'static, Option<Reading>> {
        async { None }.boxed_local()
    }

    fn reset(&self, _: &Arc<LimitSpec>, _: u128) -> LocalBoxFuture<'static, bool> {
        async { false }.boxed_local()
    }
}

struct AtOnce;

impl Compute for AtOnce {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> LocalBoxFuture<'static, Result<(), ComputeBusy>> {
        work();
        async { Ok(()) }.boxed_local()
    }
}

#[derive(Default, Clone)]
struct MapDirectory {
    keys: HashMap<Sha256, KeyMatch>,
    basic: HashMap<String, BasicMatch>,
    consumers: HashMap<Id, Arc<ConsumerFacts>>,
}

/// Takes a password for its own hash, counts what a node would compute, and lets five attempts of an address fail.
#[derive(Default)]
pub(crate) struct Guard {
    checked: Cell<usize>,
    failed: RefCell<HashMap<IpAddr, usize>>,
}

/// What tests take for the hash of a password: cheap, and of its own form.
fn weak_hash(password: &str) -> Arc<PasswordHash> {
    let text = STANDARD_NO_PAD.encode(Sha256::of(password.as_bytes()).0);
    Arc::new(format!("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA${text}").parse().expect("a hash"))
}

impl Passwords for Guard {
    fn check(&self, shown: ShownPassword<'_>) -> PasswordCheck {
        self.checked.set(self.checked.get() + 1);
        let fits = shown.known.is_some_and(|(_, hash)| **hash == *weak_hash(shown.password));
        PasswordCheck::Later(async move { Ok(fits) }.boxed_local())
    }
}

impl Attempts for Guard {
    fn blocked(&self, client: IpAddr) -> Option<Duration> {
        (self.failed.borrow().get(&client).copied().unwrap_or(0) >= 5).then_some(Duration::from_millis(59_500))
    }

    fn failed(&self, client: IpAddr) {
        *self.failed.borrow_mut().entry(client).or_default() += 1;
    }

    fn used(&self, _: Id) {}
}

impl Directory for MapDirectory {
    fn api_key(&self, hash: &Sha256) -> Option<KeyMatch> {
        self.keys.get(hash).cloned()
    }

    fn basic(&self, username: &str) -> Option<BasicMatch> {
        self.basic.get(username).cloned()
    }

    fn consumer(&self, id: Id) -> Option<Arc<ConsumerFacts>> {
        self.consumers.get(&id).cloned()
    }

    fn consumer_by_name(&self, _: &str) -> Option<Arc<ConsumerFacts>> {
        None
    }

    fn consumer_by_custom_id(&self, _: &str) -> Option<Arc<ConsumerFacts>> {
        None
    }

    fn group_by_name(&self, _: &str) -> Option<Id> {
        None
    }

    fn group_name(&self, _: Id) -> Option<Arc<str>> {
        None
    }
}

/// One policy and one request.
pub(crate) struct Bench {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) chain: Chain,
    pub(crate) run: ChainRun,
    pub(crate) head: RequestHead,
    pub(crate) cx: RequestContext,
    kind: &'static str,
    directory: MapDirectory,
    guard: Rc<Guard>,
}

pub(crate) fn id(n: u128) -> Id {
    Id::new(Uuid::from_u128(n))
}

/// Builds a policy of a kind.
pub(crate) fn build(kind: &str, config: &Value) -> Built {
    try_build(kind, config, false).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Builds a policy that is scoped to a consumer or a group.
pub(crate) fn build_for_some(kind: &str, config: &Value) -> Built {
    try_build(kind, config, true).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// What is wrong with a config.
pub(crate) fn problems(kind: &str, config: &Value) -> Vec<Problem> {
    try_build(kind, config, false).map(drop).expect_err("it is wrong")
}

fn try_build(kind: &str, config: &Value, for_some: bool) -> Result<Built, Vec<Problem>> {
    let kind = Registry::standard().get(kind).expect("a kind");
    let registry = Registry::standard();
    kind.build(config.as_object().expect("an object"), &Attachment { policy: id(1), for_some, registry: &registry })
}

fn chain_of(kind: &'static str, config: &Value) -> Chain {
    let link = Link {
        policy: id(1),
        name: "it".into(),
        kind,
        combine: Combine::Replace,
        specificity: 0,
        on_error: OnError::Deny,
        when: None,
        shadow: false,
        built: build(kind, config),
    };
    Chain::new(vec![Arc::new(link)])
}

fn facts(id: Id, name: &str) -> Arc<ConsumerFacts> {
    let value = HeaderValue::from_bytes(name.as_bytes()).expect("a name");
    Arc::new(ConsumerFacts {
        id,
        name: name.into(),
        groups: Default::default(),
        id_header: value.clone(),
        name_header: value,
        custom_id_header: None,
    })
}

impl Bench {
    pub(crate) fn new(kind: &'static str, config: Value) -> Self {
        let clock = Arc::new(ManualClock::default());
        let counters = Arc::new(MapCounters { clock: clock.clone(), used: Mutex::default() });
        let guard = Rc::<Guard>::default();
        let cx = RequestContext {
            ports: Ports::new(counters, clock.clone(), Arc::new(AtOnce)).with_callers(guard.clone()),
            directory: Rc::new(MapDirectory::default()),
            request_id: RequestId::new(0, 1),
            client: [127, 0, 0, 1].into(),
            route: RouteFacts { route: id(2), service: Some(id(3)) },
            captures: Captures::default(),
            principal: Principal::default(),
            quotas: Default::default(),
            limited: None,
            shadowed: Default::default(),
            kept_request: None,
            seen: Default::default(),
            notes: Default::default(),
            cached: None,
            instead: None,
            refresh: None,
        };
        let head =
            RequestHead { method: Method::GET, target: PathAndQuery::from_static("/"), headers: HeaderMap::new() };
        let chain = chain_of(kind, &config);
        Bench { clock, chain, run: ChainRun::new(), head, cx, kind, directory: MapDirectory::default(), guard }
    }

    pub(crate) fn with_key(mut self, key: &str, consumer: &str, expires_at: Option<i64>) -> Self {
        let found = KeyMatch {
            credential: id(9),
            consumer: Some(facts(id(key.len() as u128), consumer)),
            expires_at: expires_at.map(Instant::from_millis),
        };
        self.directory.keys.insert(Sha256::of(key.as_bytes()), found);
        self.cx.directory = Rc::new(self.directory.clone());
        self
    }

    /// A consumer of the same name proves itself with this password.
    pub(crate) fn with_basic(mut self, username: &str, password: &str, expires_at: Option<i64>) -> Self {
        let found = BasicMatch {
            credential: id(9),
            consumer: Some(facts(id(8), username)),
            password: weak_hash(password),
            expires_at: expires_at.map(Instant::from_millis),
        };
        self.directory.basic.insert(username.to_owned(), found);
        self.cx.directory = Rc::new(self.directory.clone());
        self
    }

    pub(crate) fn with_consumer(mut self, id: Id, name: &str) -> Self {
        self.directory.consumers.insert(id, facts(id, name));
        self.cx.directory = Rc::new(self.directory.clone());
        self
    }

    /// How many passwords were computed.
    pub(crate) fn passwords_checked(&self) -> usize {
        self.guard.checked.get()
    }

    /// The same policy with another config: what was counted stays.
    pub(crate) fn rebuild(&mut self, config: &Value) {
        self.chain = chain_of(self.kind, config);
    }

    /// A request's head passes.
    pub(crate) fn request(&mut self) -> Result<(), Box<Reply>> {
        self.run = ChainRun::new();
        let passed = self.run.on_request(&self.chain, &NoOverlays, &mut self.head, &mut self.cx);
        passed.now_or_never().expect("nothing here waits")
    }

    /// A request's body passes, whole.
    pub(crate) fn request_body(&mut self, body: &mut Bytes) -> Result<(), Box<Reply>> {
        let passed = self.run.on_request_body(&self.chain, body, &mut self.head, &mut self.cx);
        passed.now_or_never().expect("nothing here waits")
    }

    /// A reply passes, its head and its body.
    pub(crate) fn response_whole(&mut self, head: &mut ResponseHead, body: &mut Bytes) -> Result<(), Box<Reply>> {
        let passed = self.run.on_response(&self.chain, head, &mut self.cx);
        passed.now_or_never().expect("nothing here waits")?;
        let passed = self.run.on_response_body(&self.chain, body, head, &mut self.cx);
        passed.now_or_never().expect("nothing here waits")
    }

    /// A reply's head passes.
    pub(crate) fn response(&mut self, status: u16) -> ResponseHead {
        let status = StatusCode::from_u16(status).expect("a status");
        let mut head = ResponseHead { status, headers: HeaderMap::new(), origin: Origin::Upstream };
        let passed = self.run.on_response(&self.chain, &mut head, &mut self.cx);
        assert!(passed.now_or_never().expect("nothing here waits").is_ok());
        head
    }
}

#[test]
fn every_json_block_of_a_kinds_page_is_a_config_that_builds() {
    for kind in crate::kinds() {
        let info = kind.info();
        let blocks: Vec<&str> =
            info.page.split("```json").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(!blocks.is_empty(), "{} has no example", info.name);
        for block in blocks {
            let config: Value = serde_json::from_str(block).unwrap_or_else(|e| panic!("{}: {e}: {block}", info.name));
            build(info.name, &config);
        }
    }
}
