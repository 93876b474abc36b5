//! What only the store of this process promises: clocks that step, counters that go, a table that is full.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{ManualClock, drain, limit, take};
use tidegate_data_plane::ports::counters::LocalCounters;
use tidegate_policy::{CounterStore, LimitSpec, OnStoreLoss, TakeOutcome};

const START: i64 = 1_700_000_000_000;
const MONTH: i64 = 30 * 86_400_000;

fn per_second(id: u128, most: u64) -> Arc<LimitSpec> {
    limit(id, most, Duration::from_secs(1), OnStoreLoss::Deny)
}

#[tokio::test]
async fn a_clock_that_steps_back_gives_nothing_away_and_holds_nobody_longer_than_a_window() {
    let clock = ManualClock::at(START);
    let (store, one) = (LocalCounters::new(clock.clone(), 100), per_second(1, 3));
    assert_eq!(drain(&store, &one, 1, 9).await, 3);
    // Into the window before: what was spent still counts, until the clock has been through this one again.
    clock.set(START - 1);
    assert_eq!(drain(&store, &one, 1, 9).await, 0);
    let TakeOutcome::Denied(denial) = take(&store, &[(&one, 1, 1)]).await else { panic!("it is used up") };
    assert_eq!(denial.retry_after, Duration::from_millis(1_001));
    clock.set(START + 999);
    assert_eq!(drain(&store, &one, 1, 9).await, 0);
    clock.set(START + 1_000);
    assert_eq!(drain(&store, &one, 1, 9).await, 3);
    // By a month: the same for the window it is in now, and not for the month.
    clock.set(START - MONTH);
    assert_eq!(drain(&store, &one, 1, 9).await, 0);
    clock.add(one.window);
    assert_eq!(drain(&store, &one, 1, 9).await, 3);
}

#[tokio::test]
async fn any_instant_is_one() {
    let clock = ManualClock::at(i64::MIN);
    let (store, one) = (LocalCounters::new(clock.clone(), 100), per_second(1, 3));
    let tiny = limit(2, 3, Duration::from_nanos(1), OnStoreLoss::Deny);
    let endless = limit(3, 3, Duration::MAX, OnStoreLoss::Deny);
    for now in [i64::MIN, -1, 0, START, i64::MAX] {
        clock.set(now);
        store.sweep();
        assert!(drain(&store, &one, 1, 9).await <= 3);
        assert!(drain(&store, &tiny, 1, 9).await <= 3);
        drain(&store, &endless, 1, 9).await;
    }
}

#[tokio::test]
async fn counters_go_when_their_window_is_over_and_not_before() {
    let clock = ManualClock::at(START);
    let store = LocalCounters::new(clock.clone(), 1_000);
    let (short, long) = (per_second(1, 3), limit(2, 3, Duration::from_secs(3600), OnStoreLoss::Deny));
    for subject in 0..100 {
        assert_eq!(drain(&store, &short, subject, 9).await, 3);
    }
    assert_eq!(drain(&store, &long, 1, 9).await, 3);
    store.sweep();
    assert_eq!(store.status().counters, 101);
    clock.add(Duration::from_millis(1_999));
    store.sweep();
    assert_eq!(store.status().counters, 101, "one that ended just now is likely to be asked again");
    clock.add(Duration::from_millis(1));
    store.sweep();
    assert_eq!((store.status().counters, store.status().dropped), (1, 100));
    assert_eq!(drain(&store, &long, 1, 9).await, 0);
    assert_eq!(drain(&store, &short, 1, 9).await, 3);
}

#[tokio::test]
async fn a_full_table_refuses_whom_it_can_not_count_and_knows_the_others() {
    let clock = ManualClock::at(START);
    let store = LocalCounters::new(clock.clone(), 10);
    let one = per_second(1, 3);
    for subject in 0..10 {
        assert_eq!(drain(&store, &one, subject, 2).await, 2);
    }
    let outcome = take(&store, &[(&one, 10, 1)]).await;
    assert!(matches!(outcome, TakeOutcome::Unavailable { retry_after } if retry_after == Duration::from_secs(1)));
    assert_eq!(drain(&store, &one, 9, 9).await, 1, "who is counted goes on");
    for (loss, admitted) in [(OnStoreLoss::Allow, 9), (OnStoreLoss::Share, 0)] {
        assert_eq!(drain(&store, &limit(2, 3, one.window, loss), 1, 9).await, admitted);
    }
    assert!(store.status().refused >= 3);
    assert_eq!(store.status().counters, 10);
    clock.add(Duration::from_secs(2));
    store.sweep();
    assert_eq!(drain(&store, &one, 10, 9).await, 3);
}

#[tokio::test]
async fn a_clock_that_was_far_ahead_does_not_keep_the_table_full() {
    let clock = ManualClock::at(START + MONTH);
    let (store, one) = (LocalCounters::new(clock.clone(), 1), per_second(1, 3));
    assert_eq!(drain(&store, &one, 1, 9).await, 3);
    clock.set(START);
    store.sweep();
    assert_eq!(drain(&store, &one, 1, 9).await, 0, "what was spent is not given again");
    clock.add(Duration::from_secs(2));
    store.sweep();
    assert_eq!(drain(&store, &one, 2, 9).await, 3);
}

/// Sweeps, new windows and takes at once: nothing that was taken is lost with a counter that goes.
#[test]
fn sweeping_beside_many_threads_loses_no_count() {
    let clock = ManualClock::at(START);
    let store = LocalCounters::new(clock.clone(), 1_000_000);
    let one = limit(1, 50, Duration::from_millis(1), OnStoreLoss::Deny);
    for round in 0..300 {
        // A jump far enough for the sweep to drop what the round before left.
        clock.set(START + round * 2_000);
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let (store, one) = (&store, &one);
                    scope.spawn(move || {
                        if thread == 0 {
                            store.sweep();
                        }
                        let asks = [tidegate_policy::Ask { limit: one, subject: 1, cost: 1 }];
                        let taken = (0..40).filter(|_| {
                            let tidegate_policy::Take::Now(outcome) = store.try_take(&asks) else { panic!() };
                            matches!(outcome, TakeOutcome::Taken(_))
                        });
                        taken.count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 50, "in round {round}");
    }
}
