//! What is particular to SQLite: opening the file, its lock, and writing many rows.
//!
//! The file runs in WAL mode with `synchronous = normal`: a commit survives the end of the process at any instant
//! (law 13: kill -9), because its pages are with the operating system. A power cut may take the last commits but never
//! the consistency of the file. `full` would add one fsync a scrape to guard against that alone.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::series::{ChunkRow, NewSeries, StoredChunk};
use super::traces::IndexRow;
use crate::Error;

/// SQLITE_CORRUPT and SQLITE_NOTADB of <https://www.sqlite.org/rescode.html>.
const CORRUPT_CODES: [&str; 2] = ["11", "26"];

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
    // Reads every page that a structure hangs on; a file that was cut short or overwritten is refused here.
    let check = sqlx::query("pragma quick_check(1)").fetch_one(&pool).await.map_err(failed)?;
    let verdict: String = check.try_get(0).map_err(failed)?;
    if verdict != "ok" {
        return Err(Error::Corrupt { store, reason: verdict });
    }
    Ok(pool)
}

/// Takes the lock of the one collector that may write: a file beside the database.
pub(super) fn writer_lock(pool: &SqlitePool, store: &str) -> Result<File, Error> {
    let options = pool.connect_options();
    let path = options.get_filename();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let file = File::create(path.parent().unwrap_or(Path::new("")).join(name))
        .map_err(|error| Error::Open { store: store.to_owned(), source: Arc::new(sqlx::Error::Io(error)) })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Error::InUse { store: store.to_owned() }),
    }
}

pub(super) async fn insert_series(tx: &mut SqliteConnection, rows: &[NewSeries]) -> Result<(), sqlx::Error> {
    for row in rows {
        sqlx::query("insert into series (id, labels) values ($1, $2)")
            .bind(row.id)
            .bind(&row.labels)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

pub(super) async fn insert_chunks(tx: &mut SqliteConnection, rows: &[ChunkRow]) -> Result<(), sqlx::Error> {
    for row in rows {
        sqlx::query("insert into chunk (series_id, start_ms, end_ms, sample_count, body) values ($1, $2, $3, $4, $5)")
            .bind(row.series)
            .bind(row.start)
            .bind(row.end)
            .bind(row.count)
            .bind(&row.body)
            .execute(&mut *tx)
            .await?;
        sqlx::query("update series set cut_seq = $2 where id = $1")
            .bind(row.series)
            .bind(row.cut_seq)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

pub(super) async fn insert_index(tx: &mut SqliteConnection, batch: i64, rows: &[IndexRow]) -> Result<(), sqlx::Error> {
    for row in rows {
        sqlx::query(
            "insert into span_index (batch_id, trace_id, service_id, operation_id, start_us, duration_us, span_count, \
             is_error) values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(batch)
        .bind(&row.trace[..])
        .bind(row.service)
        .bind(row.operation)
        .bind(row.start_us)
        .bind(row.duration_us)
        .bind(row.spans)
        .bind(i64::from(row.is_error))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Reads the chunks of some series that overlap a span of time.
pub(super) async fn chunks(
    pool: &SqlitePool,
    series: &[i64],
    start: i64,
    end: i64,
) -> Result<Vec<StoredChunk>, sqlx::Error> {
    let ids = serde_json::to_string(series).unwrap_or_default();
    sqlx::query(
        "select series_id, body from chunk where series_id in (select value from json_each($1)) and start_ms <= $3 \
         and end_ms >= $2 order by series_id, start_ms",
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
