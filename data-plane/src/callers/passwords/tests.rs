use std::sync::Condvar;

use futures_util::future::join_all;
use tidegate_model::Id;
use tidegate_policy::ComputeBusy;
use uuid::Uuid;

use super::*;

/// Counts pieces of work, and holds them while it is told to.
#[derive(Default)]
struct Threads {
    begun: AtomicUsize,
    done: AtomicUsize,
    held: std::sync::Mutex<bool>,
    open: Condvar,
}

impl Threads {
    fn hold(&self, held: bool) {
        *self.held.lock().expect("nobody panics") = held;
        self.open.notify_all();
    }
}

struct Pool(Arc<Threads>);

impl Compute for Pool {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> LocalBoxFuture<'static, Result<(), ComputeBusy>> {
        let threads = self.0.clone();
        threads.begun.fetch_add(1, Ordering::AcqRel);
        let running = tokio::task::spawn_blocking(move || {
            let held = threads.held.lock().expect("nobody panics");
            drop(threads.open.wait_while(held, |held| *held).expect("nobody panics"));
            work();
            threads.done.fetch_add(1, Ordering::AcqRel);
        });
        Box::pin(async move { running.await.map_err(|_| ComputeBusy) })
    }
}

fn checks(change: impl FnOnce(&mut Limits)) -> (Arc<Checks>, Arc<Threads>) {
    let threads = Arc::<Threads>::default();
    let mut limits = Limits::default();
    change(&mut limits);
    (Arc::new(Checks::new(Arc::new(Pool(threads.clone())), &limits)), threads)
}

fn credential(n: u128) -> Id {
    Id::new(Uuid::from_u128(n))
}

async fn ask(
    checks: &Arc<Checks>,
    known: Option<(Id, &Arc<PasswordHash>)>,
    password: &str,
) -> Result<bool, PasswordsBusy> {
    let shown = ShownPassword { known, username: "ann", password };
    checks.clone().ask(checks.tag(&shown), &shown).await
}

fn hash(password: &str, salt: u8) -> Arc<PasswordHash> {
    Arc::new(PasswordHash::of(password.as_bytes(), &[salt; 16]))
}

#[tokio::test]
async fn a_verdict_is_computed_once_and_dies_with_what_it_was_about() {
    let (checks, threads) = checks(|_| {});
    let (old, new) = (hash("right", 1), hash("right", 2));
    for (known, password, fits, done) in [
        (Some((credential(1), &old)), "right", true, 1),
        (Some((credential(1), &old)), "right", true, 1),
        (Some((credential(1), &old)), "wrong", false, 2),
        // who guesses is not remembered
        (Some((credential(1), &old)), "wrong", false, 3),
        // the same password, hashed anew; the same hash of another credential
        (Some((credential(1), &new)), "right", true, 4),
        (Some((credential(2), &old)), "right", true, 5),
        (None, "right", false, 6),
        (None, "right", false, 7),
    ] {
        assert_eq!(ask(&checks, known, password).await, Ok(fits), "{known:?} {password}");
        assert_eq!(threads.done.load(Ordering::Acquire), done, "{known:?} {password}");
    }
}

#[tokio::test]
async fn a_verdict_is_forgotten_after_its_time_and_when_there_are_too_many() {
    let (checks, threads) = checks(|limits| limits.password_verdicts_max = 2);
    let of = hash("right", 1);
    for n in 1..=3 {
        assert_eq!(ask(&checks, Some((credential(n), &of)), "right").await, Ok(true));
    }
    assert_eq!(checks.shared.lock().kept.until.len(), 2);
    assert_eq!(threads.done.load(Ordering::Acquire), 3);
    tokio::time::pause();
    tokio::time::advance(checks.kept_for).await;
    let tags: Vec<Tag> = checks.shared.lock().kept.until.keys().copied().collect();
    assert!(tags.iter().all(|tag| !checks.shared.lock().kept.has(tag)));
}

#[tokio::test]
async fn those_who_ask_the_same_share_one_run_and_few_run_at_once() {
    let (checks, threads) = checks(|limits| limits.password_checks_max = 2);
    let of = hash("right", 1);
    let same = join_all((0..20).map(|_| ask(&checks, Some((credential(1), &of)), "right"))).await;
    assert!(same.iter().all(|fits| *fits == Ok(true)));
    assert_eq!(threads.done.load(Ordering::Acquire), 1);
    let guesses: Vec<String> = (0..12).map(|n| format!("guess {n}")).collect();
    threads.hold(true);
    let mut others = Box::pin(join_all(guesses.iter().map(|guess| ask(&checks, None, guess))));
    assert!(futures_util::poll!(&mut others).is_pending());
    assert_eq!(threads.begun.load(Ordering::Acquire), 1 + 2, "each takes 19 MiB");
    threads.hold(false);
    assert!(others.await.iter().all(|fits| *fits == Ok(false)));
    assert_eq!(threads.done.load(Ordering::Acquire), 13);
}

#[tokio::test]
async fn who_comes_when_too_many_wait_is_told_so_and_who_leaves_makes_room() {
    let (checks, threads) = checks(|limits| (limits.password_checks_max, limits.password_checks_waiting_max) = (1, 1));
    threads.hold(true);
    let of = hash("right", 1);
    let mut first = Box::pin(ask(&checks, Some((credential(1), &of)), "right"));
    let mut second = Box::pin(ask(&checks, None, "other"));
    assert!(futures_util::poll!(&mut first).is_pending() && futures_util::poll!(&mut second).is_pending());
    assert_eq!(ask(&checks, None, "a third").await, Err(PasswordsBusy));
    // one that waits for the same as the first, which leaves: it goes on in its place
    let mut same = Box::pin(ask(&checks, Some((credential(1), &of)), "right"));
    assert!(futures_util::poll!(&mut same).is_pending());
    drop((first, second));
    threads.hold(false);
    assert_eq!(same.await, Ok(true));
    assert_eq!(checks.shared.lock().running.len(), 0);
}
