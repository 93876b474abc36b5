//! Redis slow, dead and back again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_data_plane::ports::counters::{Breaker, RedisOptions};
use tidegate_policy::{Ask, CounterStore, LimitSpec, OnStoreLoss, Settled, Take, TakeOutcome};
use tidegate_testkit::ports::free_address;
use tidegate_testkit::redis::Redis;

use crate::support::{LONG, SOON, Shared, drain, limit, patient, take, until_used};

fn lasting(id: u128, most: u64, on_store_loss: OnStoreLoss) -> Arc<LimitSpec> {
    limit(id, most, LONG, on_store_loss)
}

fn at_once(store: &dyn CounterStore, limit: &Arc<LimitSpec>) -> TakeOutcome {
    match store.try_take(&[Ask { limit, subject: 1, cost: 1 }]) {
        Take::Now(outcome) => outcome,
        Take::Wait(_) => panic!("nobody waits while the breaker is open"),
    }
}

fn drain_at_once(store: &dyn CounterStore, limit: &Arc<LimitSpec>) -> usize {
    (0..1_000).take_while(|_| matches!(at_once(store, limit), TakeOutcome::Taken(_))).count()
}

/// A node that has taken something, and a Redis that then stopped.
async fn stopped(budget: Duration) -> (Redis, Shared) {
    let redis = Redis::start().await.unwrap();
    let shared = Shared::start(&redis.url(), RedisOptions { budget, ..patient() });
    shared.until(Breaker::Closed).await;
    (redis, shared)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dumb_redis_costs_three_calls_their_budget_and_then_nobody_waits() {
    let (redis, shared) = stopped(Duration::from_millis(20)).await;
    redis.pause().unwrap();
    let one = lasting(1, 10, OnStoreLoss::Allow);
    let mut waited = 0;
    let begun = Instant::now();
    while begun.elapsed() < SOON {
        let asked = match shared.store.try_take(&[Ask { limit: &one, subject: 1, cost: 1 }]) {
            Take::Now(_) => break,
            Take::Wait(asked) => asked,
        };
        let asked_at = Instant::now();
        assert!(matches!(asked.await, TakeOutcome::Taken(_)));
        waited += 1;
        assert!(asked_at.elapsed() < Duration::from_millis(500), "it waited {:?}", asked_at.elapsed());
    }
    // Less if the connection's own sign of life was among the three.
    assert!((1..=3).contains(&waited), "{waited} calls waited");
    assert_eq!(drain_at_once(&shared.store, &one), 1_000);
    let status = shared.store.status();
    assert_eq!((status.breaker, status.opened), (Breaker::Open, 1));
    redis.resume().unwrap();
    shared.until(Breaker::Closed).await;
    // Whatever was admitted uncounted: from now on it is exact again.
    let used = shared.store.read(&one, 1).await.unwrap().used;
    assert_eq!(drain(&shared.store, &one, 1, 99).await as u64, 10_u64.saturating_sub(used));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_node_finds_out_by_itself() {
    let (mut redis, shared) = stopped(Duration::from_millis(200)).await;
    redis.pause().unwrap();
    shared.until(Breaker::Open).await;
    redis.resume().unwrap();
    shared.until(Breaker::Closed).await;
    redis.kill();
    shared.until(Breaker::Open).await;
    redis.start_again().await.unwrap();
    shared.until(Breaker::Closed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_limit_does_what_it_says_while_redis_is_dead() {
    let (mut redis, shared) = stopped(SOON).await;
    shared.store.set_nodes(4);
    let (deny, share, allow) =
        (lasting(1, 10, OnStoreLoss::Deny), lasting(2, 10, OnStoreLoss::Share), lasting(3, 10, OnStoreLoss::Allow));
    for one in [&deny, &share, &allow] {
        assert_eq!(drain(&shared.store, one, 1, 1).await, 1);
    }
    redis.kill();
    shared.until(Breaker::Open).await;

    let TakeOutcome::Unavailable { retry_after } = at_once(&shared.store, &deny) else { panic!("it denies") };
    assert!(retry_after > Duration::ZERO);
    // A quarter of ten is two; one of them was spent before.
    let TakeOutcome::Taken(quotas) = at_once(&shared.store, &share) else { panic!("one is left") };
    assert_eq!(quotas[0].left, 0);
    let TakeOutcome::Denied(denial) = at_once(&shared.store, &share) else { panic!("none is left") };
    assert_eq!((denial.by, denial.quotas[0].left), (0, 0));
    assert!(denial.retry_after > Duration::ZERO && denial.retry_after <= LONG);
    let TakeOutcome::Taken(quotas) = at_once(&shared.store, &allow) else { panic!("it allows") };
    assert_eq!(quotas[0].left, 10);
    assert_eq!(drain_at_once(&shared.store, &allow), 1_000);

    // Together: all or nothing, and who denies decides.
    let fresh = lasting(4, 8, OnStoreLoss::Share);
    let with = async |other| take(&shared.store, &[(&fresh, 1, 1), (other, 1, 1)]).await;
    assert!(matches!(with(&deny).await, TakeOutcome::Unavailable { .. }));
    assert!(matches!(with(&share).await, TakeOutcome::Denied(denial) if denial.by == 1));
    assert!(matches!(with(&allow).await, TakeOutcome::Taken(quotas) if quotas[0].left == 1 && quotas[1].left == 10));
    assert_eq!(shared.store.read(&share, 1).await, None);
    assert!(!shared.store.reset(&share, 1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_is_at_least_one_and_never_more_than_is_known_to_be_left() {
    let (mut redis, shared) = stopped(SOON).await;
    let other = Shared::start(&redis.url(), patient());
    shared.store.set_nodes(2);
    let (small, spent) = (lasting(1, 1, OnStoreLoss::Share), lasting(2, 10, OnStoreLoss::Share));
    // The other node spends, this one is told by its refusal.
    assert_eq!(drain(&other.store, &spent, 1, 99).await, 10);
    assert_eq!(drain(&shared.store, &spent, 1, 99).await, 0);
    redis.kill();
    shared.until(Breaker::Open).await;
    assert_eq!(drain_at_once(&shared.store, &small), 1);
    assert_eq!(drain_at_once(&shared.store, &spent), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_admitted_alone_is_charged_when_redis_is_back() {
    let (redis, shared) = stopped(Duration::from_millis(200)).await;
    shared.store.set_nodes(2);
    let one = lasting(1, 20, OnStoreLoss::Share);
    assert_eq!(drain(&shared.store, &one, 1, 3).await, 3);
    redis.pause().unwrap();
    // Those that wait in vain are decided alone too, and what they took late goes back.
    let waited = drain(&shared.store, &one, 1, 2).await;
    shared.until(Breaker::Open).await;
    let alone = drain_at_once(&shared.store, &one);
    assert_eq!(3 + waited + alone, 10, "half of the limit");
    redis.resume().unwrap();
    shared.until(Breaker::Closed).await;
    until_used(&shared.store, &one, 1, 10).await;
    assert_eq!(drain(&shared.store, &one, 1, 99).await, 10);
    assert_eq!(drain(&shared.store, &one, 1, 99).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_has_only_what_it_is_told() {
    let (mut redis, shared) = stopped(SOON).await;
    let one = lasting(1, 10, OnStoreLoss::Share);
    assert_eq!(drain(&shared.store, &one, 1, 4).await, 4);
    redis.kill();
    shared.until(Breaker::Open).await;
    assert_eq!(drain_at_once(&shared.store, &one), 6);
    redis.start_again().await.unwrap();
    shared.until(Breaker::Closed).await;
    // The four are forgotten with the data; the six were admitted alone.
    until_used(&shared.store, &one, 1, 6).await;
    assert_eq!(shared.store.status().debt_paid, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_settled_while_redis_was_away_counts() {
    let (mut redis, shared) = stopped(SOON).await;
    let one = lasting(1, 10, OnStoreLoss::Share);
    let TakeOutcome::Taken(quotas) = take(&shared.store, &[(&one, 1, 1)]).await else { panic!("10 were left") };
    redis.kill();
    shared.until(Breaker::Open).await;
    let TakeOutcome::Taken(alone) = at_once(&shared.store, &one) else { panic!("9 were left") };
    assert_eq!(alone[0].window, quotas[0].window);
    // One admitted alone is given back; one before cost five more than thought.
    shared.store.give_back(&one, 1, 1, alone[0].window);
    shared.store.settle(&one, 1, Settled { reserved: 1, actual: 6, window: quotas[0].window });
    redis.start_again().await.unwrap();
    shared.until(Breaker::Closed).await;
    until_used(&shared.store, &one, 1, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_without_redis_and_shares_as_soon_as_it_comes() {
    let redis = Redis::start().await.unwrap();
    let nowhere = Shared::start(&format!("redis://{}", free_address()), patient());
    let one = lasting(1, 10, OnStoreLoss::Deny);
    // It waits for the first attempt only, which is refused.
    assert!(matches!(take(&nowhere.store, &[(&one, 1, 1)]).await, TakeOutcome::Unavailable { .. }));
    assert_eq!(nowhere.store.status().breaker, Breaker::Open);

    let shared = Shared::start(&redis.url(), patient());
    assert_eq!(drain(&shared.store, &one, 1, 99).await, 10, "it waits for the first connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_may_be_under_way_are_decided_without_redis() {
    let redis = Redis::start().await.unwrap();
    let shared = Shared::start(&redis.url(), RedisOptions { calls_max: 0, ..patient() });
    shared.until(Breaker::Closed).await;
    let one = lasting(1, 10, OnStoreLoss::Deny);
    assert!(matches!(take(&shared.store, &[(&one, 1, 1)]).await, TakeOutcome::Unavailable { .. }));
    assert_eq!(shared.store.status().breaker, Breaker::Closed);
    assert!(shared.store.status().crowded > 0);
}
