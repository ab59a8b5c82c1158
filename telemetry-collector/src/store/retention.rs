//! What is too old is dropped.

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

    /// Drops packs whose newest sample is from before a time, and the series that had samples in those only.
    pub(crate) async fn drop_packs(&self, before: Timestamp) -> Result<(), Error> {
        if let super::Backend::Postgres(pool) = &self.backend {
            super::postgres::drop_partitions(pool, before.0).await.map_err(Error::store("dropping old partitions"))?;
        }
        on_pool!(self, pool => {
            for statement in ["delete from sample_pack where end_ms < $1", "delete from series_block where end_ms < $1"] {
                sqlx::query(statement).bind(before.0).execute(pool).await.map_err(Error::store("dropping old packs"))?;
            }
        });
        Ok(())
    }
}
