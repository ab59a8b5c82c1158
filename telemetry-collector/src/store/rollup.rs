//! Rows of the service graph's roll-ups.

use super::{Store, on_pool};
use crate::Error;
use crate::graph::edge::{Rollups, Table};

/// Adds tables inside a transaction, whichever database it is of.
macro_rules! add_rollups {
    ($connection:expr, $rollups:expr, $failed:expr) => {
        for ((source, step, start), table) in $rollups {
            let stored: Option<Vec<u8>> = sqlx::query_scalar(
                "select body from graph_rollup where source = $1 and step_ms = $2 and start_ms = $3",
            )
            .bind(*source)
            .bind(*step)
            .bind(*start)
            .fetch_optional($connection)
            .await
            .map_err($failed())?;
            let mut sum = stored.as_deref().map(crate::graph::edge::Table::unpack).unwrap_or_default();
            sum.add(table);
            sqlx::query(
                "insert into graph_rollup (source, step_ms, start_ms, body) values ($1, $2, $3, $4) \
                 on conflict (source, step_ms, start_ms) do update set body = excluded.body",
            )
            .bind(*source)
            .bind(*step)
            .bind(*start)
            .bind(sum.pack())
            .execute($connection)
            .await
            .map_err($failed())?;
        }
    };
}
pub(crate) use add_rollups;

impl Store {
    /// Sums the tables of one source and step that start in a span of time.
    pub(crate) async fn rollups(&self, source: &str, step: i64, since: i64, until: i64) -> Result<Table, Error> {
        let mut sum = Table::default();
        on_pool!(self, pool => {
            let rows: Vec<Vec<u8>> = sqlx::query_scalar(
                "select body from graph_rollup where source = $1 and step_ms = $2 and start_ms >= $3 and start_ms < $4",
            ).bind(source).bind(step).bind(since).bind(until)
                .fetch_all(pool).await.map_err(Error::store("reading the service graph"))?;
            rows.iter().for_each(|row| sum.add(&Table::unpack(row)));
        });
        Ok(sum)
    }

    /// Adds to the stored tables.
    pub(crate) async fn add_rollups(&self, rollups: &Rollups) -> Result<(), Error> {
        let failed = || Error::store("writing the service graph");
        on_pool!(self, pool => {
            let mut tx = pool.begin().await.map_err(failed())?;
            // SQLite lets nobody write who first read what another one has changed since: write first.
            sqlx::query("delete from graph_rollup where step_ms < 0").execute(&mut *tx).await.map_err(failed())?;
            add_rollups!(&mut *tx, rollups, failed);
            tx.commit().await.map_err(failed())
        })
    }
}
