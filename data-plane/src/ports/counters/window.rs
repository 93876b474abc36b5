//! Fixed windows, aligned to multiples of their length since 1970.
//!
//! The clock may step. Forward simply begins a new window. Back, a counter finds itself ahead of the time:
//! - by one window: the counter stays in its own, which lasts until the clock has been through it;
//! - by more: what was spent is carried into the window under way.
//!
//! So a step back never gives anything away, and holds nobody up for longer than a window. The script in `redis/take.lua`
//! follows the same rule with Redis' clock.

use std::time::Duration;

use tidegate_policy::{Clock, LimitSpec};

/// Milliseconds since 1970; before that, 1970.
pub(super) fn now(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now().millis()).unwrap_or(0)
}

/// A limit's window in milliseconds.
pub(super) fn length(limit: &LimitSpec) -> u64 {
    millis(limit.window).max(1)
}

/// Until a window ends, seen from an instant.
pub(super) fn until_end(window: u64, length: u64, now: u64) -> Duration {
    Duration::from_millis(window.saturating_add(1).saturating_mul(length).saturating_sub(now))
}

/// As the other side of [`Duration::from_millis`].
fn millis(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1000).saturating_add(u64::from(time.subsec_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_at_multiples_of_their_length() {
        assert_eq!(until_end(0, 1000, 0), Duration::from_secs(1));
        assert_eq!(until_end(2, 1000, 2999), Duration::from_millis(1));
        assert_eq!(until_end(3, 1000, 2999), Duration::from_millis(1001));
        assert_eq!(until_end(0, 1000, 5000), Duration::ZERO);
        assert_eq!(until_end(u64::MAX, 1000, 0), Duration::from_millis(u64::MAX));
    }
}
