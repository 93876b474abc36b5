//! A database in one file, for a control plane of one process.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::error::StoreError;
use super::migrations;
use super::session::Pool;
use super::sql::{LOCK_WAIT, SqlStore, Writes};

const READERS_MAX: u32 = 4;

/// How long to wait for a connection to the file.
const OPEN_WAIT: Duration = Duration::from_secs(2);

pub(super) async fn open(url: &str) -> Result<SqlStore, StoreError> {
    let options = SqliteConnectOptions::from_str(url)?.foreign_keys(true).busy_timeout(LOCK_WAIT);
    make_private(&options)?;
    let pool = || {
        SqlitePoolOptions::new()
            .acquire_timeout(OPEN_WAIT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    // One connection writes. FULL: an acknowledged revision survives the loss of power.
    let writer = options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let writers = pool().max_connections(1).connect_with(writer).await?;
    migrations::migrate_sqlite(&mut *writers.acquire().await?).await?;
    let readers = pool().max_connections(READERS_MAX).connect_lazy_with(options.read_only(true));

    SqlStore::new(Pool::Sqlite(readers), Pool::Sqlite(writers), Writes::OneByOne).await
}

/// Makes the file, if it is missing, readable to its owner only; SQLite's own files beside it follow its mode.
fn make_private(options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(options.get_filename());
    file.map(drop).map_err(|why| StoreError::Unavailable(why.into()))
}
