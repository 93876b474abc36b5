//! What the tables of this room run in: one policy, what it keeps in a map, and an API that says what the test says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tidegate_model::Sha256;

use crate::testing::Bench;
use crate::{CacheKey, CacheOutcome, Origin, ResponseHead, ResponseStore, StoredAnswer, Turn, Variants};

/// The moment at which each test begins, and how callers and the API write it.
pub(super) const BEGIN: i64 = 1_767_225_600_000;
pub(super) const BEGIN_DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
pub(super) const LATER_DATE: &str = "Thu, 01 Jan 2026 00:01:00 GMT";

#[derive(Default)]
pub(super) struct Map(pub(super) Mutex<HashMap<CacheKey, Variants>>);

impl ResponseStore for Map {
    fn find(&self, key: &CacheKey) -> Variants {
        self.0.lock().expect("nobody panicked").get(key).cloned().unwrap_or_default()
    }

    fn epoch(&self, _: &CacheKey) -> u64 {
        0
    }

    fn keep(&self, key: CacheKey, answer: StoredAnswer, _: u64) {
        let mut all = self.0.lock().expect("nobody panicked");
        let variants = all.entry(key).or_default();
        variants.retain(|other| other.vary != answer.vary);
        variants.push(Arc::new(answer));
    }

    fn forget(&self, target: &Sha256) {
        self.0.lock().expect("nobody panicked").retain(|key, _| key.target != *target);
    }

    fn turn(&self, _: &CacheKey) -> Turn {
        Turn::Alone
    }

    fn hold(&self, _: usize) -> bool {
        true
    }

    fn let_go(&self, _: usize) {}
}

pub(super) struct World {
    pub(super) bench: Bench,
    pub(super) map: Arc<Map>,
}

#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) outcome: Option<CacheOutcome>,
    /// What the API was asked, if it was.
    pub(super) asked: Option<HeaderMap>,
    pub(super) refreshes: bool,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }
}

pub(super) type Headers<'a> = &'a [(&'a str, &'a str)];

pub(super) fn headers(of: Headers<'_>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in of {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        map.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    map
}

impl World {
    pub(super) fn new(config: Value) -> Self {
        let mut bench = Bench::new("cache", config);
        let map = Arc::<Map>::default();
        bench.cx.ports = bench.cx.ports.clone().with_responses(map.clone());
        bench.clock.set(BEGIN);
        World { bench, map }
    }

    pub(super) fn at(&mut self, seconds: i64) -> &mut Self {
        self.bench.clock.set(BEGIN + seconds * 1000);
        self
    }

    pub(super) fn get(&mut self, request: Headers<'_>, status: u16, answer: Headers<'_>, body: &str) -> Got {
        self.ask(Method::GET, "/", request, (status, answer, body), Origin::Upstream)
    }

    pub(super) fn ask(
        &mut self,
        method: Method,
        target: &str,
        request: Headers<'_>,
        (status, answer, body): (u16, Headers<'_>, &str),
        origin: Origin,
    ) -> Got {
        let bench = &mut self.bench;
        bench.head.method = method;
        bench.head.target = target.parse().expect("a target");
        bench.head.headers = headers(request);
        bench.head.headers.entry("host").or_insert(HeaderValue::from_static("a"));
        bench.cx.notes = Default::default();
        (bench.cx.cached, bench.cx.instead, bench.cx.refresh) = (None, None, None);
        let passed = bench.request();
        let asked = passed.is_ok().then(|| bench.head.headers.clone());
        let (mut head, mut all) = match passed {
            Ok(()) => {
                let status = StatusCode::from_u16(status).expect("a status");
                (ResponseHead { status, headers: headers(answer), origin }, Bytes::copy_from_slice(body.as_bytes()))
            }
            Err(reply) => {
                let origin = if reply.stored.is_some() { Origin::Upstream } else { Origin::Gateway };
                let headers = reply.stored.map(|headers| *headers).unwrap_or_default();
                let body = reply.content.map(|content| content.body).unwrap_or_default();
                (ResponseHead { status: reply.status, headers, origin }, body)
            }
        };
        let seen = bench.run.on_response(&bench.chain, &mut head, &mut bench.cx);
        seen.now_or_never().expect("nothing waits").expect("it passes");
        match bench.cx.instead.take() {
            Some(instead) => all = instead,
            None if asked.is_some() && bench.head.method != Method::HEAD && head.status != 304 => {
                let mut filters = bench.run.response_body_filters(&bench.chain, &mut head, &bench.cx);
                for filter in &mut filters {
                    filter.on_data(&mut all).expect("it passes");
                    filter.on_end().expect("it ends");
                }
            }
            None => {}
        }
        Got {
            status: head.status.as_u16(),
            headers: head.headers,
            body: all,
            outcome: bench.cx.cached,
            asked,
            refreshes: bench.cx.refresh.is_some(),
        }
    }

    pub(super) fn kept(&self) -> usize {
        self.map.0.lock().expect("nobody panicked").values().map(|variants| variants.len()).sum()
    }
}
