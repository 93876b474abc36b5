//! The calls: what is sent, and what the answer must look like.

use std::sync::Arc;

use ::redis::aio::MultiplexedConnection;
use ::redis::{ErrorKind, FromRedisValue, RedisError, RedisResult, Script};
use smallvec::SmallVec;
use tidegate_policy::{Ask, LimitSpec};

use super::super::table::Key;
use super::super::window;

/// The scripts, by their hash. `EVALSHA`; where Redis has forgotten one (`NOSCRIPT`) it is loaded again.
pub(super) struct Scripts {
    take: Script,
    adjust: Script,
}

/// An ask that outlives the call.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) limit: Arc<LimitSpec>,
    pub(super) subject: u128,
    pub(super) cost: u32,
}

/// All asks of one decision.
pub(super) type Wants = SmallVec<[Wanted; 2]>;

/// What Redis says of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) used: u64,
    /// Milliseconds.
    pub(super) reset: u64,
    pub(super) window: u64,
}

/// What Redis decided.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    /// Which one was short.
    pub(super) short: Option<usize>,
    /// Each counter, in the order of the asks.
    pub(super) told: SmallVec<[Told; 2]>,
}

/// Which window an adjustment is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    UnderWay,
    Window(u64),
}

impl Wanted {
    pub(super) fn of(ask: &Ask<'_>) -> Self {
        Wanted { limit: ask.limit.clone(), subject: ask.subject, cost: ask.cost }
    }

    pub(super) fn key(&self) -> Key {
        (self.limit.id, self.subject)
    }
}

impl Scripts {
    pub(super) fn new() -> Self {
        Scripts { take: Script::new(include_str!("take.lua")), adjust: Script::new(include_str!("adjust.lua")) }
    }

    /// One call for a whole decision. Its keys may lie in different slots of a Redis Cluster, which refuses that: this is for
    /// a single Redis.
    pub(super) async fn take(&self, mut connection: MultiplexedConnection, wants: &[Wanted]) -> RedisResult<Decided> {
        let mut call = self.take.prepare_invoke();
        for want in wants {
            call.key(name(want.key()));
            call.arg(want.limit.limit).arg(window::length(&want.limit)).arg(want.cost);
        }
        let reply: Vec<i64> = call.invoke_async(&mut connection).await?;
        let (&short, told) = reply.split_first().ok_or_else(unexpected)?;
        let told: SmallVec<[Told; 2]> = told.chunks_exact(3).filter_map(Told::read).collect();
        let short = usize::try_from(short).map_err(|_| unexpected())?;
        if reply.len() != 1 + 3 * wants.len() || told.len() != wants.len() || short > wants.len() {
            return Err(unexpected());
        }
        Ok(Decided { short: short.checked_sub(1), told })
    }

    /// Adds to a counter or takes off it. Zero only looks.
    pub(super) async fn adjust(
        &self,
        mut connection: MultiplexedConnection,
        key: Key,
        length: u64,
        more: i64,
        meant: Meant,
    ) -> RedisResult<Told> {
        let meant = match meant {
            Meant::UnderWay => -1,
            Meant::Window(window) => i64::try_from(window).unwrap_or(i64::MAX),
        };
        let mut call = self.adjust.key(name(key));
        let reply: Vec<i64> = call.arg(length).arg(more).arg(meant).invoke_async(&mut connection).await?;
        if reply.len() != 3 {
            return Err(unexpected());
        }
        Told::read(&reply).ok_or_else(unexpected)
    }

    /// Forgets a counter.
    pub(super) async fn reset(&self, mut connection: MultiplexedConnection, key: Key) -> RedisResult<()> {
        let answer = ::redis::cmd("DEL").arg(name(key)).query_async(&mut connection).await?;
        i64::from_redis_value(answer).map(drop).map_err(RedisError::from)
    }
}

impl Told {
    fn read(reply: &[i64]) -> Option<Told> {
        let [used, reset, window] = reply.try_into().ok()?;
        let number = |n: i64| u64::try_from(n).ok();
        Some(Told { used: number(used)?, reset: number(reset)?, window: number(window)? })
    }
}

/// `tg:{<limit>:<subject>}`, in braces so that all of one counter stays in one slot.
fn name((limit, subject): Key) -> String {
    format!("tg:{{{limit:032x}:{subject:032x}}}")
}

fn unexpected() -> RedisError {
    RedisError::from((ErrorKind::UnexpectedReturnType, "a script's answer has not the form it is written to have"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_named_by_limit_and_subject() {
        assert_eq!(name((0xab, 1)), "tg:{000000000000000000000000000000ab:00000000000000000000000000000001}");
    }

    #[test]
    fn answers_below_zero_are_no_answers() {
        assert_eq!(Told::read(&[1, 2, 3]), Some(Told { used: 1, reset: 2, window: 3 }));
        assert_eq!(Told::read(&[-1, 2, 3]), None);
        assert_eq!(Told::read(&[1, 2]), None);
    }
}
