//! What can be asked of Postgres only: other replicas, and a server that goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Row};
use tidegate_control_plane::store::{self, Appended, Store, StoreError};
use tidegate_testkit::postgres::{Durability, Postgres};
use tokio::time::timeout;

use crate::place::*;
use crate::suite::until_head;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_of_one_replica_wakes_the_other() {
    let place = Place::postgres();
    let (one, other) = (place.open().await, place.open().await);
    let mut wakeups = other.wakeups();
    let began = Instant::now();
    for revision in 1..=20 {
        made(&*one, &format!("c{revision}"), &[]).await;
        until_head(&other, &mut wakeups, revision).await;
    }
    assert!(began.elapsed() < Duration::from_secs(20), "it was found by looking, which takes 2 s each time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_notification_was_lost_is_found_by_looking() {
    let place = Place::postgres();
    let (store, other) = (place.open().await, place.open().await);
    let mut wakeups = store.wakeups();
    made(&*other, "heard", &[]).await;
    until_head(&store, &mut wakeups, 1).await;

    // Written without a notification, as if that had been lost.
    let database = place.url.rsplit('/').next().unwrap();
    let sql = "begin; update head set revision = 2; \
        insert into revision (revision, chain, change_id, actor, at) values (2, repeat('0', 64), 'c', 'psql', 0); commit";
    wakeups.mark_unchanged();
    place.postgres.as_ref().unwrap().execute(database, sql).unwrap();
    until_head(&store, &mut wakeups, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_together_on_an_empty_database_agree() {
    let place = Arc::new(Place::postgres());
    let mut opened = Vec::new();
    for _ in 0..4 {
        let place = place.clone();
        opened.push(tokio::spawn(async move { place.open().await.load().await.unwrap().head }));
    }
    let mut heads = Vec::new();
    for replica in opened {
        heads.push(timeout(PATIENCE, replica).await.unwrap().unwrap());
    }
    assert!(heads.iter().all(|head| *head == heads[0]), "{heads:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_is_told_in_time_and_found_again() {
    let postgres = Postgres::start(Durability::Fast).unwrap();
    let url = postgres.create_database().unwrap();
    let store = store::open(&url).await.unwrap();
    made(&*store, "c1", &[created(1, "a", "{}")]).await;

    for loss in [Postgres::stop, Postgres::kill] {
        loss(&postgres).unwrap();
        all_unavailable(&*store).await;
        assert!(matches!(store::open(&url).await, Err(StoreError::Unavailable(_))));
        let mut wakeups = store.wakeups();
        wakeups.mark_unchanged();
        postgres.start_again().unwrap();
        works_again(&store, &mut wakeups).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_frozen_is_told_in_time_and_found_again() {
    let postgres = Postgres::start(Durability::Fast).unwrap();
    let store = store::open(&postgres.create_database().unwrap()).await.unwrap();
    let lock = store.lock_head().await.unwrap();

    postgres.freeze().unwrap();
    // Also in the middle of a transaction.
    let began = Instant::now();
    let refused = lock.append(entry(0, "c0", &[])).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)) && began.elapsed() < BOUND, "{refused:?}");
    all_unavailable(&*store).await;
    let mut wakeups = store.wakeups();
    wakeups.mark_unchanged();
    postgres.thaw().unwrap();
    works_again(&store, &mut wakeups).await;
}

/// Two seconds, and some for a busy machine.
const BOUND: Duration = Duration::from_millis(2500);

async fn all_unavailable(store: &dyn Store) {
    let began = Instant::now();
    let writes = (0..8).map(|_| store.append(entry(0, "lost", &[])));
    let (ping, load, lock, writes) =
        tokio::join!(store.ping(), store.load(), store.lock_head(), futures_util::future::join_all(writes));
    let mut answers = vec![ping, load.map(drop), lock.map(drop)];
    answers.extend(writes.into_iter().map(|answer| answer.map(drop)));
    for answer in answers {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
}

/// Without being opened anew, and with its connection to other replicas.
async fn works_again(store: &Arc<dyn Store>, wakeups: &mut tokio::sync::watch::Receiver<u64>) {
    let began = Instant::now();
    let revision = loop {
        match store.load().await {
            Ok(loaded) => break loaded.head.revision,
            Err(StoreError::Unavailable(_)) if began.elapsed() < PATIENCE => {}
            Err(why) => panic!("{why:?}"),
        }
    };
    until_head(store, wakeups, revision).await;
    let done = put_among_others(&**store, &format!("again-{revision}"), &[]).await.unwrap();
    assert_eq!(done, revision + 1);
    check(&**store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_loses_nothing_that_was_acknowledged() {
    let postgres = Postgres::start(Durability::Durable).unwrap();
    let store = store::open(&postgres.create_database().unwrap()).await.unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..4u128 {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for writer in 0..3u128 {
            let (store, stop) = (store.clone(), stop.clone());
            writers.push(tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for turn in 0u128.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let number = round * 1_000_000 + writer * 100_000 + turn * 2;
                    let (change_id, changes) =
                        (number.to_string(), [created(number, "", "{}"), created(number + 1, "", "{}")]);
                    match put(&*store, &change_id, &changes).await {
                        Ok(Appended::Done(revision)) => acknowledged.push((change_id, revision)),
                        Ok(Appended::Stale) => {}
                        Ok(Appended::Repeated(_)) => panic!("{change_id} is new"),
                        Err(_) => break,
                    }
                }
                acknowledged
            }));
        }
        let target = store.load().await.unwrap().head.revision + 30;
        let begun = Instant::now();
        while store.load().await.unwrap().head.revision < target {
            assert!(begun.elapsed() < PATIENCE);
        }
        postgres.kill().unwrap();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            acknowledged.extend(timeout(PATIENCE, writer).await.unwrap().unwrap());
        }
        postgres.start_again().unwrap();
        let log = check(&*store).await;
        assert!(log.iter().all(|entry| entry.changes.len() == 2));
        for (change_id, revision) in &acknowledged {
            assert_eq!(&log[usize::try_from(*revision).unwrap() - 1].change_id, change_id);
        }
    }
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_engines_have_the_same_columns() {
    let (postgres, sqlite) = (Place::postgres(), Place::sqlite());
    let (_one, _other) = (postgres.open().await, sqlite.open().await);

    let mut connection = sqlx::PgConnection::connect(&postgres.url).await.unwrap();
    let sql = "select table_name::text, column_name::text, data_type::text, is_nullable = 'NO' \
        from information_schema.columns where table_schema = 'public' and table_name not like '\\_sqlx%'";
    let mut columns: Vec<(String, String, String, bool)> =
        sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
    columns.sort();

    let mut connection = sqlx::SqliteConnection::connect(&sqlite.url).await.unwrap();
    let sql = "select m.name, c.name, lower(c.type), c.\"notnull\" from sqlite_master m, pragma_table_info(m.name) c \
        where m.type = 'table' and m.name not like '\\_sqlx%' escape '\\'";
    let mut other = Vec::new();
    for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap() {
        let kind: String = row.get(2);
        let kind = kind.replace("integer", "bigint").replace("blob", "bytea");
        other.push((row.get::<String, _>(0), row.get::<String, _>(1), kind, row.get::<bool, _>(3)));
    }
    other.sort();
    assert!(columns.len() > 30);
    assert_eq!(columns, other);
}
