//! Measures a decision of the counters in this process, in nanoseconds, over subjects, limits and threads.
//!
//! `cargo run --release -p tidegate-data-plane --example counters`, with the URL of a Redis to measure that too.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_data_plane::ports::SystemClock;
use tidegate_data_plane::ports::counters::{Counters, LocalCounters, NodeCounters, RedisOptions};
use tidegate_policy::{Ask, Clock, CounterStore, LimitSpec, OnStoreLoss, Take};
use tokio_util::sync::CancellationToken;

const TAKES: u64 = 2_000_000;

fn main() -> anyhow::Result<()> {
    let now = best(|| {
        each(TAKES, |_| {
            black_box(SystemClock.now());
        })
    });
    println!("{now:6.0} ns  the clock");
    for subjects in [1_u64, 1_000, 1_000_000] {
        let store = LocalCounters::new(Arc::new(SystemClock), 2_000_000);
        for limits in [1, 2] {
            let limits = specs(limits);
            let first = each(subjects, |subject| take(&store, &limits, subject));
            store.sweep();
            if subjects > 1 {
                println!("{first:6.0} ns  {} limits, a subject's first", limits.len());
            }
            // A stride that visits all, far apart.
            let took = best(|| each(TAKES, |n| take(&store, &limits, n.wrapping_mul(7_919) % subjects)));
            println!("{took:6.0} ns  {} limits of {subjects} subjects", limits.len());
        }
        if subjects == 1_000_000 {
            let began = Instant::now();
            store.sweep();
            println!("{:6.0} ms  a sweep of {} counters", began.elapsed().as_secs_f64() * 1e3, store.status().counters);
        }
    }
    for (what, subjects) in [("each its own subject", 8), ("all the same one", 1)] {
        let (store, limits) = (LocalCounters::new(Arc::new(SystemClock), 2_000_000), specs(1));
        let took = best(|| {
            std::thread::scope(|scope| {
                let took: Vec<_> = (0..2)
                    .map(|thread| {
                        let (store, limits) = (&store, &limits);
                        scope.spawn(move || each(TAKES, |_| take(store, limits, thread % subjects)))
                    })
                    .collect();
                took.into_iter().map(|thread| thread.join().expect("it counts")).fold(0.0, f64::max)
            })
        });
        println!("{took:6.0} ns  2 threads, {what}");
    }
    match std::env::args().nth(1) {
        Some(url) => shared(&url),
        None => Ok(()),
    }
}

/// A round trip to Redis, alone and many at once.
fn shared(url: &str) -> anyhow::Result<()> {
    let control = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let shutdown = CancellationToken::new();
    let counters = NodeCounters::build(
        &Counters::Redis(url.to_owned()),
        RedisOptions::default(),
        Arc::new(SystemClock),
        control.handle(),
        &shutdown,
    )?;
    let (store, limits) = (counters.port(), specs(2));
    let worker = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ask = async |subject: u64| {
        let asks = limits.iter().map(|limit| Ask { limit, subject: subject.into(), cost: 1 }).collect::<Vec<_>>();
        match store.try_take(&asks) {
            Take::Wait(asked) => drop(asked.await),
            Take::Now(outcome) => println!("not asked: {outcome:?}"),
        }
    };
    worker.block_on(async {
        ask(0).await;
        for together in [1_u64, 16, 64] {
            let began = Instant::now();
            let rounds = 20_000 / together;
            for round in 0..rounds {
                futures_util::future::join_all((0..together).map(|n| ask(round * together + n))).await;
            }
            let each = began.elapsed().as_secs_f64() * 1e6 / (rounds * together) as f64;
            println!("{each:6.1} us  a call to Redis, {together} at once");
        }
    });
    println!("{}", serde_json::to_string(&counters.status())?);
    shutdown.cancel();
    control.block_on(counters.stopped());
    Ok(())
}

fn specs(count: u128) -> Vec<Arc<LimitSpec>> {
    let spec = |id| LimitSpec {
        id,
        name: "measured".into(),
        limit: 1_000_000_000,
        window: Duration::from_secs(3_600),
        on_store_loss: OnStoreLoss::Share,
    };
    (1..=count).map(|id| Arc::new(spec(id))).collect()
}

fn take(store: &LocalCounters, limits: &[Arc<LimitSpec>], subject: u64) {
    let mut asks = [None; 2];
    for (ask, limit) in asks.iter_mut().zip(limits) {
        *ask = Some(Ask { limit, subject: subject.into(), cost: 1 });
    }
    let took = match asks {
        [Some(one), Some(two)] => store.try_take(&[one, two]),
        [Some(one), None] => store.try_take(&[one]),
        _ => return,
    };
    drop(black_box(took));
}

/// Nanoseconds each.
fn each(times: u64, work: impl Fn(u64)) -> f64 {
    let began = Instant::now();
    (0..times).for_each(work);
    began.elapsed().as_secs_f64() * 1e9 / times as f64
}

/// Of three.
fn best(measure: impl Fn() -> f64) -> f64 {
    (0..3).map(|_| measure()).fold(f64::INFINITY, f64::min)
}
