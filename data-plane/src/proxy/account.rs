//! What is told of a request at its end, however it ended: counted, and written to the access log.

use std::rc::Rc;

use http::uri::PathAndQuery;
use http::{Method, StatusCode, Version};
use tidegate_policy::{Blame, CacheOutcome, RefusedBy, Reply};
use tidegate_snapshot::Revisions;
use tokio::time::Instant;

use super::compose::Done;
use super::visit::Visit;
use crate::exchange::watch::Cut;
use crate::telemetry::access_log::{Record, Routed, Tap};
use crate::telemetry::cells::class;
use crate::telemetry::facts::micros;
use crate::telemetry::{Cells, LIMIT_OUTCOMES};

/// What a visit notes for its end.
pub(super) struct Account {
    began: Instant,
    revisions: Option<Revisions>,
    /// The canonical path, where an access log is kept.
    path: Option<PathAndQuery>,
    pub(super) policies_us: Option<u64>,
    pub(super) status: Option<StatusCode>,
    reply: Option<(&'static str, Blame)>,
    refused_by: Option<Box<RefusedBy>>,
    complete: bool,
    response_bytes: u64,
    /// Nobody asked for it: the gateway fetches what it keeps.
    pub(super) is_background: bool,
    /// What came of a composition.
    done: Option<Rc<Done>>,
}

impl Account {
    pub(super) fn new() -> Self {
        Account {
            began: Instant::now(),
            revisions: None,
            path: None,
            policies_us: None,
            status: None,
            reply: None,
            refused_by: None,
            complete: false,
            response_bytes: 0,
            is_background: false,
            done: None,
        }
    }

    /// When the request came.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// The answer was composed, or could not be.
    pub(super) fn composed(&mut self, done: Rc<Done>) {
        self.done = Some(done);
    }

    /// The configuration was taken; `path` where it will be told.
    pub(super) fn runs_on(&mut self, revisions: Revisions, path: Option<&PathAndQuery>) {
        self.revisions = Some(revisions);
        self.path = path.cloned();
    }

    /// The gateway replies.
    pub(super) fn replied(&mut self, reply: &Reply, cells: &Cells) {
        cells.replied(reply.blame, reply.code);
        self.reply = Some((reply.code, reply.blame));
        // one that answers or sends elsewhere refuses nothing
        let refuses = reply.status.is_client_error() || reply.status.is_server_error();
        if let Some(by) = reply.refused_by.as_ref().filter(|_| refuses) {
            cells.refusals.add(by.kind);
            self.refused_by = Some(by.clone());
        }
    }

    /// The reply went out, so much of it.
    pub(super) fn sent(&mut self, complete: bool, response_bytes: u64) {
        (self.complete, self.response_bytes) = (complete, response_bytes);
    }
}

/// Tells of a request.
pub(super) fn close(visit: &mut Visit) {
    let account = &visit.account;
    if account.is_background {
        return;
    }
    let (exchange, cells) = (visit.exchange(), visit.worker.cells());
    let took = micros(account.began);
    if exchange.is_cut() == Some(Cut::Connect) {
        exchange.facts.dialled(false);
    }
    let (request_bytes, response_bytes) = (exchange.request_bytes.get(), account.response_bytes);
    cells.answered(account.status);
    cells.request_bytes.add(request_bytes);
    cells.response_bytes.add(response_bytes);
    let first_byte_us = exchange.facts.answered_at().map(|at| {
        let after = at.saturating_duration_since(account.began).as_micros();
        u64::try_from(after).unwrap_or(u64::MAX)
    });
    if let Some(route) = &visit.route {
        route.series.ended(class(account.status), request_bytes, response_bytes);
        if let Some(service) = &route.service_series {
            service.took(took);
            if let Some(first_byte_us) = first_byte_us {
                service.first_byte_took(first_byte_us);
            }
        }
    }
    if let Some(limited) = visit.policed.as_ref().and_then(|policed| policed.cx.limited) {
        cells.limited[limited as usize].add(1);
    }
    if let Some(policed) = &visit.policed {
        if let Some(cached) = policed.cx.cached {
            cells.cached[cached as usize].add(1);
        }
        policed.cx.shadowed.each(|shadowed| cells.shadowed.add(shadowed.by.kind));
    }
    let reason = (!account.complete).then(|| reason(visit));
    if let Some(reason) = reason {
        cells.unfinished.add(reason);
        if account.status.is_some() {
            cells.cut.add(1);
        }
    }
    if let Some(log) = visit.worker.log() {
        tell(log, visit, Ended { took, first_byte_us, reason });
    }
}

/// Why a request did not end as it should have.
fn reason(visit: &Visit) -> &'static str {
    let exchange = visit.exchange();
    match exchange.is_cut() {
        Some(cut) => cut.as_str(),
        None if exchange.facts.upstream_broke.get() => "upstream_broke",
        None => "caller_left",
    }
}

struct Ended {
    took: u64,
    first_byte_us: Option<u64>,
    reason: Option<&'static str>,
}

/// Apart, so that who keeps no log does not carry it along.
#[inline(never)]
fn tell(log: &Tap, visit: &Visit, ended: Ended) {
    let (account, exchange) = (&visit.account, visit.exchange());
    let seen = exchange.facts.seen.get();
    let (target, tries, connect_us) = exchange.facts.attempts();
    let cx = visit.policed.as_ref().map(|policed| &policed.cx);
    let consumer = cx.and_then(|cx| cx.principal.consumer());
    let raw = seen.and_then(|seen| seen.target.as_ref());
    let now = visit.worker.ports().clock.now().millis();
    let steps = account.done.as_ref().map(|done| done.line());
    log.tell(&Record {
        at_ms: now - i64::try_from(ended.took / 1_000).unwrap_or(0),
        request_id: &visit.id,
        trace_id: visit.trace.as_ref().map(|trace| trace.id),
        revisions: account.revisions.unwrap_or_else(|| visit.worker.view().snapshot.revisions()),
        client: visit.caller.address,
        peer: exchange.connection.peer().address,
        version: seen.map_or(Version::HTTP_11, |seen| seen.version),
        method: seen.map_or(&Method::GET, |seen| &seen.method),
        host: seen.and_then(|seen| seen.host.as_ref()),
        path: account.path.as_ref().or(raw).map_or("", PathAndQuery::path),
        user_agent: seen.and_then(|seen| seen.user_agent.as_ref()),
        route: visit.route.as_ref().map(|route| {
            let compiled = &route.compiled;
            Routed {
                route: &compiled.name,
                id: compiled.facts.route,
                service: compiled.service().map(|service| &*service.name),
            }
        }),
        consumer: consumer.map(|consumer| &*consumer.name),
        credential: cx.and_then(|cx| cx.principal.credential),
        status: account.status,
        reply: account.reply,
        policy: account.refused_by.as_ref().map(|by| (&*by.policy, by.kind)),
        shadowed: cx.map(|cx| &cx.shadowed),
        cache: cx.and_then(|cx| cx.cached).map(CacheOutcome::as_str),
        limit: cx.and_then(|cx| cx.limited).map(|limited| LIMIT_OUTCOMES[limited as usize]),
        quotas: cx.map_or(&[], |cx| &cx.quotas),
        steps: steps.as_deref(),
        target: target.as_ref().map(|target| target.address()),
        tries,
        duration_us: ended.took,
        policies_us: account.policies_us,
        connect_us,
        first_byte_us: ended.first_byte_us,
        request_bytes: exchange.request_bytes.get(),
        response_bytes: account.response_bytes,
        reason: ended.reason,
    });
}
