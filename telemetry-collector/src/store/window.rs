//! Rows of windows: the measurements that training and serving share.

use sqlx::Row;
use wattle_contract::{Timestamp, Window};

use super::{Store, on_pool};
use crate::Error;

impl Store {
    /// Reads the windows that start at or after `since` and before `until`, oldest first.
    ///
    /// Errors: the store cannot be read, or a row does not decode.
    pub async fn windows(&self, since: Timestamp, until: Timestamp) -> Result<Vec<Window>, Error> {
        let read = || Error::store("reading windows");
        let mut windows = Vec::new();
        on_pool!(self, pool => {
            let rows = sqlx::query(
                "select body from cluster_window where start_ms >= $1 and start_ms < $2 order by start_ms",
            ).bind(since.0).bind(until.0).fetch_all(pool).await.map_err(read())?;
            for row in rows {
                windows.push(from_json(&row.try_get::<String, _>(0).map_err(read())?)?);
            }
        });
        Ok(windows)
    }

    /// Reads the newest window and the version of the snapshot it was published in.
    pub(crate) async fn newest_window(&self) -> Result<Option<(u64, Window)>, Error> {
        let read = || Error::store("reading the newest window");
        on_pool!(self, pool => {
            let row = sqlx::query(
                "select (select max(version) from cluster_window), body from cluster_window \
                 order by start_ms desc limit 1",
            ).fetch_optional(pool).await.map_err(read())?;
            row.map(|row| {
                let version: i64 = row.try_get(0).map_err(read())?;
                Ok((u64::try_from(version).unwrap_or(0), from_json(&row.try_get::<String, _>(1).map_err(read())?)?))
            }).transpose()
        })
    }

    /// Writes a window, in place of what was computed for the same span before.
    pub(crate) async fn put_window(&self, window: &Window, version: u64) -> Result<(), Error> {
        let body = serde_json::to_string(window).map_err(|error| Error::row("a new window", error))?;
        on_pool!(self, pool => {
            sqlx::query(
                "insert into cluster_window (start_ms, end_ms, version, body) values ($1, $2, $3, $4) \
                 on conflict (start_ms) do update set end_ms = excluded.end_ms, version = excluded.version, \
                 body = excluded.body",
            )
            .bind(window.start.0).bind(window.end.0).bind(i64::try_from(version).unwrap_or(i64::MAX)).bind(body)
            .execute(pool).await.map(drop).map_err(Error::store("writing a window"))
        })
    }
}

fn from_json(text: &str) -> Result<Window, Error> {
    serde_json::from_str(text).map_err(|error| Error::row("a window", error))
}
