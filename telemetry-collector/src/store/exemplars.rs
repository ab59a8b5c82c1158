//! Exemplars: single measurements of a series that name their trace.
//!
//! The newest of each series are in memory, where queries look. What is acknowledged is in a journal before: a row an
//! append. Now and then the journal is written anew with what memory still has, so it stays as bounded as memory is.

mod codec;
mod kept;

use std::sync::Arc;

use parking_lot::RwLock;
use promql_parser::label::Matchers;
use wattle_contract::Labels;

use super::{Store, on_pool};
use crate::Error;

use kept::Kept;

/// Exemplars of one series that are kept; an older one goes for each new one.
pub(crate) const OF_SERIES: usize = 100;
/// Exemplars of one journal row, when the journal is written anew: bounds what is encoded at once.
const ROW: usize = 10_000;

/// One exemplar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exemplar {
    /// Units: milliseconds since 1970.
    pub(crate) time: i64,
    /// Whether the sender gave the time; else it is that of the scrape.
    pub(crate) has_time: bool,
    /// The measurement.
    pub(crate) value: f64,
    /// Mostly `trace_id` and `span_id`.
    pub(crate) labels: Labels,
}

impl Exemplar {
    /// Tells whether it is the same measurement: one without a time of its own is sent again at each scrape.
    fn is_same(&self, other: &Self) -> bool {
        let is_same_time = !(self.has_time || other.has_time) || self.time == other.time;
        is_same_time && self.value.to_bits() == other.value.to_bits() && self.labels == other.labels
    }
}

/// An exemplar and its series.
pub(crate) type Of = (Labels, Exemplar);

/// The exemplars of a store.
pub(crate) struct Exemplars {
    store: Arc<Store>,
    kept: RwLock<Kept>,
    journal: tokio::sync::Mutex<Journal>,
}

struct Journal {
    last_seq: i64,
    /// Exemplars in its rows.
    written: usize,
}

impl Exemplars {
    /// Reads the journal; `most` are kept in all, none at zero.
    pub(crate) async fn open(store: Arc<Store>, most: usize) -> Result<Self, Error> {
        let mut kept = Kept::new(most);
        let mut journal = Journal { last_seq: 0, written: 0 };
        for (seq, body) in store.exemplar_rows().await? {
            let row = codec::decode(&body).ok_or_else(|| Error::row("a row of exemplars", format!("seq {seq}")))?;
            journal.last_seq = seq;
            journal.written += row.len();
            row.into_iter().for_each(|(series, exemplar)| kept.add(series, exemplar));
        }
        Ok(Self { store, kept: RwLock::new(kept), journal: tokio::sync::Mutex::new(journal) })
    }

    /// Tells whether any are kept.
    pub(crate) fn is_on(&self) -> bool {
        self.kept.read().most() > 0
    }

    /// Journals what is new and takes it in: what returns is acknowledged.
    pub(crate) async fn append(&self, mut batch: Vec<Of>) -> Result<(), Error> {
        let mut journal = self.journal.lock().await;
        {
            let kept = self.kept.read();
            batch.retain(|(series, exemplar)| kept.is_new(series, exemplar));
        }
        if batch.is_empty() {
            return Ok(());
        }
        let body = encoded(&batch)?;
        // Also when the write fails or its caller goes away: the row may be there all the same.
        journal.last_seq += 1;
        journal.written += batch.len();
        self.store.append_exemplars(journal.last_seq, &body).await?;
        let mut kept = self.kept.write();
        batch.into_iter().for_each(|(series, exemplar)| kept.add(series, exemplar));
        Ok(())
    }

    /// Gives the exemplars between two times, both included, of series that one of the selectors matches; series in
    /// order of their labels, exemplars in order of time.
    pub(crate) fn select(&self, selectors: &[Matchers], start: i64, end: i64) -> Vec<(Labels, Vec<Exemplar>)> {
        self.kept.read().select(selectors, start, end)
    }

    /// Tells whether most of the journal is of exemplars that are not kept any more.
    pub(crate) async fn is_due(&self) -> bool {
        let written = self.journal.lock().await.written;
        let kept = self.kept.read();
        written > 1_000 + 2 * kept.len()
    }

    /// Drops what is from before a time, and writes the journal anew.
    pub(crate) async fn tidy(&self, before: i64) -> Result<(), Error> {
        let mut journal = self.journal.lock().await;
        let (all, first) = {
            let mut kept = self.kept.write();
            kept.drop_before(before);
            (kept.all(), journal.last_seq + 1)
        };
        let bodies: Vec<Vec<u8>> = all.chunks(ROW).map(encoded).collect::<Result<_, _>>()?;
        journal.last_seq += bodies.len() as i64;
        self.store.replace_exemplars(first, &bodies).await?;
        journal.written = all.len();
        Ok(())
    }
}

fn encoded(batch: &[Of]) -> Result<Vec<u8>, Error> {
    codec::encode(batch).map_err(|error| Error::row("a new row of exemplars", error))
}

impl Store {
    async fn exemplar_rows(&self) -> Result<Vec<(i64, Vec<u8>)>, Error> {
        on_pool!(self, pool => {
            sqlx::query_as("select seq, body from exemplar_journal order by seq").fetch_all(pool).await
                .map_err(Error::store("reading exemplars"))
        })
    }

    async fn append_exemplars(&self, seq: i64, body: &[u8]) -> Result<(), Error> {
        on_pool!(self, pool => {
            sqlx::query("insert into exemplar_journal (seq, body) values ($1, $2)").bind(seq).bind(body)
                .execute(pool).await.map_err(Error::store("writing exemplars"))?;
        });
        Ok(())
    }

    /// Writes rows, numbered from `first` on, in place of all that are there.
    async fn replace_exemplars(&self, first: i64, bodies: &[Vec<u8>]) -> Result<(), Error> {
        let failed = || Error::store("writing exemplars");
        on_pool!(self, pool => {
            let mut tx = pool.begin().await.map_err(failed())?;
            sqlx::query("delete from exemplar_journal where seq < $1").bind(first).execute(&mut *tx).await
                .map_err(failed())?;
            for (seq, body) in (first..).zip(bodies) {
                sqlx::query("insert into exemplar_journal (seq, body) values ($1, $2)").bind(seq).bind(body)
                    .execute(&mut *tx).await.map_err(failed())?;
            }
            tx.commit().await.map_err(failed())
        })
    }
}

#[cfg(test)]
mod tests;
