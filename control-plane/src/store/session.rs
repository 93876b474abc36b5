//! One connection of either engine, checked out of its pool.
//!
//! Here, and in how a database is opened, lies all that differs between the engines; the statements are the same text.
//!
//! Invariant: a connection goes back to its pool only at rest. One that is dropped with a statement on its way, or with an
//! open transaction, is closed, which rolls the transaction back; so every future here may be dropped at any point.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, PgPool, Postgres, Row as _, Sqlite, SqlitePool, Type};

use super::error::{Silent, StoreError, Unique, waited_for_lock};

/// How long Postgres may take to give a connection.
pub(super) const REACH: Duration = Duration::from_secs(1);

/// How long Postgres may take to answer a statement, or to send the next of its rows.
pub(super) const ANSWER: Duration = Duration::from_millis(1500);

/// A wait for the head's lock is cut into pieces shorter than [`ANSWER`], to tell a long queue from a server that is gone.
const BEGIN_WRITE_POSTGRES: &str = "begin; set local lock_timeout = '1s'; \
     set local idle_in_transaction_session_timeout = '30s'";

/// Connections of one engine.
pub(super) enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl Pool {
    pub(super) async fn session(&self) -> Result<Session, StoreError> {
        let connection = match self {
            Pool::Postgres(pool) => Connection::Postgres(pool.acquire().await?),
            Pool::Sqlite(pool) => Connection::Sqlite(pool.acquire().await?),
        };
        Ok(Session { connection: Some(connection), awaits_answer: false, in_transaction: false })
    }

    pub(super) async fn close(&self) {
        match self {
            Pool::Postgres(pool) => pool.close().await,
            Pool::Sqlite(pool) => pool.close().await,
        }
    }
}

enum Connection {
    Postgres(PoolConnection<Postgres>),
    Sqlite(PoolConnection<Sqlite>),
}

/// Runs the same code on either engine's types.
macro_rules! on_engine {
    ($session:expr, |$connection:ident: $Engine:ident, $bound:ident| $body:expr) => {
        match $session.connection.as_mut().expect("taken by drop only") {
            Connection::Postgres($connection) => {
                type $Engine = Postgres;
                let $bound = Some(ANSWER);
                $body
            }
            Connection::Sqlite($connection) => {
                type $Engine = Sqlite;
                let $bound = None;
                $body
            }
        }
    };
}

macro_rules! bound_query {
    ($Engine:ty, $sql:expr, $args:expr) => {{
        let mut query = sqlx::query::<$Engine>($sql);
        for arg in $args {
            query = match *arg {
                Arg::Int(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
                Arg::MaybeText(value) => query.bind(value),
                Arg::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}

/// A connection in use.
pub(super) struct Session {
    connection: Option<Connection>,
    awaits_answer: bool,
    in_transaction: bool,
}

impl Session {
    /// Runs a statement; how many rows it touched.
    pub(super) async fn execute(&mut self, sql: &'static str, args: &[Arg<'_>]) -> Result<u64, Failure> {
        self.awaits_answer = true;
        let answer = on_engine!(self, |connection: Engine, bound| {
            let query = bound_query!(Engine, sql, args);
            within(bound, query.execute(&mut **connection)).await.map(|done| done.rows_affected())
        });
        self.answered(answer)
    }

    /// Runs a query; its rows, each read by `read`.
    pub(super) async fn fetch<T>(
        &mut self,
        sql: &'static str,
        args: &[Arg<'_>],
        read: impl Fn(Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.awaits_answer = true;
        let mut found = Vec::new();
        let answer = on_engine!(self, |connection: Engine, bound| {
            let mut rows = bound_query!(Engine, sql, args).fetch(&mut **connection);
            loop {
                match within(bound, rows.try_next()).await {
                    Ok(Some(row)) => found.push(read(row.into())?),
                    Ok(None) => break Ok(()),
                    Err(failure) => break Err(failure),
                }
            }
        });
        self.answered(answer)?;
        Ok(found)
    }

    /// Runs a query that has at most one row.
    pub(super) async fn fetch_optional<T>(
        &mut self,
        sql: &'static str,
        args: &[Arg<'_>],
        read: impl Fn(Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.fetch(sql, args, read).await?.pop())
    }

    /// Starts a transaction that sees one moment.
    pub(super) async fn begin_read(&mut self) -> Result<(), StoreError> {
        let sql = match self.connection {
            Some(Connection::Postgres(_)) => "begin isolation level repeatable read, read only",
            _ => "begin",
        };
        self.in_transaction = true;
        Ok(self.control(sql).await?)
    }

    /// Starts a transaction that writes. On SQLite it is alone from here on; on Postgres from its lock on the head.
    pub(super) async fn begin_write(&mut self) -> Result<(), StoreError> {
        let sql = match self.connection {
            Some(Connection::Postgres(_)) => BEGIN_WRITE_POSTGRES,
            _ => "begin immediate",
        };
        self.in_transaction = true;
        Ok(self.control(sql).await?)
    }

    /// Tells the other replicas, once this transaction is committed. Only a hint: they also look by themselves.
    pub(super) async fn notify(&mut self) -> Result<(), StoreError> {
        match self.connection {
            Some(Connection::Postgres(_)) => Ok(self.control("notify tidegate_log").await?),
            _ => Ok(()),
        }
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        self.control("commit").await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Undoes the transaction. Where that fails too, the connection is closed, which does the same.
    pub(super) async fn rollback(mut self) {
        if !self.awaits_answer && self.control("rollback").await.is_ok() {
            self.in_transaction = false;
        }
    }

    async fn control(&mut self, sql: &'static str) -> Result<(), Failure> {
        self.awaits_answer = true;
        let answer = on_engine!(self, |connection: Engine, bound| {
            within(bound, sqlx::raw_sql(sql).execute::<_, Engine>(&mut **connection)).await.map(drop)
        });
        self.answered(answer)
    }

    fn answered<T>(&mut self, answer: Result<T, Failure>) -> Result<T, Failure> {
        self.awaits_answer = !matches!(answer, Ok(_) | Err(Failure::Sql(sqlx::Error::Database(_))));
        answer
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.awaits_answer && !self.in_transaction {
            return;
        }
        match self.connection.take() {
            Some(Connection::Postgres(connection)) => drop(connection.detach()),
            Some(Connection::Sqlite(connection)) => drop(connection.detach()),
            None => {}
        }
    }
}

async fn within<T>(
    bound: Option<Duration>,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Failure> {
    match bound {
        Some(bound) => match tokio::time::timeout(bound, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Failure::Silent(Silent(bound))),
        },
        None => Ok(answer.await?),
    }
}

/// Why a statement has no result.
#[derive(Debug)]
pub(super) enum Failure {
    Silent(Silent),
    Sql(sqlx::Error),
}

impl Failure {
    /// Whether this constraint was the reason.
    pub(super) fn is(&self, unique: &Unique) -> bool {
        matches!(self, Failure::Sql(error) if unique.refused(error))
    }

    /// Whether it only waited too long for another writer.
    pub(super) fn is_lock_wait(&self) -> bool {
        matches!(self, Failure::Sql(error) if waited_for_lock(error))
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Failure::Sql(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Silent(silent) => silent.into(),
            Failure::Sql(error) => error.into(),
        }
    }
}

/// A value for a `$n` of a statement.
#[derive(Clone, Copy)]
pub(super) enum Arg<'a> {
    Int(i64),
    Text(&'a str),
    MaybeText(Option<&'a str>),
    Bytes(&'a [u8]),
}

impl Arg<'_> {
    /// A revision. None is ever past the largest that a column holds.
    pub(super) fn revision(revision: u64) -> Self {
        Arg::Int(i64::try_from(revision).unwrap_or(i64::MAX))
    }
}

/// A row of either engine.
pub(super) enum Row {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Row::Postgres(row)
    }
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Row::Sqlite(row)
    }
}

impl Row {
    pub(super) fn get<'r, T>(&'r self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Postgres> + Type<Postgres> + Decode<'r, Sqlite> + Type<Sqlite>,
    {
        match self {
            Row::Postgres(row) => Ok(row.try_get(column)?),
            Row::Sqlite(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn revision(&self, column: &'static str) -> Result<u64, StoreError> {
        let revision: i64 = self.get(column)?;
        u64::try_from(revision).map_err(|_| StoreError::Corrupt(format!("a revision {revision}")))
    }

    /// A column whose text has a form.
    pub(super) fn parsed<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        let text: String = self.get(column)?;
        text.parse().map_err(|why| StoreError::Corrupt(format!("{column}: {why}")))
    }

    /// A column whose text has a form, or is absent.
    pub(super) fn maybe_parsed<T>(&self, column: &'static str) -> Result<Option<T>, StoreError>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        let text: Option<String> = self.get(column)?;
        text.map(|text| text.parse()).transpose().map_err(|why: T::Err| StoreError::Corrupt(format!("{column}: {why}")))
    }
}
