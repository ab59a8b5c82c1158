//! Rows of samples: series, journal and chunks.

use sqlx::Row;
use wattle_contract::Labels;

use super::{Backend, Store, journal, on_pool, postgres, sqlite};
use crate::Error;

/// A series that is not in the store yet.
pub(crate) struct NewSeries {
    pub(crate) id: i64,
    /// JSON object of its labels.
    pub(crate) labels: String,
}

/// A chunk to be written.
pub(crate) struct ChunkRow {
    pub(crate) series: i64,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) count: i64,
    pub(crate) body: Vec<u8>,
    /// Every sample of the series journalled up to here is in a chunk with this one.
    pub(crate) cut_seq: i64,
}

/// A series as the store knows it.
pub(crate) struct StoredSeries {
    pub(crate) id: i64,
    pub(crate) labels: Labels,
    pub(crate) cut_seq: i64,
}

/// Series id and encoded samples.
pub(crate) type StoredChunk = (i64, Vec<u8>);

/// How much is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Series known.
    pub series: u64,
    /// Journal rows whose samples are not all in chunks yet.
    pub journal_rows: u64,
    /// Chunks.
    pub chunks: u64,
    /// Windows.
    pub windows: u64,
    /// Spans.
    pub spans: u64,
    /// Spans that are in the journal and in no block yet.
    pub spans_waiting: u64,
}

impl Store {
    pub(crate) async fn load_series(&self) -> Result<Vec<StoredSeries>, Error> {
        let failed = Error::store("reading series");
        let mut series = Vec::new();
        on_pool!(self, pool => {
            for row in sqlx::query("select id, labels, cut_seq from series order by id")
                .fetch_all(pool).await.map_err(failed)? {
                let labels: String = row.try_get(1).map_err(Error::store("reading series"))?;
                series.push(StoredSeries {
                    id: row.try_get(0).map_err(Error::store("reading series"))?,
                    labels: labels_from_json(&labels)?,
                    cut_seq: row.try_get(2).map_err(Error::store("reading series"))?,
                });
            }
        });
        Ok(series)
    }

    /// Reads one journal row after `after`; `None` at the end.
    pub(crate) async fn next_journal(&self, after: i64) -> Result<Option<(i64, Vec<journal::Entry>)>, Error> {
        let read = || Error::store("reading the journal");
        let row: Option<(i64, Vec<u8>)> = on_pool!(self, pool => {
            sqlx::query("select seq, body from journal where seq > $1 order by seq limit 1")
                .bind(after).fetch_optional(pool).await.map_err(read())?
                .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                .transpose().map_err(read())?
        });
        let Some((seq, body)) = row else { return Ok(None) };
        let entries = journal::decode(&body).ok_or_else(|| Error::row("a journal row", format!("seq {seq}")))?;
        Ok(Some((seq, entries)))
    }

    /// Gives the newest number the journal ever had, also of rows that are gone.
    pub(crate) async fn last_seq(&self) -> Result<i64, Error> {
        let read = || Error::store("reading the journal");
        on_pool!(self, pool => {
            let row = sqlx::query(
                "select coalesce(max(seq), 0) from \
                 (select max(seq) as seq from journal union all select max(cut_seq) from series) as numbers",
            ).fetch_one(pool).await.map_err(read())?;
            row.try_get(0).map_err(read())
        })
    }

    /// Writes new series and a journal row in one transaction: what returns is acknowledged.
    pub(crate) async fn append_journal(&self, new: &[NewSeries], seq: i64, body: &[u8]) -> Result<(), Error> {
        let failed = || Error::store("writing the journal");
        macro_rules! write {
            ($pool:ident, $dialect:ident) => {{
                let mut tx = $pool.begin().await.map_err(failed())?;
                $dialect::insert_series(&mut tx, new).await.map_err(failed())?;
                sqlx::query("insert into journal (seq, body) values ($1, $2)")
                    .bind(seq)
                    .bind(body)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed())?;
                tx.commit().await.map_err(failed())
            }};
        }
        match &self.backend {
            Backend::Sqlite(pool) => write!(pool, sqlite),
            Backend::Postgres(pool) => write!(pool, postgres),
        }
    }

    /// Writes chunks and drops the journal rows before `keep_from`, in one transaction.
    pub(crate) async fn write_chunks(&self, rows: &[ChunkRow], keep_from: i64) -> Result<(), Error> {
        let failed = || Error::store("writing chunks");
        macro_rules! write {
            ($pool:ident, $dialect:ident) => {{
                let mut tx = $pool.begin().await.map_err(failed())?;
                $dialect::insert_chunks(&mut tx, rows).await.map_err(failed())?;
                sqlx::query("delete from journal where seq < $1")
                    .bind(keep_from)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed())?;
                tx.commit().await.map_err(failed())
            }};
        }
        match &self.backend {
            Backend::Sqlite(pool) => write!(pool, sqlite),
            Backend::Postgres(pool) => write!(pool, postgres),
        }
    }

    /// Reads the chunks of some series that overlap a span of time, ordered by series and time.
    pub(crate) async fn chunks(&self, series: &[i64], start: i64, end: i64) -> Result<Vec<StoredChunk>, Error> {
        if series.is_empty() {
            return Ok(Vec::new());
        }
        match &self.backend {
            Backend::Sqlite(pool) => sqlite::chunks(pool, series, start, end).await,
            Backend::Postgres(pool) => postgres::chunks(pool, series, start, end).await,
        }
        .map_err(Error::store("reading chunks"))
    }

    /// Gives the time of the newest sample that is in a chunk.
    pub(crate) async fn newest_cut(&self) -> Result<Option<i64>, Error> {
        on_pool!(self, pool => {
            sqlx::query_scalar("select max(end_ms) from chunk").fetch_one(pool).await
                .map_err(Error::store("reading the newest chunk"))
        })
    }

    /// Counts what is in the store.
    ///
    /// Errors: the store cannot be read.
    pub async fn stats(&self) -> Result<Stats, Error> {
        let read = || Error::store("counting rows");
        on_pool!(self, pool => {
            let row = sqlx::query(
                "select (select count(*) from series), (select count(*) from journal), (select count(*) from chunk), \
                 (select count(*) from cluster_window), \
                 (select cast(coalesce(sum(span_count), 0) as bigint) from \
                  (select span_count from span_partition union all select span_count from span_journal) as spans), \
                 (select cast(coalesce(sum(span_count), 0) as bigint) from span_journal)",
            ).fetch_one(pool).await.map_err(read())?;
            let count = |at: usize| -> Result<u64, Error> {
                row.try_get::<i64, _>(at).map(|count| u64::try_from(count).unwrap_or(0)).map_err(read())
            };
            Ok(Stats {
                series: count(0)?, journal_rows: count(1)?, chunks: count(2)?, windows: count(3)?, spans: count(4)?,
                spans_waiting: count(5)?,
            })
        })
    }
}

/// Writes labels as a JSON object.
pub(crate) fn labels_to_json(labels: &Labels) -> String {
    let object: serde_json::Map<String, serde_json::Value> =
        labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    serde_json::Value::Object(object).to_string()
}

fn labels_from_json(text: &str) -> Result<Labels, Error> {
    let object: std::collections::BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|error| Error::row("a series' labels", error))?;
    Ok(Labels::new(object))
}
