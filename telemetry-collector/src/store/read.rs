//! Reading for queries: first which series match, then their points, some series at a time and still packed.
//!
//! This is all that a query sees of the store. Unpacking is left to the caller: it happens on the query's own thread,
//! one series after the other, so that a query over any number of series holds the points of one of them.

use std::collections::HashMap;

use promql_parser::label::Matchers;
use wattle_contract::Labels;

use super::chunk::{self, Point};
use super::samples::Samples;
use crate::Error;

/// Chunks read from the database in one statement: bounds what a batch holds.
const SERIES_AT_ONCE: usize = 250;

/// A series that matches; its points are read later.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) id: i64,
    pub(crate) labels: Labels,
}

/// The points of one series as they lie in the store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    chunks: Vec<Vec<u8>>,
    newest: Vec<Point>,
}

/// Points in order of time, each time once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Points {
    /// Units: milliseconds since 1970.
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
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

    fn extend(&mut self, points: &[Point], start: i64, end: i64) {
        let inside = points.iter().filter(|point| (start..=end).contains(&point.0));
        inside.for_each(|point| self.push(*point));
    }

    /// Restores the order where points that came late lie in a later chunk.
    fn sort(&mut self) {
        if self.times.is_sorted_by(|one, next| one < next) {
            return;
        }
        let mut points: Vec<Point> = self.times.iter().copied().zip(self.values.iter().copied()).collect();
        super::head::sort_unique(&mut points);
        self.clear();
        points.into_iter().for_each(|point| self.push(point));
    }
}

impl Packed {
    /// Unpacks the points between two times, both included, into `points`, which is emptied first.
    ///
    /// Errors: a chunk does not decode.
    pub(crate) fn unpack(&self, start: i64, end: i64, points: &mut Points) -> Result<(), Error> {
        points.clear();
        for body in &self.chunks {
            let chunk = chunk::decode(body).map_err(|error| Error::row("a chunk", error))?;
            points.extend(&chunk, start, end);
        }
        points.extend(&self.newest, start, end);
        points.sort();
        Ok(())
    }
}

impl Samples {
    /// Gives the series that match, in no order that means anything.
    pub(crate) fn find(&self, matchers: &Matchers) -> Vec<Found> {
        let named = |series: &super::head::Series| Found { id: series.id, labels: series.labels.clone() };
        self.read(|head| head.select(matchers).into_iter().map(named).collect())
    }

    /// Gives how many of the found series to read at once.
    pub(crate) const fn at_once() -> usize {
        SERIES_AT_ONCE
    }

    /// Reads what the store has of some series between two times, both included: an entry a series, in their order.
    pub(crate) async fn packed(&self, series: &[Found], start: i64, end: i64) -> Result<Vec<Packed>, Error> {
        let mut packed = vec![Packed::default(); series.len()];
        let mut older = Vec::new();
        // The head first: what is cut into a chunk in between is then seen twice, not missed.
        self.read(|head| {
            for (at, one) in series.iter().enumerate() {
                let Some(series) = head.get(one.id) else { continue };
                packed[at].newest = series.between(start, end);
                if series.reaches_into_chunks(start) {
                    older.push((one.id, at));
                }
            }
        });
        let ids: Vec<i64> = older.iter().map(|(id, _)| *id).collect();
        let places: HashMap<i64, usize> = older.into_iter().collect();
        for (id, body) in self.store().chunks(&ids, start, end).await? {
            if let Some(&at) = places.get(&id) {
                packed[at].chunks.push(body);
            }
        }
        Ok(packed)
    }
}
