//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_model::Instant;
use tidegate_policy::Clock;

/// The machine's clock as it is, about 25 ns a look.
///
/// It may be stepped, forward and back. Who must not be harmed by that says so where it looks: counters keep what was spent
/// (`counters/window.rs`), time-outs run on the monotonic clock and never ask here.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
        };
        Instant::from_millis(millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_the_machines_time() {
        let before = machine_now();
        let told = SystemClock.now().millis();
        assert!((before..=machine_now()).contains(&told));
    }

    fn machine_now() -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
    }
}
