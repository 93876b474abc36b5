//! Gathers the body of an answer while it goes to the caller, and keeps it once it is whole.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{AGE, CONTENT_LENGTH, HeaderMap, SET_COOKIE};

use super::freshness::{Terms, Times, terms};
use super::lookup::Fetching;
use super::{Settings, vary};
use crate::{BodyFilter, CacheKey, Lead, Reply, RequestContext, ResponseStore, StoredAnswer, Vary, Waited};

/// How many tags of an answer are taken, and how long one may be.
const TAGS_MAX: usize = 64;
const TAG_BYTES_MAX: usize = 256;

/// An answer that is kept once its body is whole. Dropped before, nothing is kept, and who waits for it goes on by itself.
pub struct Keeper {
    key: CacheKey,
    epoch: u64,
    answer: StoredAnswer,
    lead: Option<Box<dyn Lead>>,
    responses: Arc<dyn ResponseStore>,
    body: Vec<u8>,
    max: usize,
    /// It is too large, or kept already.
    is_done: bool,
}

impl Keeper {
    /// For an answer that is to be kept; the fetching is given back for one that is not.
    pub(super) fn new(
        settings: &Settings,
        mut fetching: Box<Fetching>,
        (status, headers): (StatusCode, &HeaderMap),
        cx: &RequestContext,
    ) -> Result<Self, Box<Fetching>> {
        let asked = &fetching.asked;
        let times = Times { asked_ms: asked.asked_ms, came_ms: cx.ports.clock.now().millis() };
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if asked.is_head || asked.directives.no_store || length.unwrap_or(0) > settings.body_bytes_max as u64 {
            return Err(fetching);
        }
        let Some(terms) = terms(settings, status, headers, asked.has_credentials, times) else { return Err(fetching) };
        let Some(vary) = vary::of(headers, &asked.headers) else { return Err(fetching) };
        let answer = stored(settings, &fetching, (status, headers), terms, times.came_ms, vary, cx);
        Ok(Keeper {
            key: fetching.asked.key,
            epoch: fetching.asked.epoch,
            answer,
            lead: fetching.lead.take(),
            responses: cx.ports.responses.clone(),
            body: Vec::new(),
            max: settings.body_bytes_max,
            is_done: false,
        })
    }

    /// All of the body is there.
    pub(super) fn whole(mut self, body: &Bytes) {
        if self.takes(body) {
            self.keep();
        }
    }

    fn takes(&mut self, data: &[u8]) -> bool {
        if self.is_done {
            return false;
        }
        if self.body.len() + data.len() > self.max || !self.responses.hold(data.len()) {
            self.give_up();
            return false;
        }
        self.body.extend_from_slice(data);
        true
    }

    fn give_up(&mut self) {
        self.is_done = true;
        self.responses.let_go(std::mem::take(&mut self.body).len());
        if let Some(lead) = self.lead.take() {
            lead.settle(Waited::NotShared);
        }
    }

    fn keep(&mut self) {
        if self.is_done {
            return;
        }
        self.is_done = true;
        let body = std::mem::take(&mut self.body);
        self.responses.let_go(body.len());
        let mut answer = self.answer.clone();
        answer.body = body.into_boxed_slice().into();
        self.responses.keep(self.key, answer, self.epoch);
        if let Some(lead) = self.lead.take() {
            lead.settle(Waited::Kept);
        }
    }
}

fn stored(
    settings: &Settings,
    fetching: &Fetching,
    (status, headers): (StatusCode, &HeaderMap),
    terms: Terms,
    came_ms: i64,
    vary: Vary,
    cx: &RequestContext,
) -> StoredAnswer {
    let mut kept = headers.clone();
    kept.remove(AGE);
    kept.remove(SET_COOKIE);
    StoredAnswer {
        policy: settings.policy,
        route: cx.route.route,
        service: cx.route.service,
        url: fetching.asked.url.clone(),
        tags: tags(settings, headers),
        status,
        headers: kept,
        body: Bytes::new(),
        vary,
        received_ms: came_ms,
        initial_age_ms: terms.initial_age_ms,
        fresh_ms: terms.fresh_ms,
        must_revalidate: terms.must_revalidate,
        stale_while_revalidate_ms: terms.stale_while_revalidate_ms,
        stale_if_error_ms: terms.stale_if_error_ms,
    }
}

fn tags(settings: &Settings, headers: &HeaderMap) -> Box<[Box<str>]> {
    let Some(name) = &settings.tag_header else { return Box::default() };
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let words = values.flat_map(|value| value.split([',', ' ', '\t'])).filter(|word| !word.is_empty());
    words.filter(|word| word.len() <= TAG_BYTES_MAX).take(TAGS_MAX).map(Box::from).collect()
}

impl BodyFilter for Keeper {
    fn on_data(&mut self, data: &mut Bytes) -> Result<(), Box<Reply>> {
        self.takes(data);
        Ok(())
    }

    fn on_end(&mut self) -> Result<Bytes, Box<Reply>> {
        self.keep();
        Ok(Bytes::new())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if !self.is_done {
            self.responses.let_go(self.body.len());
        }
    }
}
