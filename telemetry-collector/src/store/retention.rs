//! What is too old is dropped.

use std::collections::HashSet;

use wattle_contract::Timestamp;

use super::{Store, on_pool};
use crate::Error;

impl Store {
    /// Drops windows, roll-ups and decisions from before a time.
    pub(crate) async fn drop_before(&self, before: Timestamp) -> Result<(), Error> {
        on_pool!(self, pool => {
            for statement in [
                "delete from cluster_window where end_ms < $1",
                "delete from decision where at_ms < $1",
                "delete from graph_rollup where start_ms + step_ms < $1",
            ] {
                sqlx::query(statement).bind(before.0).execute(pool).await.map_err(Error::store("dropping old rows"))?;
            }
        });
        Ok(())
    }

    /// Drops chunks whose newest sample is from before a time.
    pub(crate) async fn drop_chunks(&self, before: Timestamp) -> Result<(), Error> {
        on_pool!(self, pool => {
            sqlx::query("delete from chunk where end_ms < $1").bind(before.0).execute(pool).await
                .map(drop).map_err(Error::store("dropping old chunks"))
        })
    }

    /// Drops those of the series that have no chunk left; gives which.
    pub(crate) async fn drop_series(&self, series: &HashSet<i64>) -> Result<HashSet<i64>, Error> {
        let mut gone = HashSet::new();
        on_pool!(self, pool => {
            // One statement finds them: after a start every series is a candidate.
            let empty: Vec<i64> = sqlx::query_scalar(
                "select id from series where not exists (select 1 from chunk where series_id = series.id)",
            ).fetch_all(pool).await.map_err(Error::store("looking for old series"))?;
            for id in empty.into_iter().filter(|id| series.contains(id)) {
                let done = sqlx::query(
                    "delete from series where id = $1 and not exists (select 1 from chunk where series_id = $1)",
                ).bind(id).execute(pool).await.map_err(Error::store("dropping old series"))?;
                if done.rows_affected() > 0 {
                    gone.insert(id);
                }
            }
        });
        Ok(gone)
    }
}
