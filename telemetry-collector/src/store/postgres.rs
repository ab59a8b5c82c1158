//! What is particular to PostgreSQL: connecting, the advisory lock, and arrays for many rows in one statement.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Row};

use super::open::without_credentials;
use super::rows::{BlockRow, PackRow};
use crate::Error;

/// Key of the advisory lock of the one collector that may write: "wattle" as bytes.
const WRITER_KEY: i64 = 0x7761_7474_6c65;
const DAY_MS: i64 = 86_400_000;
/// Days since 1970 that may have a partition: 1970 to 2199.
const DAYS: std::ops::Range<i64> = 0..84_000;
/// Most partitions; planning a query takes longer with each.
const PARTITIONS: usize = 1_000;

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

pub(super) async fn insert_block(tx: &mut PgConnection, row: &BlockRow) -> Result<(), sqlx::Error> {
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

pub(super) async fn insert_packs(tx: &mut PgConnection, rows: &[PackRow], cut_seq: i64) -> Result<(), sqlx::Error> {
    let groups: Vec<i64> = rows.iter().map(|row| row.group).collect();
    let ends: Vec<i64> = rows.iter().map(|row| row.end).collect();
    sqlx::query(
        "insert into sample_pack (group_id, start_ms, end_ms, sample_count, body) \
         select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])",
    )
    .bind(&groups)
    .bind(rows.iter().map(|row| row.start).collect::<Vec<_>>())
    .bind(&ends)
    .bind(rows.iter().map(|row| row.count).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.body.as_slice()).collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "insert into series_group (id, cut_seq, cut_to_ms) \
         select cut.id, $2, max(cut.cut_to) from unnest($1::bigint[], $3::bigint[]) as cut (id, cut_to) group by cut.id \
         on conflict (id) do update set cut_seq = excluded.cut_seq, \
         cut_to_ms = greatest(series_group.cut_to_ms, excluded.cut_to_ms)",
    )
    .bind(&groups)
    .bind(cut_seq)
    .bind(&ends)
    .execute(tx)
    .await
    .map(drop)
}

/// Tells whether a connection still answers.
pub(super) async fn is_alive(connection: &mut PgConnection) -> bool {
    let asked = tokio::time::timeout(Duration::from_secs(5), connection.ping()).await;
    asked.is_ok_and(|answer| answer.is_ok())
}

/// Makes the partitions that packs go to; one that cannot be made (rows of it are in the rest) is done without.
pub(super) async fn partitions_for(pool: &PgPool, rows: &[PackRow]) -> Result<(), sqlx::Error> {
    let days: BTreeSet<i64> =
        rows.iter().map(|row| row.end.div_euclid(DAY_MS)).filter(|day| DAYS.contains(day)).collect();
    let there: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid \
         where i.inhparent = 'sample_pack'::regclass",
    )
    .fetch_all(pool)
    .await?;
    for day in days {
        let name = partition(day);
        if there.contains(&name) || there.len() > PARTITIONS {
            continue;
        }
        let (from, to) = (day * DAY_MS, (day + 1) * DAY_MS);
        let statement = format!("create table {name} partition of sample_pack for values from ({from}) to ({to})");
        if let Err(error) = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(pool).await {
            tracing::debug!(%error, partition = name, "partition was not made");
        }
    }
    Ok(())
}

/// Drops the partitions that end before a time.
pub(super) async fn drop_partitions(pool: &PgPool, before: i64) -> Result<(), sqlx::Error> {
    let there: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid \
         where i.inhparent = 'sample_pack'::regclass",
    )
    .fetch_all(pool)
    .await?;
    for name in there {
        let day = name.strip_prefix("sample_pack_day_").and_then(|day| day.parse::<i64>().ok());
        if day.is_some_and(|day| (day + 1) * DAY_MS <= before) {
            sqlx::query(sqlx::AssertSqlSafe(format!("drop table {name}"))).execute(pool).await?;
        }
    }
    Ok(())
}

fn partition(day: i64) -> String {
    format!("sample_pack_day_{day}")
}

/// Reads the packs of some groups that overlap a span of time.
pub(super) async fn packs(
    pool: &PgPool,
    groups: &[i64],
    start: i64,
    end: i64,
) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    sqlx::query(
        "select group_id, body from sample_pack where group_id = any($1) and start_ms <= $3 and end_ms >= $2 \
         order by group_id, start_ms",
    )
    .bind(groups)
    .bind(start)
    .bind(end)
    .fetch_all(pool)
    .await?
    .into_iter()
    .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
    .collect()
}
