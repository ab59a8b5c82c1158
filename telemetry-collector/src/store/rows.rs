//! Rows of samples: journal, blocks of series and packs.

use std::collections::HashMap;

use sqlx::Row;

use super::label_block::Block;
use super::{Backend, Store, journal, on_pool, postgres, sqlite};
use crate::Error;

/// The label sets of series that were created one after the other.
pub(crate) struct BlockRow {
    pub(crate) first_id: i64,
    pub(crate) last_id: i64,
    pub(crate) count: i64,
    /// Oldest sample when it was made.
    pub(crate) start: i64,
    /// Newest sample; `None` while one of the series is active.
    pub(crate) end: Option<i64>,
    pub(crate) body: Vec<u8>,
}

/// Which series a block holds: no two blocks with the same ones differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlockSpan {
    pub(crate) first_id: i64,
    pub(crate) last_id: i64,
    pub(crate) count: i64,
}

impl BlockRow {
    pub(crate) const fn span(&self) -> BlockSpan {
        BlockSpan { first_id: self.first_id, last_id: self.last_id, count: self.count }
    }

    pub(crate) fn decode(&self) -> Result<Block, Error> {
        Block::decode(&self.body).ok_or_else(|| Error::row("a block of series", format!("first id {}", self.first_id)))
    }
}

/// A pack to be written.
pub(crate) struct PackRow {
    pub(crate) group: i64,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) count: i64,
    pub(crate) body: Vec<u8>,
}

/// How much is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Series known.
    pub series: u64,
    /// Journal rows whose samples are not all in packs yet.
    pub journal_rows: u64,
    /// Packs of samples.
    pub packs: u64,
    /// Samples in packs.
    pub samples: u64,
    /// Windows.
    pub windows: u64,
    /// Spans.
    pub spans: u64,
    /// Spans that are in the journal and in no block yet.
    pub spans_waiting: u64,
}

const BLOCK: &str = "first_id, last_id, series_count, start_ms, end_ms, body";

/// Reads blocks of series with a condition of `$1` and `$2`.
macro_rules! blocks {
    ($store:expr, $condition:literal, $one:expr, $two:expr) => {{
        let read = || Error::store("reading series");
        let statement = sqlx::AssertSqlSafe(format!(
            concat!("select {} from series_block where ", $condition, " order by first_id"),
            BLOCK
        ));
        let mut blocks = Vec::new();
        on_pool!($store, pool => {
            for row in sqlx::query(statement).bind($one).bind($two).fetch_all(pool).await.map_err(read())? {
                blocks.push(BlockRow {
                    first_id: row.try_get(0).map_err(read())?,
                    last_id: row.try_get(1).map_err(read())?,
                    count: row.try_get(2).map_err(read())?,
                    start: row.try_get(3).map_err(read())?,
                    end: row.try_get(4).map_err(read())?,
                    body: row.try_get(5).map_err(read())?,
                });
            }
        });
        Ok(blocks)
    }};
}

impl Store {
    /// Reads the blocks that have active series.
    pub(crate) async fn live_blocks(&self) -> Result<Vec<BlockRow>, Error> {
        blocks!(self, "end_ms is null and $1 = $2", 0_i64, 0_i64)
    }

    /// Reads the blocks of series with ids after `after`.
    pub(crate) async fn blocks_after(&self, after: i64) -> Result<Vec<BlockRow>, Error> {
        blocks!(self, "first_id > $1 and $2 = $2", after, 0_i64)
    }

    /// Reads the blocks of series that may have samples in a span of time.
    pub(crate) async fn blocks_between(&self, start: i64, end: i64) -> Result<Vec<BlockRow>, Error> {
        blocks!(self, "(end_ms is null or end_ms >= $1) and start_ms <= $2", start, end)
    }

    /// Reads which blocks of series may have samples in a span of time.
    pub(crate) async fn block_spans_between(&self, start: i64, end: i64) -> Result<Vec<BlockSpan>, Error> {
        let rows: Vec<(i64, i64, i64)> = on_pool!(self, pool => {
            sqlx::query_as(
                "select first_id, last_id, series_count from series_block \
                 where (end_ms is null or end_ms >= $1) and start_ms <= $2 order by first_id",
            )
            .bind(start).bind(end).fetch_all(pool).await.map_err(Error::store("reading series"))?
        });
        let span = |(first_id, last_id, count)| BlockSpan { first_id, last_id, count };
        Ok(rows.into_iter().map(span).collect())
    }

    /// Reads the block that begins with a series.
    pub(crate) async fn block(&self, first_id: i64) -> Result<Option<BlockRow>, Error> {
        let found: Result<Vec<BlockRow>, Error> = blocks!(self, "first_id = $1 and $2 = $2", first_id, 0_i64);
        Ok(found?.pop())
    }

    /// Reads the small blocks: those that are worth being put together.
    pub(crate) async fn small_blocks(&self, fewer: i64, most: i64) -> Result<Vec<BlockRow>, Error> {
        blocks!(self, "series_count < $1 and first_id <= $2", fewer, most)
    }

    /// Gives the newest sample of series that are not active any more.
    pub(crate) async fn newest_closed(&self) -> Result<Option<i64>, Error> {
        on_pool!(self, pool => {
            sqlx::query_scalar("select max(end_ms) from series_block").fetch_one(pool).await
                .map_err(Error::store("reading series"))
        })
    }

    /// Writes that no series of these blocks is active any more, each with its newest sample.
    pub(crate) async fn close_blocks(&self, blocks: &[(i64, i64)]) -> Result<(), Error> {
        let failed = || Error::store("closing blocks of series");
        on_pool!(self, pool => {
            let mut tx = pool.begin().await.map_err(failed())?;
            for &(first_id, end) in blocks {
                sqlx::query("update series_block set end_ms = $2 where first_id = $1")
                    .bind(first_id).bind(end).execute(&mut *tx).await.map_err(failed())?;
            }
            tx.commit().await.map_err(failed())
        })
    }

    /// Writes a block in place of those that it holds the series of.
    pub(crate) async fn replace_blocks(&self, block: &BlockRow) -> Result<(), Error> {
        let failed = || Error::store("putting blocks of series together");
        macro_rules! write {
            ($pool:ident, $dialect:ident) => {{
                let mut tx = $pool.begin().await.map_err(failed())?;
                sqlx::query("delete from series_block where first_id >= $1 and last_id <= $2")
                    .bind(block.first_id)
                    .bind(block.last_id)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed())?;
                $dialect::insert_block(&mut tx, block).await.map_err(failed())?;
                tx.commit().await.map_err(failed())
            }};
        }
        match &self.backend {
            Backend::Sqlite(pool) => write!(pool, sqlite),
            Backend::Postgres(pool) => write!(pool, postgres),
        }
    }

    /// Forgets how far groups are cut that have no series in memory.
    pub(crate) async fn drop_groups(&self, groups: &[i64]) -> Result<(), Error> {
        let failed = || Error::store("forgetting groups of series");
        on_pool!(self, pool => {
            let mut tx = pool.begin().await.map_err(failed())?;
            for group in groups {
                sqlx::query("delete from series_group where id = $1").bind(group)
                    .execute(&mut *tx).await.map_err(failed())?;
            }
            tx.commit().await.map_err(failed())
        })
    }

    /// Reads how far each group is cut: journal number and newest time.
    pub(crate) async fn groups(&self) -> Result<HashMap<i64, (i64, i64)>, Error> {
        let read = || Error::store("reading groups of series");
        let mut groups = HashMap::new();
        on_pool!(self, pool => {
            for row in sqlx::query("select id, cut_seq, cut_to_ms from series_group").fetch_all(pool).await
                .map_err(read())? {
                let (id, seq, to) =
                    (row.try_get(0).map_err(read())?, row.try_get(1).map_err(read())?, row.try_get(2).map_err(read())?);
                groups.insert(id, (seq, to));
            }
        });
        Ok(groups)
    }

    /// Reads one journal row after `after`; `None` at the end.
    pub(crate) async fn next_journal(&self, after: i64) -> Result<Option<(i64, Vec<journal::Entry>)>, Error> {
        let read = || Error::store("reading the journal");
        let row: Option<(i64, Vec<u8>)> = on_pool!(self, pool => {
            sqlx::query("select seq, body from sample_journal where seq > $1 order by seq limit 1")
                .bind(after).fetch_optional(pool).await.map_err(read())?
                .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                .transpose().map_err(read())?
        });
        let Some((seq, body)) = row else { return Ok(None) };
        let entries = journal::decode(&body).ok_or_else(|| Error::row("a journal row", format!("seq {seq}")))?;
        Ok(Some((seq, entries)))
    }

    /// Gives the newest numbers ever given to a journal row and to a series, also of those that are gone.
    pub(crate) async fn last_numbers(&self) -> Result<(i64, i64), Error> {
        let read = || Error::store("reading the journal");
        on_pool!(self, pool => {
            let row = sqlx::query(
                "select (select coalesce(max(seq), 0) from \
                 (select max(seq) as seq from sample_journal union all select max(cut_seq) from series_group) as numbers), \
                 (select coalesce(max(id), 0) from (select max(last_id) as id from series_block union all \
                 select max(group_id) * 64 + 63 from sample_pack) as ids)",
            ).fetch_one(pool).await.map_err(read())?;
            Ok((row.try_get(0).map_err(read())?, row.try_get(1).map_err(read())?))
        })
    }

    /// Writes new series and a journal row in one transaction: what returns is acknowledged.
    pub(crate) async fn append_journal(&self, new: Option<&BlockRow>, seq: i64, body: &[u8]) -> Result<(), Error> {
        let failed = || Error::store("writing the journal");
        macro_rules! write {
            ($pool:ident, $dialect:ident) => {{
                let insert = "insert into sample_journal (seq, body) values ($1, $2)";
                let Some(block) = new else {
                    // One statement is a transaction.
                    sqlx::query(insert).bind(seq).bind(body).execute($pool).await.map_err(failed())?;
                    return Ok(());
                };
                let mut tx = $pool.begin().await.map_err(failed())?;
                $dialect::insert_block(&mut tx, block).await.map_err(failed())?;
                sqlx::query(insert).bind(seq).bind(body).execute(&mut *tx).await.map_err(failed())?;
                tx.commit().await.map_err(failed())
            }};
        }
        match &self.backend {
            Backend::Sqlite(pool) => write!(pool, sqlite),
            Backend::Postgres(pool) => write!(pool, postgres),
        }
    }

    /// Writes packs with what was journalled up to `cut_seq` and drops the journal rows before `keep_from`, in one
    /// transaction.
    pub(crate) async fn write_packs(&self, rows: &[PackRow], cut_seq: i64, keep_from: i64) -> Result<(), Error> {
        let failed = || Error::store("writing packs");
        macro_rules! write {
            ($pool:ident, $dialect:ident) => {{
                let mut tx = $pool.begin().await.map_err(failed())?;
                $dialect::insert_packs(&mut tx, rows, cut_seq).await.map_err(failed())?;
                sqlx::query("delete from sample_journal where seq < $1")
                    .bind(keep_from)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed())?;
                tx.commit().await.map_err(failed())
            }};
        }
        match &self.backend {
            Backend::Sqlite(pool) => write!(pool, sqlite),
            Backend::Postgres(pool) => {
                postgres::partitions_for(pool, rows).await.map_err(failed())?;
                write!(pool, postgres)
            }
        }
    }

    /// Reads the packs of some groups that overlap a span of time, ordered by group and time.
    pub(crate) async fn packs(&self, groups: &[i64], start: i64, end: i64) -> Result<Vec<(i64, Vec<u8>)>, Error> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        match &self.backend {
            Backend::Sqlite(pool) => sqlite::packs(pool, groups, start, end).await,
            Backend::Postgres(pool) => postgres::packs(pool, groups, start, end).await,
        }
        .map_err(Error::store("reading packs"))
    }

    /// Gives the time of the newest sample that is in a pack.
    pub(crate) async fn newest_cut(&self) -> Result<Option<i64>, Error> {
        on_pool!(self, pool => {
            sqlx::query_scalar("select max(end_ms) from sample_pack").fetch_one(pool).await
                .map_err(Error::store("reading the newest pack"))
        })
    }

    /// Counts what is in the store.
    ///
    /// Errors: the store cannot be read.
    pub async fn stats(&self) -> Result<Stats, Error> {
        let read = || Error::store("counting rows");
        on_pool!(self, pool => {
            let row = sqlx::query(
                "select (select cast(coalesce(sum(series_count), 0) as bigint) from series_block), \
                 (select count(*) from sample_journal), (select count(*) from sample_pack), \
                 (select cast(coalesce(sum(sample_count), 0) as bigint) from sample_pack), \
                 (select count(*) from cluster_window), \
                 (select cast(coalesce(sum(span_count), 0) as bigint) from \
                  (select span_count from span_partition union all select span_count from span_journal) as spans), \
                 (select cast(coalesce(sum(span_count), 0) as bigint) from span_journal)",
            ).fetch_one(pool).await.map_err(read())?;
            let count = |at: usize| -> Result<u64, Error> {
                row.try_get::<i64, _>(at).map(|count| u64::try_from(count).unwrap_or(0)).map_err(read())
            };
            Ok(Stats {
                series: count(0)?, journal_rows: count(1)?, packs: count(2)?, samples: count(3)?, windows: count(4)?,
                spans: count(5)?, spans_waiting: count(6)?,
            })
        })
    }
}
