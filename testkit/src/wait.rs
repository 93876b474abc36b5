//! Waits for a condition with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Asks until the condition gives a value; fails with what was waited for and the last reason once the deadline has passed.
///
/// The time is the machine's, not the runtime's: what is waited for happens in other processes.
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn example() -> anyhow::Result<()> {
/// use tidegate_testkit::wait::wait_for;
/// wait_for("the file", Duration::from_secs(10), async || Ok(std::fs::read("token")?)).await?;
/// # Ok(())
/// # }
/// ```
pub async fn wait_for<T>(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        // An attempt that hangs must not outlast the deadline.
        let left = deadline.saturating_sub(start.elapsed()).max(POLL);
        let reason = match tokio::time::timeout(left, condition()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(reason)) => reason,
            Err(_) => anyhow!("no answer"),
        };
        if start.elapsed() >= deadline {
            return Err(reason.context(format!("waited {deadline:?} for {what}")));
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_the_value_of_the_first_attempt_that_succeeds() {
        let mut attempts = 0;
        let value = wait_for("the third attempt", Duration::from_secs(10), async || {
            attempts += 1;
            if attempts < 3 { Err(anyhow!("attempt {attempts}")) } else { Ok(attempts) }
        });
        assert_eq!(value.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn says_what_was_awaited_and_why_it_did_not_come() {
        let never = wait_for("a sign", Duration::from_millis(60), async || Err::<(), _>(anyhow!("silence")));
        let told = format!("{:#}", never.await.unwrap_err());
        assert!(told.contains("a sign") && told.contains("silence"), "{told}");
    }

    #[tokio::test]
    async fn an_attempt_that_hangs_ends_at_the_deadline() {
        let hangs =
            wait_for("an answer", Duration::from_millis(60), async || std::future::pending::<Result<()>>().await);
        assert!(hangs.await.is_err());
    }
}
