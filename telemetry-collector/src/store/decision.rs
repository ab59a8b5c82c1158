//! Rows of decisions.

use sqlx::Row;
use wattle_contract::{Decision, PodKey, Timestamp};

use super::{Store, on_pool};
use crate::Error;

impl Store {
    /// Writes a decision; one of the same id takes its place.
    ///
    /// Errors: the store cannot be written.
    pub async fn record_decision(&self, decision: &Decision) -> Result<(), Error> {
        let body = serde_json::to_string(decision).map_err(|error| Error::row("a new decision", error))?;
        on_pool!(self, pool => {
            sqlx::query(
                "insert into decision (id, at_ms, namespace, pod, body) values ($1, $2, $3, $4, $5) \
                 on conflict (id) do update set at_ms = excluded.at_ms, namespace = excluded.namespace, \
                 pod = excluded.pod, body = excluded.body",
            )
            .bind(decision.id.0.cast_signed())
            .bind(decision.at.0)
            .bind(decision.pod.pod.namespace.as_str())
            .bind(decision.pod.pod.name.as_ref())
            .bind(body)
            .execute(pool).await.map(drop).map_err(Error::store("writing a decision"))
        })
    }

    /// Reads the newest decision for a pod; `None` when there was none.
    ///
    /// Errors: the store cannot be read, or the row does not decode.
    pub async fn decision_for(&self, key: &PodKey) -> Result<Option<Decision>, Error> {
        let read = || Error::store("reading a decision");
        on_pool!(self, pool => {
            sqlx::query(
                "select body from decision where namespace = $1 and pod = $2 order by at_ms desc, id desc limit 1",
            )
            .bind(key.namespace.as_str()).bind(key.name.as_ref())
            .fetch_optional(pool).await.map_err(read())?
            .map(|row| from_json(&row.try_get::<String, _>(0).map_err(read())?))
            .transpose()
        })
    }

    /// Reads the decisions made at or after `since` and before `until`, oldest first.
    ///
    /// Errors: the store cannot be read, or a row does not decode.
    pub async fn decisions(&self, since: Timestamp, until: Timestamp) -> Result<Vec<Decision>, Error> {
        let read = || Error::store("reading decisions");
        let mut decisions = Vec::new();
        on_pool!(self, pool => {
            let rows = sqlx::query("select body from decision where at_ms >= $1 and at_ms < $2 order by at_ms, id")
                .bind(since.0).bind(until.0).fetch_all(pool).await.map_err(read())?;
            for row in rows {
                decisions.push(from_json(&row.try_get::<String, _>(0).map_err(read())?)?);
            }
        });
        Ok(decisions)
    }
}

fn from_json(text: &str) -> Result<Decision, Error> {
    serde_json::from_str(text).map_err(|error| Error::row("a decision", error))
}
