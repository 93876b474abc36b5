//! Answers that are kept, as policies see them: what is kept of one, under what it is found, and who fetches it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http::{HeaderMap, HeaderName, StatusCode};
use smallvec::SmallVec;
use tidegate_model::{Id, Sha256};

/// Under what answers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// What was asked for: all that is kept of it goes when it changes.
    pub target: Sha256,
    /// For whom, and as what.
    pub part: Sha256,
}

/// An answer that is kept. Immutable: one that was found to hold still is put there anew.
#[derive(Debug, Clone)]
pub struct StoredAnswer {
    /// The policy that keeps it.
    pub policy: Id,
    /// Where it came from.
    pub route: Id,
    /// The service of the route.
    pub service: Option<Id>,
    /// What was asked for: host, path and query.
    pub url: Box<str>,
    /// By what else it is purged.
    pub tags: Box<[Box<str>]>,
    /// Its status.
    pub status: StatusCode,
    /// Its end-to-end headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// For which requests it is: the headers that it varies by, with what the request said.
    pub vary: Vary,
    /// When it was made, or found to hold still, by the node's clock, in milliseconds.
    pub received_ms: i64,
    /// How old it was by then.
    pub initial_age_ms: i64,
    /// How long it is fresh, from its making.
    pub fresh_ms: i64,
    /// It is never given out stale.
    pub must_revalidate: bool,
    /// How long past its freshness it is given out while a new one is fetched.
    pub stale_while_revalidate_ms: i64,
    /// How long past its freshness it is given out in the place of an error.
    pub stale_if_error_ms: i64,
}

/// Headers, with what a request said in each.
pub type Vary = Box<[(HeaderName, Box<[u8]>)]>;

impl StoredAnswer {
    /// What it takes of memory, about.
    pub fn weight(&self) -> u64 {
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum();
        let vary: usize = self.vary.iter().map(|(name, said)| name.as_str().len() + said.len() + 32).sum();
        let tags: usize = self.tags.iter().map(|tag| tag.len() + 16).sum();
        (size_of::<Self>() + 256 + self.body.len() + headers + vary + tags + self.url.len()) as u64
    }
}

/// What is kept under one key: variants by the headers that they vary by, the newest last.
pub type Variants = SmallVec<[Arc<StoredAnswer>; 1]>;

/// Keeps answers, bounded in bytes and number. One per node.
pub trait ResponseStore: Send + Sync {
    /// What is kept under a key.
    fn find(&self, key: &CacheKey) -> Variants;

    /// Counts up with all that lets go of what is kept there: what was fetched before is not kept after.
    fn epoch(&self, key: &CacheKey) -> u64;

    /// Keeps an answer in the place of the variant that is for the same requests; of more variants than there may be, the oldest
    /// goes.
    fn keep(&self, key: CacheKey, answer: StoredAnswer, epoch: u64);

    /// Lets go of all that was said of a target.
    fn forget(&self, target: &Sha256);

    /// Whose turn it is to fetch what is asked for under a key.
    fn turn(&self, key: &CacheKey) -> Turn;

    /// So many more bytes of a body are held until it is whole. `false` if there is no room for them.
    fn hold(&self, bytes: usize) -> bool;

    /// So many bytes are held no more.
    fn let_go(&self, bytes: usize);
}

/// Whose turn it is.
pub enum Turn {
    /// Who asks fetches; others wait for it.
    Lead(Box<dyn Lead>),
    /// Another fetches. Bounded in time.
    Wait(LocalBoxFuture<'static, Waited>),
    /// Nobody waits for anybody: what comes is not shared, or too many are waited for.
    Alone,
}

/// Who fetches for others. Dropped before it has settled, it has left, and another has its turn.
pub trait Lead {
    /// What came of it. For a moment nobody waits for what turned out [`Waited::NotShared`].
    fn settle(self: Box<Self>, how: Waited);
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The answer is kept.
    Kept,
    /// It is not for others.
    NotShared,
    /// Who was waited for is gone.
    Left,
    /// It took too long, or the API failed.
    Failed,
}

/// Keeps nothing: where nothing is served.
pub struct NoResponses;

impl ResponseStore for NoResponses {
    fn find(&self, _: &CacheKey) -> Variants {
        Variants::new()
    }

    fn epoch(&self, _: &CacheKey) -> u64 {
        0
    }

    fn keep(&self, _: CacheKey, _: StoredAnswer, _: u64) {}

    fn forget(&self, _: &Sha256) {}

    fn turn(&self, _: &CacheKey) -> Turn {
        Turn::Alone
    }

    fn hold(&self, _: usize) -> bool {
        false
    }

    fn let_go(&self, _: usize) {}
}
