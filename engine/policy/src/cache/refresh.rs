//! A stale answer was given out: a new one is fetched with nobody waiting for it.

use std::sync::Arc;

use super::Settings;
use super::lookup::Fetching;
use super::runtime::{Now, settle};
use crate::{BodyFilter, RequestContext, RequestHead, ResponseHead};

/// A request to be sent upstream in the background.
pub struct Refresh {
    pub(super) settings: Arc<Settings>,
    pub(super) fetching: Box<Fetching>,
    pub(super) head: RequestHead,
}

/// The rest of a refresh, once its request is on its way.
pub struct Refreshing {
    settings: Arc<Settings>,
    fetching: Box<Fetching>,
}

impl Refresh {
    /// What to send, and who takes the answer.
    pub fn begin(self) -> (RequestHead, Refreshing) {
        (self.head, Refreshing { settings: self.settings, fetching: self.fetching })
    }
}

impl Refreshing {
    /// The head of the answer came; what takes its body, where that is to be kept.
    pub fn answered(self, head: &mut ResponseHead, cx: &mut RequestContext) -> Option<Box<dyn BodyFilter>> {
        match settle(&self.settings, self.fetching, head, cx) {
            Now::Keeps(keeper) => Some(keeper),
            Now::Replaced | Now::Passes => None,
        }
    }
}
