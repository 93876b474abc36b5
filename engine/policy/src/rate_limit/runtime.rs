//! The built policy: what to count is put together on the stack, the counters decide.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::{HeaderStyle, Per};
use crate::{
    Answer, Ask, Blame, Decision, LimitOutcome, LimitSpec, Policy, Quota, Reply, RequestContext, RequestHead,
    ResponseHead, Take, TakeOutcome, Verdict,
};

pub(super) struct Limiter {
    limits: Box<[(Per, Arc<LimitSpec>)]>,
    headers: HeaderStyle,
    /// `RateLimit-Policy` never changes.
    policy_header: HeaderValue,
}

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEGACY_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const LEGACY_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const LEGACY_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

impl Limiter {
    pub(super) fn new(limits: Vec<(Per, Arc<LimitSpec>)>, headers: HeaderStyle) -> Self {
        let items = limits
            .iter()
            .map(|(_, spec)| format!("\"{}\";q={};w={}", spec.name, spec.limit, whole_seconds(spec.window)));
        let text = items.collect::<Vec<_>>().join(", ");
        let policy_header = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        Limiter { limits: limits.into(), headers, policy_header }
    }

    fn decide(outcome: TakeOutcome, cx: &mut RequestContext, limits: &[(Per, Arc<LimitSpec>)]) -> Decision {
        cx.limited = Some(match outcome {
            TakeOutcome::Taken(_) => LimitOutcome::Admitted,
            TakeOutcome::Denied(_) => LimitOutcome::Refused,
            TakeOutcome::Unavailable { .. } => LimitOutcome::Undecided,
        });
        match outcome {
            TakeOutcome::Taken(quotas) => {
                cx.quotas = quotas;
                Ok(Verdict::Continue)
            }
            TakeOutcome::Denied(denial) => {
                cx.quotas = denial.quotas;
                let name = limits.get(denial.by).map_or("", |(_, spec)| &*spec.name);
                let detail = format!("the limit `{name}` is used up");
                let mut reply = Reply::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", detail, Blame::Downstream)
                    .with_header(RETRY_AFTER, HeaderValue::from(whole_seconds(denial.retry_after)));
                reply.members = Some(format!("\"violated-policies\":[\"{name}\"]").into());
                Ok(Verdict::Reply(Box::new(reply)))
            }
            TakeOutcome::Unavailable { retry_after } => {
                let reply = Reply::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "rate_limit_store_unavailable",
                    "the counters of a rate limit can't be reached",
                    Blame::Gateway,
                );
                let reply = reply.with_header(RETRY_AFTER, HeaderValue::from(whole_seconds(retry_after)));
                Ok(Verdict::Reply(Box::new(reply)))
            }
        }
    }
}

impl Policy for Limiter {
    fn on_request<'a>(&'a self, _: &'a mut RequestHead, cx: &'a mut RequestContext) -> Answer<'a> {
        let asks: SmallVec<[Ask<'_>; 4]> =
            self.limits.iter().map(|(per, limit)| Ask { limit, subject: subject(*per, cx), cost: 1 }).collect();
        match cx.ports.counters.try_take(&asks) {
            Take::Now(outcome) => Answer::Now(Self::decide(outcome, cx, &self.limits)),
            Take::Wait(asked) => Answer::Later(Box::pin(async move { Self::decide(asked.await, cx, &self.limits) })),
        }
    }

    fn on_response<'a>(&'a self, head: &'a mut ResponseHead, cx: &'a mut RequestContext) -> Answer<'a> {
        if self.headers == HeaderStyle::Off || cx.quotas.is_empty() {
            return Answer::CONTINUE;
        }
        head.headers.insert(RATELIMIT, ratelimit(&cx.quotas));
        head.headers.insert(RATELIMIT_POLICY, self.policy_header.clone());
        if self.headers == HeaderStyle::StandardAndLegacy
            && let Some(tightest) = cx.quotas.iter().min_by_key(|q| q.left)
        {
            head.headers.insert(LEGACY_LIMIT, HeaderValue::from(tightest.limit.limit));
            head.headers.insert(LEGACY_REMAINING, HeaderValue::from(tightest.left));
            head.headers.insert(LEGACY_RESET, HeaderValue::from(whole_seconds(tightest.reset)));
        }
        Answer::CONTINUE
    }
}

/// `"daily";r=99;t=3600`: an item per limit, the tightest first.
fn ratelimit(quotas: &[Quota]) -> HeaderValue {
    let mut order: SmallVec<[&Quota; 4]> = quotas.iter().collect();
    order.sort_by_key(|quota| quota.left);
    let mut text = String::with_capacity(32 * order.len());
    for quota in order {
        if !text.is_empty() {
            text.push_str(", ");
        }
        let written = write!(text, "\"{}\";r={};t={}", quota.limit.name, quota.left, whole_seconds(quota.reset));
        debug_assert!(written.is_ok(), "a String takes all");
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// Seconds, rounded up, at least one: never earlier than the quota is there.
fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

/// Who is counted, as 128 bits. Ids and addresses don't meet: an id is a UUID with its version bits set, an address has a
/// prefix that no UUID of version 4 or 7 has.
fn subject(per: Per, cx: &RequestContext) -> u128 {
    let found = match per {
        Per::Consumer => cx.principal.consumer().map(|consumer| consumer.id),
        Per::Credential => cx.principal.credential,
        Per::Ip => None,
        Per::Route => Some(cx.route.route),
        // a route without a service is one of its own
        Per::Service => Some(cx.route.service.unwrap_or(cx.route.route)),
    };
    found.map_or_else(|| address(cx.client), |id| id.as_u128())
}

/// An IPv6 caller is counted by its /64, which is what one customer gets.
fn address(client: IpAddr) -> u128 {
    match client.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() & (u128::MAX << 64),
    }
}
