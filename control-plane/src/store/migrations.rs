//! The migrations of both engines: equal numbers, equal tables, forward only.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgConnection, SqlSafeStr, SqliteConnection};

const POSTGRES: &[(i64, &str, &str)] = &[
    (1, "log", include_str!("../../../migrations/postgres/0001_log.sql")),
    (2, "credential use", include_str!("../../../migrations/postgres/0002_credential_use.sql")),
];

const SQLITE: &[(i64, &str, &str)] = &[
    (1, "log", include_str!("../../../migrations/sqlite/0001_log.sql")),
    (2, "credential use", include_str!("../../../migrations/sqlite/0002_credential_use.sql")),
];

/// Replicas that start together migrate one after the other; the lock is held for as long as the connection.
pub(super) async fn migrate_postgres(connection: &mut PgConnection) -> Result<(), MigrateError> {
    // Not `run`: it takes anything to acquire a connection from, and its future can't be sent (rust-lang/rust#100013).
    migrator(POSTGRES).run_direct(None, connection, false).await
}

pub(super) async fn migrate_sqlite(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    migrator(SQLITE).run_direct(None, connection, false).await
}

fn migrator(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = migrations.iter().map(|&(version, what, sql)| {
        Migration::new(version, what.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_have_the_same_migrations() {
        let numbered = |list: &[(i64, &'static str, &str)]| list.iter().map(|it| (it.0, it.1)).collect::<Vec<_>>();
        assert_eq!(numbered(POSTGRES), numbered(SQLITE));
    }
}
