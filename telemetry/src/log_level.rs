//! The door to the log of the process: the program opens it, the planes let operators through.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest that a level may differ from the configured one: who forgets it does not fill the disk.
pub const FOR_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a level holds if nothing is said.
pub const FOR_DEFAULT: Duration = Duration::from_secs(10 * 60);

/// How loud the log is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// What holds now.
    pub level: String,
    /// What the settings say.
    pub configured: String,
    /// When the configured level holds again, in milliseconds since 1970; `None` if nothing else was asked for.
    pub until_ms: Option<i64>,
}

/// The log of a process.
pub trait LogControl: Send + Sync + 'static {
    /// How loud it is.
    fn state(&self) -> LogState;

    /// From now on this level, for so long; then the configured one again.
    ///
    /// # Errors
    /// Why it is no level.
    fn set(&self, level: &str, time: Duration) -> Result<LogState, String>;

    /// From now on the configured level.
    fn reset(&self) -> LogState;
}

/// What a node is asked about its log, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// How loud it is.
    Get,
    /// From now on this level, for so many milliseconds.
    Set {
        /// The level.
        level: String,
        /// How long.
        for_ms: u64,
    },
    /// From now on the configured level.
    Reset,
}

/// The question's name on the config stream.
pub const QUERY: &str = "log-level";

/// The log of this process, or none that can be changed: where a plane runs in a test.
#[derive(Clone, Default)]
pub struct LogLevel(Option<Arc<dyn LogControl>>);

impl LogLevel {
    /// That of a program.
    pub fn new(control: Arc<dyn LogControl>) -> Self {
        LogLevel(Some(control))
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// Why it is not done.
    pub fn answer(&self, ask: &Ask) -> Result<LogState, String> {
        let control = self.0.as_ref().ok_or("the log of this process can't be changed")?;
        match ask {
            Ask::Get => Ok(control.state()),
            Ask::Set { level, for_ms } => control.set(level, Duration::from_millis(*for_ms).min(FOR_MAX)),
            Ask::Reset => Ok(control.reset()),
        }
    }
}

impl std::fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogLevel")
    }
}
