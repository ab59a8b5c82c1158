//! Rows of traces: the journal, and partitions of blocks with what finds them.

use sqlx::{AssertSqlSafe, Row};

use super::block::TraceId;
use super::rows::{Cut, SearchRow};
use crate::Error;
use crate::store::rollup::add_rollups;
use crate::store::{Backend, Store, on_pool};

/// Tables of a partition.
const TABLES: [&str; 4] = ["span_block", "span_trace", "span_search", "span_operation"];

/// A stretch of arrival with tables of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) id: i64,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// Attributes that its search rows know.
    pub(crate) attributes: Vec<String>,
}

/// A row of the journal: its number and the packed requests.
pub(crate) type JournalRow = (i64, Vec<u8>);
/// A service, an operation of it and the kind of span.
pub(crate) type Operation = (String, String, u8);

/// Writes a block in one transaction, whichever database the pool is of.
macro_rules! write_block {
    ($pool:ident, $partition:expr, $cut:expr, $keys:literal, $key_values:expr) => {{
        let (partition, cut) = ($partition, $cut);
        let failed = || Error::store("writing a block of spans");
        let mut tx = $pool.begin().await.map_err(failed())?;
        // First a statement that writes: SQLite lets nobody write who first read.
        sqlx::query("update span_partition set span_count = span_count + $2 where id = $1")
            .bind(partition)
            .bind(cut.spans)
            .execute(&mut *tx)
            .await
            .map_err(failed())?;
        let done = AssertSqlSafe(format!("select count(*) from span_block_{partition} where id = $1"));
        let done: i64 = sqlx::query_scalar(done).bind(cut.id).fetch_one(&mut *tx).await.map_err(failed())?;
        if done > 0 {
            // The last try was committed, and its answer lost.
            return Ok(());
        }
        let block = format!("insert into span_block_{partition} (id, span_count, body) values ($1, $2, $3)");
        sqlx::query(AssertSqlSafe(block))
            .bind(cut.id)
            .bind(cut.spans)
            .bind(&cut.body)
            .execute(&mut *tx)
            .await
            .map_err(failed())?;
        let keys = format!("insert into span_trace_{partition} (trace_key, block_id) {}", $keys);
        sqlx::query(AssertSqlSafe(keys)).bind($key_values).bind(cut.id).execute(&mut *tx).await.map_err(failed())?;
        let search = format!(
            "insert into span_search_{partition} (block_id, service, first_us, last_us, longest_us, \
             span_count, operations, attributes) values ($1, $2, $3, $4, $5, $6, $7, $8)"
        );
        for row in &cut.search {
            sqlx::query(AssertSqlSafe(search.clone()))
                .bind(cut.id)
                .bind(&row.service)
                .bind(row.first_us)
                .bind(row.last_us)
                .bind(row.longest_us)
                .bind(row.spans)
                .bind(&row.operations)
                .bind(&row.attributes)
                .execute(&mut *tx)
                .await
                .map_err(failed())?;
        }
        let operation = format!(
            "insert into span_operation_{partition} (service, operation, kind) values ($1, $2, $3) \
             on conflict do nothing"
        );
        for (service, name, kind) in &cut.operations {
            sqlx::query(AssertSqlSafe(operation.clone()))
                .bind(service)
                .bind(name)
                .bind(i64::from(*kind))
                .execute(&mut *tx)
                .await
                .map_err(failed())?;
        }
        add_rollups!(&mut *tx, &cut.rollups, failed);
        sqlx::query("delete from span_journal where seq <= $1")
            .bind(cut.id)
            .execute(&mut *tx)
            .await
            .map_err(failed())?;
        tx.commit().await.map_err(failed())
    }};
}

impl Store {
    /// Writes a group of requests: what returns is acknowledged.
    pub(super) async fn append_spans(&self, seq: i64, spans: usize, body: &[u8]) -> Result<(), Error> {
        on_pool!(self, pool => {
            sqlx::query("insert into span_journal (seq, span_count, body) values ($1, $2, $3)")
                .bind(seq).bind(spans as i64).bind(body)
                .execute(pool).await.map(drop).map_err(Error::store("writing spans"))
        })
    }

    /// Gives the first journal row after a number.
    pub(super) async fn next_spans(&self, after: i64) -> Result<Option<JournalRow>, Error> {
        let read = || Error::store("reading the journal of spans");
        on_pool!(self, pool => {
            let row = sqlx::query("select seq, body from span_journal where seq > $1 order by seq limit 1")
                .bind(after).fetch_optional(pool).await.map_err(read())?;
            row.map(|row| Ok((row.try_get(0).map_err(read())?, row.try_get(1).map_err(read())?))).transpose()
        })
    }

    /// Gives the partitions, oldest first.
    pub(super) async fn span_partitions(&self) -> Result<Vec<Partition>, Error> {
        let read = || Error::store("reading the partitions of spans");
        let mut found = Vec::new();
        on_pool!(self, pool => {
            let rows = sqlx::query("select id, start_ms, end_ms, attributes from span_partition order by id")
                .fetch_all(pool).await.map_err(read())?;
            for row in rows {
                let attributes: String = row.try_get(3).map_err(read())?;
                found.push(Partition {
                    id: row.try_get(0).map_err(read())?,
                    start_ms: row.try_get(1).map_err(read())?,
                    end_ms: row.try_get(2).map_err(read())?,
                    attributes: serde_json::from_str(&attributes).map_err(|e| Error::row("a partition of spans", e))?,
                });
            }
        });
        Ok(found)
    }

    /// Gives the newest number that a block of a partition has.
    pub(super) async fn newest_block(&self, partition: i64) -> Result<i64, Error> {
        let statement = AssertSqlSafe(format!("select coalesce(max(id), 0) from span_block_{partition}"));
        on_pool!(self, pool => {
            sqlx::query_scalar(statement).fetch_one(pool).await.map_err(Error::store("reading the newest block"))
        })
    }

    /// Makes a partition and its tables.
    pub(super) async fn create_partition(&self, partition: &Partition) -> Result<(), Error> {
        let failed = || Error::store("making a partition of spans");
        let attributes = serde_json::to_string(&partition.attributes).unwrap_or_default();
        let statements = create_tables(partition.id, matches!(self.backend, Backend::Sqlite(_)));
        on_pool!(self, pool => {
            let mut tx = pool.begin().await.map_err(failed())?;
            for statement in statements {
                sqlx::query(AssertSqlSafe(statement)).execute(&mut *tx).await.map_err(failed())?;
            }
            sqlx::query("insert into span_partition (id, start_ms, end_ms, attributes) values ($1, $2, $3, $4)")
                .bind(partition.id).bind(partition.start_ms).bind(partition.end_ms).bind(attributes)
                .execute(&mut *tx).await.map_err(failed())?;
            tx.commit().await.map_err(failed())
        })
    }

    /// Drops a partition with all that is in it.
    pub(super) async fn drop_partition(&self, id: i64) -> Result<(), Error> {
        let failed = || Error::store("dropping a partition of spans");
        on_pool!(self, pool => {
            let mut tx = pool.begin().await.map_err(failed())?;
            for table in TABLES {
                let statement = AssertSqlSafe(format!("drop table if exists {table}_{id}"));
                sqlx::query(statement).execute(&mut *tx).await.map_err(failed())?;
            }
            sqlx::query("delete from span_partition where id = $1").bind(id)
                .execute(&mut *tx).await.map_err(failed())?;
            tx.commit().await.map_err(failed())
        })
    }

    /// Writes a block, what finds it and what its spans add to the service graph, and shortens the journal: all at once.
    pub(super) async fn write_block(&self, partition: i64, cut: &Cut) -> Result<(), Error> {
        match &self.backend {
            Backend::Sqlite(pool) => {
                write_block!(
                    pool,
                    partition,
                    cut,
                    "select value, $2 from json_each($1)",
                    serde_json::to_string(&cut.keys).unwrap_or_default()
                )
            }
            Backend::Postgres(pool) => write_block!(pool, partition, cut, "select unnest($1::bigint[]), $2", &cut.keys),
        }
    }

    /// Gives the blocks of a partition that hold spans of the traces.
    pub(super) async fn blocks_of(&self, partition: i64, traces: &[TraceId]) -> Result<Vec<i64>, Error> {
        let keys: Vec<i64> = traces.iter().map(super::rows::trace_key).collect();
        let text = |of: &str| {
            let of = format!("select distinct block_id from span_trace_{partition} where trace_key {of}");
            AssertSqlSafe(format!("{of} order by block_id"))
        };
        match &self.backend {
            Backend::Sqlite(pool) => {
                let keys = serde_json::to_string(&keys).unwrap_or_default();
                sqlx::query_scalar(text("in (select value from json_each($1))")).bind(keys).fetch_all(pool).await
            }
            Backend::Postgres(pool) => sqlx::query_scalar(text("= any($1)")).bind(keys).fetch_all(pool).await,
        }
        .map_err(Error::store("looking for a trace"))
    }

    /// Reads a block's bytes.
    pub(super) async fn block_body(&self, partition: i64, id: i64) -> Result<Option<Vec<u8>>, Error> {
        let statement = AssertSqlSafe(format!("select body from span_block_{partition} where id = $1"));
        on_pool!(self, pool => {
            sqlx::query_scalar(statement).bind(id).fetch_optional(pool).await
                .map_err(Error::store("reading a block of spans"))
        })
    }

    /// Gives the search rows of a service, or of all, that overlap a span of time; newest first.
    pub(super) async fn search_rows(
        &self,
        partition: i64,
        service: Option<&str>,
        (first_us, last_us): (i64, i64),
    ) -> Result<Vec<(i64, SearchRow)>, Error> {
        let read = || Error::store("searching spans");
        let of_service = if service.is_some() { "service = $3 and" } else { "$3 = '' and" };
        let statement = AssertSqlSafe(format!(
            "select block_id, service, first_us, last_us, longest_us, span_count, operations, attributes from \
             span_search_{partition} where {of_service} last_us >= $1 and first_us <= $2 order by last_us desc"
        ));
        let mut found = Vec::new();
        on_pool!(self, pool => {
            let rows = sqlx::query(statement).bind(first_us).bind(last_us).bind(service.unwrap_or(""))
                .fetch_all(pool).await.map_err(read())?;
            for row in rows {
                let read_row = || -> Result<(i64, SearchRow), sqlx::Error> {
                    Ok((row.try_get(0)?, SearchRow {
                        service: row.try_get(1)?,
                        first_us: row.try_get(2)?,
                        last_us: row.try_get(3)?,
                        longest_us: row.try_get(4)?,
                        spans: row.try_get(5)?,
                        operations: row.try_get(6)?,
                        attributes: row.try_get(7)?,
                    }))
                };
                found.push(read_row().map_err(read())?);
            }
        });
        Ok(found)
    }

    /// Gives the operations of a partition.
    pub(super) async fn operations_of(&self, partition: i64) -> Result<Vec<Operation>, Error> {
        let read = || Error::store("reading operations");
        let statement = AssertSqlSafe(format!("select service, operation, kind from span_operation_{partition}"));
        let mut found = Vec::new();
        on_pool!(self, pool => {
            for row in sqlx::query(statement).fetch_all(pool).await.map_err(read())? {
                let kind: i64 = row.try_get(2).map_err(read())?;
                let kind = u8::try_from(kind).unwrap_or(0);
                found.push((row.try_get(0).map_err(read())?, row.try_get(1).map_err(read())?, kind));
            }
        });
        Ok(found)
    }
}

fn create_tables(id: i64, is_sqlite: bool) -> Vec<String> {
    let (int, blob, bare) = if is_sqlite { ("integer", "blob", " without rowid") } else { ("bigint", "bytea", "") };
    vec![
        format!("create table span_block_{id} (id {int} primary key, span_count {int} not null, body {blob} not null)"),
        // A trace is found by the half of its id that every sender fills with chance.
        format!(
            "create table span_trace_{id} (trace_key {int} not null, block_id {int} not null, \
             primary key (trace_key, block_id)){bare}"
        ),
        // One row a service and block: whether to unpack the block for a search.
        format!(
            "create table span_search_{id} (block_id {int} not null, service text not null, first_us {int} not null, \
             last_us {int} not null, longest_us {int} not null, span_count {int} not null, operations {blob} not null, \
             attributes {blob})"
        ),
        format!("create index span_search_{id}_by_service on span_search_{id} (service, last_us)"),
        format!(
            "create table span_operation_{id} (service text not null, operation text not null, kind {int} not null, \
             primary key (service, operation, kind)){bare}"
        ),
    ]
}
