//! How long a look-up takes with 10 routes and with 100,000 over 1,000 hosts: `cargo run --release -p tidegate-snapshot --example
//! router`. A look-up is the canonical form of the path and the search. Both sides are measured in turns, so that what disturbs the
//! machine disturbs both.

use std::hint::black_box;
use std::time::Instant;

use http::{HeaderMap, Method};
use serde_json::{Value, json};
use tidegate_model::{Change, Delta, Id, Kind, State, canonical_path};
use tidegate_policy::Registry;
use tidegate_snapshot::{Lookup, Requested, Snapshot, advance};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 101;
const LOOKUPS: usize = 20_000;

/// Routes, and requests that each find one of them.
struct Case {
    name: &'static str,
    snapshot: Snapshot,
    requests: Vec<(String, String)>,
}

/// Requests in the order in which they come, side by side in memory: a request that was just read is in the cache.
struct Traffic {
    text: String,
    /// Where host and path of each end.
    ends: Vec<(usize, usize)>,
}

/// How often which request comes, by the number of routes.
type Order = fn(usize) -> Vec<usize>;

fn main() {
    let few = case("10 routes", 1, 10);
    let many = case("100,000 routes over 1,000 hosts", 1000, 100);
    let orders: [(&str, Order); 3] =
        [("ten of the routes are asked for", ten), ("by popularity (Zipf)", zipf), ("all alike", uniform)];
    for (what, order) in orders {
        println!("{what}:");
        let traffic = [&few, &many].map(|case| Traffic::new(case, &order(case.requests.len())));
        let mut taken = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (side, case) in [&few, &many].into_iter().enumerate() {
                taken[side].push(traffic[side].round(&case.snapshot));
            }
        }
        let medians = taken.map(|mut rounds| {
            rounds.sort_by(f64::total_cmp);
            rounds[ROUNDS / 2]
        });
        for (case, nanos) in [&few, &many].iter().zip(medians) {
            println!("  {:<34} {nanos:>7.1} ns a look-up", case.name);
        }
        println!("  ratio {:.2}", medians[1] / medians[0]);
    }
}

impl Traffic {
    fn new(case: &Case, order: &[usize]) -> Self {
        let mut traffic = Traffic { text: String::new(), ends: Vec::new() };
        for n in order {
            let (host, path) = &case.requests[*n];
            traffic.text.push_str(host);
            let end = traffic.text.len();
            traffic.text.push_str(path);
            traffic.ends.push((end, traffic.text.len()));
        }
        traffic
    }

    /// Nanoseconds a look-up.
    fn round(&self, snapshot: &Snapshot) -> f64 {
        let headers = HeaderMap::new();
        let mut at = 0;
        let start = Instant::now();
        for (host, path) in &self.ends {
            let (host, path) = (&self.text[at..*host], &self.text[*host..*path]);
            at += host.len() + path.len();
            let path = canonical_path(path).expect("canonical");
            let requested =
                Requested { host: Some(host), method: &Method::GET, path: &path, query: None, headers: &headers };
            match snapshot.route(&requested) {
                Lookup::Found(found) => black_box(found.route),
                _ => panic!("no route for {host}{path}"),
            };
        }
        start.elapsed().as_nanos() as f64 / self.ends.len() as f64
    }
}

fn case(name: &'static str, hosts: usize, each: usize) -> Case {
    let mut changes = vec![put(Kind::Service, 0, &json!({ "url": "http://127.0.0.1:9000" }))];
    let mut requests = Vec::new();
    for host in 0..hosts {
        let host = format!("api-{host}.example.com");
        for n in 0..each {
            let (path, asked) = match n % 4 {
                0 => (json!(format!("/service-{n}")), format!("/service-{n}/orders/{n}")),
                1 => (json!({ "exact": format!("/service-{n}/status") }), format!("/service-{n}/status")),
                2 => {
                    (json!({ "template": format!("/service-{n}/orders/{{id}}") }), format!("/service-{n}/orders/4711"))
                }
                _ => (
                    json!({ "template": format!("/service-{n}/files/{{*rest}}") }),
                    format!("/service-{n}/files/a/b/c.txt"),
                ),
            };
            let matches = json!({ "hosts": [host], "path": path });
            let number = changes.len() as u128;
            changes.push(put(Kind::Route, number, &json!({ "service": id(0), "match": matches })));
            requests.push((host.clone(), asked));
        }
    }
    let delta = Delta { class: None, from: 0, to: 1, changes };
    let start = Instant::now();
    let snapshot = advance(&Snapshot::empty(Registry::standard()), &delta).unwrap_or_else(|p| panic!("{p:#?}"));
    println!("{name}: compiled in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let one = Delta { class: None, from: 1, to: 2, changes: vec![delta.changes[1].clone()] };
    let start = Instant::now();
    black_box(advance(&snapshot, &one).unwrap_or_else(|p| panic!("{p:#?}")));
    println!("{name}: one change taken in {:.0} us", start.elapsed().as_secs_f64() * 1e6);
    Case { name, snapshot, requests }
}

fn id(n: u128) -> Id {
    Id::new(Uuid::from_u128(n))
}

fn put(kind: Kind, n: u128, document: &Value) -> Change {
    let at = tidegate_model::Instant::from_millis(0);
    let name = format!("{kind}-{n}").parse().ok();
    let state = State { name, revision: 1, created_at: at, updated_at: at, document: document.to_string().into() };
    Change { kind, id: id(n), after: Some(state) }
}

/// A fixed sequence that looks like chance.
struct Chance(u64);

impl Chance {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn ten(routes: usize) -> Vec<usize> {
    (0..LOOKUPS).map(|n| n % 10 * (routes / 10)).collect()
}

fn uniform(routes: usize) -> Vec<usize> {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    (0..LOOKUPS).map(|_| (chance.next() * routes as f64) as usize).collect()
}

/// Traffic as it is: the n-th route in favour gets a share of 1/n. Which ones they are is spread over all hosts.
fn zipf(routes: usize) -> Vec<usize> {
    let mut sums: Vec<f64> = Vec::with_capacity(routes);
    for n in 1..=routes {
        sums.push(sums.last().unwrap_or(&0.0) + 1.0 / n as f64);
    }
    let total = sums[routes - 1];
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    (0..LOOKUPS)
        .map(|_| {
            let drawn = chance.next() * total;
            sums.partition_point(|sum| *sum < drawn).min(routes - 1) * 7919 % routes
        })
        .collect()
}
