//! What is noted of an exchange as it goes, by those who know it; read once, at its end.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

use http::header::{HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Version};
use tokio::time::Instant;

use super::series::TargetSeries;

/// What is noted of an exchange.
#[derive(Default)]
pub(crate) struct Facts {
    /// What arrived, where an access log is kept.
    pub(crate) seen: OnceCell<Box<Seen>>,
    /// The target broke off its answer.
    pub(crate) upstream_broke: Cell<bool>,
    tries: Cell<u32>,
    target: RefCell<Option<Arc<TargetSeries>>>,
    dialling: Cell<Option<Instant>>,
    connect_us: Cell<Option<u64>>,
    answered: Cell<Option<Instant>>,
}

/// A request as it came, before the gate looked at it.
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Not canonical, and with the query.
    pub(crate) target: Option<PathAndQuery>,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) version: Version,
}

impl Seen {
    /// What a line will say of this head: cheap copies, that share its memory.
    pub(crate) fn of(parts: &http::request::Parts) -> Box<Seen> {
        let authority = || HeaderValue::from_str(parts.uri.authority()?.as_str()).ok();
        Box::new(Seen {
            method: parts.method.clone(),
            target: parts.uri.path_and_query().cloned(),
            host: parts.headers.get(HOST).cloned().or_else(authority),
            user_agent: parts.headers.get(USER_AGENT).cloned(),
            version: parts.version,
        })
    }
}

impl Facts {
    /// A target is tried.
    pub(crate) fn tries(&self, target: &Arc<TargetSeries>) {
        target.tried();
        self.tries.set(self.tries.get() + 1);
        self.target.replace(Some(target.clone()));
    }

    /// A new connection to it is asked for.
    pub(crate) fn dials(&self) {
        self.dialling.set(Some(Instant::now()));
    }

    /// It stands, or does not.
    pub(crate) fn dialled(&self, stands: bool) {
        let Some(since) = self.dialling.take() else { return };
        self.connect_us.set(Some(self.connect_us.get().unwrap_or(0) + micros(since)));
        if let Some(target) = &*self.target.borrow() {
            if stands { target.connected() } else { target.not_connected() }
        }
    }

    /// The head of its answer came.
    pub(crate) fn answered(&self) {
        self.answered.set(Some(Instant::now()));
    }

    /// When the head of the answer came.
    pub(crate) fn answered_at(&self) -> Option<Instant> {
        self.answered.get()
    }

    /// The target that was tried last, how many were, and how long making connections took, in microseconds.
    pub(crate) fn attempts(&self) -> (Option<Arc<TargetSeries>>, u32, Option<u64>) {
        (self.target.borrow().clone(), self.tries.get(), self.connect_us.get())
    }
}

/// How long ago, in microseconds.
pub(crate) fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
