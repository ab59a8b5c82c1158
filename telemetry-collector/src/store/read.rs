//! Reading for queries: first which series match, then their points, some series at a time and still packed.
//!
//! This is all that a query sees of the store. Unpacking is left to the caller: it happens on the query's own thread,
//! one series after the other, so that a query over any number of series holds the points of one of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashTable;
use promql_parser::label::Matchers;
use wattle_contract::Labels;

use super::chunk::Point;
use super::head::{SeriesRef, group_of, slot_of, sort_unique};
use super::label_block::label_hash;
use super::pack::{Opened, Pack};
use super::samples::{Cold, Samples};
use crate::Error;

/// Series read from the database in one statement: bounds what a batch holds. Whole groups, where all of one are read.
const SERIES_AT_ONCE: usize = 512;

/// A series that matches; its points are read later.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) labels: Labels,
    /// One, or more where the series left the memory and came back.
    ids: Vec<i64>,
}

/// The points of one series as they lie in the store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    packs: Vec<(Arc<Opened>, u8)>,
    newest: Vec<Point>,
}

/// Points in order of time, each time once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Points {
    /// Units: milliseconds since 1970.
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
}

/// A series and its points in a span of time.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    pub(crate) labels: Labels,
    pub(crate) points: Vec<Point>,
}

impl Points {
    /// Forgets all points and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
    }

    /// Adds a point at the end.
    pub(crate) fn push(&mut self, (time, value): Point) {
        self.times.push(time);
        self.values.push(value);
    }

    /// Restores the order where points that came late lie in a later pack.
    fn sort(&mut self) {
        let mut points: Vec<Point> = self.times.iter().copied().zip(self.values.iter().copied()).collect();
        sort_unique(&mut points);
        self.clear();
        points.into_iter().for_each(|point| self.push(point));
    }
}

impl Packed {
    /// Unpacks the points between two times, both included, into `points`, which is emptied first.
    ///
    /// Errors: a pack does not decode.
    pub(crate) fn unpack(&self, start: i64, end: i64, points: &mut Points) -> Result<(), Error> {
        points.clear();
        let mut is_ordered = true;
        for (pack, slot) in &self.packs {
            let appended = pack.append(*slot, start..=end, &mut points.times, &mut points.values);
            is_ordered &= appended.map_err(|error| Error::row("a pack", error))?;
        }
        for &point in self.newest.iter().filter(|point| (start..=end).contains(&point.0)) {
            is_ordered &= points.times.last().is_none_or(|&last| last < point.0);
            points.push(point);
        }
        if !is_ordered {
            points.sort();
        }
        Ok(())
    }
}

impl Samples {
    /// Gives the series that match and may have samples between two times, both included; neighbours in the store stand
    /// together.
    pub(crate) async fn find(&self, matchers: &Matchers, start: i64, end: i64) -> Result<Vec<Found>, Error> {
        let mut found = self.active(matchers);
        let cold = self.find_cold(matchers, start, end).await?;
        if !cold.is_empty() {
            // A series that left the memory and came back has more than one id.
            let mut places: HashTable<(u64, usize)> = HashTable::with_capacity(found.len() + cold.len());
            for (at, found) in found.iter().enumerate() {
                let hash = label_hash(found.labels.iter());
                places.insert_unique(hash, (hash, at), |&(hash, _)| hash);
            }
            for Cold { id, hash, labels } in cold {
                let is_same = |&(other, at): &(u64, usize)| other == hash && found[at].labels == labels;
                if let Some(&(_, at)) = places.find(hash, is_same) {
                    found[at].ids.push(id);
                } else {
                    places.insert_unique(hash, (hash, found.len()), |&(hash, _)| hash);
                    found.push(Found { labels, ids: vec![id] });
                }
            }
        }
        found.sort_by_key(|found| found.ids.first().copied());
        Ok(found)
    }

    /// Gives the series that match and are in memory: those with samples in the last minutes.
    pub(crate) fn active(&self, matchers: &Matchers) -> Vec<Found> {
        self.read(|head| {
            head.select(matchers).map(|series| Found { labels: series.labels, ids: vec![series.id] }).collect()
        })
    }

    /// Gives the labels of series that match, are no longer in memory and may have samples between two times.
    pub(crate) async fn forgotten(&self, matchers: &Matchers, start: i64, end: i64) -> Result<Vec<Labels>, Error> {
        Ok(self.find_cold(matchers, start, end).await?.into_iter().map(|cold| cold.labels).collect())
    }

    /// Gives how many of the found series to read at once.
    pub(crate) const fn at_once() -> usize {
        SERIES_AT_ONCE
    }

    /// Reads what the store has of some series between two times, both included: an entry a series, in their order.
    pub(crate) async fn packed(&self, series: &[Found], start: i64, end: i64) -> Result<Vec<Packed>, Error> {
        let mut packed = vec![Packed::default(); series.len()];
        let mut older = BTreeMap::<i64, Vec<(u8, usize)>>::new();
        // The head first: what is cut into a pack in between is then seen twice, not missed.
        let mut kept: Vec<(Arc<Pack>, u8, usize)> = Vec::new();
        self.read(|head| {
            let ids = series.iter().enumerate().flat_map(|(at, found)| found.ids.iter().map(move |&id| (at, id)));
            for (at, id) in ids {
                let in_memory: Option<SeriesRef> = head.by_id(id);
                if let Some(series) = in_memory.and_then(|at| head.get(at)).filter(|series| start <= series.newest) {
                    kept.extend(head.kept(id, start).map(|pack| (pack.clone(), slot_of(id), at)));
                    series.tail.between(start, end, &mut packed[at].newest);
                }
                if in_memory.is_none() || head.reaches_into_packs(id, start) {
                    older.entry(group_of(id)).or_default().push((slot_of(id), at));
                }
            }
        });
        let groups: Vec<i64> = older.keys().copied().collect();
        let bad = |error| Error::row("a pack", error);
        let mut decompressor = Pack::decompressor().map_err(|error| Error::row("packs", error))?;
        for (group, body) in self.store().packs(&groups, start, end).await? {
            let pack = Arc::new(Pack::from_stored_with(&mut decompressor, &body).map_err(bad)?);
            let opened = Arc::new(pack.open().map_err(bad)?);
            for &(slot, at) in older.get(&group).into_iter().flatten() {
                packed[at].packs.push((opened.clone(), slot));
            }
        }
        // Neighbours share a pack.
        let mut last: Option<(Arc<Pack>, Arc<Opened>)> = None;
        for (pack, slot, at) in kept {
            let opened = match &last {
                Some((same, opened)) if Arc::ptr_eq(same, &pack) => opened.clone(),
                _ => Arc::new(pack.open().map_err(bad)?),
            };
            packed[at].packs.push((opened.clone(), slot));
            last = Some((pack, opened));
        }
        Ok(packed)
    }

    /// Gives the matching series and their points between two times, both included; stops beyond `limit` points.
    pub(crate) async fn select(
        &self,
        matchers: &Matchers,
        start: i64,
        end: i64,
        limit: usize,
    ) -> Result<Option<Vec<Selected>>, Error> {
        let (mut selected, mut count, mut points) = (Vec::new(), 0_usize, Points::default());
        for part in self.find(matchers, start, end).await?.chunks(SERIES_AT_ONCE) {
            for (found, packed) in part.iter().zip(self.packed(part, start, end).await?) {
                packed.unpack(start, end, &mut points)?;
                count = count.saturating_add(points.times.len() + 1);
                if count > limit {
                    return Ok(None);
                }
                if !points.times.is_empty() {
                    let points = points.times.iter().copied().zip(points.values.iter().copied()).collect();
                    selected.push(Selected { labels: found.labels.clone(), points });
                }
            }
        }
        Ok(Some(selected))
    }
}
