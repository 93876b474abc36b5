//! The built policy.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{AGE, HeaderMap, HeaderValue};
use tidegate_model::Sha256;

use super::freshness::{Times, terms};
use super::keeper::Keeper;
use super::lookup::{Asked, Concern, Fetching, Found, concern, find};
use super::refresh::Refresh;
use super::status::{Forward, Said};
use super::{Settings, conditional};
use crate::{
    Answer, Blame, BodyFilter, CacheOutcome, Decision, Origin, Policy, Reply, RequestContext, RequestHead,
    ResponseHead, StoredAnswer, Turn, Verdict, Waited,
};

pub(super) struct Cacher(pub(super) Arc<Settings>);

/// How often who waits for another, that leaves, waits for the next one.
const WAITS_MAX: usize = 3;

/// What is left to do for a request, once it is answered.
enum Work {
    /// It changed what it names.
    Forget(Sha256),
    Fetches(Box<Fetching>),
    /// The answer comes, and is kept.
    Keeps(RefCell<Option<Box<Keeper>>>),
    Passes(Forward),
}

impl Policy for Cacher {
    fn on_request<'a>(&'a self, head: &'a mut RequestHead, cx: &'a mut RequestContext) -> Answer<'a> {
        let asked = match concern(&self.0, head, cx) {
            Concern::Asks(asked) => asked,
            Concern::Changes(key) => {
                cx.cached = Some(CacheOutcome::Bypass);
                cx.notes.put(Some(Work::Forget(key.target)));
                return Answer::CONTINUE;
            }
            Concern::Passes(why) => {
                cx.cached = Some(CacheOutcome::Bypass);
                cx.notes.put(Some(Work::Passes(why)));
                return Answer::CONTINUE;
            }
        };
        match self.look(asked, head, cx, false) {
            Ok(decision) => Answer::Now(decision),
            Err(fetching) if !self.0.coalesce || !fetching.asked.is_shared() => {
                Answer::Now(self.goes(fetching, head, cx))
            }
            Err(mut fetching) => match cx.ports.responses.turn(&fetching.asked.key) {
                Turn::Alone => Answer::Now(self.goes(fetching, head, cx)),
                Turn::Lead(lead) => {
                    fetching.lead = Some(lead);
                    Answer::Now(self.goes(fetching, head, cx))
                }
                Turn::Wait(first) => Answer::Later(Box::pin(async move {
                    let mut wait = first;
                    for _ in 0..WAITS_MAX {
                        match wait.await {
                            Waited::Kept => {
                                let mut again = Box::new(fetching.asked);
                                again.epoch = cx.ports.responses.epoch(&again.key);
                                return match self.look(again, head, cx, true) {
                                    Ok(decision) => decision,
                                    Err(fetching) => self.goes(fetching, head, cx),
                                };
                            }
                            Waited::NotShared | Waited::Failed => break,
                            Waited::Left => {}
                        }
                        match cx.ports.responses.turn(&fetching.asked.key) {
                            Turn::Wait(next) => wait = next,
                            Turn::Lead(lead) => {
                                fetching.lead = Some(lead);
                                break;
                            }
                            Turn::Alone => break,
                        }
                    }
                    self.goes(fetching, head, cx)
                })),
            },
        }
    }

    fn on_response<'a>(&'a self, head: &'a mut ResponseHead, cx: &'a mut RequestContext) -> Answer<'a> {
        let Some(work) = cx.notes.get::<Option<Work>>().and_then(Option::take) else { return Answer::CONTINUE };
        let settings = &self.0;
        match work {
            Work::Forget(target) => {
                if head.origin == Origin::Upstream && !head.status.is_client_error() && !head.status.is_server_error() {
                    cx.ports.responses.forget(&target);
                }
                self.tell(&mut head.headers, Said { forward: Some(Forward::Method), ..Said::default() });
            }
            Work::Passes(why) => self.tell(&mut head.headers, Said { forward: Some(why), ..Said::default() }),
            Work::Fetches(fetching) => {
                let why = fetching.why;
                let mut said = Said { forward: Some(why), ..Said::default() };
                match settle(settings, fetching, head, cx) {
                    Now::Replaced => {}
                    Now::Passes => self.tell(&mut head.headers, said),
                    Now::Keeps(keeper) => {
                        said.stored = true;
                        self.tell(&mut head.headers, said);
                        if head.status == StatusCode::NO_CONTENT {
                            keeper.whole(&Bytes::new());
                        } else {
                            cx.notes.put(Some(Work::Keeps(RefCell::new(Some(keeper)))));
                        }
                    }
                }
            }
            Work::Keeps(_) => {}
        }
        settings.hide_tags(&mut head.headers);
        Answer::CONTINUE
    }

    fn on_response_body<'a>(
        &'a self,
        body: &'a mut Bytes,
        _: &'a mut ResponseHead,
        cx: &'a mut RequestContext,
    ) -> Answer<'a> {
        // this comes before others change it: those that look at it as it passes come behind them
        if let Some(Some(Work::Keeps(keeper))) = cx.notes.get::<Option<Work>>()
            && let Some(keeper) = keeper.take()
        {
            keeper.whole(body);
        }
        Answer::CONTINUE
    }

    fn response_body_filter(&self, _: &ResponseHead, cx: &RequestContext) -> Option<Box<dyn BodyFilter>> {
        let Some(Some(Work::Keeps(keeper))) = cx.notes.read::<Option<Work>>() else { return None };
        Some(keeper.take()?)
    }
}

impl Cacher {
    /// What the cache has for a request, or its way to the API.
    fn look(
        &self,
        asked: Box<Asked>,
        head: &mut RequestHead,
        cx: &mut RequestContext,
        collapsed: bool,
    ) -> Result<Decision, Box<Fetching>> {
        let now = cx.ports.clock.now().millis();
        let (answer, outcome) = match find(&asked, cx) {
            Found::Fresh(answer) => {
                let outcome = if answer.left_ms(now) > 0 { CacheOutcome::Hit } else { CacheOutcome::Stale };
                (answer, outcome)
            }
            Found::Stale(answer) => (answer, CacheOutcome::Stale),
            Found::Nothing(why, stale) => return Err(Box::new(asked.fetch(why, stale, &mut head.headers))),
        };
        cx.cached = Some(outcome);
        let said = Said { ttl_ms: Some(answer.left_ms(now)), ..Said::default() };
        let said = if collapsed { Said { forward: Some(Forward::UriMiss), collapsed, ..said } } else { said };
        let (status, headers, body) = self.0.given_out(&answer, &asked, now, said);
        let past_swr = answer.left_ms(now) <= 0 && -answer.left_ms(now) <= answer.stale_while_revalidate_ms;
        if outcome == CacheOutcome::Stale && past_swr && !asked.is_head {
            self.refresh(*asked, answer, head, cx);
        }
        Ok(Ok(Verdict::Reply(Box::new(Reply::stored(status, headers, body)))))
    }

    /// Has a new one fetched, by one for all who get the stale one.
    fn refresh(&self, asked: Asked, answer: Arc<StoredAnswer>, head: &RequestHead, cx: &mut RequestContext) {
        let Turn::Lead(lead) = cx.ports.responses.turn(&asked.key) else { return };
        let mut head = head.clone();
        let mut fetching = Box::new(asked.fetch(Forward::Stale, Some(answer), &mut head.headers));
        if !fetching.revalidates {
            head.headers.remove(http::header::IF_NONE_MATCH);
            head.headers.remove(http::header::IF_MODIFIED_SINCE);
        }
        fetching.lead = Some(lead);
        cx.refresh = Some(Box::new(Refresh { settings: self.0.clone(), fetching, head }));
    }

    /// On its way to the API.
    fn goes(&self, fetching: Box<Fetching>, head: &mut RequestHead, cx: &mut RequestContext) -> Decision {
        if fetching.asked.directives.only_if_cached {
            cx.cached = Some(CacheOutcome::Miss);
            let detail = "nothing is kept that fits, and the request asks for nothing else";
            let reply = Reply::new(StatusCode::GATEWAY_TIMEOUT, "only_if_cached", detail, Blame::Downstream);
            return Ok(Verdict::Reply(Box::new(reply)));
        }
        // what others wait for is the whole answer, whatever this caller has already
        if fetching.lead.is_some() && !fetching.revalidates {
            head.headers.remove(http::header::IF_NONE_MATCH);
            head.headers.remove(http::header::IF_MODIFIED_SINCE);
        }
        cx.cached = Some(CacheOutcome::Miss);
        cx.notes.put(Some(Work::Fetches(fetching)));
        Ok(Verdict::Continue)
    }

    fn tell(&self, headers: &mut HeaderMap, said: Said) {
        if self.0.cache_status {
            said.tell(headers);
        }
    }
}

/// What becomes of an answer of the API.
pub(super) enum Now {
    /// It goes on as it is.
    Passes,
    /// What is kept goes on in its place.
    Replaced,
    /// It goes on, and is kept.
    Keeps(Box<Keeper>),
}

/// The API answered, or could not: what that means for what is kept, and for the caller.
pub(super) fn settle(
    settings: &Settings,
    mut fetching: Box<Fetching>,
    head: &mut ResponseHead,
    cx: &mut RequestContext,
) -> Now {
    let now = cx.ports.clock.now().millis();
    if head.status.is_server_error() {
        if let Some(lead) = fetching.lead.take() {
            lead.settle(Waited::Failed);
        }
        let failed = matches!(head.status.as_u16(), 500 | 502 | 503 | 504);
        let stale = fetching.stale.as_ref().filter(|_| failed).filter(|answer| {
            let left = answer.left_ms(now);
            left > 0 || answer.stale_if_error_ms > 0 && -left <= answer.stale_if_error_ms
        });
        if let Some(answer) = stale.cloned() {
            let said = Said {
                forward: Some(fetching.why),
                forward_status: (head.origin == Origin::Upstream).then(|| head.status.as_u16()),
                ttl_ms: Some(answer.left_ms(now)),
                detail: Some("stale-if-error"),
                ..Said::default()
            };
            cx.cached = Some(CacheOutcome::Stale);
            replace(settings, head, &answer, &fetching.asked, said, cx);
            return Now::Replaced;
        }
        if head.origin == Origin::Gateway {
            return Now::Passes;
        }
    }
    if head.origin == Origin::Gateway {
        return Now::Passes;
    }
    if head.status == StatusCode::NOT_MODIFIED
        && fetching.revalidates
        && let Some(stale) = fetching.stale.take()
    {
        return holds_still(settings, fetching, &stale, head, cx);
    }
    match Keeper::new(settings, fetching, (head.status, &head.headers), cx) {
        Ok(keeper) => Now::Keeps(Box::new(keeper)),
        Err(mut fetching) => {
            if let Some(lead) = fetching.lead.take() {
                lead.settle(Waited::NotShared);
            }
            Now::Passes
        }
    }
}

/// The API says that what is kept still holds.
fn holds_still(
    settings: &Settings,
    mut fetching: Box<Fetching>,
    stale: &StoredAnswer,
    head: &mut ResponseHead,
    cx: &mut RequestContext,
) -> Now {
    let asked = &fetching.asked;
    let times = Times { asked_ms: asked.asked_ms, came_ms: cx.ports.clock.now().millis() };
    let mut answer = stale.clone();
    answer.headers = conditional::freshened(&stale.headers, &head.headers);
    let terms = terms(settings, answer.status, &answer.headers, asked.has_credentials, times);
    answer.headers.remove(AGE);
    let kept = terms.filter(|_| !asked.directives.no_store);
    if let Some(terms) = kept {
        answer.received_ms = times.came_ms;
        answer.initial_age_ms = terms.initial_age_ms;
        answer.fresh_ms = terms.fresh_ms;
        answer.must_revalidate = terms.must_revalidate;
        answer.stale_while_revalidate_ms = terms.stale_while_revalidate_ms;
        answer.stale_if_error_ms = terms.stale_if_error_ms;
        cx.ports.responses.keep(asked.key, answer.clone(), asked.epoch);
    }
    if let Some(lead) = fetching.lead.take() {
        lead.settle(if kept.is_some() { Waited::Kept } else { Waited::NotShared });
    }
    let said = Said {
        forward: Some(fetching.why),
        forward_status: Some(StatusCode::NOT_MODIFIED.as_u16()),
        ttl_ms: kept.map(|_| answer.left_ms(times.came_ms)),
        stored: kept.is_some(),
        ..Said::default()
    };
    cx.cached = Some(CacheOutcome::Revalidated);
    replace(settings, head, &answer, &fetching.asked, said, cx);
    Now::Replaced
}

/// Puts a kept answer in the place of the one that came.
fn replace(
    settings: &Settings,
    head: &mut ResponseHead,
    answer: &StoredAnswer,
    asked: &Asked,
    said: Said,
    cx: &mut RequestContext,
) {
    let now = cx.ports.clock.now().millis();
    let (status, headers, body) = settings.given_out(answer, asked, now, said);
    *head = ResponseHead { status, headers, origin: Origin::Upstream };
    cx.instead = Some(body);
}

impl Settings {
    /// A kept answer as its caller gets it.
    fn given_out(&self, answer: &StoredAnswer, asked: &Asked, now: i64, said: Said) -> (StatusCode, HeaderMap, Bytes) {
        let (status, mut headers, body) = match asked.has.anything() && asked.has.has(answer) {
            true => (StatusCode::NOT_MODIFIED, conditional::not_modified(&answer.headers), Bytes::new()),
            false => (answer.status, answer.headers.clone(), answer.body.clone()),
        };
        headers.insert(AGE, HeaderValue::from((answer.age_ms(now) / 1000).max(0)));
        if self.cache_status {
            said.tell(&mut headers);
        }
        self.hide_tags(&mut headers);
        (status, headers, body)
    }

    fn hide_tags(&self, headers: &mut HeaderMap) {
        if let Some(name) = &self.tag_header
            && !self.tell_tags
        {
            headers.remove(name);
        }
    }
}
