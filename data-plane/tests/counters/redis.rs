//! What is particular to the store in Redis while Redis is there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_data_plane::ports::counters::RedisOptions;
use tidegate_policy::{CounterStore, OnStoreLoss, TakeOutcome};
use tidegate_testkit::redis::Redis;

use crate::suite::{from_threads, lasting_limit};
use crate::support::{LONG, Shared, drain, limit, patient, take, until_used};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_nodes_on_one_redis_never_admit_more_than_the_limit_together() {
    let redis = Redis::start().await.unwrap();
    let one = lasting_limit(1, 1_000);
    let nodes: Vec<Shared> = (0..10).map(|_| Shared::start(&redis.url(), patient())).collect();
    let stores: Vec<_> = nodes.iter().map(|node| node.store.clone()).collect();
    let (asked, all) = (one.clone(), stores.clone());
    let taken = from_threads(10, move |node| {
        let (store, asked) = (all[node].clone(), asked.clone());
        async move { drain(&store, &asked, 1, 200).await as u64 }
    });
    assert_eq!(taken.await.iter().sum::<u64>(), 1_000);
    assert_eq!(stores[3].read(&one, 1).await.unwrap().used, 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_leave_redis_a_second_after_their_window() {
    let redis = Redis::start().await.unwrap();
    let shared = Shared::start(&redis.url(), patient());
    let one = limit(0xab, 10, LONG, OnStoreLoss::Deny);
    assert_eq!(drain(&shared.store, &one, 0xcd, 1).await, 1);
    let client = ::redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = "tg:{000000000000000000000000000000ab:000000000000000000000000000000cd}";
    let lasts: u64 = ::redis::cmd("PTTL").arg(key).query_async(&mut connection).await.unwrap();
    let reset = shared.store.read(&one, 0xcd).await.unwrap().reset.as_millis() as u64;
    assert!(lasts > reset && lasts <= reset + 1_000 + 20_000, "{lasts} {reset}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_redis_has_forgotten_are_brought_again() {
    let redis = Redis::start().await.unwrap();
    let shared = Shared::start(&redis.url(), patient());
    let one = lasting_limit(1, 10);
    assert_eq!(drain(&shared.store, &one, 1, 2).await, 2);
    let client = ::redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let () = ::redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.unwrap();
    assert_eq!(drain(&shared.store, &one, 1, 99).await, 8);
    assert_eq!(shared.store.status().errors, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_redis_and_is_no_counter_does_no_harm() {
    let redis = Redis::start().await.unwrap();
    let shared = Shared::start(&redis.url(), patient());
    let client = ::redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let (one, other) = (lasting_limit(0xab, 10), lasting_limit(0xac, 10));
    let key = |limit: u128| format!("tg:{{{limit:032x}:{:032x}}}", 1);
    let () = ::redis::cmd("SET").arg(key(0xab)).arg("what is this").query_async(&mut connection).await.unwrap();
    let () = ::redis::cmd("LPUSH").arg(key(0xac)).arg("x").query_async(&mut connection).await.unwrap();
    assert_eq!(drain(&shared.store, &one, 1, 99).await, 10);
    let outcome = take(&shared.store, &[(&other, 1, 1)]).await;
    assert!(matches!(outcome, TakeOutcome::Unavailable { .. }), "{outcome:?}");
    assert_eq!(drain(&shared.store, &one, 2, 99).await, 10, "one broken counter is no broken store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_do_nothing_else_is_enough() {
    let redis = Redis::start().await.unwrap();
    let client = ::redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let may = ["reset", "on", ">s3cret", "~tg:*", "+evalsha", "+script|load", "+get", "+set", "+del", "+time", "+ping"];
    let () = ::redis::cmd("ACL").arg("SETUSER").arg("gate").arg(&may).query_async(&mut connection).await.unwrap();
    let url = redis.url().replace("redis://", "redis://gate:s3cret@");
    let shared = Shared::start(&url, patient());
    let one = lasting_limit(1, 10);
    assert_eq!(drain(&shared.store, &one, 1, 99).await, 10);
    assert!(shared.store.reset(&one, 1).await);
    assert!(!format!("{:?}", shared.store.status()).contains("s3cret"));

    let hasty = RedisOptions { first_wait: Duration::from_secs(5), ..RedisOptions::default() };
    let wrong = Shared::start(&redis.url().replace("redis://", "redis://gate:wrong@"), hasty);
    assert!(matches!(take(&wrong.store, &[(&one, 1, 1)]).await, TakeOutcome::Unavailable { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_of_redis_that_stepped_back_gives_nothing_away_and_holds_nobody_longer_than_a_window() {
    let redis = Redis::start().await.unwrap();
    let shared = Shared::start(&redis.url(), patient());
    let client = ::redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let one = limit(0xab, 10, Duration::from_secs(2), OnStoreLoss::Deny);
    // A counter that was used up a month ahead.
    let ahead = (SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 2 + 1_296_000) as f64;
    let counter: Vec<u8> = [ahead.to_be_bytes(), 10_f64.to_be_bytes()].concat();
    let key = format!("tg:{{{:032x}:{:032x}}}", 0xab, 1);
    let () = ::redis::cmd("SET").arg(key).arg(counter).query_async(&mut connection).await.unwrap();
    assert_eq!(drain(&shared.store, &one, 1, 99).await, 0);
    until_used(&shared.store, &one, 1, 0).await;
    assert_eq!(drain(&shared.store, &one, 1, 1).await, 1);
}
