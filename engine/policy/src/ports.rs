//! What policies may ask the world: small traits that nodes supply, and that answer at once where the control plane explains.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use tidegate_model::{Id, Instant, PasswordHash, Sha256};

use crate::jwt::{KeySet, KeySetUrl, VerifiedTokens};
use crate::{Attempts, ConsumerFacts, NoCallers, NoResponses, Passwords, ResponseStore};

/// The world, as policies see it. One per worker.
#[derive(Clone)]
pub struct Ports {
    /// Counters of limits.
    pub counters: Arc<dyn CounterStore>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Long work, off the worker.
    pub compute: Arc<dyn Compute>,
    /// Checks passwords.
    pub passwords: Rc<dyn Passwords>,
    /// What is noted of those who try to prove who they are.
    pub attempts: Rc<dyn Attempts>,
    /// Keys that issuers of tokens publish.
    pub key_sets: Arc<dyn JwksSource>,
    /// Tokens that were verified on this worker a moment ago.
    pub(crate) verified_tokens: Rc<VerifiedTokens>,
    /// Answers that are kept.
    pub responses: Arc<dyn ResponseStore>,
}

/// The time of day. Tests turn it by hand.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Instant;
}

/// Runs what takes longer than about 100 µs on a bounded pool, so that one request never stalls its worker's others.
pub trait Compute: Send + Sync {
    /// Runs the work; the future ends when it is done.
    ///
    /// # Errors
    /// [`ComputeBusy`] at once when the queue is full.
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> LocalBoxFuture<'static, Result<(), ComputeBusy>>;
}

/// Runs work on the compute pool and gives what comes of it.
///
/// # Errors
/// [`ComputeBusy`] when the queue is full.
pub fn computed<T: Send + 'static>(
    compute: &dyn Compute,
    work: impl FnOnce() -> T + Send + 'static,
) -> LocalBoxFuture<'static, Result<T, ComputeBusy>> {
    let done = Arc::new(Mutex::new(None));
    let place = done.clone();
    let running = compute.run(Box::new(move || {
        let came = work();
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(came);
    }));
    Box::pin(async move {
        running.await?;
        let came = done.lock().unwrap_or_else(PoisonError::into_inner).take();
        // nothing came: the work panicked, which the pool counts
        came.ok_or(ComputeBusy)
    })
}

/// The queue of the compute pool is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the compute pool is full")]
pub struct ComputeBusy;

/// Who is known: credentials and consumers at one revision.
pub trait Directory {
    /// Whose API key has this SHA-256.
    fn api_key(&self, hash: &Sha256) -> Option<KeyMatch>;
    /// Whose basic credentials have this username.
    fn basic(&self, username: &str) -> Option<BasicMatch>;
    /// A consumer.
    fn consumer(&self, id: Id) -> Option<Arc<ConsumerFacts>>;
    /// The consumer with this name.
    fn consumer_by_name(&self, name: &str) -> Option<Arc<ConsumerFacts>>;
    /// The consumer that another system calls so.
    fn consumer_by_custom_id(&self, custom_id: &str) -> Option<Arc<ConsumerFacts>>;
    /// The group with this name.
    fn group_by_name(&self, name: &str) -> Option<Id>;
    /// What a group is called.
    fn group_name(&self, id: Id) -> Option<Arc<str>>;
}

/// A credential that was found.
#[derive(Debug, Clone)]
pub struct KeyMatch {
    /// Which one.
    pub credential: Id,
    /// Whose it is. `None` if the consumer is not there, which matches nobody.
    pub consumer: Option<Arc<ConsumerFacts>>,
    /// From when on it is refused.
    pub expires_at: Option<Instant>,
}

/// Basic credentials that were found.
#[derive(Debug, Clone)]
pub struct BasicMatch {
    /// Which ones.
    pub credential: Id,
    /// Whose they are. `None` if the consumer is not there, which matches nobody.
    pub consumer: Option<Arc<ConsumerFacts>>,
    /// What the password is recognised by.
    pub password: Arc<PasswordHash>,
    /// From when on they are refused.
    pub expires_at: Option<Instant>,
}

/// A limit, as counters know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSpec {
    /// Names the counters: made of the policy, the limit's name, what it counts by and its window; not of its size, so that
    /// a changed limit goes on counting.
    pub id: u128,
    /// Its name, for headers and messages.
    pub name: Box<str>,
    /// How much is admitted in a window.
    pub limit: u64,
    /// The window, aligned to multiples of itself since 1970. At least a millisecond.
    pub window: Duration,
    /// What happens while shared counters can't be reached.
    pub on_store_loss: OnStoreLoss,
}

/// What a limit does while its shared counters can't be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnStoreLoss {
    /// Every request is refused with 503.
    Deny,
    /// Each node goes on with its share: the limit divided by the number of nodes, counted on the node.
    #[default]
    Share,
    /// Every request is admitted.
    Allow,
}

/// One counter to take from.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The limit.
    pub limit: &'a Arc<LimitSpec>,
    /// Who is counted: an id, an address.
    pub subject: u128,
    /// How much.
    pub cost: u32,
}

/// What is left of a limit, for headers and the log.
#[derive(Debug, Clone)]
pub struct Quota {
    /// The limit.
    pub limit: Arc<LimitSpec>,
    /// How much is left in the window.
    pub left: u64,
    /// Until there is more.
    pub reset: Duration,
    /// The window it was taken in, to settle by. [`UNCOUNTED`] if nothing was counted.
    pub window: u64,
}

/// The window of what was admitted without being counted: nothing of it is given back.
pub const UNCOUNTED: u64 = u64::MAX;

/// What is left of each limit that was asked.
pub type Quotas = SmallVec<[Quota; 2]>;

/// A refusal.
#[derive(Debug, Clone)]
pub struct Denial {
    /// Which of the asks was short, by index.
    pub by: usize,
    /// When to come back. With several short ones, the latest.
    pub retry_after: Duration,
    /// What is left of each.
    pub quotas: Quotas,
}

/// How an attempt to take ended.
#[derive(Debug, Clone)]
pub enum TakeOutcome {
    /// All were taken.
    Taken(Quotas),
    /// One was short; nothing was taken from any.
    Denied(Denial),
    /// The counters can't be reached, and the limit says to refuse then.
    Unavailable {
        /// When to come back.
        retry_after: Duration,
    },
}

/// How a counter store answers: at once where it can.
pub enum Take {
    /// Decided.
    Now(TakeOutcome),
    /// It must ask; the future is bounded in time.
    Wait(LocalBoxFuture<'static, TakeOutcome>),
}

/// The difference between what was taken and what it turned out to cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// What was taken in advance.
    pub reserved: u32,
    /// What it cost.
    pub actual: u32,
    /// The window it was taken in ([`Quota::window`]): what is given back after its end is ignored, as it would add to the
    /// next. What it cost more is charged to the window under way, also past the limit.
    pub window: u64,
}

/// What a counter stands at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Spent in the window under way.
    pub used: u64,
    /// Until the window ends.
    pub reset: Duration,
}

/// Counters of limits, exact over all that share the store. All or nothing over the asks of one call.
pub trait CounterStore: Send + Sync {
    /// Takes from all the counters, or from none.
    fn try_take(&self, asks: &[Ask<'_>]) -> Take;

    /// Puts right what was taken in advance.
    fn settle(&self, limit: &Arc<LimitSpec>, subject: u128, settled: Settled);

    /// Gives back what was taken in a window and not used.
    fn give_back(&self, limit: &Arc<LimitSpec>, subject: u128, cost: u32, window: u64) {
        self.settle(limit, subject, Settled { reserved: cost, actual: 0, window });
    }

    /// Looks at a counter, spending nothing. `None` if it can't be reached.
    fn read(&self, limit: &Arc<LimitSpec>, subject: u128) -> LocalBoxFuture<'static, Option<Reading>>;

    /// Sets a counter to nothing spent. `false` if it can't be reached.
    fn reset(&self, limit: &Arc<LimitSpec>, subject: u128) -> LocalBoxFuture<'static, bool>;
}

/// Where the keys that issuers publish come from. A node fetches them beside its traffic; nothing is fetched for a look.
pub trait JwksSource: Send + Sync {
    /// Opens the key set of an issuer: it is fetched now, and kept fresh for as long as what is given here lives.
    fn open(&self, at: &KeySetUrl) -> Arc<dyn PublishedKeys>;
}

/// The key set of one issuer.
pub trait PublishedKeys: Send + Sync {
    /// What was fetched last. None before the first time, and once that is too long ago.
    fn current(&self) -> Option<Arc<KeySet>>;

    /// The version of [`PublishedKeys::current`], without taking it.
    fn version(&self) -> Option<u64>;

    /// Waits for a set that is newer than the one of this version, for a token by a key that is not in it. Bounded in time; and
    /// however often this is asked, the issuer is asked no more than once in some seconds.
    fn newer(&self, than: Option<u64>) -> LocalBoxFuture<'static, Awaited>;
}

/// What came of waiting for keys.
#[derive(Clone)]
pub enum Awaited {
    /// A newer set.
    Keys(Arc<KeySet>),
    /// The issuer was asked, or was asked just now: there are no other keys.
    NothingNew,
    /// The issuer can't be asked: nothing can be said.
    Unreachable,
}

/// No issuer is ever asked: where policies are only judged, and for tests.
pub struct NoIssuers;

impl JwksSource for NoIssuers {
    fn open(&self, _: &KeySetUrl) -> Arc<dyn PublishedKeys> {
        Arc::new(NoIssuers)
    }
}

impl PublishedKeys for NoIssuers {
    fn current(&self) -> Option<Arc<KeySet>> {
        None
    }

    fn version(&self) -> Option<u64> {
        None
    }

    fn newer(&self, _: Option<u64>) -> LocalBoxFuture<'static, Awaited> {
        Box::pin(std::future::ready(Awaited::Unreachable))
    }
}

impl Ports {
    /// The ports of one worker.
    pub fn new(counters: Arc<dyn CounterStore>, clock: Arc<dyn Clock>, compute: Arc<dyn Compute>) -> Rc<Self> {
        let nobody = Rc::new(NoCallers);
        Rc::new(Ports {
            counters,
            clock,
            compute,
            passwords: nobody.clone(),
            attempts: nobody,
            key_sets: Arc::new(NoIssuers),
            verified_tokens: Rc::default(),
            responses: Arc::new(NoResponses),
        })
    }

    /// The same, where passwords can be checked and attempts are noted.
    #[must_use]
    pub fn with_callers<C: Passwords + Attempts + 'static>(self: Rc<Self>, callers: Rc<C>) -> Rc<Self> {
        Rc::new(Ports { passwords: callers.clone(), attempts: callers, ..(*self).clone() })
    }

    /// The same, where issuers of tokens can be asked for their keys.
    #[must_use]
    pub fn with_key_sets(self: Rc<Self>, key_sets: Arc<dyn JwksSource>) -> Rc<Self> {
        Rc::new(Ports { key_sets, ..(*self).clone() })
    }

    /// The same, where answers are kept.
    #[must_use]
    pub fn with_responses(self: Rc<Self>, responses: Arc<dyn ResponseStore>) -> Rc<Self> {
        Rc::new(Ports { responses, ..(*self).clone() })
    }
}
