//! Opening a store: which database, is it ours, is it too new, bring its schema up to date.

use std::borrow::Cow;
use std::sync::Arc;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::{Backend, postgres, sqlite};
use crate::Error;

/// Migrations as (version, what it brings, SQLite, PostgreSQL): the same numbers in both.
const MIGRATIONS: &[(i64, &str, &str, &str)] = &[
    (
        1,
        "store",
        include_str!("../../../migrations/sqlite/0001_store.sql"),
        include_str!("../../../migrations/postgres/0001_store.sql"),
    ),
    (
        50,
        "packs",
        include_str!("../../../migrations/sqlite/0050_packs.sql"),
        include_str!("../../../migrations/postgres/0050_packs.sql"),
    ),
    (
        100,
        "traces",
        include_str!("../../../migrations/sqlite/0100_traces.sql"),
        include_str!("../../../migrations/postgres/0100_traces.sql"),
    ),
    (
        120,
        "exemplars",
        include_str!("../../../migrations/sqlite/0120_exemplars.sql"),
        include_str!("../../../migrations/postgres/0120_exemplars.sql"),
    ),
];

pub(super) async fn open(url: &str) -> Result<(Backend, String), Error> {
    if let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
        let pool = sqlite::connect(path).await?;
        let name = format!("sqlite://{path}");
        migrate(&pool, &name, migrator(|migration| migration.2)).await?;
        Ok((Backend::Sqlite(pool), name))
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        let (pool, name) = postgres::connect(url).await?;
        migrate(&pool, &name, migrator(|migration| migration.3)).await?;
        Ok((Backend::Postgres(pool), name))
    } else {
        Err(Error::StoreUrl { url: without_credentials(url) })
    }
}

fn migrator(text: impl Fn(&(i64, &str, &'static str, &'static str)) -> &'static str) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|migration| {
        let sql = AssertSqlSafe(text(migration)).into_sql_str();
        Migration::new(migration.0, Cow::Borrowed(migration.1), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}

async fn migrate<DB>(pool: &sqlx::Pool<DB>, name: &str, mut migrator: Migrator) -> Result<(), Error>
where
    DB: sqlx::Database,
    DB::Connection: sqlx::migrate::Migrate,
{
    use sqlx::migrate::{Migrate, MigrateError};

    let known = MIGRATIONS.last().map_or(0, |migration| migration.0);
    let failed = |source: MigrateError| match source {
        MigrateError::Execute(sqlx::Error::Database(error)) if sqlite::is_corrupt(error.as_ref()) => {
            Error::Corrupt { store: name.to_owned(), reason: error.message().to_owned() }
        }
        source => Error::Migrate { store: name.to_owned(), source: Arc::new(source) },
    };
    let mut connection =
        pool.acquire().await.map_err(|source| Error::Open { store: name.to_owned(), source: Arc::new(source) })?;
    let table = migrator.table_name.clone();
    connection.ensure_migrations_table(&table).await.map_err(failed)?;
    let applied = connection.list_applied_migrations(&table).await.map_err(failed)?;
    if let Some(newest) = applied.iter().map(|migration| migration.version).max().filter(|&newest| newest > known) {
        return Err(Error::NewerSchema { store: name.to_owned(), found: newest, known });
    }
    drop(connection);
    migrator.set_ignore_missing(false).run(pool).await.map_err(failed)
}

/// Gives an address without what stands before its `@`.
pub(super) fn without_credentials(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => format!("{}{}", &url[..scheme + 3], &url[at + 1..]),
        _ => url.to_owned(),
    }
}
