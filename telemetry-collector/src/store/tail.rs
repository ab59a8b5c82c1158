//! The samples of one series that are in the journal only: the newest as they are, those before as small chunks.

use super::chunk::{self, Point};
use super::varint;

/// Samples kept as they are before they are encoded: a series of a million costs a quarter of a KiB so.
const FRESH: usize = 16;

/// Samples of one series in the order in which they came.
#[derive(Default)]
pub(crate) struct Tail {
    fresh: Vec<Point>,
    /// Chunks of [`FRESH`] samples, each behind its length.
    sealed: Vec<u8>,
    sealed_count: u32,
    is_unordered: bool,
}

impl Tail {
    /// Counts the samples.
    pub(crate) fn len(&self) -> usize {
        self.sealed_count as usize + self.fresh.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.sealed_count == 0
    }

    /// Adds a sample; `is_late` when it lies before one that is here.
    pub(crate) fn push(&mut self, point: Point, is_late: bool) {
        self.is_unordered |= is_late;
        if self.fresh.len() == FRESH {
            let chunk = chunk::encode(&self.fresh);
            varint::put(&mut self.sealed, chunk.len() as u64);
            self.sealed.extend_from_slice(&chunk);
            self.sealed_count += FRESH as u32;
            self.fresh.clear();
        }
        self.fresh.push(point);
    }

    /// Gives the newest sample that came.
    pub(crate) fn last(&self) -> Option<Point> {
        self.fresh.last().copied()
    }

    /// Appends the samples between two times, both included, in order of time.
    pub(crate) fn between(&self, start: i64, end: i64, out: &mut Vec<Point>) {
        let from = out.len();
        let is_inside = |point: &Point| (start..=end).contains(&point.0);
        // In order, a range that starts in the fresh part needs nothing before it: the common read.
        let needs_sealed = self.is_unordered || self.fresh.first().is_none_or(|first| first.0 > start);
        let mut sealed = if needs_sealed { self.sealed.as_slice() } else { &[] };
        while let Some(length) = varint::take(&mut sealed) {
            let (chunk, rest) = sealed.split_at(length as usize);
            sealed = rest;
            out.extend(chunk::decode(chunk).into_iter().flatten().filter(is_inside));
        }
        out.extend(self.fresh.iter().copied().filter(is_inside));
        if self.is_unordered {
            out[from..].sort_by_key(|point| point.0);
        }
    }

    /// Gives all samples in order of time, one of each time.
    pub(crate) fn points(&self) -> Vec<Point> {
        let mut points = Vec::with_capacity(self.len());
        self.between(i64::MIN, i64::MAX, &mut points);
        points.dedup_by_key(|point| point.0);
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_comes_back_in_order_also_what_came_late() {
        let mut tail = Tail::default();
        for at in (0..100).filter(|at| at % 10 != 3) {
            tail.push((at, at as f64), false);
        }
        for at in (0..100).filter(|at| at % 10 == 3) {
            tail.push((at, at as f64), true);
        }

        assert_eq!(tail.len(), 100);
        assert_eq!(tail.points(), (0..100).map(|at| (at, at as f64)).collect::<Vec<_>>());
        let mut some = Vec::new();
        tail.between(20, 23, &mut some);
        assert_eq!(some.iter().map(|point| point.0).collect::<Vec<_>>(), [20, 21, 22, 23]);
    }
}
