//! What is particular to SQLite: opening the file, its lock, and writing many rows.
//!
//! The file runs in WAL mode with `synchronous = normal`: a commit survives the end of the process at any instant
//! (law 13: kill -9), because its pages are with the operating system. A power cut may take the last commits but never
//! the consistency of the file. `full` would add one fsync a scrape to guard against that alone.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::rows::{BlockRow, PackRow};
use crate::Error;

/// SQLITE_CORRUPT and SQLITE_NOTADB of <https://www.sqlite.org/rescode.html>.
const CORRUPT_CODES: [&str; 2] = ["11", "26"];

/// A file of up to this many bytes is checked whole when it is opened, which takes well under a second.
const CHECKED_WHOLE: u64 = 64 << 20;

/// Tells whether the driver says that the file is damaged or no database at all.
pub(super) fn is_corrupt(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|code| CORRUPT_CODES.contains(&code.as_ref()))
}

pub(super) async fn connect(path: &str) -> Result<SqlitePool, Error> {
    let store = format!("sqlite://{path}");
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        // Of a new file: pages can be given back later, in small steps.
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("cache_size", "-16000")
        .pragma("journal_size_limit", "67108864");
    let failed = |source: sqlx::Error| match &source {
        sqlx::Error::Database(error) if is_corrupt(error.as_ref()) => {
            Error::Corrupt { store: store.clone(), reason: error.message().to_owned() }
        }
        _ => Error::Open { store: store.clone(), source: Arc::new(source) },
    };
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.map_err(failed)?;
    let size = tokio::fs::metadata(path).await.map_or(0, |file| file.len());
    match verdict(&pool, size <= CHECKED_WHOLE).await.map_err(failed)? {
        Some(reason) => Err(Error::Corrupt { store, reason }),
        None => Ok(pool),
    }
}

/// Looks for damage; gives what was found. Whole: every page that a structure hangs on. Otherwise the schema and what
/// every start reads in full: damage elsewhere is told of by the statement that meets it.
async fn verdict(pool: &SqlitePool, is_whole: bool) -> Result<Option<String>, sqlx::Error> {
    let mut checks = vec!["pragma quick_check(1)"];
    if !is_whole {
        let tables: Vec<String> =
            sqlx::query_scalar("select name from sqlite_schema where type = 'table'").fetch_all(pool).await?;
        checks = vec!["pragma quick_check(_sqlx_migrations)", "pragma quick_check(series_block)"];
        checks.retain(|check| tables.iter().any(|table| check.contains(table.as_str())));
    }
    for check in checks {
        let found: String = sqlx::query(check).fetch_one(pool).await?.try_get(0)?;
        if found != "ok" {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Takes the lock of the one collector that may write: a file beside the database.
pub(super) fn writer_lock(pool: &SqlitePool, store: &str) -> Result<File, Error> {
    let options = pool.connect_options();
    let path = options.get_filename();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let failed = |error| Error::Open { store: store.to_owned(), source: Arc::new(sqlx::Error::Io(error)) };
    let file = File::create(path.parent().unwrap_or(Path::new("")).join(name)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { store: store.to_owned() }),
        // A file system without locks: nobody uses the store, and nobody can say so.
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

pub(super) async fn insert_block(tx: &mut SqliteConnection, row: &BlockRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into series_block (first_id, last_id, series_count, start_ms, end_ms, body) \
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(row.first_id)
    .bind(row.last_id)
    .bind(row.count)
    .bind(row.start)
    .bind(row.end)
    .bind(row.body.as_slice())
    .execute(tx)
    .await
    .map(drop)
}

pub(super) async fn insert_packs(tx: &mut SqliteConnection, rows: &[PackRow], cut_seq: i64) -> Result<(), sqlx::Error> {
    for row in rows {
        sqlx::query(
            "insert into sample_pack (group_id, start_ms, end_ms, sample_count, body) values ($1, $2, $3, $4, $5)",
        )
        .bind(row.group)
        .bind(row.start)
        .bind(row.end)
        .bind(row.count)
        .bind(row.body.as_slice())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "insert into series_group (id, cut_seq, cut_to_ms) values ($1, $2, $3) on conflict (id) do update \
             set cut_seq = excluded.cut_seq, cut_to_ms = max(series_group.cut_to_ms, excluded.cut_to_ms)",
        )
        .bind(row.group)
        .bind(cut_seq)
        .bind(row.end)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Reads the packs of some groups that overlap a span of time.
pub(super) async fn packs(
    pool: &SqlitePool,
    groups: &[i64],
    start: i64,
    end: i64,
) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    let ids = serde_json::to_string(groups).unwrap_or_default();
    sqlx::query(
        "select group_id, body from sample_pack where group_id in (select value from json_each($1)) \
         and start_ms <= $3 and end_ms >= $2 order by group_id, start_ms",
    )
    .bind(ids)
    .bind(start)
    .bind(end)
    .fetch_all(pool)
    .await?
    .into_iter()
    .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    #[tokio::test]
    async fn a_file_too_long_to_be_checked_whole_is_refused_where_every_start_reads() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("wattle.db").display().to_string();
        let pool = connect(&path).await.expect("opens");
        for statement in [
            "create table series_block (id integer primary key, labels text not null unique)",
            "with recursive n (i) as (select 1 union all select i + 1 from n where i < 2000) \
             insert into series_block (id, labels) select i, hex(randomblob(50)) from n",
        ] {
            sqlx::query(statement).execute(&pool).await.expect("written");
        }
        assert_eq!(verdict(&pool, false).await.expect("read"), None);
        let root: i64 = sqlx::query_scalar("select rootpage from sqlite_schema where name = 'series_block'")
            .fetch_one(&pool)
            .await
            .expect("read");
        pool.close().await;

        let mut file = File::options().write(true).open(&path).expect("opens");
        file.seek(SeekFrom::Start((root.unsigned_abs() - 1) * 4096)).expect("in the file");
        file.write_all(&[0x5a; 4096]).expect("overwritten");
        drop(file);

        let pool = SqlitePool::connect(&path).await.expect("the schema is whole");
        let found = verdict(&pool, false).await;
        let is_refused = match &found {
            Ok(found) => found.is_some(),
            Err(sqlx::Error::Database(error)) => is_corrupt(error.as_ref()),
            Err(_) => false,
        };
        assert!(is_refused, "{found:?}");
        assert!(matches!(super::connect(&path).await, Err(Error::Corrupt { .. })));
    }
}
