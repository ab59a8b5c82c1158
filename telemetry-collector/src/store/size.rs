//! How much room a store takes, from when its oldest samples are, and room given back.

use wattle_contract::Timestamp;

use super::{Backend, Store, on_pool};
use crate::Error;

/// Pages freed in one transaction of SQLite: 8 MiB, some tens of milliseconds that appends may wait.
const AT_ONCE: i64 = 2_048;
/// Part of a file that may be free before room is given back: what the journal and the next packs take again.
const SPARE: i64 = 4;

/// The database's tables, their indexes and what is stored outside of their rows; what others keep beside it is not ours.
const POSTGRES_BYTES: &str = "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class c \
    where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace";

impl Store {
    /// Counts the bytes in use: pages that SQLite has free are not.
    pub(crate) async fn bytes(&self) -> Result<u64, Error> {
        let bytes: i64 = match &self.backend {
            Backend::Sqlite(pool) => {
                let pages = "select (page_count - freelist_count) * page_size \
                    from pragma_page_count, pragma_freelist_count, pragma_page_size";
                sqlx::query_scalar(pages).fetch_one(pool).await
            }
            Backend::Postgres(pool) => sqlx::query_scalar(POSTGRES_BYTES).fetch_one(pool).await,
        }
        .map_err(Error::store("measuring the store"))?;
        Ok(bytes.unsigned_abs())
    }

    /// Gives the end of the oldest pack.
    pub(crate) async fn oldest_pack(&self) -> Result<Option<Timestamp>, Error> {
        let oldest: Option<i64> = on_pool!(self, pool => {
            sqlx::query_scalar("select min(end_ms) from sample_pack").fetch_one(pool).await
                .map_err(Error::store("reading the oldest pack"))?
        });
        Ok(oldest.map(Timestamp))
    }

    /// Gives free room of the file back to the disk, all of it or but a part that will be needed again; PostgreSQL does by
    /// itself.
    pub(crate) async fn give_back(&self, keep: Keep) -> Result<(), Error> {
        let Backend::Sqlite(pool) = &self.backend else { return Ok(()) };
        let failed = || Error::store("giving room back");
        loop {
            let pages = "select page_count, freelist_count from pragma_page_count, pragma_freelist_count";
            let (all, free): (i64, i64) = sqlx::query_as(pages).fetch_one(pool).await.map_err(failed())?;
            let spare = if keep == Keep::Some { AT_ONCE.max(all / SPARE) } else { 0 };
            let now = (free - spare).min(AT_ONCE);
            if now <= 0 {
                return Ok(());
            }
            let statement = format!("pragma incremental_vacuum({now})");
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(pool).await.map_err(failed())?;
            let left: i64 = sqlx::query_scalar("select freelist_count from pragma_freelist_count")
                .fetch_one(pool)
                .await
                .map_err(failed())?;
            if left >= free {
                // A file that an older wattle made cannot: its free pages are used again, and stay.
                return Ok(());
            }
        }
    }
}

/// What of the free room stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// A quarter of the file.
    Some,
    /// None.
    Nothing,
}
