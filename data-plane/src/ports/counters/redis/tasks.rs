//! What goes on beside the requests, on the control runtime: the connection, debts, late answers, settling.

use std::sync::Arc;
use std::time::Duration;

use ::redis::RedisResult;
use ::redis::aio::MultiplexedConnection;
use futures_util::future::join_all;
use tidegate_policy::{LimitSpec, OnStoreLoss, Settled, TakeOutcome};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::super::window;
use super::Inner;
use super::known::Debtor;
use super::link::{Backoff, Live};
use super::script::{Decided, Meant, Wanted, Wants};

/// How often a connection is looked after.
const TICK: Duration = Duration::from_millis(250);
/// For an answer nobody waits for any more.
const LATE: Duration = Duration::from_secs(10);
/// Debts are paid for so long before the first request is let through; the rest is paid beside them.
const DEBTS_FIRST: Duration = Duration::from_secs(1);
/// Debts that are paid at once.
const DEBTS_AT_ONCE: usize = 128;
/// A counter of nobody: a probe takes nothing from it.
const PROBED: (u128, u128) = (0, 0);

/// Connects, and connects again, until told to stop.
pub(super) async fn keep_connected(inner: Arc<Inner>) {
    tokio::select! {
        () = inner.shutdown.cancelled() => {}
        () = connect_for_ever(&inner) => {}
    }
}

pub(super) async fn keep_swept(inner: Arc<Inner>) {
    let now = {
        let inner = inner.clone();
        move || inner.now()
    };
    inner.known.table.clone().keep_swept(now, inner.shutdown.clone()).await;
}

async fn connect_for_ever(inner: &Arc<Inner>) {
    let mut backoff = Backoff::new();
    let mut told = false;
    loop {
        let wanted = [Wanted { limit: Arc::new(probed()), subject: PROBED.1, cost: 0 }];
        match inner.link.probe(|connection| inner.scripts.take(connection, &wanted)).await {
            Ok(connection) => {
                let pay = pay_debts(inner, &connection);
                // What could not be paid by now is paid beside the requests.
                let _ = timeout(DEBTS_FIRST, pay).await;
                told = true;
                let live = inner.link.close(connection);
                look_after(inner, &live).await;
                if live.held() {
                    backoff = Backoff::new();
                }
            }
            Err(error) => {
                if !told {
                    inner.link.warn(&error);
                    told = true;
                }
                inner.link.give_up_waiting();
            }
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}

/// Ends when the connection is given up. An idle one is asked for a sign of life, so that it is not a request that finds it dead.
async fn look_after(inner: &Arc<Inner>, live: &Arc<Live>) {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = inner.link.opened() => return,
            _ = tick.tick() => {}
        }
        inner.call(ping).await;
        if inner.known.owes() {
            tokio::select! {
                () = inner.link.opened() => return,
                () = pay_debts(inner, &live.connection) => {}
            }
        }
    }
}

async fn ping(mut connection: MultiplexedConnection) -> RedisResult<()> {
    ::redis::cmd("PING").query_async(&mut connection).await
}

/// Charges what was admitted without Redis, where the window is still open.
async fn pay_debts(inner: &Inner, connection: &MultiplexedConnection) {
    for debtors in inner.known.debtors().chunks(DEBTS_AT_ONCE) {
        let deadline = Instant::now() + LATE;
        let paid = join_all(debtors.iter().map(|debtor| pay(inner, connection.clone(), *debtor, deadline))).await;
        if paid.contains(&false) {
            return;
        }
    }
}

async fn pay(inner: &Inner, connection: MultiplexedConnection, debtor: Debtor, deadline: Instant) -> bool {
    let Some(debt) = inner.known.debt(debtor) else { return true };
    let cost = i64::try_from(debt.cost).unwrap_or(i64::MAX);
    let meant = Meant::Window(debt.window);
    let paid = inner.scripts.adjust(connection, debtor.key, debtor.length, cost, meant);
    let paid = tokio::time::timeout_at(deadline, paid).await;
    let done = matches!(paid, Ok(Ok(_)));
    if done {
        debt.paid();
        inner.metrics.debt_paid.fetch_add(cost.cast_unsigned(), std::sync::atomic::Ordering::Relaxed);
    }
    done
}

/// An answer that came after its request was decided without it. What it took and nobody uses goes back.
pub(super) async fn late(
    inner: Arc<Inner>,
    call: impl Future<Output = RedisResult<Decided>>,
    wants: Wants,
    outcome: TakeOutcome,
) {
    // Without an answer it is not known what was taken: nothing is given back, and what is owed stays owed.
    let answer = tokio::select! {
        () = inner.shutdown.cancelled() => return,
        answer = timeout(LATE, call) => answer,
    };
    let Ok(Ok(decided)) = answer else { return };
    inner.note(&wants, &decided);
    if decided.short.is_some() {
        return;
    }
    let admitted = match &outcome {
        TakeOutcome::Taken(quotas) => Some(quotas),
        TakeOutcome::Denied(_) | TakeOutcome::Unavailable { .. } => None,
    };
    for (index, (want, told)) in wants.iter().zip(&decided.told).enumerate() {
        let cost = u64::from(want.cost);
        let used = match (admitted, want.limit.on_store_loss) {
            // Admitted uncounted, now it is counted after all.
            (Some(_), OnStoreLoss::Allow) => cost,
            // The debt is what Redis has charged here, if it is of the same window.
            (Some(quotas), _) if quotas[index].window == told.window => {
                inner.known.repay(want.key(), told.window, cost)
            }
            _ => 0,
        };
        give_back(&inner, want, told.window, cost - used).await;
    }
}

async fn give_back(inner: &Arc<Inner>, want: &Wanted, window: u64, cost: u64) {
    if cost == 0 {
        return;
    }
    let less = -i64::try_from(cost).unwrap_or(i64::MAX);
    // Never retried: of an answer that was lost nobody knows whether it was carried out.
    let told = inner.adjust(want.key(), window::length(&want.limit), less, Meant::Window(window)).await;
    if told.is_some() {
        inner.known.given_back(want.key(), window, cost);
    }
}

/// Puts right what was taken in advance.
pub(super) async fn settle(inner: Arc<Inner>, limit: Arc<LimitSpec>, subject: u128, settled: Settled) {
    let want = Wanted { limit, subject, cost: 0 };
    match settled.reserved.checked_sub(settled.actual) {
        Some(less) => {
            let owed = inner.known.repay(want.key(), settled.window, less.into());
            give_back(&inner, &want, settled.window, u64::from(less) - owed).await;
        }
        None => {
            let more = u64::from(settled.actual - settled.reserved);
            let length = window::length(&want.limit);
            let told = inner.adjust(want.key(), length, more.cast_signed(), Meant::UnderWay).await;
            match told {
                Some(told) if want.limit.on_store_loss == OnStoreLoss::Share => {
                    inner.known.told(&want.limit, subject, told, more);
                }
                Some(_) => {}
                None => inner.known.owe(&want.limit, subject, inner.now(), more),
            }
        }
    }
}

fn probed() -> LimitSpec {
    LimitSpec {
        id: PROBED.0,
        name: "probe".into(),
        limit: 1,
        window: Duration::from_secs(1),
        on_store_loss: OnStoreLoss::Allow,
    }
}
