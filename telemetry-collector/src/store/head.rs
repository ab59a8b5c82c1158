//! The newest samples of every series, in memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use promql_parser::label::Matchers;
use wattle_contract::Labels;

use super::chunk::Point;
use super::index::{Index, Position, matches};

/// How far behind the newest sample of its series a sample may arrive.
pub(crate) const OUT_OF_ORDER_MS: i64 = 3_600_000;

/// One series in memory.
pub(crate) struct Series {
    pub(crate) id: i64,
    pub(crate) labels: Labels,
    /// Samples that are in a chunk already, kept because they are asked for most.
    pub(crate) kept: Arc<Vec<Point>>,
    /// Samples that are in the journal only, in order of time.
    pub(crate) open: Vec<Point>,
    /// Journal number of the oldest open sample.
    pub(crate) open_seq: i64,
    /// Wall clock when the oldest open sample came, in milliseconds.
    pub(crate) opened: i64,
    /// Newest sample's time.
    pub(crate) newest: i64,
    /// Every sample journalled up to here is in a chunk; zero when there is none.
    pub(crate) cut_seq: i64,
    /// Newest time that a sample in a chunk other than the kept one may have.
    pub(crate) cut_to: i64,
}

/// What an appended sample meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is new.
    New,
    /// The same value is there at the same time.
    Same,
    /// Another value is there at the same time.
    Conflict,
    /// It is further behind the newest than is accepted.
    TooOld,
}

impl Series {
    /// A series without samples.
    pub(crate) fn new(id: i64, labels: Labels) -> Self {
        Self::stored(id, labels, 0, i64::MIN)
    }

    /// A series whose samples up to the journal number `cut_seq` are in chunks, none of them newer than `cut_to`.
    pub(crate) fn stored(id: i64, labels: Labels, cut_seq: i64, cut_to: i64) -> Self {
        let (kept, open) = (Arc::default(), Vec::new());
        Self { id, labels, kept, open, open_seq: 0, opened: 0, newest: i64::MIN, cut_seq, cut_to }
    }

    pub(crate) fn fit(&self, (time, value): Point) -> Fit {
        if time > self.newest {
            return Fit::New;
        }
        if time < self.newest.saturating_sub(OUT_OF_ORDER_MS) {
            return Fit::TooOld;
        }
        for points in [self.open.as_slice(), self.kept.as_slice()] {
            if let Ok(at) = points.binary_search_by_key(&time, |point| point.0) {
                return if points[at].1.to_bits() == value.to_bits() { Fit::Same } else { Fit::Conflict };
            }
        }
        Fit::New
    }

    pub(crate) fn push(&mut self, point: Point, seq: i64, now: i64) {
        if self.open.is_empty() {
            (self.open_seq, self.opened) = (seq, now);
        }
        if point.0 > self.newest {
            self.newest = point.0;
            self.open.push(point);
        } else if let Err(at) = self.open.binary_search_by_key(&point.0, |open| open.0) {
            self.open.insert(at, point);
        }
    }

    /// Notes that the open samples are in a chunk now, with all that was journalled up to `cut_seq`.
    pub(crate) fn cut(&mut self, cut_seq: i64) {
        self.cut_to = self.kept.last().map_or(self.cut_to, |newest| newest.0.max(self.cut_to));
        self.kept = Arc::new(std::mem::take(&mut self.open));
        self.cut_seq = cut_seq;
    }

    /// Gives the points in memory between two times, both included, in order.
    pub(crate) fn between(&self, start: i64, end: i64) -> Vec<Point> {
        let part = |points: &[Point]| -> std::ops::Range<usize> {
            points.partition_point(|point| point.0 < start)..points.partition_point(|point| point.0 <= end)
        };
        let (kept, open) = (&self.kept[part(&self.kept)], &self.open[part(&self.open)]);
        let mut points = Vec::with_capacity(kept.len() + open.len());
        points.extend_from_slice(kept);
        points.extend_from_slice(open);
        if kept.last().zip(open.first()).is_some_and(|(kept, open)| kept.0 >= open.0) {
            sort_unique(&mut points);
        }
        points
    }

    /// Tells whether samples from `start` on may be in chunks that are not in memory.
    ///
    /// The oldest kept sample does not tell: one that came late lies before samples of the chunk before.
    pub(crate) const fn reaches_into_chunks(&self, start: i64) -> bool {
        self.cut_seq > 0 && start <= self.cut_to
    }
}

/// Orders points by time and keeps one of each time.
pub(crate) fn sort_unique(points: &mut Vec<Point>) {
    points.sort_by_key(|point| point.0);
    points.dedup_by_key(|point| point.0);
}

/// All series in memory.
#[derive(Default)]
pub(crate) struct Head {
    pub(crate) series: Vec<Series>,
    by_labels: HashMap<Labels, Position>,
    by_id: HashMap<i64, Position>,
    index: Index,
    strings: HashSet<Arc<str>>,
}

impl Head {
    pub(crate) fn position(&self, labels: &Labels) -> Option<Position> {
        self.by_labels.get(labels).copied()
    }

    pub(crate) fn by_id(&mut self, id: i64) -> Option<&mut Series> {
        self.by_id.get(&id).map(|&at| &mut self.series[at as usize])
    }

    /// Gives the series of an id.
    pub(crate) fn get(&self, id: i64) -> Option<&Series> {
        self.by_id.get(&id).map(|&at| &self.series[at as usize])
    }

    /// Adds a series, its label texts shared with those of all others.
    pub(crate) fn insert(&mut self, mut series: Series) -> Position {
        series.labels = self.intern(&series.labels);
        let position = Position::try_from(self.series.len()).unwrap_or(Position::MAX);
        self.index.insert(&series.labels, position);
        self.by_labels.insert(series.labels.clone(), position);
        self.by_id.insert(series.id, position);
        self.series.push(series);
        position
    }

    fn intern(&mut self, labels: &Labels) -> Labels {
        let mut shared = |text: &Arc<str>| -> Arc<str> {
            self.strings.get(text).cloned().unwrap_or_else(|| {
                self.strings.insert(text.clone());
                text.clone()
            })
        };
        let pairs: Vec<(Arc<str>, Arc<str>)> =
            labels.pairs().iter().map(|(name, value)| (shared(name), shared(value))).collect();
        Labels::new(pairs)
    }

    /// Gives the series that match.
    pub(crate) fn select(&self, matchers: &Matchers) -> Vec<&Series> {
        let one = std::slice::from_ref(&matchers.matchers);
        let groups = if matchers.or_matchers.is_empty() { one } else { &matchers.or_matchers };
        let mut found = Vec::new();
        for group in groups {
            let series = match self.index.candidates(group) {
                Some(positions) => positions,
                None => (0..Position::try_from(self.series.len()).unwrap_or(Position::MAX)).collect(),
            };
            found.extend(series.into_iter().filter(|&at| matches(&self.series[at as usize].labels, group)));
        }
        if groups.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
        found.into_iter().map(|at| &self.series[at as usize]).collect()
    }

    pub(crate) const fn index(&self) -> &Index {
        &self.index
    }

    /// Forgets series for which `gone` says so.
    pub(crate) fn remove(&mut self, gone: impl Fn(&Series) -> bool) {
        let series = std::mem::take(self).series;
        for series in series.into_iter().filter(|series| !gone(series)) {
            self.insert(series);
        }
    }
}
