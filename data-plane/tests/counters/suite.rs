//! What a store of counters promises, run against both: the one of this process and the one in Redis.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{LONG, ManualClock, Shared, drain, limit, patient, take, until_used};
use tidegate_data_plane::ports::counters::LocalCounters;
use tidegate_policy::{CounterStore, LimitSpec, OnStoreLoss, Settled, TakeOutcome, UNCOUNTED};
use tidegate_testkit::redis::Redis;

/// A store, and how time passes for it.
struct World {
    store: Arc<dyn CounterStore>,
    time: Time,
}

enum Time {
    ByHand(Arc<ManualClock>),
    /// It is Redis', and can only be waited for.
    Real,
}

impl World {
    fn local() -> World {
        let clock = ManualClock::at(1_700_000_000_000);
        let store = Arc::new(LocalCounters::new(clock.clone(), 1_000_000));
        World { store, time: Time::ByHand(clock) }
    }

    fn redis(shared: &Shared) -> World {
        World { store: Arc::new(shared.store.clone()), time: Time::Real }
    }

    async fn until_next_window(&self, limit: &Arc<LimitSpec>, subject: u128) {
        if let Time::ByHand(clock) = &self.time {
            clock.add(limit.window);
        }
        until_used(&*self.store, limit, subject, 0).await;
    }

    async fn used(&self, limit: &Arc<LimitSpec>, subject: u128) -> u64 {
        self.store.read(limit, subject).await.expect("it can be reached").used
    }
}

/// A test for each case and store.
macro_rules! suite {
    ($($case:ident)*) => {
        mod local {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::World::local()).await;
            })*
        }
        mod shared {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let redis = super::Redis::start().await.unwrap();
                let shared = super::Shared::start(&redis.url(), super::patient());
                super::$case(super::World::redis(&shared)).await;
            })*
        }
    };
}

suite! {
    many_threads_together_get_exactly_the_limit
    several_limits_are_taken_from_all_or_none_also_by_many_threads
    a_refusal_names_the_limit_that_lasts_longest_and_what_is_left_of_each
    one_counter_may_be_asked_twice
    a_new_window_begins_anew
    limits_and_subjects_do_not_meet
    a_changed_limit_goes_on_counting
    costs_of_nothing_and_costs_beyond_the_limit
    what_is_given_back_can_be_taken_again_in_its_window_only
    what_turned_out_dearer_is_charged_also_past_the_limit
    reading_spends_nothing_and_a_reset_forgets
}

pub(crate) fn lasting_limit(id: u128, most: u64) -> Arc<LimitSpec> {
    limit(id, most, LONG, OnStoreLoss::Deny)
}

/// Calls from threads with runtimes of their own, as workers have; says what all got.
pub(crate) async fn from_threads<F>(threads: usize, work: impl Fn(usize) -> F + Send + Clone + 'static) -> Vec<u64>
where
    F: Future<Output = u64>,
{
    let started = (0..threads).map(|thread| {
        let work = work.clone();
        tokio::task::spawn_blocking(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work(thread))
        })
    });
    let started: Vec<_> = started.collect();
    let mut results = Vec::new();
    for thread in started {
        results.push(thread.await.unwrap());
    }
    results
}

async fn many_threads_together_get_exactly_the_limit(world: World) {
    let one = lasting_limit(1, 5_000);
    let (store, asked) = (world.store.clone(), one.clone());
    let taken = from_threads(8, move |_| {
        let (store, asked) = (store.clone(), asked.clone());
        async move {
            let mut taken = 0;
            for _ in 0..1_000 {
                taken += u64::from(matches!(take(&*store, &[(&asked, 7, 1)]).await, TakeOutcome::Taken(_)));
            }
            taken
        }
    });
    assert_eq!(taken.await.iter().sum::<u64>(), 5_000);
    assert_eq!(world.used(&one, 7).await, 5_000);
}

async fn several_limits_are_taken_from_all_or_none_also_by_many_threads(world: World) {
    let (wide, tight) = (lasting_limit(1, 100_000), lasting_limit(2, 700));
    let (store, asked) = (world.store.clone(), (wide.clone(), tight.clone()));
    let taken = from_threads(8, move |thread| {
        let (store, (wide, tight)) = (store.clone(), asked.clone());
        async move {
            let mut taken = 0;
            for _ in 0..200 {
                // Half of them ask in the other order.
                let (a, b) = if thread % 2 == 0 { (&wide, &tight) } else { (&tight, &wide) };
                taken += u64::from(matches!(take(&*store, &[(a, 1, 1), (b, 1, 1)]).await, TakeOutcome::Taken(_)));
            }
            taken
        }
    });
    assert_eq!(taken.await.iter().sum::<u64>(), 700);
    assert_eq!(world.used(&tight, 1).await, 700);
    assert_eq!(world.used(&wide, 1).await, 700, "what was refused by one was counted in the other");
}

async fn a_refusal_names_the_limit_that_lasts_longest_and_what_is_left_of_each(world: World) {
    let (open, day, year) =
        (lasting_limit(1, 10), limit(2, 1, LONG / 2, OnStoreLoss::Deny), limit(3, 1, LONG * 30, OnStoreLoss::Deny));
    let asks = [(&open, 1, 1), (&day, 1, 1), (&year, 1, 1)];
    let TakeOutcome::Taken(quotas) = take(&*world.store, &asks).await else { panic!("nothing was taken yet") };
    assert_eq!(quotas.iter().map(|quota| quota.left).collect::<Vec<_>>(), [9, 0, 0]);
    let TakeOutcome::Denied(denial) = take(&*world.store, &asks).await else { panic!("two are used up") };
    assert_eq!(denial.by, 2);
    assert_eq!(denial.quotas.iter().map(|quota| quota.left).collect::<Vec<_>>(), [9, 0, 0]);
    assert_eq!(denial.retry_after, denial.quotas[2].reset);
    assert!(denial.retry_after > denial.quotas[1].reset && denial.retry_after <= LONG * 30);
    assert_eq!(world.used(&open, 1).await, 1);
}

async fn one_counter_may_be_asked_twice(world: World) {
    let one = lasting_limit(1, 5);
    let twice = [(&one, 1, 2), (&one, 1, 1)];
    assert!(matches!(take(&*world.store, &twice).await, TakeOutcome::Taken(_)));
    let TakeOutcome::Denied(denial) = take(&*world.store, &twice).await else { panic!("2 are left") };
    assert_eq!((denial.by, denial.quotas[0].left, denial.quotas[1].left), (1, 2, 2));
    assert_eq!(world.used(&one, 1).await, 3);
}

async fn a_new_window_begins_anew(world: World) {
    let one = limit(1, 3, Duration::from_secs(2), OnStoreLoss::Deny);
    for _ in 0..3 {
        assert!(drain(&*world.store, &one, 1, 3).await > 0);
        let reset = world.store.read(&one, 1).await.unwrap().reset;
        assert!(reset > Duration::ZERO && reset <= one.window, "{reset:?}");
        world.until_next_window(&one, 1).await;
    }
}

async fn limits_and_subjects_do_not_meet(world: World) {
    let (one, other) = (lasting_limit(1, 3), lasting_limit(2, 3));
    for subject in [0, 1, u128::MAX] {
        assert_eq!(drain(&*world.store, &one, subject, 9).await, 3);
        assert_eq!(drain(&*world.store, &other, subject, 9).await, 3);
    }
}

async fn a_changed_limit_goes_on_counting(world: World) {
    assert_eq!(drain(&*world.store, &lasting_limit(1, 3), 1, 9).await, 3);
    assert_eq!(drain(&*world.store, &lasting_limit(1, 5), 1, 9).await, 2);
    assert_eq!(drain(&*world.store, &lasting_limit(1, 4), 1, 9).await, 0);
    assert_eq!(world.used(&lasting_limit(1, 4), 1).await, 5);
}

async fn costs_of_nothing_and_costs_beyond_the_limit(world: World) {
    let one = lasting_limit(1, 5);
    assert!(matches!(take(&*world.store, &[(&one, 1, 6)]).await, TakeOutcome::Denied(_)));
    assert!(matches!(take(&*world.store, &[(&one, 1, u32::MAX >> 1)]).await, TakeOutcome::Denied(_)));
    assert!(matches!(take(&*world.store, &[(&one, 1, 5)]).await, TakeOutcome::Taken(_)));
    assert!(matches!(take(&*world.store, &[(&one, 1, 0)]).await, TakeOutcome::Taken(_)));
    assert!(matches!(take(&*world.store, &[(&one, 1, 1)]).await, TakeOutcome::Denied(_)));
    assert!(matches!(take(&*world.store, &[]).await, TakeOutcome::Taken(_)));
    assert_eq!(world.used(&one, 1).await, 5);
}

async fn what_is_given_back_can_be_taken_again_in_its_window_only(world: World) {
    let one = limit(1, 10, Duration::from_secs(2), OnStoreLoss::Deny);
    let window_of = async || match take(&*world.store, &[(&one, 1, 4)]).await {
        TakeOutcome::Taken(quotas) => quotas[0].window,
        other => panic!("{other:?}"),
    };
    // Wherever in its window the clock is: two in a row that are in the same one.
    let mut window = window_of().await;
    loop {
        let next = window_of().await;
        if next == window {
            break;
        }
        window = next;
    }
    world.store.give_back(&one, 1, 3, window);
    world.store.give_back(&one, 1, 3, UNCOUNTED);
    if matches!(world.time, Time::ByHand(_)) {
        until_used(&*world.store, &one, 1, 5).await;
    }
    world.until_next_window(&one, 1).await;
    let next = window_of().await;
    assert_ne!(next, window);
    world.store.give_back(&one, 1, 4, window);
    let lasting = lasting_limit(2, 10);
    assert_eq!(drain(&*world.store, &lasting, 1, 8).await, 8);
    let TakeOutcome::Taken(quotas) = take(&*world.store, &[(&lasting, 1, 2)]).await else { panic!("2 were left") };
    world.store.give_back(&lasting, 1, 2, quotas[0].window - 1);
    world.store.give_back(&lasting, 1, 5, quotas[0].window);
    until_used(&*world.store, &lasting, 1, 5).await;
    world.store.give_back(&lasting, 1, 50, quotas[0].window);
    until_used(&*world.store, &lasting, 1, 0).await;
    assert_eq!(drain(&*world.store, &lasting, 1, 99).await, 10);
}

async fn what_turned_out_dearer_is_charged_also_past_the_limit(world: World) {
    let one = lasting_limit(1, 10);
    let TakeOutcome::Taken(quotas) = take(&*world.store, &[(&one, 1, 5)]).await else { panic!("10 are left") };
    let window = quotas[0].window;
    world.store.settle(&one, 1, Settled { reserved: 5, actual: 25, window });
    until_used(&*world.store, &one, 1, 25).await;
    let TakeOutcome::Denied(denial) = take(&*world.store, &[(&one, 1, 0)]).await else { panic!("it is in debt") };
    assert_eq!(denial.quotas[0].left, 0);
    world.store.settle(&one, 1, Settled { reserved: 20, actual: 3, window });
    until_used(&*world.store, &one, 1, 8).await;
    assert_eq!(drain(&*world.store, &one, 1, 9).await, 2);
    // Of a subject that is not there yet; and nothing if it cost what was taken.
    world.store.settle(&one, 2, Settled { reserved: 0, actual: 4, window });
    until_used(&*world.store, &one, 2, 4).await;
    world.store.settle(&one, 2, Settled { reserved: 4, actual: 4, window });
    assert_eq!(world.used(&one, 2).await, 4);
}

async fn reading_spends_nothing_and_a_reset_forgets(world: World) {
    let one = lasting_limit(1, 10);
    assert_eq!(world.used(&one, 1).await, 0);
    assert!(world.store.reset(&one, 1).await);
    assert_eq!(drain(&*world.store, &one, 1, 4).await, 4);
    for _ in 0..3 {
        let reading = world.store.read(&one, 1).await.unwrap();
        assert_eq!(reading.used, 4);
        assert!(reading.reset > Duration::ZERO && reading.reset <= LONG);
    }
    assert!(world.store.reset(&one, 1).await);
    assert_eq!(world.used(&one, 1).await, 0);
    assert_eq!(drain(&*world.store, &one, 1, 99).await, 10);
}
