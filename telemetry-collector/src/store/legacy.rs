//! Takes over what the first layout of the store held: a row a series, and a chunk a row of each series.
//!
//! Runs once, when a collector first opens such a store, in one transaction: it is taken over whole or not at all.

use std::collections::BTreeMap;

use sqlx::Row;
use wattle_contract::Labels;

use super::chunk::{self, Point};
use super::head::{group_of, slot_of, sort_unique};
use super::pack::Pack;
use super::rows::{BlockRow, PackRow};
use super::{Backend, Store, journal, label_block, postgres, sqlite};
use crate::Error;

/// Samples of one series in a pack.
const CHUNK: usize = 120;
/// Series of a block.
const BLOCK: usize = 4_096;

/// Samples of a group of series that are in the old journal only, by series.
type Journalled = BTreeMap<i64, Vec<Point>>;

impl Store {
    /// Takes over what the tables of the first layout hold; gives how many series.
    pub(crate) async fn take_over(&self) -> Result<usize, Error> {
        match &self.backend {
            Backend::Sqlite(pool) => sqlite_take_over(pool).await,
            Backend::Postgres(pool) => postgres_take_over(pool).await,
        }
    }
}

macro_rules! take_over {
    ($name:ident, $pool:ty, $dialect:ident, $all:literal) => {
        async fn $name(pool: &$pool) -> Result<usize, Error> {
            let failed = || Error::store("taking over the series of an older layout");
            let rows: Vec<(i64, String, i64)> = sqlx::query_as("select id, labels, cut_seq from series order by id")
                .fetch_all(pool)
                .await
                .map_err(failed())?;
            if rows.is_empty() {
                return Ok(0);
            }
            let mut tx = pool.begin().await.map_err(failed())?;
            let cut: BTreeMap<i64, i64> = rows.iter().map(|(id, _, cut_seq)| (*id, *cut_seq)).collect();
            let mut journalled = Journalled::new();
            let mut last_seq = cut.values().copied().max().unwrap_or(0).max(1);
            for row in
                sqlx::query("select seq, body from journal order by seq").fetch_all(&mut *tx).await.map_err(failed())?
            {
                let (seq, body): (i64, Vec<u8>) =
                    (row.try_get(0).map_err(failed())?, row.try_get(1).map_err(failed())?);
                last_seq = last_seq.max(seq);
                let entries = journal::decode(&body)
                    .ok_or_else(|| Error::row("a journal row of an older layout", format!("seq {seq}")))?;
                for entry in entries.into_iter().filter(|entry| cut.get(&entry.series).is_some_and(|&cut| seq > cut)) {
                    journalled.entry(entry.series).or_default().push((entry.time, entry.value));
                }
            }
            let mut groups = BTreeMap::<i64, Vec<i64>>::new();
            for (id, _, _) in &rows {
                groups.entry(group_of(*id)).or_default().push(*id);
            }
            let mut oldest = i64::MAX;
            for (group, ids) in groups {
                let mut series = Vec::with_capacity(ids.len());
                for id in ids {
                    let mut points = Vec::new();
                    for body in
                        sqlx::query_scalar::<_, Vec<u8>>($all).bind(id).fetch_all(&mut *tx).await.map_err(failed())?
                    {
                        points.extend(chunk::decode(&body).map_err(|e| Error::row("a chunk of an older layout", e))?);
                    }
                    points.extend(journalled.remove(&id).unwrap_or_default());
                    sort_unique(&mut points);
                    oldest = oldest.min(points.first().map_or(i64::MAX, |point| point.0));
                    series.push((slot_of(id), points));
                }
                let packs = packs(group, series).map_err(|error| Error::row("a new pack", error))?;
                $dialect::insert_packs(&mut tx, &packs, last_seq).await.map_err(failed())?;
            }
            for block in blocks(&rows, if oldest == i64::MAX { 0 } else { oldest })? {
                $dialect::insert_block(&mut tx, &block).await.map_err(failed())?;
            }
            for table in ["delete from chunk", "delete from journal", "delete from series"] {
                sqlx::query(table).execute(&mut *tx).await.map_err(failed())?;
            }
            tx.commit().await.map_err(failed())?;
            Ok(rows.len())
        }
    };
}

take_over!(sqlite_take_over, sqlx::SqlitePool, sqlite, "select body from chunk where series_id = $1 order by start_ms");
take_over!(postgres_take_over, sqlx::PgPool, postgres, "select body from chunk where series_id = $1 order by start_ms");

fn packs(group: i64, mut series: Vec<(u8, Vec<Point>)>) -> std::io::Result<Vec<PackRow>> {
    let mut compressor = Pack::compressor()?;
    let mut packs = Vec::new();
    loop {
        series.retain(|(_, points)| !points.is_empty());
        if series.is_empty() {
            return Ok(packs);
        }
        let part: Vec<(u8, Vec<Point>)> = series
            .iter_mut()
            .map(|(slot, points)| (*slot, points.drain(..points.len().min(CHUNK)).collect()))
            .collect();
        let times = || part.iter().flat_map(|(_, points)| points.iter().map(|point| point.0));
        packs.push(PackRow {
            group,
            start: times().min().unwrap_or(0),
            end: times().max().unwrap_or(0),
            count: times().count() as i64,
            body: Pack::new(&part).to_stored(&mut compressor)?,
        });
    }
}

fn blocks(rows: &[(i64, String, i64)], start: i64) -> Result<Vec<BlockRow>, Error> {
    let mut blocks = Vec::new();
    for part in rows.chunks(BLOCK) {
        let mut series = Vec::with_capacity(part.len());
        for (id, labels, _) in part {
            let object: BTreeMap<String, String> =
                serde_json::from_str(labels).map_err(|error| Error::row("a series' labels", error))?;
            series.push((*id, Labels::new(object)));
        }
        let body = label_block::encode(series.iter().map(|(id, labels)| (*id, labels)))
            .map_err(|error| Error::row("a new block of series", error))?;
        blocks.push(BlockRow {
            first_id: part[0].0,
            last_id: part[part.len() - 1].0,
            count: part.len() as i64,
            start,
            end: None,
            body,
        });
    }
    Ok(blocks)
}
