//! What is particular to PostgreSQL: connecting, the advisory lock, and arrays for many rows in one statement.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Row};

use super::open::without_credentials;
use super::series::{ChunkRow, NewSeries, StoredChunk};
use crate::Error;

/// Key of the advisory lock of the one collector that may write: "wattle" as bytes.
const WRITER_KEY: i64 = 0x7761_7474_6c65;

pub(super) async fn connect(url: &str) -> Result<(PgPool, String), Error> {
    let name = without_credentials(url);
    let failed = |source| Error::Open { store: name.clone(), source: Arc::new(source) };
    let options: PgConnectOptions = url.parse().map_err(failed)?;
    // A pool tries for as long as it may; a server that is not there is told of at once.
    let first = tokio::time::timeout(Duration::from_secs(10), options.connect()).await;
    first.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(failed)?.close().await.map_err(failed)?;
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options.application_name("wattle"))
        .await
        .map_err(failed)?;
    Ok((pool, name))
}

pub(super) async fn writer_lock(pool: &PgPool, store: &str) -> Result<PgConnection, Error> {
    let failed = Error::store("taking the writer's lock");
    let mut connection = pool.connect_options().connect().await.map_err(failed)?;
    let row = sqlx::query("select pg_try_advisory_lock($1)")
        .bind(WRITER_KEY)
        .fetch_one(&mut connection)
        .await
        .map_err(Error::store("taking the writer's lock"))?;
    if row.try_get(0).map_err(Error::store("taking the writer's lock"))? {
        Ok(connection)
    } else {
        Err(Error::InUse { store: store.to_owned() })
    }
}

pub(super) async fn insert_series(tx: &mut PgConnection, rows: &[NewSeries]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query("insert into series (id, labels) select * from unnest($1::bigint[], $2::text[])")
        .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.labels.as_str()).collect::<Vec<_>>())
        .execute(tx)
        .await
        .map(drop)
}

pub(super) async fn insert_chunks(tx: &mut PgConnection, rows: &[ChunkRow]) -> Result<(), sqlx::Error> {
    let series: Vec<i64> = rows.iter().map(|row| row.series).collect();
    sqlx::query(
        "insert into chunk (series_id, start_ms, end_ms, sample_count, body) \
         select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])",
    )
    .bind(&series)
    .bind(rows.iter().map(|row| row.start).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.end).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.count).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.body.as_slice()).collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "update series set cut_seq = cut.seq from unnest($1::bigint[], $2::bigint[]) as cut (id, seq) \
         where series.id = cut.id",
    )
    .bind(&series)
    .bind(rows.iter().map(|row| row.cut_seq).collect::<Vec<_>>())
    .execute(tx)
    .await
    .map(drop)
}

/// Reads the chunks of some series that overlap a span of time.
pub(super) async fn chunks(
    pool: &PgPool,
    series: &[i64],
    start: i64,
    end: i64,
) -> Result<Vec<StoredChunk>, sqlx::Error> {
    sqlx::query(
        "select series_id, body from chunk where series_id = any($1) and start_ms <= $3 and end_ms >= $2 \
         order by series_id, start_ms",
    )
    .bind(series)
    .bind(start)
    .bind(end)
    .fetch_all(pool)
    .await?
    .into_iter()
    .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
    .collect()
}
