//! Writes a node's metrics: the sums of its workers' cells, and how its other parts stand.

use std::sync::Arc;

use tidegate_policy::CacheOutcome;
use tidegate_snapshot::Revisions;
use tidegate_telemetry::buckets::{BOUNDS, BUCKETS};
use tidegate_telemetry::{Exposition, Family};

use super::access_log::LogCounts;
use super::catalogue as metric;
use super::cells::Cells;
use super::ledger::{Labels, Ledger};
use super::series::{
    FIRST_BYTE, ROUTE, ROUTE_REQUEST_BYTES, ROUTE_RESPONSE_BYTES, TARGET, TARGET_ATTEMPTS, TARGET_CONNECTIONS,
    TARGET_FAILURES, TARGET_IDLE,
};
use super::{CLASSES, Guard, LIMIT_OUTCOMES};
use crate::config_sync::SyncStatus;
use crate::ports::counters::{Breaker, CountersStatus, Decisions};
use crate::ports::{ComputeStatus, KeySetsStatus, ResponsesStatus};

/// Everything beside the workers' cells that is told.
pub(crate) struct Standing {
    pub(crate) revisions: Revisions,
    pub(crate) sync: SyncStatus,
    pub(crate) counters: CountersStatus,
    pub(crate) key_sets: KeySetsStatus,
    pub(crate) compute: ComputeStatus,
    pub(crate) responses: ResponsesStatus,
    pub(crate) log: LogCounts,
    /// Memory in use, and what may be.
    pub(crate) memory: (u64, u64),
    pub(crate) draining: bool,
}

/// Writes what workers counted.
pub(crate) fn workers(out: &mut Exposition, workers: &[Arc<Cells>], ledger: &mut Ledger) {
    let sum = |of: fn(&Cells) -> u64| workers.iter().map(|cells| of(cells)).sum::<u64>();
    let mut requests = out.family(&metric::REQUESTS);
    for (class, name) in CLASSES.into_iter().enumerate() {
        requests.sample(&[name], workers.iter().map(|cells| cells.requests[class].get()).sum());
    }
    out.single(&metric::EXCHANGES, sum(|cells| cells.exchanges_active.get()));
    out.single(&metric::REQUEST_BYTES, sum(|cells| cells.request_bytes.get()));
    out.single(&metric::RESPONSE_BYTES, sum(|cells| cells.response_bytes.get()));
    let replies = tally(workers.iter().flat_map(|cells| cells.replies.each()));
    let mut family = out.family(&metric::REPLIES);
    for (key, count) in replies {
        let (code, blame) = key.map_or(("_other", "_other"), |(code, blame)| (code, blame.as_str()));
        family.sample(&[code, blame], count);
    }
    words(out, &metric::UNFINISHED, tally(workers.iter().flat_map(|cells| cells.unfinished.each())));
    words(out, &metric::REFUSALS, tally(workers.iter().flat_map(|cells| cells.refusals.each())));
    words(out, &metric::SHADOWED, tally(workers.iter().flat_map(|cells| cells.shadowed.each())));
    words(out, &metric::COMPOSED, tally(workers.iter().flat_map(|cells| cells.composed.each())));
    words(out, &metric::COMPOSED_STEPS, tally(workers.iter().flat_map(|cells| cells.composed_steps.each())));
    out.single(&metric::COMPOSED_RETRIES, sum(|cells| cells.composed_retries.get()));
    out.single(&metric::COALESCED, sum(|cells| cells.coalesced.get()));
    let mut limited = out.family(&metric::LIMITED);
    for (outcome, name) in LIMIT_OUTCOMES.into_iter().enumerate() {
        limited.sample(&[name], workers.iter().map(|cells| cells.limited[outcome].get()).sum());
    }
    let mut cached = out.family(&metric::CACHE_REQUESTS);
    for (outcome, name) in CacheOutcome::NAMES.into_iter().enumerate() {
        cached.sample(&[name], workers.iter().map(|cells| cells.cached[outcome].get()).sum());
    }
    out.family(&metric::CACHE_REFRESHES)
        .sample(&["fetched"], sum(|cells| cells.cache_refreshes.get()))
        .sample(&["crowded"], sum(|cells| cells.cache_refreshes_crowded.get()));
    routes(out, ledger.routes.told());
    services(out, ledger);
    targets(out, &ledger.targets.told());
    out.single(&metric::UPSTREAM_KEPT, sum(|cells| cells.upstream_kept.get()));
    out.single(&metric::CONNECTIONS, sum(|cells| cells.connections.get()));
    out.single(&metric::CONNECTIONS_ACTIVE, sum(|cells| cells.connections_active.get()));
    let mut family = out.family(&metric::WORKER_CONNECTIONS);
    for (index, cells) in workers.iter().enumerate() {
        family.sample(&[&index.to_string()], cells.connections_active.get());
    }
    out.single(&metric::TUNNELS, sum(|cells| cells.tunnels.get()));
    out.single(&metric::PROXY_HEADERS_REFUSED, sum(|cells| cells.proxy_headers_refused.get()));
    out.single(&metric::FORWARDED_CUT, sum(|cells| cells.forwarded_cut.get()));
    out.single(&metric::TRACESTATE_DROPPED, sum(|cells| cells.tracestate_dropped.get()));
    let mut family = out.family(&metric::GUARDS);
    for guard in Guard::ALL {
        family.sample(&[guard.name()], workers.iter().map(|cells| cells.guards[*guard as usize].get()).sum());
    }
    let mut busy = out.family(&metric::BUSY);
    for (index, cells) in workers.iter().enumerate() {
        busy.sample_micros(&[&index.to_string()], cells.busy_us.get());
    }
}

/// Adds up by key; what fits nowhere comes last.
fn tally<K: Copy + Eq>(counts: impl Iterator<Item = (Option<K>, u64)>) -> Vec<(Option<K>, u64)> {
    let mut all: Vec<(Option<K>, u64)> = Vec::new();
    for (key, count) in counts {
        match all.iter_mut().find(|(known, _)| *known == key) {
            Some((_, sum)) => *sum += count,
            None => all.push((key, count)),
        }
    }
    all
}

fn words(out: &mut Exposition, family: &'static Family, counts: Vec<(Option<&'static str>, u64)>) {
    let mut family = out.family(family);
    for (word, count) in counts {
        family.sample(&[word.unwrap_or("_other")], count);
    }
}

fn routes(out: &mut Exposition, told: Vec<(Labels, [u64; ROUTE])>) {
    let mut family = out.family(&metric::ROUTE_REQUESTS);
    for ((route, service), sums) in &told {
        // a class that never came is not told: of most routes that is all but one
        for (class, name) in CLASSES.into_iter().enumerate().filter(|(class, _)| sums[*class] > 0) {
            family.sample(&[route, service, name], sums[class]);
        }
    }
    for (family, at) in
        [(&metric::ROUTE_REQUEST_BYTES, ROUTE_REQUEST_BYTES), (&metric::ROUTE_RESPONSE_BYTES, ROUTE_RESPONSE_BYTES)]
    {
        let mut family = out.family(family);
        for ((route, service), sums) in told.iter().filter(|(_, sums)| sums[at] > 0) {
            family.sample(&[route, service], sums[at]);
        }
    }
}

fn services(out: &mut Exposition, ledger: &mut Ledger) {
    let told = ledger.services.told();
    for (family, at) in [(&metric::SERVICE_DURATION, 0), (&metric::SERVICE_FIRST_BYTE, FIRST_BYTE)] {
        let mut family = out.family(family);
        for ((service, _), sums) in &told {
            family.histogram(&[service], &BOUNDS, &sums[at..at + BUCKETS], sums[at + BUCKETS]);
        }
    }
}

fn targets(out: &mut Exposition, told: &[(Labels, [u64; TARGET])]) {
    for (family, at) in [
        (&metric::TARGET_ATTEMPTS, TARGET_ATTEMPTS),
        (&metric::TARGET_CONNECTIONS, TARGET_CONNECTIONS),
        (&metric::TARGET_FAILURES, TARGET_FAILURES),
        (&metric::TARGET_IDLE, TARGET_IDLE),
    ] {
        let mut family = out.family(family);
        for ((upstream, target), sums) in told {
            family.sample(&[upstream, target], sums[at]);
        }
    }
}

/// Writes how the rest of the node stands.
pub(crate) fn standing(out: &mut Exposition, standing: &Standing) {
    let Standing { revisions, sync, counters: limits, key_sets, compute, responses, log, memory, draining } = standing;
    kept(out, responses);
    counters(out, limits);
    out.family(&metric::CONFIG_REVISION)
        .sample(&["identity"], revisions.identity)
        .sample(&["traffic"], revisions.traffic);
    out.family(&metric::CONFIG_UPDATES)
        .sample(&["applied"], sync.counts.applied)
        .sample(&["rejected"], sync.counts.rejected)
        .sample(&["out_of_step"], sync.counts.out_of_step);
    let refused = |class: &str| {
        let refused = sync.refused.iter().filter(|refusal| refusal.class == class);
        refused.map(|refusal| refusal.problems.len() as u64).sum()
    };
    let mut family = out.family(&metric::CONFIG_REFUSED);
    for class in ["identity", "traffic"] {
        family.sample(&[class], refused(class));
    }
    out.single(&metric::CONFIG_CLOSED, sync.closed_at_start.len() as u64);
    out.single(&metric::CONFIG_PERSISTED, u64::from(sync.persisted));
    out.single(&metric::CONNECTED, u64::from(sync.connected));
    if let Some(heard) = sync.last_heard_ms.and_then(|ms| u64::try_from(ms).ok()) {
        out.family(&metric::LAST_HEARD).sample_micros(&[], heard * 1_000);
    }
    out.single(&metric::STREAMS, sync.counts.streams);
    issuers(out, key_sets);
    out.family(&metric::COMPUTE)
        .sample(&["done"], compute.done)
        .sample(&["refused"], compute.refused)
        .sample(&["panicked"], compute.panicked);
    out.single(&metric::COMPUTE_QUEUED, compute.queued as u64);
    out.single(&metric::LOG_LINES, log.lines);
    out.family(&metric::LOG_DROPPED).sample(&["busy"], log.dropped).sample(&["failed"], log.failed);
    out.single(&metric::MEMORY, memory.0);
    out.single(&metric::MEMORY_MAX, memory.1);
    out.single(&metric::DRAINING, u64::from(*draining));
}

fn issuers(out: &mut Exposition, status: &KeySetsStatus) {
    out.family(&metric::JWKS_FETCHES)
        .sample(&["changed"], status.changed)
        .sample(&["unchanged"], status.unchanged)
        .sample(&["failed"], status.failed)
        .sample(&["invalid"], status.invalid);
    out.single(&metric::JWKS_MISSES, status.misses);
    out.single(&metric::JWKS_CROWDED, status.crowded);
    out.single(&metric::JWKS_WAITING, status.waiting as u64);
    out.single(&metric::JWKS_ISSUERS, status.issuers.len() as u64);
    out.single(&metric::JWKS_TROUBLE, status.issuers.iter().filter(|issuer| issuer.trouble.is_some()).count() as u64);
    out.single(&metric::JWKS_AGE, status.issuers.iter().filter_map(|issuer| issuer.age).max().unwrap_or(0));
}

fn kept(out: &mut Exposition, responses: &ResponsesStatus) {
    out.single(&metric::CACHE_WAITED, responses.waited);
    out.single(&metric::CACHE_CROWDED, responses.crowded);
    out.single(&metric::CACHE_STORED, responses.stored);
    out.family(&metric::CACHE_REMOVED).sample(&["evicted"], responses.evicted).sample(&["purged"], responses.purged);
    out.single(&metric::CACHE_REFUSED, responses.refused);
    out.single(&metric::CACHE_ENTRIES, responses.entries as u64);
    out.single(&metric::CACHE_BYTES, responses.bytes);
}

fn counters(out: &mut Exposition, status: &CountersStatus) {
    let redis = match status {
        CountersStatus::Local(local) => {
            out.single(&metric::COUNTERS, local.counters as u64);
            return out.single(&metric::COUNTERS_REFUSED, local.refused);
        }
        CountersStatus::Redis(redis) => redis,
    };
    out.single(&metric::COUNTERS, redis.counters as u64);
    out.single(&metric::REDIS_UP, u64::from(redis.breaker == Breaker::Closed));
    let mut decisions = out.family(&metric::REDIS_DECISIONS);
    for (by, Decisions { taken, denied, unavailable }) in [("shared", redis.shared), ("alone", redis.alone)] {
        for (outcome, count) in LIMIT_OUTCOMES.into_iter().zip([taken, denied, unavailable]) {
            decisions.sample(&[by, outcome], count);
        }
    }
    out.single(&metric::REDIS_CALLS, redis.calls);
    out.family(&metric::REDIS_TROUBLE)
        .sample(&["error"], redis.errors)
        .sample(&["slow"], redis.slow)
        .sample(&["crowded"], redis.crowded);
    out.single(&metric::REDIS_OPENED, redis.opened);
}
