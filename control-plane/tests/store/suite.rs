//! The sentences that hold on both engines.

use std::sync::Arc;
use std::time::Duration;

use tidegate_control_plane::store::{Appended, Change, Content, NodePosition, Store, StoreError};
use tidegate_model::{Id, Kind};
use tokio::time::timeout;
use uuid::Uuid;

use crate::place::*;

pub(crate) async fn an_empty_database_becomes_a_log_at_revision_0(place: Place) {
    let (first, second) = (place.open().await, place.open().await);
    let head = first.load().await.unwrap().head;
    assert_eq!(head, second.load().await.unwrap().head);
    assert_eq!(head.revision, 0);
    assert_ne!(head.epoch, Uuid::nil());
    assert!(check(&*first).await.is_empty());
    assert_eq!(first.entry(0).await.unwrap(), None);
    assert_eq!(first.entry(1).await.unwrap(), None);
    first.ping().await.unwrap();
}

pub(crate) async fn a_revision_reads_back_as_it_was_written(place: Place) {
    let store = place.open().await;
    let changes = [created(1, "orders", r#"{"url": "http://ä"}"#), created(2, "", "{}")];
    assert_eq!(made(&*store, "c1", &changes).await, 1);
    let changes = [updated(1, ("orders", r#"{"url": "http://ä"}"#), ("sales", "{ }")), deleted(2, "", "{}")];
    assert_eq!(made(&*store, "c2", &changes).await, 2);

    let log = check(&*store).await;
    let wanted = entry(1, "c2", &changes);
    let found = store.entry(2).await.unwrap().unwrap();
    assert_eq!(found, log[1]);
    assert_eq!((found.chain, found.at, &found.changes[..]), (wanted.chain, wanted.at, &changes[..]));
    assert_eq!((&*found.change_id, &*found.actor), ("c2", "root"));
    assert_eq!((found.address.as_deref(), found.request_id.as_deref()), (Some("127.0.0.1:9"), None));
    assert_eq!(found.message.as_deref(), Some("because"));
    assert_eq!(found.changes[1].name(), None);
    assert_eq!(found.changes[0].name().unwrap().as_str(), "sales");
    assert_eq!(store.revision_of_change("c2").await.unwrap(), Some(2));
    assert_eq!(store.revision_of_change("c3").await.unwrap(), None);
}

pub(crate) async fn concurrent_writers_make_revisions_in_order_without_gaps_and_a_reader_misses_none(place: Place) {
    const WRITERS: u128 = 8;
    const EACH: u128 = 15;
    // Two stores, as two replicas; each writer changes what the others change too.
    let stores = [place.open().await, place.open().await];
    made(&*stores[0], "first", &[created(1, "shared", "0")]).await;

    let reader = tokio::spawn({
        let store = stores[0].clone();
        async move {
            let mut seen = Vec::new();
            while seen.len() < usize::try_from(1 + WRITERS * EACH).unwrap() {
                let last = seen.last().copied().unwrap_or(0);
                seen.extend(store.since(last, 3).await.unwrap().iter().map(|entry| entry.revision));
                tokio::task::yield_now().await;
            }
            seen
        }
    });
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let store = stores[usize::try_from(writer % 2).unwrap()].clone();
        writers.push(tokio::spawn(async move {
            for turn in 0..EACH {
                write_one(&*store, writer, turn).await;
            }
        }));
    }
    for writer in writers {
        timeout(PATIENCE, writer).await.unwrap().unwrap();
    }
    let seen = timeout(PATIENCE, reader).await.unwrap().unwrap();
    assert!(seen.iter().copied().eq(1..=u64::try_from(1 + WRITERS * EACH).unwrap()), "{seen:?}");
    check(&*stores[1]).await;
}

/// Reads, judges, writes: until this writer was the fastest. Every fourth time it takes the head first.
async fn write_one(store: &dyn Store, writer: u128, turn: u128) {
    let change_id = format!("{writer}/{turn}");
    let number = 100 + writer * 100 + turn;
    loop {
        let lock = if turn % 4 == 3 { Some(store.lock_head().await.unwrap()) } else { None };
        let now = store.load().await.unwrap();
        let shared = now.documents.iter().find(|it| it.id == id(1)).unwrap().document.clone();
        let next = (shared.parse::<u64>().unwrap() + 1).to_string();
        let changes = [updated(1, ("shared", &shared), ("shared", &next)), created(number, "", "{}")];
        let entry = entry(now.head.revision, &change_id, &changes);
        let appended = match lock {
            Some(lock) => lock.append(entry).await.unwrap(),
            None => store.append(entry).await.unwrap(),
        };
        match appended {
            Appended::Done(revision) => return assert_eq!(revision, now.head.revision + 1),
            Appended::Stale => assert_ne!(turn % 4, 3, "who holds the head is not stale"),
            Appended::Repeated(_) => panic!("{change_id} is new"),
        }
    }
}

pub(crate) async fn a_stale_writer_loses_with_nothing_written(place: Place) {
    let store = place.open().await;
    made(&*store, "c1", &[created(1, "a", "{}")]).await;
    let late = [created(2, "b", "{}"), deleted(1, "a", "{}")];
    for expected in [0, 2, 7] {
        assert_eq!(store.append(entry(expected, "late", &late)).await.unwrap(), Appended::Stale);
    }
    assert_eq!(check(&*store).await.len(), 1);
    assert_eq!(store.revision_of_change("late").await.unwrap(), None);
    assert_eq!(made(&*store, "late", &late).await, 2);
}

pub(crate) async fn a_name_is_unique_among_its_kind(place: Place) {
    let store = place.open().await;
    made(&*store, "c1", &[created(1, "a", "{}"), created(2, "", "{}"), created(3, "", "{}")]).await;
    let mut other_kind = created(4, "a", "{}");
    other_kind.kind = Kind::Route;
    made(&*store, "c2", &[other_kind]).await;

    for taken in [created(5, "a", "{}"), updated(2, ("", "{}"), ("a", "{}"))] {
        let refused = put(&*store, "c3", &[created(6, "b", "{}"), taken]).await.unwrap_err();
        let StoreError::NameTaken { kind, name } = refused else { panic!("{refused:?}") };
        assert_eq!((kind, name.as_str()), (Kind::Service, "a"));
    }
    assert_eq!(check(&*store).await.len(), 2);
    assert_eq!(made(&*store, "c3", &[created(5, "b", "{}")]).await, 3);
}

pub(crate) async fn names_move_within_one_revision_in_any_order(place: Place) {
    let store = place.open().await;
    made(&*store, "c1", &[created(1, "a", "1"), created(2, "b", "2")]).await;
    let swap = [updated(1, ("a", "1"), ("b", "1")), updated(2, ("b", "2"), ("a", "2"))];
    assert_eq!(made(&*store, "c2", &swap).await, 2);
    let heir_first = [created(3, "a", "3"), deleted(2, "a", "2")];
    assert_eq!(made(&*store, "c3", &heir_first).await, 3);
    check(&*store).await;
}

pub(crate) async fn what_is_deleted_can_be_made_again(place: Place) {
    let store = place.open().await;
    made(&*store, "c1", &[created(1, "a", "{}")]).await;
    made(&*store, "c2", &[deleted(1, "a", "{}")]).await;
    assert!(store.load().await.unwrap().documents.is_empty());
    made(&*store, "c3", &[created(1, "a", "{}")]).await;
    check(&*store).await;
}

pub(crate) async fn a_change_of_what_is_not_there_is_refused_whole(place: Place) {
    let store = place.open().await;
    made(&*store, "c1", &[created(1, "a", "{}")]).await;
    for change in [updated(9, ("x", "{}"), ("x", "{ }")), updated(9, ("x", "{}"), ("y", "{}")), deleted(9, "x", "{}")] {
        let refused = put(&*store, "c2", &[created(2, "b", "{}"), change]).await.unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt(_)), "{refused:?}");
    }
    assert_eq!(check(&*store).await.len(), 1);
}

pub(crate) async fn a_change_id_makes_one_revision(place: Place) {
    let store = place.open().await;
    made(&*store, "c1", &[created(1, "a", "{}")]).await;
    made(&*store, "c2", &[created(2, "b", "{}")]).await;
    // Whether it was judged on the head, before or after the revision it made, and also if its name is taken by itself.
    for expected in [0, 1, 2] {
        let again = [created(1, "a", "{}")];
        assert_eq!(store.append(entry(expected, "c1", &again)).await.unwrap(), Appended::Repeated(1));
    }
    let lock = store.lock_head().await.unwrap();
    let other = [created(3, "c", "{}")];
    assert_eq!(lock.append(entry(2, "c2", &other)).await.unwrap(), Appended::Repeated(2));
    assert_eq!(check(&*store).await.len(), 2);
}

pub(crate) async fn racers_with_one_change_id_make_one_revision(place: Place) {
    let stores = [place.open().await, place.open().await];
    for round in 0..10u64 {
        let mut racers = Vec::new();
        for racer in 0..6 {
            let store = stores[racer % 2].clone();
            racers.push(tokio::spawn(async move {
                let name = format!("name-{round}");
                let changes = [created(u128::from(round), &name, "{}")];
                store.append(entry(round, &format!("c{round}"), &changes)).await.unwrap()
            }));
        }
        let mut outcomes = Vec::new();
        for racer in racers {
            outcomes.push(timeout(PATIENCE, racer).await.unwrap().unwrap());
        }
        let done = outcomes.iter().filter(|outcome| **outcome == Appended::Done(round + 1)).count();
        let repeated = outcomes.iter().filter(|outcome| **outcome == Appended::Repeated(round + 1)).count();
        assert_eq!((done, repeated), (1, 5), "{outcomes:?}");
    }
    assert_eq!(check(&*stores[0]).await.len(), 10);
}

pub(crate) async fn a_restart_gives_back_the_same_fold(place: Place) {
    let store = place.open().await;
    made(&*store, "c1", &[created(1, "a", "1"), created(2, "b", "2")]).await;
    made(&*store, "c2", &[deleted(1, "a", "1"), updated(2, ("b", "2"), ("a", "3"))]).await;
    let (before, log) = (store.load().await.unwrap(), check(&*store).await);
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));

    let again = place.open().await;
    let after = again.load().await.unwrap();
    assert_eq!((after.head, after.documents), (before.head, before.documents));
    assert_eq!(check(&*again).await, log);
}

pub(crate) async fn who_holds_the_head_is_never_too_late(place: Place) {
    let store = place.open().await;
    let lock = store.lock_head().await.unwrap();
    assert_eq!(lock.revision(), 0);
    let other = tokio::spawn({
        let store = store.clone();
        async move { put_among_others(&*store, "other", &[created(2, "b", "{}")]).await.unwrap() }
    });
    // The log can be read meanwhile.
    assert!(store.since(0, 10).await.unwrap().is_empty());
    assert_eq!(lock.append(entry(0, "mine", &[created(1, "a", "{}")])).await.unwrap(), Appended::Done(1));
    assert_eq!(timeout(PATIENCE, other).await.unwrap().unwrap(), 2);

    let lock = store.lock_head().await.unwrap();
    assert_eq!(lock.append(entry(1, "stale", &[])).await.unwrap(), Appended::Stale);
    assert_eq!(check(&*store).await.len(), 2);
}

pub(crate) async fn a_head_that_is_let_go_is_as_it_was(place: Place) {
    let store = place.open().await;
    drop(store.lock_head().await.unwrap());
    assert_eq!(made(&*store, "c1", &[]).await, 1);
    store.lock_head().await.unwrap().release().await;
    assert_eq!(made(&*store, "c2", &[]).await, 2);
    assert_eq!(check(&*store).await.len(), 2);
}

pub(crate) async fn who_waits_for_the_head_too_long_is_told_so(place: Place) {
    // Held by a replica, and by a neighbour in the same process.
    let stores = [place.open().await, place.open().await];
    let lock = stores[0].lock_head().await.unwrap();
    let change = [created(1, "a", "{}")];
    let entry = entry(0, "c", &change);
    let (near, far) = (&stores[0], &stores[1]);
    let all = async { tokio::join!(near.append(entry), near.lock_head(), far.append(entry), far.lock_head()) };
    let (one, two, three, four) = timeout(PATIENCE, all).await.unwrap();
    for answer in [one.map(drop), two.map(drop), three.map(drop), four.map(drop)] {
        assert!(matches!(answer, Err(StoreError::Busy)), "{answer:?}");
    }
    // Reading goes on beside it.
    near.load().await.unwrap();
    lock.release().await;
    assert_eq!(made(&*stores[1], "c1", &[]).await, 1);
}

pub(crate) async fn an_append_that_is_abandoned_leaves_a_store_that_works(place: Place) {
    let store = place.open().await;
    let mut number = 0;
    for micros in (0..4000).step_by(100) {
        number += 1;
        let change_id = format!("abandoned-{number}");
        let changes = [created(number, "", "{}"), created(1000 + number, "", "{}")];
        let _ = timeout(Duration::from_micros(micros), put(&*store, &change_id, &changes)).await;
    }
    put_among_others(&*store, "last", &[created(5000, "a", "{}")]).await.unwrap();
    check(&*store).await;
}

pub(crate) async fn pages_run_from_the_newest_entry_to_the_oldest(place: Place) {
    let store = place.open().await;
    for n in 1..=7 {
        made(&*store, &format!("c{n}"), &[created(n, "", "{}")]).await;
    }
    let mut pages = Vec::new();
    let mut before = None;
    loop {
        let page = store.entries_before(before, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.revision);
        assert!(page.iter().all(|entry| entry.changes.len() == 1 && entry.changes[0].id == id(entry.revision.into())));
        pages.push(page.iter().map(|entry| entry.revision).collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec![7, 6, 5], vec![4, 3, 2], vec![1]]);
}

pub(crate) async fn racers_agree_on_a_fact(place: Place) {
    let stores = [place.open().await, place.open().await];
    assert_eq!(stores[0].fact("ca").await.unwrap(), None);
    let mut racers = Vec::new();
    for racer in 0..8u8 {
        let store = stores[usize::from(racer) % 2].clone();
        racers.push(tokio::spawn(async move { store.insert_once("ca", &[0, racer, 255]).await.unwrap() }));
    }
    let mut read = Vec::new();
    for racer in racers {
        read.push(timeout(PATIENCE, racer).await.unwrap().unwrap());
    }
    assert!(read.iter().all(|value| *value == read[0]) && read[0].len() == 3, "{read:?}");
    assert_eq!(stores[1].fact("ca").await.unwrap().as_ref(), Some(&read[0]));
    assert_eq!(stores[1].insert_once("key", b"k").await.unwrap(), b"k");
}

pub(crate) async fn the_last_word_of_the_newest_stream_is_a_nodes_position(place: Place) {
    let store = place.open().await;
    let at = |node, session: &str, revision, last_seen| NodePosition {
        node_id: id(node),
        replica: "one".to_owned(),
        session: session.to_owned(),
        epoch: Uuid::from_u128(5),
        identity_revision: revision,
        traffic_revision: revision,
        version: "0.1.0".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        labels: "{}".to_owned(),
        problems: "[]".to_owned(),
        last_seen,
    };
    store.put_positions(&[at(2, "a", 1, 10), at(1, "x", 1, 10)]).await.unwrap();
    store.put_positions(&[]).await.unwrap();
    // A clock that is set back does not silence a stream; an older stream does not speak for a newer one.
    store.put_positions(&[at(2, "a", 2, 9)]).await.unwrap();
    store.put_positions(&[at(2, "b", 3, 20)]).await.unwrap();
    store.put_positions(&[at(2, "a", 2, 15)]).await.unwrap();
    assert_eq!(store.positions().await.unwrap(), [at(1, "x", 1, 10), at(2, "b", 3, 20)]);
}

pub(crate) async fn the_latest_hour_of_a_credential_stays_until_it_is_gone(place: Place) {
    let store = place.open().await;
    let credential = |n: u128| Id::new(Uuid::from_u128(n));
    let content = Content { name: None, document: "{}".to_owned() };
    let created = |n| Change { kind: Kind::Credential, id: credential(n), before: None, after: Some(content.clone()) };
    made(&*store, "c1", &[created(1), created(2)]).await;
    store.note_uses(&[(credential(1), 7), (credential(2), 7), (credential(3), 7)]).await.unwrap();
    store.note_uses(&[(credential(1), 9), (credential(2), 6)]).await.unwrap();
    let known = store.uses(&[credential(1), credential(2), credential(3), credential(4)]).await.unwrap();
    assert_eq!(known, [(credential(1), 9), (credential(2), 7)].into_iter().collect());
    let gone = Change { kind: Kind::Credential, id: credential(2), before: Some(content.clone()), after: None };
    made(&*store, "c2", &[gone]).await;
    store.note_uses(&[(credential(1), 10)]).await.unwrap();
    let known = store.uses(&[credential(1), credential(2)]).await.unwrap();
    assert_eq!(known, [(credential(1), 10)].into_iter().collect());
}

pub(crate) async fn an_append_wakes_who_follows(place: Place) {
    let store = place.open().await;
    let mut wakeups = store.wakeups();
    assert!(wakeups.has_changed().unwrap(), "the first look is not left out");
    wakeups.mark_unchanged();
    made(&*store, "c1", &[created(1, "a", "{}")]).await;
    until_head(&store, &mut wakeups, 1).await;
}

/// Follows the log by its wakeups alone until it is at a revision.
pub(crate) async fn until_head(store: &Arc<dyn Store>, wakeups: &mut tokio::sync::watch::Receiver<u64>, revision: u64) {
    let follow = async {
        loop {
            wakeups.changed().await.unwrap();
            if store.load().await.is_ok_and(|loaded| loaded.head.revision >= revision) {
                return;
            }
        }
    };
    timeout(PATIENCE, follow).await.expect("nobody was woken");
}
