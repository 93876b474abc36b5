//! One request, as a line tells it.

use std::fmt;
use std::net::IpAddr;

use http::{HeaderValue, Method, StatusCode, Version};
use tidegate_model::{Authority, Id};
use tidegate_policy::{Blame, Quota, RequestId, ShadowLog};
use tidegate_snapshot::Revisions;

use super::fields::Field;
use super::json::Line;
use super::tap::Terms;

/// One request: what there is to tell, borrowed from those who know it.
pub(crate) struct Record<'a> {
    /// When its head had come, in milliseconds since 1970.
    pub(crate) at_ms: i64,
    pub(crate) request_id: &'a RequestId,
    pub(crate) trace_id: Option<u128>,
    pub(crate) revisions: Revisions,
    pub(crate) client: IpAddr,
    pub(crate) peer: IpAddr,
    pub(crate) version: Version,
    pub(crate) method: &'a Method,
    pub(crate) host: Option<&'a HeaderValue>,
    pub(crate) path: &'a str,
    pub(crate) user_agent: Option<&'a HeaderValue>,
    pub(crate) route: Option<Routed<'a>>,
    pub(crate) consumer: Option<&'a str>,
    pub(crate) credential: Option<Id>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) reply: Option<(&'static str, Blame)>,
    /// The policy that turned it away: its name and kind.
    pub(crate) policy: Option<(&'a str, &'static str)>,
    /// What policies in shadow would have refused.
    pub(crate) shadowed: Option<&'a ShadowLog>,
    /// How a cache had to do with it.
    pub(crate) cache: Option<&'static str>,
    pub(crate) limit: Option<&'static str>,
    pub(crate) quotas: &'a [Quota],
    /// What came of each step of a composed answer.
    pub(crate) steps: Option<&'a str>,
    pub(crate) target: Option<&'a Authority>,
    pub(crate) tries: u32,
    pub(crate) duration_us: u64,
    pub(crate) policies_us: Option<u64>,
    pub(crate) connect_us: Option<u64>,
    pub(crate) first_byte_us: Option<u64>,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    /// Why it did not end as it should have.
    pub(crate) reason: Option<&'static str>,
}

/// Where it went.
pub(crate) struct Routed<'a> {
    pub(crate) route: &'a str,
    pub(crate) id: Id,
    pub(crate) service: Option<&'a str>,
}

impl Record<'_> {
    /// Whether it is told however few are: what failed is looked for later.
    pub(super) fn is_failure(&self) -> bool {
        self.reply.is_some() || self.reason.is_some() || self.status.is_none_or(|status| status.as_u16() >= 500)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, terms: &Terms) {
        let tells = |field| !terms.redacted.contains(&field);
        let mut line = Line::begin(out, terms.text_bytes_max);
        line.plain(Field::Time, Timestamp(self.at_ms));
        line.plain(Field::RequestId, self.request_id);
        if let Some(trace_id) = self.trace_id {
            line.plain(Field::TraceId, format_args!("{trace_id:032x}"));
        }
        line.text(Field::Node, &*terms.node);
        line.number(Field::TrafficRevision, self.revisions.traffic);
        line.number(Field::IdentityRevision, self.revisions.identity);
        if tells(Field::Client) {
            line.plain(Field::Client, self.client);
            if self.peer != self.client {
                line.plain(Field::Peer, self.peer);
            }
        }
        line.plain(Field::Protocol, protocol(self.version));
        line.text(Field::Method, self.method.as_str());
        if let Some(host) = self.host.filter(|_| tells(Field::Host)) {
            line.text(Field::Host, host);
        }
        if tells(Field::Path) {
            line.text(Field::Path, self.path);
        }
        if let Some(user_agent) = self.user_agent.filter(|_| tells(Field::UserAgent)) {
            line.text(Field::UserAgent, user_agent);
        }
        if let Some(Routed { route, id, service }) = &self.route {
            line.text(Field::Route, route);
            line.plain(Field::RouteId, id);
            if let Some(service) = service {
                line.text(Field::Service, service);
            }
        }
        if let Some(consumer) = self.consumer.filter(|_| tells(Field::Consumer)) {
            line.text(Field::Consumer, consumer);
        }
        if let Some(credential) = self.credential.filter(|_| tells(Field::Credential)) {
            line.plain(Field::Credential, credential);
        }
        self.outcome(&mut line);
        line.number(Field::RequestBytes, self.request_bytes);
        line.number(Field::ResponseBytes, self.response_bytes);
        line.truth(Field::Complete, self.reason.is_none());
        if let Some(reason) = self.reason {
            line.plain(Field::Reason, reason);
        }
        line.end();
    }

    fn outcome(&self, line: &mut Line<'_>) {
        if let Some(status) = self.status {
            line.number(Field::Status, u64::from(status.as_u16()));
        }
        if let Some((code, blame)) = self.reply {
            line.text(Field::Code, code);
            line.plain(Field::Blame, blame.as_str());
        }
        if let Some((name, kind)) = self.policy {
            line.text(Field::Policy, name);
            line.text(Field::PolicyKind, kind);
        }
        let mut shadowed = String::new();
        if let Some(log) = self.shadowed {
            log.each(|told| {
                let comma = if shadowed.is_empty() { "" } else { ", " };
                shadowed.extend([comma, &told.by.policy, "=", told.code]);
            });
        }
        if !shadowed.is_empty() {
            line.text(Field::WouldRefuse, &*shadowed);
        }
        if let Some(cache) = self.cache {
            line.plain(Field::Cache, cache);
        }
        if let Some(limit) = self.limit {
            line.plain(Field::Limit, limit);
        }
        if !self.quotas.is_empty() {
            line.numbers(Field::LimitLeft, self.quotas.iter().map(|quota| (&*quota.limit.name, quota.left)));
        }
        if let Some(steps) = self.steps {
            line.text(Field::Steps, steps);
        }
        if let Some(target) = self.target {
            line.plain(Field::Target, target);
            line.number(Field::Tries, u64::from(self.tries));
        }
        line.number(Field::Duration, self.duration_us);
        for (field, micros) in [
            (Field::Policies, self.policies_us),
            (Field::Connect, self.connect_us),
            (Field::FirstByte, self.first_byte_us),
        ] {
            if let Some(micros) = micros {
                line.number(field, micros);
            }
        }
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

/// A moment by RFC 3339, in UTC, always with milliseconds.
struct Timestamp(i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: i64 = 86_400_000;
        let (days, rest) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        // days since 0000-03-01: the leap day is the last of its year, and eras of 400 years are all alike
        let days = days + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + 400 * era + i64::from(month <= 2);
        let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
        let (second, millis) = (rest / 1_000 % 60, rest % 1_000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_everywhere() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_800_000_000_007, "2027-01-15T08:00:00.007Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp(ms).to_string(), text);
        }
        for days in (-200_000..200_000).step_by(97) {
            let ms = days * 86_400_000 + 1;
            let known = tidegate_model::Instant::from_millis(ms).to_string();
            assert_eq!(Timestamp(ms).to_string(), known);
        }
    }
}
