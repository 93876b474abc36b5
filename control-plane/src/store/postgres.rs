//! A database that replicas share, and how they wake each other.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use super::error::{Silent, StoreError};
use super::migrations;
use super::session::{ANSWER, Pool, REACH};
use super::sql::{SqlStore, Writes};

const CONNECTIONS_MAX: u32 = 10;

/// How often the head is looked at, for notifications that were lost.
const POLL: Duration = Duration::from_secs(2);

/// How long to wait before the listening connection is made again.
const RECONNECT: Duration = Duration::from_millis(500);

const CHANNEL: &str = "tidegate_log";

pub(super) async fn open(url: &str) -> Result<SqlStore, StoreError> {
    let options = PgConnectOptions::from_str(url)?.application_name("tidegate");
    migrate(&options).await?;
    let pool =
        PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(REACH).connect_lazy_with(options.clone());

    let mut store = SqlStore::new(Pool::Postgres(pool.clone()), Pool::Postgres(pool), Writes::Together).await?;
    let wake = store.wake();
    store.follow(tokio::spawn(follow(options, wake)));
    Ok(store)
}

/// On a connection of its own, whose statements are not bounded: a migration may take its time.
async fn migrate(options: &PgConnectOptions) -> Result<(), StoreError> {
    let mut connection = answer(REACH, PgConnection::connect_with(options)).await?;
    migrations::migrate_postgres(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Wakes this replica when another one writes, for as long as it runs.
async fn follow(options: PgConnectOptions, wake: watch::Sender<u64>) {
    let mut lost = false;
    loop {
        let why = match listen(&options).await {
            Ok(listener) => {
                if lost {
                    info!("the database answers again");
                }
                lost = false;
                wake_on_growth(listener, &wake).await
            }
            Err(why) => why,
        };
        if !lost {
            warn!(error = &why as &dyn std::error::Error, "the connection that listens to other replicas was lost");
        }
        lost = true;
        tokio::time::sleep(RECONNECT).await;
    }
}

/// A connection of its own: a pool that is busy, or that hangs, does not delay it.
async fn listen(options: &PgConnectOptions) -> Result<PgListener, StoreError> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(REACH)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    answer(ANSWER, listener.listen(CHANNEL)).await?;
    Ok(listener)
}

async fn wake_on_growth(mut listener: PgListener, wake: &watch::Sender<u64>) -> StoreError {
    let up = || wake.send_modify(|count| *count += 1);
    // What came before this connection was not heard.
    up();
    let mut seen = None;
    loop {
        match timeout(POLL, listener.try_recv()).await {
            Ok(Ok(Some(_))) => {
                while listener.next_buffered().is_some() {}
                up();
            }
            Ok(Ok(None)) => return StoreError::Unavailable("the connection was closed".into()),
            Ok(Err(why)) => return why.into(),
            // On the same connection, so that one which only looks alive is found out.
            Err(_) => match answer(ANSWER, head(&mut listener)).await {
                Ok(head) if seen.as_ref() == Some(&head) => {}
                Ok(head) => {
                    seen = Some(head);
                    up();
                }
                Err(why) => return why,
            },
        }
    }
}

async fn head(listener: &mut PgListener) -> Result<(String, i64), sqlx::Error> {
    sqlx::query_as("select epoch, revision from head where only_row = 1").fetch_one(listener).await
}

async fn answer<T>(bound: Duration, answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match timeout(bound, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Silent(bound).into()),
    }
}
